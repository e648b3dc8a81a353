/* SPDX-License-Identifier: ISC */
/* The IMAP machine before the login; see imap_login.h. */
#include "imapd/imap_login.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/imap/imap_capability.h"
#include "common/imap/imap_lex.h"
#include "common/imap/imap_parse.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"

#define SASL_MAX 8192

enum state {
	READY,
	RESPONSE,
	ASKING,
	TLS,
	OPENING,
	ENDED
};

struct imap_login {
	enum state state;
	struct login_facts facts;
	struct evbuffer *out;
	struct imap_lex lex;
	char tag[IMAP_TAG_MAX + 1];
	unsigned int bad;
	enum login_action action;
	bool login_command; /* LOGIN, not AUTHENTICATE */
	bool first;         /* nothing of the exchange was given to authd yet */
	bool empty;         /* the response is there, but empty */
	const char *mechanism;
	uint8_t *data; /* SASL_MAX, while an exchange runs */
	size_t data_len;
};

/* ---- replies ---- */

static void
reply(struct imap_login *l, const char *word, const char *text)
{
	evbuffer_add_printf(l->out, "%s %s %s\r\n", l->tag, word, text);
}

static void
end(struct imap_login *l)
{
	l->state = ENDED;
	l->action = LOGIN_CLOSE;
}

static void
bad(struct imap_login *l, const char *text)
{
	reply(l, "BAD", text);
	if (++l->bad >= IMAP_LOGIN_BAD_MAX) {
		evbuffer_add_printf(l->out, "* BYE Too many errors\r\n");
		end(l);
	}
}

static void
capability(struct imap_login *l)
{
	char names[SASL_NAMES_MAX];

	sasl_names_list(
	    l->facts.tls, l->facts.certificate, " AUTH=", "", names, sizeof(names));
	evbuffer_add_printf(l->out, "CAPABILITY " IMAP_CAPABILITY_BASE " SASL-IR%s%s",
	    l->facts.starttls ? " STARTTLS" : "",
	    l->facts.plain_auth ? names : " LOGINDISABLED");
}

static void
forget_data(struct imap_login *l)
{
	freezero(l->data, SASL_MAX);
	l->data = NULL;
	l->data_len = 0;
}

/* ---- the exchange ---- */

static void
ask(struct imap_login *l)
{
	l->state = ASKING;
	l->action = LOGIN_SASL;
}

static int
need_data(struct imap_login *l)
{
	if (l->data == NULL && (l->data = malloc(SASL_MAX)) == NULL) {
		reply(l, "NO", "[UNAVAILABLE] Out of memory");
		l->state = READY;
		return -1;
	}
	return 0;
}

static void
response(struct imap_login *l, const char *line, size_t len)
{
	int n;

	if (len == 1 && line[0] == '*') {
		if (!l->first)
			l->action = LOGIN_ABORT;
		l->state = READY;
		forget_data(l);
		bad(l, "Authentication cancelled");
		return;
	}
	if (need_data(l) == -1)
		return;
	if ((n = base64_decode(line, len, l->data, SASL_MAX)) == -1) {
		if (!l->first)
			l->action = LOGIN_ABORT;
		l->state = READY;
		forget_data(l);
		bad(l, "Invalid base64");
		return;
	}
	l->data_len = (size_t)n;
	l->empty = n == 0;
	ask(l);
}

/* ---- commands ---- */

static void
cmd_capability(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	evbuffer_add(l->out, "* ", 2);
	capability(l);
	evbuffer_add(l->out, "\r\n", 2);
	reply(l, "OK", "CAPABILITY completed");
}

static void
cmd_noop(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == 0)
		reply(l, "OK", "NOOP completed");
}

static void
cmd_logout(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	evbuffer_add_printf(l->out, "* BYE Logging out\r\n");
	reply(l, "OK", "LOGOUT completed");
	end(l);
}

static void
cmd_id(struct imap_login *l, struct imap_args *a)
{
	struct imap_str v;

	if (imap_sp(a) == -1)
		return;
	if (imap_try_char(a, '(')) {
		for (int i = 0; !imap_try_char(a, ')'); i++) {
			if (i == 60) {
				imap_fail(a, "Too many fields");
				return;
			}
			if ((i > 0 && imap_sp(a) == -1) || imap_astring(a, &v) == -1)
				return;
		}
	} else if (imap_atom(a, &v) == -1 || !imap_str_is(&v, "NIL")) {
		imap_fail(a, "NIL or a list expected");
		return;
	}
	if (imap_end(a) == -1)
		return;
	evbuffer_add_printf(l->out, "* ID (\"name\" \"fife\")\r\n");
	reply(l, "OK", "ID completed");
}

