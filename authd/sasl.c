/* SPDX-License-Identifier: ISC */
/* SASL mechanisms; see sasl.h. */
#include "authd/sasl.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

enum sasl_mech
sasl_mechanism(const char *name)
{
	if (strcasecmp(name, "PLAIN") == 0)
		return SASL_MECH_PLAIN;
	if (strcasecmp(name, "LOGIN") == 0)
		return SASL_MECH_LOGIN;
	return SASL_MECH_NONE;
}

void
sasl_init(struct sasl *s, enum sasl_mech mech)
{
	memset(s, 0, sizeof(*s));
	s->mech = mech;
}

void
sasl_clear(struct sasl *s)
{
	explicit_bzero(s, sizeof(*s));
}

static int
take(const uint8_t *data, size_t len, char *out, size_t cap)
{
	if (len == 0 || len >= cap || memchr(data, '\0', len) != NULL ||
	    !utf8_valid((const char *)data, len))
		return -1;
	memcpy(out, data, len);
	out[len] = '\0';
	return 0;
}

/* RFC 4616, 2: [authzid] NUL authcid NUL passwd */
static enum sasl_action
plain(struct sasl *s, const uint8_t *data, size_t len, const char **why)
{
	const uint8_t *a, *b, *end = data + len;
	size_t authzid;

	*why = "malformed PLAIN response";
	if ((a = memchr(data, '\0', len)) == NULL)
		return SASL_FAIL;
	authzid = (size_t)(a - data);
	if ((b = memchr(a + 1, '\0', (size_t)(end - a - 1))) == NULL ||
	    take(a + 1, (size_t)(b - a - 1), s->login, sizeof(s->login)) == -1 ||
	    take(b + 1, (size_t)(end - b - 1), s->password, sizeof(s->password)) == -1)
		return SASL_FAIL;
	/* Nobody may act for another (yet). */
	if (authzid != 0 &&
	    (authzid != strlen(s->login) || memcmp(data, s->login, authzid) != 0)) {
		*why = "no right to act for another";
		return SASL_FAIL;
	}
	return SASL_CHECK;
}

static enum sasl_action
login(struct sasl *s, const uint8_t *data, size_t len, const char **challenge, const char **why)
{
	*why = "malformed LOGIN response";
	if (s->step == 1) {
		if (take(data, len, s->login, sizeof(s->login)) == -1)
			return SASL_FAIL;
		s->step = 2;
		*challenge = "Password:";
		return SASL_ASK;
	}
	return take(data, len, s->password, sizeof(s->password)) == 0 ? SASL_CHECK : SASL_FAIL;
}

enum sasl_action
sasl_input(struct sasl *s, const uint8_t *data, size_t len, const char **challenge,
    const char **why)
{
	*challenge = "";
	*why = "unknown mechanism";
	if (s->mech == SASL_MECH_NONE)
		return SASL_FAIL;
	if (data == NULL) {
		if (s->step != 0)
			return SASL_FAIL;
		s->step = 1;
		if (s->mech == SASL_MECH_LOGIN)
			*challenge = "Username:";
		return SASL_ASK;
	}
	if (s->step == 0)
		s->step = 1;
	return s->mech == SASL_MECH_PLAIN ? plain(s, data, len, why)
					  : login(s, data, len, challenge, why);
}
