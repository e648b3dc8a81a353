/* SPDX-License-Identifier: ISC */
/* The ManageSieve machine before the login; see sieve_login.h. */
#include "sieved/sieve_login.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"
#include "common/sieve/managesieve.h"

struct sieve_login {
	struct login login;
	struct managesieve_reader reader;
};

static void
bad(struct sieve_login *l, const char *code, const char *text)
{
	if (++l->login.bad >= SIEVE_LOGIN_BAD_MAX) {
		managesieve_reply(l->login.out, "BYE", NULL, "too many errors");
		login_end(&l->login);
		return;
	}
	managesieve_reply(l->login.out, "NO", code, text);
}

static void
capabilities(struct sieve_login *l)
{
	char names[SASL_NAMES_MAX] = "";

	if (l->login.facts.plain_auth)
		sasl_names_list(l->login.facts.tls, l->login.facts.certificate, " ", "",
		    names, sizeof(names));
	managesieve_capabilities(l->login.out, names[0] == ' ' ? names + 1 : names,
	    l->login.facts.starttls, NULL);
	managesieve_reply(l->login.out, "OK", NULL, l->login.facts.hostname);
}

/* What a step of the exchange says to the client. */
static void
stepped(struct sieve_login *l, enum sasl_step step)
{
	switch (step) {
	case SASL_STEP_ASK:
		break;
	case SASL_STEP_CHALLENGE:
		evbuffer_add_printf(l->login.out, "\"\"\r\n");
		break;
	case SASL_STEP_CANCELLED:
		bad(l, NULL, "authentication cancelled");
		break;
	case SASL_STEP_BASE64:
		bad(l, NULL, "the response is not base64");
		break;
	case SASL_STEP_TOO_LONG:
		bad(l, NULL, "the response is too long");
		break;
	case SASL_STEP_MEMORY:
		bad(l, "TRYLATER", "no memory");
		break;
	case SASL_STEP_MECHANISM:
		bad(l, NULL, "unsupported mechanism");
		break;
	case SASL_STEP_PRIVACY:
		bad(l, "ENCRYPT-NEEDED", "login is refused without TLS");
		break;
	}
}

static void
cmd_authenticate(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;

	if (r->n_args < 1 || r->n_args > 2 || r->args[0].kind != MANAGESIEVE_STRING ||
	    (r->n_args == 2 && r->args[1].kind != MANAGESIEVE_STRING)) {
		bad(l, NULL, "AUTHENTICATE takes a mechanism and perhaps a response");
		return;
	}
	stepped(l, login_authenticate(&l->login, r->args[0].s, r->args[0].len,
		       r->n_args == 2 ? r->args[1].s : NULL,
		       r->n_args == 2 ? r->args[1].len : 0));
}

static void
cmd_noop(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;

	if (r->n_args == 1 && r->args[0].kind == MANAGESIEVE_STRING) {
		evbuffer_add_printf(l->login.out, "OK (TAG ");
		managesieve_put_string(l->login.out, r->args[0].s, r->args[0].len);
		evbuffer_add_printf(l->login.out, ") \"done\"\r\n");
	} else
		managesieve_reply(l->login.out, "OK", NULL, "done");
}

static void
run_command(struct sieve_login *l)
{
	const char *verb = l->reader.verb;
	size_t len = verb != NULL ? strlen(verb) : 0;

	if (verb == NULL)
		bad(l, NULL, "a command is expected");
	else if (ascii_equal(verb, len, "CAPABILITY"))
		capabilities(l);
	else if (ascii_equal(verb, len, "AUTHENTICATE"))
		cmd_authenticate(l);
	else if (ascii_equal(verb, len, "NOOP"))
		cmd_noop(l);
	else if (ascii_equal(verb, len, "LOGOUT")) {
		managesieve_reply(l->login.out, "OK", NULL, "bye");
		login_end(&l->login);
	} else if (ascii_equal(verb, len, "STARTTLS")) {
		if (!l->login.facts.starttls) {
			bad(l, NULL,
			    l->login.facts.tls ? "TLS is active already"
					       : "TLS is not available");
			return;
		}
		managesieve_reply(l->login.out, "OK", NULL, "begin TLS negotiation");
		login_starttls(&l->login);
	} else
		bad(l, NULL, "unknown command, or log in first");
}

