/* SPDX-License-Identifier: ISC */
/* A front's half of a SASL exchange; see sasl_exchange.h. */
#include "common/front/sasl_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"

void
sasl_exchange_clear(struct sasl_exchange *x)
{
	freezero(x->data, x->cap);
	x->data = NULL;
	x->len = x->cap = 0;
}

static int
room(struct sasl_exchange *x, size_t cap)
{
	sasl_exchange_clear(x);
	if ((x->data = malloc(cap)) == NULL)
		return -1;
	x->cap = cap;
	return 0;
}

static enum sasl_step
decode(struct sasl_exchange *x, const char *in, size_t len)
{
	int n = 0;

	if (len / 4 * 3 > SASL_RESPONSE_MAX + 2)
		return SASL_STEP_TOO_LONG;
	if (room(x, len + 1) == -1)
		return SASL_STEP_MEMORY;
	if (len > 0)
		n = base64_decode(in, len, x->data, len);
	if (n == -1 || n > SASL_RESPONSE_MAX) {
		sasl_exchange_clear(x);
		return n == -1 ? SASL_STEP_BASE64 : SASL_STEP_TOO_LONG;
	}
	x->len = (size_t)n;
	x->first = x->begun ? 0 : n == 0 ? 2 : 1;
	return SASL_STEP_ASK;
}

enum sasl_step
sasl_exchange_begin(
    struct sasl_exchange *x, const char *mechanism, const char *initial, size_t len)
{
	x->mechanism = mechanism;
	x->begun = false;
	if (initial != NULL)
		return decode(x, initial, len);
	if (!sasl_name_server_first(mechanism))
		return SASL_STEP_CHALLENGE;
	if (room(x, 1) == -1)
		return SASL_STEP_MEMORY;
	x->first = 1;
	return SASL_STEP_ASK;
}

enum sasl_step
sasl_exchange_password(struct sasl_exchange *x, const char *user, size_t user_len,
    const char *password, size_t password_len)
{
	if (user_len > SASL_RESPONSE_MAX - 2 ||
	    password_len > SASL_RESPONSE_MAX - 2 - user_len)
		return SASL_STEP_TOO_LONG;
	if (room(x, user_len + password_len + 2) == -1)
		return SASL_STEP_MEMORY;
	x->data[0] = '\0';
	memcpy(x->data + 1, user, user_len);
	x->data[1 + user_len] = '\0';
	memcpy(x->data + 2 + user_len, password, password_len);
	x->len = x->cap;
	x->mechanism = "PLAIN";
	x->begun = false;
	x->first = 1;
	return SASL_STEP_ASK;
}

enum sasl_step
sasl_exchange_response(struct sasl_exchange *x, const char *line, size_t len)
{
	if (len == 1 && line[0] == '*')
		return SASL_STEP_CANCELLED;
	return decode(x, line, len);
}

void
sasl_exchange_given(struct sasl_exchange *x)
{
	x->begun = true;
}

char *
sasl_exchange_challenge(const uint8_t *data, size_t len)
{
	char *text = malloc(BASE64_ENCODED_SIZE(len));

	if (text != NULL && len == 0)
		text[0] = '\0';
	else if (text != NULL &&
		 base64_encode(data, len, text, BASE64_ENCODED_SIZE(len)) == -1) {
		free(text);
		return NULL;
	}
	return text;
}
