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

#define SASL_MAX 8192

enum state {
	READY,
	RESPONSE,
	ASKING,
	TLS,
	OPENING,
	ENDED
};

struct sieve_login {
	enum state state;
	struct login_facts facts;
	struct evbuffer *out;
	struct managesieve_reader reader;
	unsigned int bad;
	enum login_action action;
	bool first; /* nothing of the exchange was given to authd yet */
	bool empty; /* the response is there, but empty */
	const char *mechanism;
	uint8_t *data; /* SASL_MAX, while an exchange runs */
	size_t data_len;
};

static void
end(struct sieve_login *l)
{
	l->state = ENDED;
	l->action = LOGIN_CLOSE;
}

static void
bad(struct sieve_login *l, const char *code, const char *text)
{
	if (++l->bad >= SIEVE_LOGIN_BAD_MAX) {
		managesieve_reply(l->out, "BYE", NULL, "too many errors");
		end(l);
		return;
	}
	managesieve_reply(l->out, "NO", code, text);
}

static void
capabilities(struct sieve_login *l)
{
	char names[SASL_NAMES_MAX] = "";

	if (l->facts.plain_auth)
		sasl_names_list(
		    l->facts.tls, l->facts.certificate, " ", "", names, sizeof(names));
	managesieve_capabilities(
	    l->out, names[0] == ' ' ? names + 1 : names, l->facts.starttls, NULL);
	managesieve_reply(l->out, "OK", NULL, l->facts.hostname);
}

static void
forget_data(struct sieve_login *l)
{
	freezero(l->data, SASL_MAX);
	l->data = NULL;
	l->data_len = 0;
}

static void
cancel(struct sieve_login *l, const char *text)
{
	if (!l->first)
		l->action = LOGIN_ABORT;
	l->state = READY;
	forget_data(l);
	bad(l, NULL, text);
}

static void
response(struct sieve_login *l, const char *s, size_t len)
{
	int n;

	if (l->data == NULL && (l->data = malloc(SASL_MAX)) == NULL) {
		cancel(l, "no memory");
		return;
	}
	if ((n = base64_decode(s, len, l->data, SASL_MAX)) == -1) {
		cancel(l, "the response is not base64, or too long");
		return;
	}
	l->data_len = (size_t)n;
	l->empty = n == 0;
	l->state = ASKING;
	l->action = LOGIN_SASL;
}

static void
cmd_authenticate(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;
	const char *name;

	if (r->n_args < 1 || r->n_args > 2 || r->args[0].kind != MANAGESIEVE_STRING ||
	    (r->n_args == 2 && r->args[1].kind != MANAGESIEVE_STRING)) {
		bad(l, NULL, "AUTHENTICATE takes a mechanism and perhaps a response");
		return;
	}
	if (!l->facts.plain_auth) {
		bad(l, "ENCRYPT-NEEDED", "login is refused without TLS");
		return;
	}
	name = sasl_name_find(
	    r->args[0].s, r->args[0].len, l->facts.tls, l->facts.certificate);
	if (name == NULL) {
		bad(l, NULL, "unsupported mechanism");
		return;
	}
	l->mechanism = name;
	l->first = true;
	l->empty = false;
	if (r->n_args == 2) {
		response(l, r->args[1].s, r->args[1].len);
		return;
	}
	if (sasl_name_server_first(name)) {
		if (l->data == NULL && (l->data = malloc(SASL_MAX)) == NULL) {
			cancel(l, "no memory");
			return;
		}
		l->state = ASKING;
		l->action = LOGIN_SASL;
		return;
	}
	evbuffer_add_printf(l->out, "\"\"\r\n");
	l->state = RESPONSE;
}

static void
cmd_noop(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;

	if (r->n_args == 1 && r->args[0].kind == MANAGESIEVE_STRING) {
		evbuffer_add_printf(l->out, "OK (TAG ");
		managesieve_put_string(l->out, r->args[0].s, r->args[0].len);
		evbuffer_add_printf(l->out, ") \"done\"\r\n");
	} else
		managesieve_reply(l->out, "OK", NULL, "done");
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
		managesieve_reply(l->out, "OK", NULL, "bye");
		end(l);
	} else if (ascii_equal(verb, len, "STARTTLS")) {
		if (!l->facts.starttls) {
			bad(l, NULL,
			    l->facts.tls ? "TLS is active already"
					 : "TLS is not available");
			return;
		}
		managesieve_reply(l->out, "OK", NULL, "begin TLS negotiation");
		l->state = TLS;
		l->action = LOGIN_STARTTLS;
	} else
		bad(l, NULL, "unknown command, or log in first");
}

