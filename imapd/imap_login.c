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
#include "common/sasl_names.h"

struct imap_login {
	struct login login;
	struct imap_lex lex;
	char tag[IMAP_TAG_MAX + 1];
	bool login_command; /* LOGIN, not AUTHENTICATE */
};

/* ---- replies ---- */

static void
reply(struct imap_login *l, const char *word, const char *text)
{
	evbuffer_add_printf(l->login.out, "%s %s %s\r\n", l->tag, word, text);
}

static void
bad(struct imap_login *l, const char *text)
{
	reply(l, "BAD", text);
	if (++l->login.bad >= IMAP_LOGIN_BAD_MAX) {
		evbuffer_add_printf(l->login.out, "* BYE Too many errors\r\n");
		login_end(&l->login);
	}
}

static void
capability(struct imap_login *l)
{
	char names[SASL_NAMES_MAX];

	sasl_names_list(l->login.facts.tls, l->login.facts.certificate, " AUTH=", "",
	    names, sizeof(names));
	evbuffer_add_printf(l->login.out,
	    "CAPABILITY " IMAP_CAPABILITY_BASE " SASL-IR%s%s",
	    l->login.facts.starttls ? " STARTTLS" : "",
	    l->login.facts.plain_auth ? names : " LOGINDISABLED");
}

/* What a step of the exchange says to the client. */
static void
stepped(struct imap_login *l, enum sasl_step step)
{
	switch (step) {
	case SASL_STEP_ASK:
		break;
	case SASL_STEP_CHALLENGE:
		evbuffer_add_printf(l->login.out, "+ \r\n");
		break;
	case SASL_STEP_CANCELLED:
		bad(l, "Authentication cancelled");
		break;
	case SASL_STEP_BASE64:
		bad(l, "Invalid base64");
		break;
	case SASL_STEP_TOO_LONG:
		bad(l, "Response too long");
		break;
	case SASL_STEP_MEMORY:
		reply(l, "NO", "[UNAVAILABLE] Out of memory");
		break;
	case SASL_STEP_MECHANISM:
		reply(l, "NO", "[CANNOT] Unsupported authentication mechanism");
		break;
	case SASL_STEP_PRIVACY:
		reply(l, "NO", "[PRIVACYREQUIRED] Authentication is refused without TLS");
		break;
	}
}

/* ---- commands ---- */

static void
cmd_capability(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	evbuffer_add(l->login.out, "* ", 2);
	capability(l);
	evbuffer_add(l->login.out, "\r\n", 2);
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
	evbuffer_add_printf(l->login.out, "* BYE Logging out\r\n");
	reply(l, "OK", "LOGOUT completed");
	login_end(&l->login);
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
	evbuffer_add_printf(l->login.out, "* ID (\"name\" \"fife\")\r\n");
	reply(l, "OK", "ID completed");
}

static void
cmd_starttls(struct imap_login *l, struct imap_args *a)
{
	if (imap_end(a) == -1)
		return;
	if (!l->login.facts.starttls) {
		bad(l, l->login.facts.tls ? "TLS is active already"
					  : "TLS is not available");
		return;
	}
	reply(l, "OK", "Begin TLS negotiation now");
	login_starttls(&l->login);
}

static void
cmd_login(struct imap_login *l, struct imap_args *a)
{
	struct imap_str user, password;

	if (imap_sp(a) == -1 || imap_astring(a, &user) == -1 || imap_sp(a) == -1 ||
	    imap_astring(a, &password) == -1 || imap_end(a) == -1)
		return;
	if (!l->login.facts.plain_auth) {
		reply(l, "NO", "[PRIVACYREQUIRED] LOGIN is refused without TLS");
		return;
	}
	if (memchr(user.s, '\0', user.len) != NULL ||
	    memchr(password.s, '\0', password.len) != NULL) {
		bad(l, "Invalid user name or password");
		return;
	}
	l->login_command = true;
	stepped(l, login_password(&l->login, user.s, user.len, password.s, password.len));
}