static void
cmd_starttls(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	if (!l->facts.starttls) {
		bad(l, l->facts.tls ? "TLS is active already" : "TLS is not available");
		return;
	}
	reply(l, "OK", "Begin TLS negotiation now");
	l->state = TLS;
	l->action = LOGIN_STARTTLS;
}

static void
cmd_login(struct imap_login *l, struct imap_args *a)
{
	struct imap_str user, password;

	if (imap_sp(a) == -1 || imap_astring(a, &user) == -1 || imap_sp(a) == -1 ||
	    imap_astring(a, &password) == -1 || imap_end(a) == -1)
		return;
	if (!l->facts.plain_auth) {
		reply(l, "NO", "[PRIVACYREQUIRED] LOGIN is refused without TLS");
		return;
	}
	if (user.len + password.len + 2 > SASL_MAX ||
	    memchr(user.s, '\0', user.len) != NULL ||
	    memchr(password.s, '\0', password.len) != NULL) {
		bad(l, "Invalid user name or password");
		return;
	}
	if (need_data(l) == -1)
		return;
	/* authd knows one way for both: PLAIN (RFC 4616). */
	l->data[0] = '\0';
	memcpy(l->data + 1, user.s, user.len);
	l->data[1 + user.len] = '\0';
	memcpy(l->data + 2 + user.len, password.s, password.len);
	l->data_len = 2 + user.len + password.len;
	l->login_command = true;
	l->mechanism = "PLAIN";
	l->first = true;
	l->empty = false;
	ask(l);
}

static void
cmd_authenticate(struct imap_login *l, struct imap_args *a)
{
	struct imap_str mechanism;
	const char *name;
	size_t start;

	if (imap_sp(a) == -1 || imap_atom(a, &mechanism) == -1)
		return;
	name = sasl_name_find(
	    mechanism.s, mechanism.len, l->facts.tls, l->facts.certificate);
	if (name == NULL) {
		reply(l, "NO", "[CANNOT] Unsupported authentication mechanism");
		return;
	}
	if (!l->facts.plain_auth) {
		reply(l, "NO", "[PRIVACYREQUIRED] Authentication is refused without TLS");
		return;
	}
	l->login_command = false;
	l->mechanism = name;
	l->first = true;
	l->empty = false;
	if (imap_peek(a) == -1) {
		if (sasl_name_server_first(name)) {
			if (need_data(l) == 0)
				ask(l);
			return;
		}
		evbuffer_add_printf(l->out, "+ \r\n");
		l->state = RESPONSE;
		return;
	}
	if (imap_sp(a) == -1)
		return;
	start = a->pos;
	a->pos = a->len;
	/* An empty initial response is "=" (RFC 4959, 3). */
	if (a->len - start == 1 && a->buf[start] == '=')
		response(l, "", 0);
	else
		response(l, a->buf + start, a->len - start);
}

static const struct {
	const char *name;
	void (*run)(struct imap_login *, struct imap_args *);
} commands[] = {
	{ "CAPABILITY", cmd_capability },
	{ "NOOP", cmd_noop },
	{ "LOGOUT", cmd_logout },
	{ "ID", cmd_id },
	{ "STARTTLS", cmd_starttls },
	{ "LOGIN", cmd_login },
	{ "AUTHENTICATE", cmd_authenticate },
};

