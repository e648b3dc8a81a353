/* SPDX-License-Identifier: ISC */
/*
 * AUTH (RFC 4954): base64 on and off; the mechanisms themselves run in authd, which
 * gets each response and gives each challenge.
 */
#include "smtpd/smtp_in_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"

/* Of a decoded response; struct msg_sasl has no room for more. */
#define SASL_MAX 8192
/* Fits a reply line. */
#define CHALLENGE_MAX 360

int
smtp_auth_offered(const struct smtp_in *e)
{
	return (e->facts.kind == LISTENER_SMTP || e->facts.kind == LISTENER_SUBMISSION) &&
	       (e->facts.tls || e->facts.auth_without_tls) && !e->authenticated;
}

const char *
smtp_auth_ehlo(const struct smtp_in *e, char *buf, size_t cap)
{
	char names[SASL_NAMES_MAX];

	sasl_names_list(
	    e->facts.tls, e->facts.certificate, " ", "", names, sizeof(names));
	buf[0] = '\0';
	if (smtp_auth_offered(e))
		snprintf(buf, cap, "250-AUTH%s\r\n", names);
	return buf;
}

static void
ask(struct smtp_in *e, int first)
{
	e->state = ST_AUTH;
	e->lex.auth = 1;
	e->wait = WAIT_SASL;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SASL,
			   .name = e->mechanism,
			   .data = e->sasl != NULL ? e->sasl : "",
			   .len = e->sasl_len,
			   .first = first });
}

/* Back to the command phase. */
static void
leave(struct smtp_in *e)
{
	e->state = ST_HELLO;
	e->lex.auth = 0;
	smtp_in_wipe_sasl(e);
}

/* 0, or the reply that refuses it. */
static enum smtp_reply
decode(struct smtp_in *e, const char *in, size_t len)
{
	int n;

	smtp_in_wipe_sasl(e);
	if (len / 4 * 3 > SASL_MAX)
		return SMTP_REPLY_AUTH_LINE_TOO_LONG;
	if ((e->sasl = malloc(len + 1)) == NULL)
		return SMTP_REPLY_AUTH_TEMP;
	e->sasl_len = len; /* what has to be wiped on failure */
	n = len == 0 ? 0 : base64_decode(in, len, e->sasl, len);
	if (n == -1 || n > SASL_MAX) {
		smtp_in_wipe_sasl(e);
		return SMTP_REPLY_BASE64;
	}
	e->sasl_len = (size_t)n;
	return SMTP_REPLY_NONE;
}

void
smtp_auth_start(struct smtp_in *e, const struct smtp_command *c)
{
	enum smtp_reply r = SMTP_REPLY_NONE;

	if (e->facts.kind != LISTENER_SMTP && e->facts.kind != LISTENER_SUBMISSION)
		r = SMTP_REPLY_AUTH_NOT_HERE;
	else if (e->authenticated)
		r = SMTP_REPLY_AUTH_ALREADY;
	else if (!smtp_auth_offered(e))
		r = SMTP_REPLY_AUTH_PLAINTEXT;
	else if (sasl_name_find(c->word, strlen(c->word), e->facts.tls,
		     e->facts.certificate) == NULL)
		r = SMTP_REPLY_AUTH_MECHANISM;
	else if (c->initial != NULL)
		r = decode(e, c->initial, c->initial_len);
	if (r != SMTP_REPLY_NONE) {
		smtp_in_error(e, r);
		return;
	}
	strlcpy(e->mechanism, c->word, sizeof(e->mechanism));
	ask(e, c->initial == NULL || c->initial_len > 0 ? 1 : 2);
}

void
smtp_auth_line(struct smtp_in *e, const char *line, size_t len)
{
	enum smtp_reply r = SMTP_REPLY_AUTH_CANCELLED;

	if (!(len == 1 && line[0] == '*'))
		r = decode(e, line, len);
	if (r == SMTP_REPLY_NONE) {
		ask(e, 0);
		return;
	}
	leave(e);
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SASL_ABORT });
	smtp_in_error(e, r);
}

static void
challenge(struct smtp_in *e, const uint8_t *data, size_t len)
{
	char text[BASE64_ENCODED_SIZE(CHALLENGE_MAX)];

	if (len > CHALLENGE_MAX || base64_encode(data, len, text, sizeof(text)) == -1) {
		leave(e);
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SASL_ABORT });
		smtp_in_reply(e, SMTP_REPLY_AUTH_TEMP);
		return;
	}
	smtp_in_wipe_sasl(e);
	smtp_in_reply_text(e, 334, "", text);
}

void
smtp_in_sasl_answer(struct smtp_in *e, enum sasl_status status, const uint8_t *data,
    size_t len, const char *text)
{
	if (e->wait != WAIT_SASL)
		return;
	e->wait = WAIT_NONE;
	switch (status) {
	case SASL_CONTINUE:
		challenge(e, data, len);
		return;
	case SASL_OK:
		leave(e);
		e->authenticated = 1;
		e->auth_failures = 0;
		smtp_in_reply(e, SMTP_REPLY_AUTH_OK);
		return;
	case SASL_TEMP:
		leave(e);
		smtp_in_reply(e, SMTP_REPLY_AUTH_TEMP);
		return;
	case SASL_DENIED:
	case SASL_BAD:
		leave(e);
		smtp_in_error(e, SMTP_REPLY_AUTH_DENIED);
		if (++e->auth_failures >= AUTH_TRIES_MAX)
			smtp_in_end(e, SMTP_REPLY_TOO_MANY_ERRORS);
	}
}
