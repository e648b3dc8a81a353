/* SPDX-License-Identifier: ISC */
/* Commands of fifectl at a daemon: words in, rows out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/ctl.h"
#include "common/log.h"

static struct event_base *base;
static struct ctl_server *server;
static struct channel *client;
static char dir[64], path[80];
static char called[64], args[600], secret[64], facts[20000], done_text[1100];
static int n_done, n_rows, done_status, n_lost, n_gone, had_fd;
static struct ctl *waiting;

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static void
note(struct ctl *c, const char *name, int argc, char **argv)
{
	const char *s = ctl_secret(c);

	strlcpy(called, name, sizeof(called));
	args[0] = '\0';
	for (int i = 0; i < argc; i++) {
		strlcat(args, argv[i], sizeof(args));
		strlcat(args, "|", sizeof(args));
	}
	assert_null(argv[argc]);
	strlcpy(secret, s == NULL ? "(none)" : s, sizeof(secret));
}

static void
run_list(struct ctl *c, int argc, char **argv)
{
	note(c, "list", argc, argv);
	for (int i = 0; i < 3; i++) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "name", i == 0 ? "" : "some body");
		ctl_u64(c, "n", UINT64_MAX - (uint64_t)i);
		ctl_bool(c, "yes", 5);
		ctl_time(c, "at", -1);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

static void
run_list_long(struct ctl *c, int argc, char **argv)
{
	char *big = malloc(10001);

	note(c, "list long", argc, argv);
	memset(big, 'x', 10000);
	big[10000] = '\0';
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "a", big); /* cut */
	ctl_str(c, "b", big); /* no room any more: left out */
	ctl_u64(c, "c", 7);
	ctl_row_end(c);
	ctl_row_end(c); /* no row: nothing */
	ctl_str(c, "x", "outside a row");
	ctl_text(c, "%s", big);
	free(big);
	ctl_done(c, CTL_REFUSED, "no: %s", "because");
}

static void
gone(struct ctl *c, void *arg)
{
	assert_ptr_equal(c, waiting);
	assert_string_equal(arg, "arg");
	n_gone++;
	waiting = NULL;
}

static void
run_wait(struct ctl *c, int argc, char **argv)
{
	int fd = ctl_take_fd(c);

	note(c, "wait", argc, argv);
	had_fd = fd != -1;
	if (fd != -1)
		close(fd);
	assert_int_equal(ctl_take_fd(c), -1);
	waiting = c;
	ctl_on_gone(c, gone, (void *)(uintptr_t) "arg");
}

static const struct ctl_command commands[] = {
	{ "list", 0, 2, run_list },
	{ "list long", 0, 0, run_list_long },
	{ "wait", 1, -1, run_wait },
	{ NULL, 0, 0, NULL },
};

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	n_lost++;
	client = NULL;
}

static void
on_answer(struct msg *m, void *arg)
{
	struct ibuf b;
	char key[256], kind, line[10000];
	const char *str;
	uint64_t num;
	size_t len;
	int r;

	if (m == NULL)
		return;
	if (m->type == MSG_ANY_FIFECTL_DONE) {
		n_done++;
		done_status = m->p.done.status;
		strlcpy(done_text, m->p.done.text, sizeof(done_text));
		return;
	}
	assert_int_equal(m->type, MSG_ANY_FIFECTL_ROW);
	n_rows++;
	ibuf_from_buffer(&b, (void *)(uintptr_t)m->p.row.fields, m->p.row.fields_len);
	while ((r = ctl_field_next(&b, key, sizeof(key), &kind, &str, &len, &num)) == 1) {
		if (kind == 's')
			snprintf(line, sizeof(line), "%s=%.*s;", key, (int)len, str);
		else
			snprintf(
			    line, sizeof(line), "%s=%c%lld;", key, kind, (long long)num);
		strlcat(facts, line, sizeof(facts));
	}
	assert_int_equal(r, 0);
	strlcat(facts, "\n", sizeof(facts));
}