static void
run_command(struct imap_login *l)
{
	struct imap_args a;
	struct imap_str tag, name;

	imap_args_init(&a, l->lex.buf, l->lex.len);
	strlcpy(l->tag, "*", sizeof(l->tag));
	if (imap_tag(&a, &tag) == -1) {
		bad(l, "A command starts with a tag");
		return;
	}
	imap_str_copy(&tag, l->tag, sizeof(l->tag));
	if (imap_sp(&a) == -1 || imap_atom(&a, &name) == -1) {
		bad(l, "Missing command");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (imap_str_is(&name, commands[i].name)) {
			commands[i].run(l, &a);
			if (a.error != NULL)
				bad(l, a.error);
			return;
		}
	bad(l, "Unknown command, or log in first");
}

/* ---- input ---- */

static void
announced_literal(struct imap_login *l)
{
	int rv;

	/* A response line is no command, and has no literals. */
	if (l->state == READY && imap_lex_accept(&l->lex) == 0) {
		if (l->lex.literal_sync)
			evbuffer_add_printf(l->out, "+ Ready for literal\r\n");
		return;
	}
	if (l->state == READY)
		imap_lex_tag(&l->lex, l->tag, sizeof(l->tag));
	l->state = READY;
	if ((rv = imap_lex_refuse(&l->lex, "[TOOBIG] Literal too large")) == 1)
		return; /* BAD follows */
	bad(l, "[TOOBIG] Literal too large");
	if (rv == -1) {
		evbuffer_add_printf(l->out, "* BYE Literal too large to skip\r\n");
		end(l);
	}
}

static void
broken(struct imap_login *l, bool hopeless)
{
	if (l->state == RESPONSE && !l->first)
		l->action = LOGIN_ABORT;
	if (l->state != RESPONSE)
		imap_lex_tag(&l->lex, l->tag, sizeof(l->tag));
	l->state = READY;
	forget_data(l);
	bad(l, l->lex.error);
	if (hopeless) {
		evbuffer_add_printf(l->out, "* BYE Literal too large to skip\r\n");
		end(l);
	}
	imap_lex_reset(&l->lex);
}

size_t
imap_login_input(void *arg, const uint8_t *in, size_t len)
{
	struct imap_login *l = arg;
	size_t done = 0;

	while (l->action == LOGIN_NONE && (l->state == READY || l->state == RESPONSE)) {
		size_t used;
		enum imap_lex_event ev =
		    imap_lex_next(&l->lex, in + done, len - done, &used);

		done += used;
		switch (ev) {
		case IMAP_LEX_MORE:
		case IMAP_LEX_DATA:
			return done;
		case IMAP_LEX_LITERAL:
			announced_literal(l);
			break;
		case IMAP_LEX_COMMAND:
			if (l->state == RESPONSE)
				response(l, l->lex.buf, l->lex.len);
			else
				run_command(l);
			imap_lex_reset(&l->lex);
			break;
		case IMAP_LEX_BAD:
			broken(l, false);
			break;
		case IMAP_LEX_CLOSE:
			broken(l, true);
			break;
		}
	}
	return done;
}

/* ---- around ---- */

void *
imap_login_new(const struct login_facts *facts)
{
	struct imap_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if ((l->out = evbuffer_new()) == NULL) {
		free(l);
		return NULL;
	}
	l->facts = *facts;
	imap_lex_init(
	    &l->lex, IMAP_LOGIN_LINE_MAX, IMAP_LOGIN_LITERAL_MAX, IMAP_LOGIN_LINE_MAX);
	evbuffer_add_printf(l->out, "* OK [");
	capability(l);
	evbuffer_add_printf(l->out, "] %s ready\r\n", facts->hostname);
	return l;
}

void
imap_login_free(void *arg)
{
	struct imap_login *l = arg;

	if (l == NULL)
		return;
	forget_data(l);
	imap_lex_clear(&l->lex);
	evbuffer_free(l->out);
	free(l);
}

enum login_action
imap_login_action(void *arg, struct login_sasl *sasl)
{
	struct imap_login *l = arg;
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
imap_login_output(void *arg)
{
	return ((struct imap_login *)arg)->out;
}

void
imap_login_certificate(void *arg)
{
	((struct imap_login *)arg)->facts.certificate = true;
}

void
imap_login_tls_ready(void *arg)
{
	struct imap_login *l = arg;

	/* Nothing that was said in plain counts any more (RFC 3501, 6.2.1). */
	imap_lex_reset(&l->lex);
	l->facts.tls = true;
	l->facts.starttls = false;
	l->facts.plain_auth = true;
	l->state = READY;
}

void
imap_login_result(void *arg, enum login_status status, const uint8_t *data, size_t len,
    const char *text)
{
	struct imap_login *l = arg;
	char *challenge;

	forget_data(l);
	switch (status) {
	case LOGIN_OK:
		l->state = OPENING;
		break;
	case LOGIN_CONTINUE:
		if ((challenge = malloc(BASE64_ENCODED_SIZE(len))) == NULL ||
		    base64_encode(data, len, challenge, BASE64_ENCODED_SIZE(len)) == -1) {
			reply(l, "NO", "[UNAVAILABLE] Out of memory");
			l->action = LOGIN_ABORT;
			l->state = READY;
		} else {
			evbuffer_add_printf(l->out, "+ %s\r\n", challenge);
			l->state = RESPONSE;
		}
		free(challenge);
		break;
	case LOGIN_DENIED:
		reply(l, "NO", "[AUTHENTICATIONFAILED] Invalid user name or password");
		l->state = READY;
		break;
	case LOGIN_TEMP:
		evbuffer_add_printf(l->out, "%s NO [UNAVAILABLE] %s\r\n", l->tag, text);
		l->state = READY;
		break;
	}
}

void
imap_login_opened(void *arg, bool ok, const char *text)
{
	struct imap_login *l = arg;

	if (ok)
		evbuffer_add_printf(l->out,
		    "%s OK [CAPABILITY " IMAP_CAPABILITY_LOGGED_IN "] %s completed\r\n",
		    l->tag, l->login_command ? "LOGIN" : "AUTHENTICATE");
	else
		evbuffer_add_printf(l->out, "%s NO [UNAVAILABLE] %s\r\n", l->tag, text);
	l->state = READY;
}

void
imap_login_bye(void *arg, const char *text)
{
	struct imap_login *l = arg;

	evbuffer_add_printf(l->out, "* BYE %s\r\n", text);
	end(l);
}
