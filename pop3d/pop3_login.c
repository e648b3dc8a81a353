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

#define SASL_MAX 8192

enum state {
	READY,
	RESPONSE,
	ASKING,
	TLS,
	OPENING,
	ENDED
};

struct pop3_login {
	enum state state;
	struct login_facts facts;
	struct evbuffer *out;
	struct pop3_line line;
	unsigned int bad;
	enum login_action action;
	char user[POP3_USER_MAX + 1]; /* "": no USER yet */
	bool first;                   /* nothing of the exchange was given to authd yet */
	bool empty;                   /* the response is there, but empty */
	const char *mechanism;
	uint8_t *data; /* SASL_MAX, while an exchange runs */
	size_t data_len;
};

static void
ok(struct pop3_login *l, const char *text)
{
	evbuffer_add_printf(l->out, "+OK %s\r\n", text);
}

static void
end(struct pop3_login *l)
{
	l->state = ENDED;
	l->action = LOGIN_CLOSE;
}

static void
bad(struct pop3_login *l, const char *text)
{
	evbuffer_add_printf(l->out, "-ERR %s\r\n", text);
	if (++l->bad >= POP3_LOGIN_BAD_MAX)
		end(l);
}

static void
forget_data(struct pop3_login *l)
{
	freezero(l->data, SASL_MAX);
	l->data = NULL;
	l->data_len = 0;
}

static int
need_data(struct pop3_login *l)
{
	if (l->data == NULL && (l->data = malloc(SASL_MAX)) == NULL) {
		bad(l, "[SYS/TEMP] out of memory");
		l->state = READY;
		return -1;
	}
	return 0;
}

static void
ask(struct pop3_login *l)
{
	l->state = ASKING;
	l->action = LOGIN_SASL;
}

/* Passwords without TLS: says no and why. */
static int
secret_refused(struct pop3_login *l)
{
	if (l->facts.plain_auth)
		return 0;
	bad(l, "[AUTH] login is refused without TLS");
	return 1;
}

static void
cmd_capa(struct pop3_login *l, char *arg)
{
	char names[SASL_NAMES_MAX];

	sasl_names_list(
	    l->facts.tls, l->facts.certificate, " ", "", names, sizeof(names));
	evbuffer_add_printf(l->out,
	    "+OK "
	    "capabilities\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-"
	    "CODE\r\nPIPELINING\r\n"
	    "EXPIRE NEVER\r\n%s%s%s%s.\r\n",
	    l->facts.starttls ? "STLS\r\n" : "",
	    l->facts.plain_auth ? "USER\r\nSASL" : "", l->facts.plain_auth ? names : "",
	    l->facts.plain_auth ? "\r\n" : "");
}

static void
cmd_stls(struct pop3_login *l, char *arg)
{
	if (!l->facts.starttls) {
		bad(l, l->facts.tls ? "TLS is active already" : "TLS is not available");
		return;
	}
	ok(l, "begin TLS negotiation");
	l->state = TLS;
	l->action = LOGIN_STARTTLS;
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
	size_t user_len = strlen(l->user), len = strlen(arg);

	if (secret_refused(l))
		return;
	if (user_len == 0) {
		bad(l, "USER first");
		return;
	}
	if (need_data(l) == -1)
		return;
	/* authd knows one way for both: PLAIN (RFC 4616). The bounds are far below. */
	l->data[0] = '\0';
	memcpy(l->data + 1, l->user, user_len + 1);
	memcpy(l->data + 2 + user_len, arg, len);
	l->data_len = 2 + user_len + len;
	l->user[0] = '\0';
	l->mechanism = "PLAIN";
	l->first = true;
	l->empty = false;
	ask(l);
}

static void
response(struct pop3_login *l, const char *line, size_t len)
{
	int n;

	l->line.max = POP3_LINE_MAX;
	if (len == 1 && line[0] == '*') {
		if (!l->first)
			l->action = LOGIN_ABORT;
		l->state = READY;
		forget_data(l);
		bad(l, "authentication cancelled");
		return;
	}
	if (need_data(l) == -1)
		return;
	if ((n = base64_decode(line, len, l->data, SASL_MAX)) == -1) {
		if (!l->first)
			l->action = LOGIN_ABORT;
		l->state = READY;
		forget_data(l);
		bad(l, "invalid base64");
		return;
	}
	l->data_len = (size_t)n;
	l->empty = n == 0;
	ask(l);
}