static void
cmd_authenticate(struct imap_login *l, struct imap_args *a)
{
	struct imap_str mechanism;
	const char *initial = NULL;
	size_t len = 0;

	if (imap_sp(a) == -1 || imap_atom(a, &mechanism) == -1)
		return;
	if (imap_peek(a) != -1) {
		if (imap_sp(a) == -1)
			return;
		initial = a->buf + a->pos;
		len = a->len - a->pos;
		a->pos = a->len;
		/* An empty initial response is "=" (RFC 4959, 3). */
		if (len == 1 && initial[0] == '=')
			len = 0;
	}
	l->login_command = false;
	stepped(
	    l, login_authenticate(&l->login, mechanism.s, mechanism.len, initial, len));
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
	if (l->login.state == LOGIN_READY && imap_lex_accept(&l->lex) == 0) {
		if (l->lex.literal_sync)
			evbuffer_add_printf(l->login.out, "+ Ready for literal\r\n");
		return;
	}
	if (l->login.state == LOGIN_READY)
		imap_lex_tag(&l->lex, l->tag, sizeof(l->tag));
	login_give_up(&l->login);
	if ((rv = imap_lex_refuse(&l->lex, "[TOOBIG] Literal too large")) == 1)
		return; /* BAD follows */
	bad(l, "[TOOBIG] Literal too large");
	if (rv == -1) {
		evbuffer_add_printf(l->login.out, "* BYE Literal too large to skip\r\n");
		login_end(&l->login);
	}
}

static void
broken(struct imap_login *l, bool hopeless)
{
	if (l->login.state != LOGIN_RESPONSE)
		imap_lex_tag(&l->lex, l->tag, sizeof(l->tag));
	login_give_up(&l->login);
	bad(l, l->lex.error);
	if (hopeless) {
		evbuffer_add_printf(l->login.out, "* BYE Literal too large to skip\r\n");
		login_end(&l->login);
	}
	imap_lex_reset(&l->lex);
}

size_t
imap_login_input(struct login *login, const uint8_t *in, size_t len)
{
	struct imap_login *l = (struct imap_login *)login;
	size_t done = 0;

	while (login_wants_input(login)) {
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
			if (l->login.state == LOGIN_RESPONSE)
				stepped(l, login_response(login, l->lex.buf, l->lex.len));
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

struct login *
imap_login_new(const struct login_facts *facts)
{
	struct imap_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if (login_init(&l->login, facts) == -1) {
		free(l);
		return NULL;
	}
	imap_lex_init(
	    &l->lex, IMAP_LOGIN_LINE_MAX, IMAP_LOGIN_LITERAL_MAX, IMAP_LOGIN_LINE_MAX);
	evbuffer_add_printf(l->login.out, "* OK [");
	capability(l);
	evbuffer_add_printf(l->login.out, "] %s ready\r\n", facts->hostname);
	return &l->login;
}

void
imap_login_free(struct login *login)
{
	struct imap_login *l = (struct imap_login *)login;

	if (l == NULL)
		return;
	login_clear(login);
	imap_lex_clear(&l->lex);
	free(l);
}

void
imap_login_tls_ready(struct login *login)
{
	struct imap_login *l = (struct imap_login *)login;

	/* Nothing that was said in plain counts any more (RFC 3501, 6.2.1). */
	imap_lex_reset(&l->lex);
	login_tls_begun(login);
}

void
imap_login_result(struct login *login, enum login_status status, const uint8_t *data,
    size_t len, const char *text)
{
	struct imap_login *l = (struct imap_login *)login;
	char *challenge;

	login_answered(login, status, data, len, &challenge);
	switch (status) {
	case LOGIN_OK:
		break;
	case LOGIN_CONTINUE:
		if (challenge != NULL)
			evbuffer_add_printf(login->out, "+ %s\r\n", challenge);
		else
			stepped(l, SASL_STEP_MEMORY);
		free(challenge);
		break;
	case LOGIN_DENIED:
		reply(l, "NO", "[AUTHENTICATIONFAILED] Invalid user name or password");
		break;
	case LOGIN_TOO_SOON:
	case LOGIN_TEMP:
		evbuffer_add_printf(
		    login->out, "%s NO [UNAVAILABLE] %s\r\n", l->tag, text);
		break;
	}
}

void
imap_login_opened(struct login *login, bool ok, const char *text)
{
	struct imap_login *l = (struct imap_login *)login;

	struct imap_offer offer = { .message_limit = login->facts.message_limit,
		.save_limit = login->facts.save_limit,
		.quotaset = login->facts.quotaset };
	char more[IMAP_OFFER_MAX];

	if (ok)
		evbuffer_add_printf(login->out,
		    "%s OK [CAPABILITY " IMAP_CAPABILITY_LOGGED_IN "%s] %s completed\r\n",
		    l->tag, imap_offer_print(&offer, more),
		    l->login_command ? "LOGIN" : "AUTHENTICATE");
	else
		evbuffer_add_printf(
		    login->out, "%s NO [UNAVAILABLE] %s\r\n", l->tag, text);
	login->state = LOGIN_READY;
}

void
imap_login_bye(struct login *login, const char *text)
{
	evbuffer_add_printf(login->out, "* BYE %s\r\n", text);
	login_end(login);
}
