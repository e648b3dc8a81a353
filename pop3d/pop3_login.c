/* SPDX-License-Identifier: ISC */
/* The POP3 machine before the login; see pop3_login.h. */
#include "pop3d/pop3_login.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/pop3/pop3_hello.h"
#include "common/pop3/pop3_line.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"

struct pop3_login {
	struct login login;
	struct pop3_line line;
	char user[POP3_USER_MAX + 1]; /* "": no USER yet */
	bool utf8;
	enum pop3_lang lang;
};

static void
ok(struct pop3_login *l, const char *text)
{
	pop3_reply(l->login.out, l->lang, "+OK", text);
}

static void
bad(struct pop3_login *l, const char *text)
{
	pop3_reply(l->login.out, l->lang, "-ERR", text);
	if (++l->login.bad >= POP3_LOGIN_BAD_MAX)
		login_end(&l->login);
}

/* What a step of the exchange says to the client. */
static void
stepped(struct pop3_login *l, enum sasl_step step)
{
	switch (step) {
	case SASL_STEP_ASK:
		break;
	case SASL_STEP_CHALLENGE:
		evbuffer_add_printf(l->login.out, "+ \r\n");
		break;
	case SASL_STEP_CANCELLED:
		bad(l, "authentication cancelled");
		break;
	case SASL_STEP_BASE64:
		bad(l, "invalid base64");
		break;
	case SASL_STEP_TOO_LONG:
		bad(l, "response too long");
		break;
	case SASL_STEP_MEMORY:
		bad(l, "[SYS/TEMP] out of memory");
		break;
	case SASL_STEP_MECHANISM:
		bad(l, "unsupported mechanism");
		break;
	case SASL_STEP_PRIVACY:
		bad(l, "[AUTH] login is refused without TLS");
		break;
	}
}

/* Passwords without TLS: says no and why. */
static int
secret_refused(struct pop3_login *l)
{
	if (l->login.facts.plain_auth)
		return 0;
	stepped(l, SASL_STEP_PRIVACY);
	return 1;
}

/* What the mailbox process has to know of the client. */
static void
hello(const struct pop3_login *l, struct pop3_hello *h)
{
	const struct login_facts *f = &l->login.facts;

	*h = (struct pop3_hello){ .utf8 = l->utf8,
		.utf8_strict = f->utf8_strict,
		.lang = l->lang,
		.login_delay_s = f->login_delay_s };
	if (f->plain_auth)
		sasl_names_list(
		    f->tls, f->certificate, " ", "", h->sasl, sizeof(h->sasl));
}

static void
cmd_capa(struct pop3_login *l, char *arg)
{
	struct pop3_hello h;

	hello(l, &h);
	pop3_capa(l->login.out, &h, l->login.facts.starttls);
}

static void
cmd_utf8(struct pop3_login *l, char *arg)
{
	l->utf8 = true;
	ok(l, "UTF-8 is enabled");
}

static void
cmd_lang(struct pop3_login *l, char *arg)
{
	if (pop3_lang_command(l->login.out, &l->lang, arg) == -1)
		bad(l, "no such language");
}

static void
cmd_stls(struct pop3_login *l, char *arg)
{
	if (!l->login.facts.starttls)
		bad(l, l->login.facts.tls ? "TLS is active already"
					  : "TLS is not available");
	else if (l->utf8)
		bad(l, "no STLS after UTF8"); /* RFC 6856, 2.1 */
	else {
		ok(l, "begin TLS negotiation");
		login_starttls(&l->login);
	}
}

/* UTF8 USER in CAPA (RFC 6856, 2.2); authd applies SASLprep. */
static bool
is_text(struct pop3_login *l, const char *arg)
{
	if (utf8_valid(arg, strlen(arg)))
		return true;
	bad(l, "not UTF-8");
	return false;
}

static void
cmd_user(struct pop3_login *l, char *arg)
{
	l->user[0] = '\0';
	if (secret_refused(l) || !is_text(l, arg))
		return;
	if (strlcpy(l->user, arg, sizeof(l->user)) >= sizeof(l->user)) {
		l->user[0] = '\0';
		bad(l, "user name too long");
		return;
	}
	/* Whether there is such a user is not said. */
	ok(l, "password please");
}

static void
cmd_pass(struct pop3_login *l, char *arg)
{
	if (secret_refused(l))
		return;
	if (l->user[0] == '\0') {
		bad(l, "USER first");
		return;
	}
	if (!is_text(l, arg))
		return;
	stepped(l, login_password(&l->login, l->user, strlen(l->user), arg, strlen(arg)));
	l->user[0] = '\0';
}