static int
connect_client(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	client = channel_new(
	    base, fd, ROLE_FIFECTL, 0, ROLE_QUEUED, on_message, on_lost, NULL);
	assert_non_null(client);
	return 0;
}

static int
setup(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	log_set_stderr(0);
	log_set_sink(quiet);
	n_done = n_rows = n_lost = n_gone = 0;
	done_status = -1;
	facts[0] = called[0] = args[0] = done_text[0] = '\0';
	waiting = NULL;
	base = event_base_new();
	strlcpy(dir, "/tmp/fife-ctl.XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ctl", dir);
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 50), 0);
	server = ctl_server_new(base, fd, ROLE_QUEUED, commands);
	assert_non_null(server);
	return connect_client();
}

static int
teardown(void **state)
{
	channel_free(client);
	ctl_server_free(server);
	event_base_free(base);
	unlink(path);
	return rmdir(dir);
}

#define ROOT_ONLY()                \
	do {                       \
		if (getuid() != 0) \
			skip();    \
	} while (0)

#define UNTIL(cond)                                                       \
	do {                                                              \
		for (int turns_ = 0; turns_ < 20000 && !(cond); turns_++) \
			event_base_loop(base, EVLOOP_ONCE);               \
		assert_true(cond);                                        \
	} while (0)

/* words: each ended by NUL */
static void
command(const char *words, size_t len, const char *pass, int fd)
{
	struct msg_command c = { .words = (const uint8_t *)words,
		.words_len = len,
		.secret = (const uint8_t *)pass,
		.secret_len = pass == NULL ? 0 : strlen(pass) };

	assert_true(channel_ask(client, MSG_FIFECTL_ANY_COMMAND, &c, fd, 60000, on_answer,
			NULL) != 0);
}
#define COMMAND(words) command(words, sizeof(words), NULL, -1)

static void
rows_arrive(void **state)
{
	ROOT_ONLY();
	COMMAND("list\0one\0two");
	UNTIL(n_done == 1);
	assert_string_equal(called, "list");
	assert_string_equal(args, "one|two|");
	assert_string_equal(secret, "(none)");
	assert_int_equal(n_rows, 3);
	assert_string_equal(facts, "name=;n=u-1;yes=b1;at=t-1;\n"
				   "name=some body;n=u-2;yes=b1;at=t-1;\n"
				   "name=some body;n=u-3;yes=b1;at=t-1;\n");
	assert_int_equal(done_status, CTL_OK);
	/* The same connection takes the next command. */
	COMMAND("list");
	UNTIL(n_done == 2);
	assert_string_equal(args, "");
}

static void
longest_match_wins(void **state)
{
	ROOT_ONLY();
	COMMAND("list\0long");
	UNTIL(n_done == 1);
	assert_string_equal(called, "list long");
	assert_int_equal(done_status, CTL_REFUSED);
	assert_string_equal(done_text, "no: because");
	COMMAND("list\0longer");
	UNTIL(n_done == 2);
	assert_string_equal(called, "list");
}

static void
long_values_are_cut(void **state)
{
	char *end;

	ROOT_ONLY();
	COMMAND("list\0long");
	UNTIL(n_done == 1);
	assert_int_equal(n_rows, 2);
	end = strchr(facts, ';');
	assert_int_equal(end - facts, 2 + 8192);
	assert_true(strncmp(end, ";c=u7;\ntext=", 12) == 0);
}

