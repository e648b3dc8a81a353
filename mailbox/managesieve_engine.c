/* SPDX-License-Identifier: ISC */
/* The commands on scripts (RFC 5804, 2); see managesieve_engine.h. */
#include "mailbox/managesieve_engine.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/sieve/managesieve.h"
#include "mailbox/scripts.h"

#define ERRORS_TEXT_MAX 8192

struct managesieve {
	struct store *store;
	struct evbuffer *out;
	struct managesieve_reader reader;
	char owner[321];
	unsigned int bad;
	int ended;
};

struct managesieve *
managesieve_new(struct store *store, const char *owner)
{
	struct managesieve *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	if ((m->out = evbuffer_new()) == NULL) {
		free(m);
		return NULL;
	}
	m->store = store;
	strlcpy(m->owner, owner, sizeof(m->owner));
	managesieve_init(&m->reader, SIEVE_SCRIPT_MAX);
	return m;
}

void
managesieve_free(struct managesieve *m)
{
	if (m == NULL)
		return;
	managesieve_clear(&m->reader);
	evbuffer_free(m->out);
	free(m);
}

static void
ok(struct managesieve *m, const char *text)
{
	managesieve_reply(m->out, "OK", NULL, text);
}

static void
bad(struct managesieve *m, const char *text)
{
	if (++m->bad >= MANAGESIEVE_BAD_MAX) {
		managesieve_reply(m->out, "BYE", NULL, "too many errors");
		m->ended = 1;
		return;
	}
	managesieve_reply(m->out, "NO", NULL, text);
}

static const char *
code_of(enum script_error e)
{
	switch (e) {
	case SCRIPT_NOT_FOUND:
		return "NONEXISTENT";
	case SCRIPT_EXISTS:
		return "ALREADYEXISTS";
	case SCRIPT_TOO_MANY:
		return "QUOTA/MAXSCRIPTS";
	case SCRIPT_TOO_LARGE:
		return "QUOTA/MAXSIZE";
	case SCRIPT_IS_ACTIVE:
		return "ACTIVE";
	case SCRIPT_IO:
		return "TRYLATER";
	default:
		return NULL;
	}
}

/* What came of it; a script's errors in full. */
static void
answer(struct managesieve *m, enum script_error e, const struct sieve_errors *errors,
    const char *done)
{
	char *text;

	if (errors == NULL || errors->kept == 0 ||
	    (e != SCRIPT_OK && e != SCRIPT_INVALID) ||
	    (text = malloc(ERRORS_TEXT_MAX)) == NULL) {
		if (e == SCRIPT_OK)
			ok(m, done);
		else
			managesieve_reply(m->out, "NO", code_of(e), script_error_text(e));
		return;
	}
	script_errors_print(errors, text, ERRORS_TEXT_MAX);
	managesieve_reply(m->out, e == SCRIPT_OK ? "OK" : "NO",
	    e == SCRIPT_OK ? "WARNINGS" : NULL, text);
	free(text);
}

/* A name without NUL. */
static const char *
name_arg(struct managesieve *m, size_t i)
{
	const struct managesieve_arg *a = &m->reader.args[i];

	if (strlen(a->s) == a->len)
		return a->s;
	bad(m, "a NUL cannot stand in a name");
	return NULL;
}

static void
cmd_capability(struct managesieve *m)
{
	managesieve_capabilities(m->out, NULL, 0, m->owner);
	ok(m, "done");
}

static void
cmd_havespace(struct managesieve *m)
{
	const char *name = name_arg(m, 0);
	enum script_error e;

	if (name == NULL)
		return;
	e = script_room(m->store, name, m->reader.args[1].number);
	answer(m, e, NULL, "it fits");
}

static void
cmd_putscript(struct managesieve *m)
{
	const struct managesieve_arg *text = &m->reader.args[1];
	struct sieve_errors *errors = calloc(1, sizeof(*errors));
	const char *name = name_arg(m, 0);

	if (name == NULL || errors == NULL) {
		if (name != NULL)
			managesieve_reply(m->out, "NO", "TRYLATER", "no memory");
		free(errors);
		return;
	}
	answer(m, script_put(m->store, name, text->s, text->len, errors), errors,
	    "the script is stored");
	free(errors);
}

static void
cmd_checkscript(struct managesieve *m)
{
	const struct managesieve_arg *text = &m->reader.args[0];
	struct sieve_errors *errors = calloc(1, sizeof(*errors));

	if (errors == NULL) {
		managesieve_reply(m->out, "NO", "TRYLATER", "no memory");
		return;
	}
	answer(m, script_check(m->store, text->s, text->len, errors), errors,
	    "the script is right");
	free(errors);
}

static void
cmd_listscripts(struct managesieve *m)
{
	struct script_info *v = NULL;
	size_t n = 0;
	enum script_error e = scripts_list(m->store, &v, &n);

	for (size_t i = 0; i < n; i++) {
		managesieve_put_string(m->out, v[i].name, strlen(v[i].name));
		evbuffer_add_printf(m->out, "%s\r\n", v[i].active ? " ACTIVE" : "");
	}
	free(v);
	answer(m, e, NULL, "done");
}