static void
run_response(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;

	if (r->verb == NULL && r->n_args == 1 && r->args[0].kind == MANAGESIEVE_STRING) {
		stepped(l, login_response(&l->login, r->args[0].s, r->args[0].len));
		return;
	}
	login_give_up(&l->login);
	stepped(l, SASL_STEP_CANCELLED);
}

size_t
sieve_login_input(struct login *login, const uint8_t *in, size_t len)
{
	struct sieve_login *l = (struct sieve_login *)login;
	size_t done = 0;

	while (login_wants_input(login)) {
		size_t used;
		enum managesieve_event ev =
		    managesieve_read(&l->reader, in + done, len - done, &used);

		done += used;
		if (ev == MANAGESIEVE_MORE)
			break;
		if (ev == MANAGESIEVE_FATAL) {
			managesieve_reply(login->out, "BYE", NULL, l->reader.error);
			login_end(login);
			break;
		}
		if (ev == MANAGESIEVE_BAD) {
			login_give_up(login);
			bad(l, NULL, l->reader.error);
		} else if (login->state == LOGIN_RESPONSE)
			run_response(l);
		else
			run_command(l);
	}
	return login->state == LOGIN_ENDED ? len : done;
}

struct login *
sieve_login_new(const struct login_facts *facts)
{
	struct sieve_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if (login_init(&l->login, facts) == -1) {
		free(l);
		return NULL;
	}
	managesieve_init(&l->reader, SIEVE_LOGIN_LITERAL_MAX);
	capabilities(l);
	return &l->login;
}

void
sieve_login_free(struct login *login)
{
	struct sieve_login *l = (struct sieve_login *)login;

	if (l == NULL)
		return;
	login_clear(login);
	managesieve_clear(&l->reader);
	free(l);
}

void
sieve_login_tls_ready(struct login *login)
{
	struct sieve_login *l = (struct sieve_login *)login;
	bool implicit = login->state != LOGIN_TLS;

	/* Nothing that was said in plain counts any more. */
	managesieve_clear(&l->reader);
	managesieve_init(&l->reader, SIEVE_LOGIN_LITERAL_MAX);
	login_tls_begun(login);
	/* What is offered now is told at once (RFC 5804, 2.2). */
	if (!implicit)
		capabilities(l);
}

void
sieve_login_result(struct login *login, enum login_status status, const uint8_t *data,
    size_t len, const char *text)
{
	struct sieve_login *l = (struct sieve_login *)login;
	char *challenge;

	login_answered(login, status, data, len, &challenge);
	switch (status) {
	case LOGIN_OK:
		break;
	case LOGIN_CONTINUE:
		if (challenge != NULL) {
			managesieve_put_string(login->out, challenge, strlen(challenge));
			evbuffer_add(login->out, "\r\n", 2);
		} else
			stepped(l, SASL_STEP_MEMORY);
		free(challenge);
		break;
	case LOGIN_DENIED:
		managesieve_reply(
		    login->out, "NO", NULL, "invalid user name or password");
		break;
	case LOGIN_TOO_SOON:
	case LOGIN_TEMP:
		managesieve_reply(login->out, "NO", "TRYLATER", text);
		break;
	}
}

void
sieve_login_opened(struct login *login, bool is_ok, const char *text)
{
	if (is_ok)
		managesieve_reply(login->out, "OK", NULL, "logged in");
	else
		managesieve_reply(login->out, "NO", "TRYLATER", text);
	login->state = LOGIN_READY;
}

void
sieve_login_bye(struct login *login, const char *text)
{
	managesieve_reply(login->out, "BYE", NULL, text);
	login_end(login);
}