static void
cmd_auth(struct pop3_login *l, char *arg)
{
	char *initial, names[SASL_NAMES_MAX];

	if (*arg == '\0') {
		sasl_names_list(l->login.facts.tls, l->login.facts.certificate, "",
		    "\r\n", names, sizeof(names));
		ok(l, "mechanisms");
		evbuffer_add_printf(
		    l->login.out, "%s.\r\n", l->login.facts.plain_auth ? names : "");
		return;
	}
	initial = pop3_split(arg);
	if (*initial == '\0')
		initial = NULL;
	else if (strcmp(initial, "=") == 0) /* empty: RFC 5034, 4 */
		initial++;
	stepped(l, login_authenticate(&l->login, arg, strlen(arg), initial,
		       initial != NULL ? strlen(initial) : 0));
}

static void
cmd_quit(struct pop3_login *l, char *arg)
{
	ok(l, "bye");
	login_end(&l->login);
}

static const struct {
	const char *name;
	bool arg, no_arg; /* may there be one; may there be none */
	void (*run)(struct pop3_login *, char *arg);
} commands[] = {
	{ "CAPA", false, true, cmd_capa },
	{ "UTF8", false, true, cmd_utf8 },
	{ "LANG", true, true, cmd_lang },
	{ "STLS", false, true, cmd_stls },
	{ "USER", true, false, cmd_user },
	{ "PASS", true, false, cmd_pass },
	{ "AUTH", true, true, cmd_auth },
	{ "QUIT", false, true, cmd_quit },
};

static void
run_line(struct pop3_login *l, char *line)
{
	char *arg = pop3_split(line);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!ascii_equal(line, strlen(line), commands[i].name))
			continue;
		if (*arg == '\0' ? !commands[i].no_arg : !commands[i].arg)
			bad(l, "wrong number of arguments");
		else
			commands[i].run(l, arg);
		return;
	}
	bad(l, "unknown command, or log in first");
}

size_t
pop3_login_input(struct login *login, const uint8_t *in, size_t len)
{
	struct pop3_login *l = (struct pop3_login *)login;
	size_t done = 0;

	while (login_wants_input(login)) {
		bool response = login->state == LOGIN_RESPONSE;
		enum pop3_line_event ev;
		size_t used;

		l->line.max = response ? POP3_AUTH_LINE_MAX : POP3_LINE_MAX;
		ev = pop3_line_next(&l->line, in + done, len - done, &used);
		done += used;
		if (ev == POP3_LINE_MORE)
			return done;
		if (ev == POP3_LINE_BAD) {
			login_give_up(login);
			bad(l, l->line.error);
		} else if (response)
			stepped(l, login_response(login, l->line.buf, l->line.len));
		else
			run_line(l, l->line.buf);
	}
	return done;
}

struct login *
pop3_login_new(const struct login_facts *facts)
{
	struct pop3_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if (login_init(&l->login, facts) == -1) {
		free(l);
		return NULL;
	}
	pop3_line_init(&l->line, POP3_LINE_MAX);
	evbuffer_add_printf(l->login.out, "+OK %s ready\r\n", facts->hostname);
	return &l->login;
}

void
pop3_login_free(struct login *login)
{
	struct pop3_login *l = (struct pop3_login *)login;

	if (l == NULL)
		return;
	login_clear(login);
	pop3_line_clear(&l->line);
	free(l);
}

void
pop3_login_tls_ready(struct login *login)
{
	struct pop3_login *l = (struct pop3_login *)login;

	/* Nothing that was said in plain counts any more (RFC 2595, 4). */
	pop3_line_clear(&l->line);
	pop3_line_init(&l->line, POP3_LINE_MAX);
	l->user[0] = '\0';
	l->lang = POP3_EN;
	login_tls_begun(login);
}

static void
temporary(struct pop3_login *l, const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "[SYS/TEMP] %s", text);
	pop3_reply(l->login.out, l->lang, "-ERR", line);
}

void
pop3_login_result(struct login *login, enum login_status status, const uint8_t *data,
    size_t len, const char *text)
{
	struct pop3_login *l = (struct pop3_login *)login;
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
		pop3_reply(
		    login->out, l->lang, "-ERR", "[AUTH] invalid user name or password");
		break;
	case LOGIN_TOO_SOON:
		pop3_reply(login->out, l->lang, "-ERR",
		    "[LOGIN-DELAY] logged in too soon after the last time, wait a while");
		break;
	case LOGIN_TEMP:
		temporary(l, text);
		break;
	}
}

/* "+OK" comes from the mailbox process, which may find the maildrop in use. */
void
pop3_login_opened(struct login *login, bool is_ok, const char *text)
{
	if (!is_ok)
		temporary((struct pop3_login *)login, text);
	login->state = LOGIN_READY;
}

size_t
pop3_login_hello(struct login *login, char out[LOGIN_HELLO_MAX])
{
	struct pop3_hello h;
	char line[POP3_HELLO_MAX];

	hello((struct pop3_login *)login, &h);
	pop3_hello_print(&h, line);
	return strlcpy(out, line, LOGIN_HELLO_MAX);
}

void
pop3_login_bye(struct login *login, const char *text)
{
	pop3_reply(login->out, ((struct pop3_login *)login)->lang, "-ERR", text);
	login_end(login);
}