static void
cmd_auth(struct pop3_login *l, char *arg)
{
	char *initial, names[SASL_NAMES_MAX];
	const char *name;

	if (*arg == '\0') {
		sasl_names_list(
		    l->facts.tls, l->facts.certificate, "", "\r\n", names, sizeof(names));
		evbuffer_add_printf(l->out, "+OK mechanisms\r\n%s.\r\n",
		    l->facts.plain_auth ? names : "");
		return;
	}
	initial = pop3_split(arg);
	if ((name = sasl_name_find(
		 arg, strlen(arg), l->facts.tls, l->facts.certificate)) == NULL) {
		bad(l, "unsupported mechanism");
		return;
	}
	if (secret_refused(l))
		return;
	l->mechanism = name;
	l->first = true;
	l->empty = false;
	if (*initial == '\0' && sasl_name_server_first(name)) {
		if (need_data(l) == 0)
			ask(l);
		return;
	}
	if (*initial == '\0') {
		evbuffer_add_printf(l->out, "+ \r\n");
		l->state = RESPONSE;
		l->line.max = POP3_AUTH_LINE_MAX;
		return;
	}
	/* An empty initial response is "=" (RFC 5034, 4). */
	if (strcmp(initial, "=") == 0)
		initial = initial + 1;
	response(l, initial, strlen(initial));
}

static void
cmd_quit(struct pop3_login *l, char *arg)
{
	ok(l, "bye");
	end(l);
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
pop3_login_input(void *arg, const uint8_t *in, size_t len)
{
	struct pop3_login *l = arg;
	size_t done = 0;

	while (l->action == LOGIN_NONE && (l->state == READY || l->state == RESPONSE)) {
		size_t used;
		enum pop3_line_event ev =
		    pop3_line_next(&l->line, in + done, len - done, &used);

		done += used;
		if (ev == POP3_LINE_MORE)
			return done;
		if (ev == POP3_LINE_BAD) {
			if (l->state == RESPONSE && !l->first)
				l->action = LOGIN_ABORT;
			l->state = READY;
			l->line.max = POP3_LINE_MAX;
			bad(l, l->line.error);
		} else if (l->state == RESPONSE)
			response(l, l->line.buf, l->line.len);
		else
			run_line(l, l->line.buf);
	}
	return done;
}

void *
pop3_login_new(const struct login_facts *facts)
{
	struct pop3_login *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	if ((l->out = evbuffer_new()) == NULL) {
		free(l);
		return NULL;
	}
	l->facts = *facts;
	pop3_line_init(&l->line, POP3_LINE_MAX);
	evbuffer_add_printf(l->out, "+OK %s ready\r\n", facts->hostname);
	return l;
}

void
pop3_login_free(void *arg)
{
	struct pop3_login *l = arg;

	if (l == NULL)
		return;
	forget_data(l);
	pop3_line_clear(&l->line);
	evbuffer_free(l->out);
	free(l);
}

enum login_action
pop3_login_action(void *arg, struct login_sasl *sasl)
{
	struct pop3_login *l = arg;
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
pop3_login_output(void *arg)
{
	return ((struct pop3_login *)arg)->out;
}

void
pop3_login_certificate(void *arg)
{
	((struct pop3_login *)arg)->facts.certificate = true;
}

void
pop3_login_tls_ready(void *arg)
{
	struct pop3_login *l = arg;

	/* Nothing that was said in plain counts any more (RFC 2595, 4). */
	pop3_line_clear(&l->line);
	pop3_line_init(&l->line, POP3_LINE_MAX);
	l->user[0] = '\0';
	l->facts.tls = true;
	l->facts.starttls = false;
	l->facts.plain_auth = true;
	l->state = READY;
}

void
pop3_login_result(void *arg, enum login_status status, const uint8_t *data, size_t len,
    const char *text)
{
	struct pop3_login *l = arg;
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
			bad(l, "[SYS/TEMP] out of memory");
			l->action = LOGIN_ABORT;
		} else {
			evbuffer_add_printf(l->out, "+ %s\r\n", challenge);
			l->line.max = POP3_AUTH_LINE_MAX;
			l->state = RESPONSE;
		}
		free(challenge);
		break;
	case LOGIN_DENIED:
		evbuffer_add_printf(
		    l->out, "-ERR [AUTH] invalid user name or password\r\n");
		break;
	case LOGIN_TEMP:
		evbuffer_add_printf(l->out, "-ERR [SYS/TEMP] %s\r\n", text);
		break;
	}
}

void
pop3_login_opened(void *arg, bool is_ok, const char *text)
{
	struct pop3_login *l = arg;

	if (is_ok)
		ok(l, "logged in");
	else
		evbuffer_add_printf(l->out, "-ERR [SYS/TEMP] %s\r\n", text);
	l->state = READY;
}

void
pop3_login_bye(void *arg, const char *text)
{
	struct pop3_login *l = arg;

	evbuffer_add_printf(l->out, "-ERR %s\r\n", text);
	end(l);
}