static void
wrong_words(void **state)
{
	static const char many[200] = "";

	ROOT_ONLY();
	COMMAND("unknown\0word");
	UNTIL(n_done == 1);
	assert_int_equal(done_status, CTL_USAGE);
	assert_string_equal(done_text, "unknown: no such command at queued");
	COMMAND("list\0a\0b\0c");
	UNTIL(n_done == 2);
	assert_string_equal(done_text, "list: too many arguments");
	COMMAND("wait");
	UNTIL(n_done == 3);
	assert_string_equal(done_text, "wait: too few arguments");
	assert_int_equal(done_status, CTL_USAGE);
	/* Nothing, words without the last NUL, too many words. */
	command("", 0, NULL, -1);
	UNTIL(n_done == 4);
	assert_int_equal(done_status, CTL_USAGE);
	command("list", 4, NULL, -1);
	UNTIL(n_done == 5);
	assert_int_equal(done_status, CTL_OK);
	command(many, sizeof(many), NULL, -1);
	UNTIL(n_done == 6);
	assert_string_equal(done_text, "too many words");
	assert_int_equal(n_lost, 0);
}

static void
secret_and_descriptor(void **state)
{
	ROOT_ONLY();
	command("wait\0x", sizeof("wait\0x"), "pass word", open("/dev/null", O_RDONLY));
	UNTIL(waiting != NULL);
	assert_string_equal(secret, "pass word");
	assert_int_equal(had_fd, 1);
	assert_non_null(ctl_secret(waiting)); /* until it is done */
	ctl_done(waiting, CTL_TEMPFAIL, NULL);
	UNTIL(n_done == 1);
	assert_int_equal(done_status, CTL_TEMPFAIL);
	assert_int_equal(n_gone, 0);
}

static void
client_leaves(void **state)
{
	ROOT_ONLY();
	COMMAND("wait\0x");
	UNTIL(waiting != NULL);
	assert_int_equal(had_fd, 0);
	channel_free(client);
	client = NULL;
	UNTIL(n_gone == 1);
	assert_null(waiting);
	/* And the server goes while one waits. */
	connect_client();
	COMMAND("wait\0y");
	UNTIL(waiting != NULL);
}

static void
second_command_breaks(void **state)
{
	ROOT_ONLY();
	COMMAND("wait\0x");
	UNTIL(waiting != NULL);
	COMMAND("list");
	UNTIL(n_gone == 1 && n_lost == 1);
	assert_int_equal(n_done, 0);
}

static void
field(struct ibuf *b, const char *hex, size_t len)
{
	ibuf_from_buffer(b, (void *)(uintptr_t)hex, len);
}

static void
malformed_rows(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
	} rows[] = {
		{ "s", 1 }, { "s\x01", 2 }, { "s\x01k", 3 }, { "s\x01k\x00", 4 },
		{ "s\x01k\x00\x02x", 6 }, { "u\x01k\x00\x00\x00\x00\x00\x00\x00", 10 },
		{ "z\x01k\x00\x00\x00\x00\x00\x00\x00\x00", 11 },
		{ "\0\x01k\x00\x00\x00\x00\x00\x00\x00\x00", 11 },
		{ "s\x08kkkkkkkk\x00\x00", 12 }, /* key longer than the room */
	};
	struct ibuf b;
	char key[8], kind;
	const char *str;
	uint64_t num;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		field(&b, rows[i].octets, rows[i].len);
		assert_int_equal(
		    ctl_field_next(&b, key, sizeof(key), &kind, &str, &len, &num), -1);
	}
	field(&b, "", 0);
	assert_int_equal(
	    ctl_field_next(&b, key, sizeof(key), &kind, &str, &len, &num), 0);
	field(&b, "s\x01k\x00\x00", 5);
	assert_int_equal(
	    ctl_field_next(&b, key, sizeof(key), &kind, &str, &len, &num), 1);
	assert_int_equal(len, 0);
	assert_int_equal(
	    ctl_field_next(&b, key, sizeof(key), &kind, &str, &len, &num), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(rows_arrive), T(longest_match_wins),
		T(long_values_are_cut), T(wrong_words), T(secret_and_descriptor),
		T(client_leaves), T(second_command_breaks),
		cmocka_unit_test(malformed_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