static void
run_response(struct sieve_login *l)
{
	const struct managesieve_reader *r = &l->reader;

	if (r->verb == NULL && r->n_args == 1 && r->args[0].kind == MANAGESIEVE_STRING)
		response(l, r->args[0].s, r->args[0].len);
	else
		cancel(l, "authentication cancelled");
}

size_t
sieve_login_input(void *arg, const uint8_t *in, size_t len)
{
	struct sieve_login *l = arg;
	size_t done = 0;

	while (l->action == LOGIN_NONE && (l->state == READY || l->state == RESPONSE)) {
		size_t used;
		enum managesieve_event ev =
		    managesieve_read(&l->reader, in + done, len - done, &used);

		done += used;
		if (ev == MANAGESIEVE_MORE)
			break;
		if (ev == MANAGESIEVE_FATAL) {
			managesieve_reply(l->out, "BYE", NULL, l->reader.error);
			end(l);
			break;
		}
		if (l->state == RESPONSE) {
			if (ev == MANAGESIEVE_BAD)
				cancel(l, l->reader.error);
			else
				run_response(l);
		} else if (ev == MANAGESIEVE_BAD)
			bad(l, NULL, l->reader.error);
		else
			run_command(l);
	}
	return l->state == ENDED ? len : done;
}

void *
sieve_login_new(const struct login_facts *facts)
{
	struct sieve_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if ((l->out = evbuffer_new()) == NULL) {
		free(l);
		return NULL;
	}
	l->facts = *facts;
	managesieve_init(&l->reader, SIEVE_LOGIN_LITERAL_MAX);
	capabilities(l);
	return l;
}

void
sieve_login_free(void *arg)
{
	struct sieve_login *l = arg;

	if (l == NULL)
		return;
	forget_data(l);
	managesieve_clear(&l->reader);
	evbuffer_free(l->out);
	free(l);
}

enum login_action
sieve_login_action(void *arg, struct login_sasl *sasl)
{
	struct sieve_login *l = arg;
	enum login_action action = l->action;

	if (action == LOGIN_SASL) {
		sasl->mechanism = l->mechanism;
		sasl->data = l->data;
		sasl->len = l->data_len;
		sasl->first = !l->first ? 0 : l->empty ? 2 : 1;
		l->first = false;
	}
	l->action = LOGIN_NONE;
	return action;
}

struct evbuffer *
sieve_login_output(void *arg)
{
	return ((struct sieve_login *)arg)->out;
}

void
sieve_login_certificate(void *arg)
{
	((struct sieve_login *)arg)->facts.certificate = true;
}

void
sieve_login_tls_ready(void *arg)
{
	struct sieve_login *l = arg;
	bool implicit = l->state != TLS;

	/* Nothing that was said in plain counts any more. */
	managesieve_clear(&l->reader);
	managesieve_init(&l->reader, SIEVE_LOGIN_LITERAL_MAX);
	l->facts.tls = true;
	l->facts.starttls = false;
	l->facts.plain_auth = true;
	l->state = READY;
	/* What is offered now is told at once (RFC 5804, 2.2). */
	if (!implicit)
		capabilities(l);
}

void
sieve_login_result(void *arg, enum login_status status, const uint8_t *data, size_t len,
    const char *text)
{
	struct sieve_login *l = arg;
	char *challenge;

	forget_data(l);
	l->state = READY;
	switch (status) {
	case LOGIN_OK:
		l->state = OPENING;
		break;
	case LOGIN_CONTINUE:
		if ((challenge = malloc(BASE64_ENCODED_SIZE(len))) == NULL ||
		    base64_encode(data, len, challenge, BASE64_ENCODED_SIZE(len)) == -1) {
			bad(l, NULL, "no memory");
			l->action = LOGIN_ABORT;
		} else {
			managesieve_put_string(l->out, challenge, strlen(challenge));
			evbuffer_add(l->out, "\r\n", 2);
			l->state = RESPONSE;
		}
		free(challenge);
		break;
	case LOGIN_DENIED:
		managesieve_reply(l->out, "NO", NULL, "invalid user name or password");
		break;
	case LOGIN_TEMP:
		managesieve_reply(l->out, "NO", "TRYLATER", text);
		break;
	}
}

void
sieve_login_opened(void *arg, bool is_ok, const char *text)
{
	struct sieve_login *l = arg;

	if (is_ok)
		managesieve_reply(l->out, "OK", NULL, "logged in");
	else
		managesieve_reply(l->out, "NO", "TRYLATER", text);
	l->state = READY;
}

void
sieve_login_bye(void *arg, const char *text)
{
	struct sieve_login *l = arg;

	managesieve_reply(l->out, "BYE", NULL, text);
	end(l);
}