static void
cmd_setactive(struct managesieve *m)
{
	const char *name = name_arg(m, 0);

	if (name != NULL)
		answer(m, script_activate(m->store, name), NULL,
		    name[0] != '\0' ? "the script is active" : "no script is active");
}

static void
cmd_getscript(struct managesieve *m)
{
	const char *name = name_arg(m, 0);
	char *text = NULL;
	size_t len = 0;
	enum script_error e;

	if (name == NULL)
		return;
	if ((e = script_get(m->store, name, &text, &len)) == SCRIPT_OK) {
		evbuffer_add_printf(m->out, "{%zu}\r\n", len);
		evbuffer_add(m->out, text, len);
		evbuffer_add(m->out, "\r\n", 2);
	}
	free(text);
	answer(m, e, NULL, "done");
}

static void
cmd_deletescript(struct managesieve *m)
{
	const char *name = name_arg(m, 0);

	if (name != NULL)
		answer(m, script_delete(m->store, name), NULL, "the script is deleted");
}

static void
cmd_renamescript(struct managesieve *m)
{
	const char *from = name_arg(m, 0), *to = from != NULL ? name_arg(m, 1) : NULL;

	if (to != NULL)
		answer(
		    m, script_rename(m->store, from, to), NULL, "the script is renamed");
}

static void
cmd_noop(struct managesieve *m)
{
	const struct managesieve_arg *a = &m->reader.args[0];

	if (m->reader.n_args == 0) {
		ok(m, "done");
		return;
	}
	evbuffer_add_printf(m->out, "OK (TAG ");
	managesieve_put_string(m->out, a->s, a->len);
	evbuffer_add_printf(m->out, ") \"done\"\r\n");
}

static void
cmd_logout(struct managesieve *m)
{
	ok(m, "bye");
	m->ended = 1;
}

static void
cmd_login(struct managesieve *m)
{
	bad(m, "this session is logged in already");
}

/* args: s a string, n a number, S a string that may be missing, * anything. */
static const struct {
	const char *name, *args;
	void (*run)(struct managesieve *);
} commands[] = {
	{ "CAPABILITY", "", cmd_capability },
	{ "HAVESPACE", "sn", cmd_havespace },
	{ "PUTSCRIPT", "ss", cmd_putscript },
	{ "CHECKSCRIPT", "s", cmd_checkscript },
	{ "LISTSCRIPTS", "", cmd_listscripts },
	{ "SETACTIVE", "s", cmd_setactive },
	{ "GETSCRIPT", "s", cmd_getscript },
	{ "DELETESCRIPT", "s", cmd_deletescript },
	{ "RENAMESCRIPT", "ss", cmd_renamescript },
	{ "NOOP", "S", cmd_noop },
	{ "LOGOUT", "", cmd_logout },
	{ "AUTHENTICATE", "*", cmd_login },
	{ "STARTTLS", "*", cmd_login },
};

static int
args_fit(const struct managesieve_reader *r, const char *args)
{
	size_t n = strlen(args);

	if (args[0] == '*' || (args[0] == 'S' && r->n_args == 0))
		return 1;
	if (r->n_args != n)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (r->args[i].kind !=
		    (args[i] == 'n' ? MANAGESIEVE_NUMBER : MANAGESIEVE_STRING))
			return 0;
	return 1;
}

static void
run_command(struct managesieve *m)
{
	const char *verb = m->reader.verb;

	for (size_t i = 0; verb != NULL && i < sizeof(commands) / sizeof(commands[0]);
	     i++) {
		if (!ascii_equal(verb, strlen(verb), commands[i].name))
			continue;
		if (args_fit(&m->reader, commands[i].args))
			commands[i].run(m);
		else
			bad(m, "the arguments are not what this command takes");
		return;
	}
	bad(m, "unknown command");
}

size_t
managesieve_input(struct managesieve *m, const uint8_t *in, size_t len)
{
	size_t done = 0;

	while (!m->ended && evbuffer_get_length(m->out) < MANAGESIEVE_HIGH_WATER) {
		size_t used;
		enum managesieve_event ev =
		    managesieve_read(&m->reader, in + done, len - done, &used);

		done += used;
		if (ev == MANAGESIEVE_MORE)
			break;
		if (ev == MANAGESIEVE_FATAL) {
			managesieve_reply(m->out, "BYE", NULL, m->reader.error);
			m->ended = 1;
		} else if (ev == MANAGESIEVE_BAD) {
			if (m->reader.too_long)
				managesieve_reply(
				    m->out, "NO", "QUOTA/MAXSIZE", m->reader.error);
			else
				bad(m, m->reader.error);
		} else
			run_command(m);
	}
	return m->ended ? len : done;
}

struct evbuffer *
managesieve_output(struct managesieve *m)
{
	return m->out;
}

int
managesieve_ended(const struct managesieve *m)
{
	return m->ended;
}
