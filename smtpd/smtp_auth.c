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
#include "common/sasl_names.h"

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
ask(struct smtp_in *e)
{
	e->state = ST_AUTH;
	e->lex.auth = 1;
	e->wait = WAIT_SASL;
	smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SASL,
			   .name = e->sasl.mechanism,
			   .data = e->sasl.data != NULL ? (const char *)e->sasl.data : "",
			   .len = e->sasl.len,
			   .first = e->sasl.first });
	sasl_exchange_given(&e->sasl);
}

/* Back to the command phase. */
static void
leave(struct smtp_in *e)
{
	e->state = ST_HELLO;
	e->lex.auth = 0;
	sasl_exchange_clear(&e->sasl);
}

/* An exchange under way is given up. */
static void
give_up(struct smtp_in *e)
{
	leave(e);
	if (e->sasl.begun)
		smtp_in_act(e, &(struct smtp_action){ .type = SMTP_ACT_SASL_ABORT });
}

static void
stepped(struct smtp_in *e, enum sasl_step step)
{
	switch (step) {
	case SASL_STEP_ASK:
		ask(e);
		return;
	case SASL_STEP_CHALLENGE:
		e->state = ST_AUTH;
		e->lex.auth = 1;
		smtp_in_reply_text(e, 334, "", "");
		return;
	default:
		break;
	}
	give_up(e);
	switch (step) {
	case SASL_STEP_CANCELLED:
		smtp_in_error(e, SMTP_REPLY_AUTH_CANCELLED);
		break;
	case SASL_STEP_BASE64:
		smtp_in_error(e, SMTP_REPLY_BASE64);
		break;
	case SASL_STEP_TOO_LONG:
		smtp_in_error(e, SMTP_REPLY_AUTH_LINE_TOO_LONG);
		break;
	default:
		smtp_in_error(e, SMTP_REPLY_AUTH_TEMP);
		break;
	}
}

void
smtp_auth_start(struct smtp_in *e, const struct smtp_command *c)
{
	const char *name =
	    sasl_name_find(c->word, strlen(c->word), e->facts.tls, e->facts.certificate);

	if (e->facts.kind != LISTENER_SMTP && e->facts.kind != LISTENER_SUBMISSION)
		smtp_in_error(e, SMTP_REPLY_AUTH_NOT_HERE);
	else if (e->authenticated)
		smtp_in_error(e, SMTP_REPLY_AUTH_ALREADY);
	else if (!smtp_auth_offered(e))
		smtp_in_error(e, SMTP_REPLY_AUTH_PLAINTEXT);
	else if (name == NULL)
		smtp_in_error(e, SMTP_REPLY_AUTH_MECHANISM);
	else
		stepped(
		    e, sasl_exchange_begin(&e->sasl, name, c->initial, c->initial_len));
}

void
smtp_auth_line(struct smtp_in *e, const char *line, size_t len)
{
	stepped(e, sasl_exchange_response(&e->sasl, line, len));
}

static void
challenge(struct smtp_in *e, const uint8_t *data, size_t len)
{
	char *text = NULL;

	sasl_exchange_clear(&e->sasl);
	if (len <= CHALLENGE_MAX && (text = sasl_exchange_challenge(data, len)) != NULL)
		smtp_in_reply_text(e, 334, "", text);
	else {
		give_up(e);
		smtp_in_reply(e, SMTP_REPLY_AUTH_TEMP);
	}
	free(text);
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
	case SASL_TOO_SOON:
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
