/* SPDX-License-Identifier: ISC */
/* The POP3 machine on a real store: dialogues in one piece and byte by byte. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "mailbox/pop3.h"

static char dir[64];
static int dirfd_ = -1;
static struct store *store;

#define M1 "Subject: one\r\n\r\n.dot\r\n..\r\nthird\r\n"
#define M2 "Subject: two\r\n\r\nno line end"

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
add(const char *msg, size_t len)
{
	struct folder *f;
	struct append *a;
	uint32_t uid;

	if (folder_open(store, "INBOX", &f) != STORE_OK ||
	    append_begin(f, len, &a) != STORE_OK ||
	    append_write(a, msg, len) != STORE_OK ||
	    append_commit(a, 0, 0, -1, &uid) != STORE_OK)
		return -1;
	folder_close(f);
	return 0;
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/fife-pop3-XXXXXX");
	if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) == -1 ||
	    store_open(dirfd_, 0, &store) != STORE_OK)
		return -1;
	return add(M1, sizeof(M1) - 1) == -1 || add(M2, sizeof(M2) - 1) == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	store_close(store);
	close(dirfd_);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *
talk(const char *in, size_t len, size_t step)
{
	enum store_error e;
	struct pop3 *p = pop3_new(store, &e);
	struct evbuffer *out = evbuffer_new();
	char *text;

	assert_non_null(p);
	for (size_t at = 0; at < len && !pop3_ended(p);) {
		size_t end = at + step < len ? at + step : len;

		at += pop3_input(p, (const uint8_t *)in + at, end - at);
		while (pop3_run(p, 0))
			;
		evbuffer_add_buffer(out, pop3_output(p));
	}
	pop3_free(p);
	evbuffer_add(out, "", 1);
	text = strdup((char *)evbuffer_pullup(out, -1));
	evbuffer_free(out);
	return text;
}

static const struct {
	const char *in, *out;
} rows[] = {
	{ "STAT\r\nNOOP\r\n", "+OK 2 60\r\n+OK \r\n" },
	{ "LIST\r\nlist 2\r\n",
	    "+OK 2 messages (60 octets)\r\n1 33\r\n2 27\r\n.\r\n+OK 2 27\r\n" },
	{ "LIST 3\r\nLIST 0\r\nLIST x\r\nLIST 99999999999999999999\r\n",
	    "-ERR no such message\r\n-ERR no such message\r\n-ERR no such message\r\n"
	    "-ERR no such message\r\n" },
	{ "RETR 1\r\n",
	    "+OK 33 octets\r\nSubject: one\r\n\r\n..dot\r\n...\r\nthird\r\n.\r\n" },
	{ "RETR 2\r\n", "+OK 27 octets\r\nSubject: two\r\n\r\nno line end\r\n.\r\n" },
	{ "TOP 1 0\r\nTOP 1 2\r\nTOP 2 100\r\n",
	    "+OK 33 octets\r\nSubject: one\r\n\r\n.\r\n"
	    "+OK 33 octets\r\nSubject: one\r\n\r\n..dot\r\n...\r\n.\r\n"
	    "+OK 27 octets\r\nSubject: two\r\n\r\nno line end\r\n.\r\n" },
	{ "TOP 1\r\nTOP x 1\r\nTOP 1 x\r\nTOP\r\nRETR\r\nSTAT 1\r\n",
	    "-ERR TOP needs a message and a number of lines\r\n-ERR no such message\r\n"
	    "-ERR TOP needs a message and a number of lines\r\n"
	    "-ERR wrong number of arguments\r\n-ERR wrong number of arguments\r\n"
	    "-ERR wrong number of arguments\r\n" },
	{ "DELE 1\r\nDELE 1\r\nRETR 1\r\nLIST 1\r\nLIST\r\nSTAT\r\nRSET\r\nSTAT\r\n",
	    "+OK message deleted\r\n-ERR message is deleted\r\n-ERR message is "
	    "deleted\r\n"
	    "-ERR message is deleted\r\n+OK 1 messages (27 octets)\r\n2 27\r\n.\r\n"
	    "+OK 1 27\r\n+OK deletions undone\r\n+OK 2 60\r\n" },
	{ "XYZ\r\n\r\nST\rAT\r\nSTAT\nNOOP\r\n",
	    "-ERR unknown command\r\n-ERR unknown command\r\n-ERR CR in line\r\n"
	    "-ERR lines end in CRLF\r\n+OK \r\n" },
	{ "USER alice\r\n", "-ERR unknown command\r\n" },
	{ "CAPA\r\n",
	    "+OK capabilities\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	    "PIPELINING\r\nEXPIRE NEVER\r\n.\r\n" },
	/* without QUIT nothing is deleted: the row before left all */
	{ "DELE 1\r\n", "+OK message deleted\r\n" },
	{ "STAT\r\nQUIT\r\nSTAT\r\n", "+OK 2 60\r\n+OK bye\r\n" },
};

static void
test_dialogues(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 1000; step *= 5) {
			char *got = talk(rows[i].in, strlen(rows[i].in), step);

			assert_string_equal(got, rows[i].out);
			free(got);
		}
}

static void
test_uidl_and_quit(void **state)
{
	char *before = talk("UIDL\r\n", 6, 100), *got, second[40], *at;

	at = strstr(before, "\r\n2 ");
	assert_non_null(at);
	snprintf(second, sizeof(second), "%.16s", at + 4);
	free(before);
	got = talk("DELE 1\r\nQUIT\r\n", 14, 100);
	assert_string_equal(got, "+OK message deleted\r\n+OK bye\r\n");
	free(got);
	got = talk("UIDL 1\r\n", 8, 100);
	/* another number, the same identity */
	assert_int_equal(strncmp(got, "+OK 1 ", 6), 0);
	assert_int_equal(strncmp(got + 6, second, 16), 0);
	free(got);
}

static void
test_long_line(void **state)
{
	char in[2000], *got;

	memset(in, 'x', sizeof(in));
	memcpy(in + sizeof(in) - 8, "\r\nNOOP\r\n", 8);
	got = talk(in, sizeof(in), 100);
	assert_string_equal(got, "-ERR line too long\r\n+OK \r\n");
	free(got);
	got = talk("NO\0OP\r\n", 7, 100);
	assert_string_equal(got, "-ERR NUL in line\r\n");
	free(got);
}

static void
test_back_pressure(void **state)
{
	size_t len = 10 * 1024 * 1024, most = 0, total = 0;
	char *msg = malloc(len);
	enum store_error e;
	struct pop3 *p;

	memset(msg, '.', len);
	for (size_t i = 78; i < len; i += 80)
		memcpy(msg + i, "\r\n", 2);
	assert_int_equal(add(msg, len), 0);
	free(msg);
	p = pop3_new(store, &e);
	assert_non_null(p);
	pop3_input(p, (const uint8_t *)"RETR 3\r\n", 8);
	while (!pop3_idle(p)) {
		size_t n;

		pop3_run(p, 0);
		n = evbuffer_get_length(pop3_output(p));
		most = n > most ? n : most;
		total += n;
		evbuffer_drain(pop3_output(p), n);
		assert_int_equal(pop3_run(p, POP3_HIGH_WATER), 0);
	}
	assert_true(total > len);
	assert_true(most < POP3_HIGH_WATER + 1000);
	pop3_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dialogues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uidl_and_quit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
