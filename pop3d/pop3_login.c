/* SPDX-License-Identifier: ISC */
/* The POP3 machine before the login; see pop3_login.h. */
#include "pop3d/pop3_login.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/pop3/pop3_line.h"
#include "common/proto/encoding.h"
#include "common/sasl_names.h"

struct pop3_login {
	struct login login;
	struct pop3_line line;
	char user[POP3_USER_MAX + 1]; /* "": no USER yet */
};

static void
ok(struct pop3_login *l, const char *text)
{
	evbuffer_add_printf(l->login.out, "+OK %s\r\n", text);
}

static void
bad(struct pop3_login *l, const char *text)
{
	evbuffer_add_printf(l->login.out, "-ERR %s\r\n", text);
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

static void
cmd_capa(struct pop3_login *l, char *arg)
{
	char names[SASL_NAMES_MAX];

	sasl_names_list(l->login.facts.tls, l->login.facts.certificate, " ", "", names,
	    sizeof(names));
	evbuffer_add_printf(l->login.out,
	    "+OK "
	    "capabilities\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-"
	    "CODE\r\nPIPELINING\r\n"
	    "EXPIRE NEVER\r\n%s%s%s%s.\r\n",
	    l->login.facts.starttls ? "STLS\r\n" : "",
	    l->login.facts.plain_auth ? "USER\r\nSASL" : "",
	    l->login.facts.plain_auth ? names : "",
	    l->login.facts.plain_auth ? "\r\n" : "");
}

static void
cmd_stls(struct pop3_login *l, char *arg)
{
	if (!l->login.facts.starttls) {
		bad(l, l->login.facts.tls ? "TLS is active already"
					  : "TLS is not available");
		return;
	}
	ok(l, "begin TLS negotiation");
	login_starttls(&l->login);
}

static void
cmd_user(struct pop3_login *l, char *arg)
{
	if (secret_refused(l))
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
		evbuffer_add_printf(l->login.out, "+OK mechanisms\r\n%s.\r\n",
		    l->login.facts.plain_auth ? names : "");
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
	login_tls_begun(login);
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
		evbuffer_add_printf(
		    login->out, "-ERR [AUTH] invalid user name or password\r\n");
		break;
	case LOGIN_TEMP:
		evbuffer_add_printf(login->out, "-ERR [SYS/TEMP] %s\r\n", text);
		break;
	}
}

void
pop3_login_opened(struct login *login, bool is_ok, const char *text)
{
	if (is_ok)
		evbuffer_add_printf(login->out, "+OK logged in\r\n");
	else
		evbuffer_add_printf(login->out, "-ERR [SYS/TEMP] %s\r\n", text);
	login->state = LOGIN_READY;
}

void
pop3_login_bye(struct login *login, const char *text)
{
	evbuffer_add_printf(login->out, "-ERR %s\r\n", text);
	login_end(login);
}
