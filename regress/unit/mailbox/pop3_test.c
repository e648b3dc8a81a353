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
#include "mailbox/uidl.h"

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

#define HELLO "FIFE utf8=0 strict=0 lang=en delay=0 sasl=\r\n"

static const char *folders = "";

/* The session whose hello line is given. */
static struct pop3 *
begin_as(const char *hello, const char *reply)
{
	struct pop3 *p = pop3_new(store, folders, NULL);

	assert_non_null(p);
	assert_int_equal(
	    pop3_input(p, (const uint8_t *)hello, strlen(hello)), strlen(hello));
	evbuffer_add(pop3_output(p), "", 1);
	assert_string_equal((char *)evbuffer_pullup(pop3_output(p), -1), reply);
	evbuffer_drain(pop3_output(p), evbuffer_get_length(pop3_output(p)));
	return p;
}

static struct pop3 *
begin(void)
{
	return begin_as(HELLO, "+OK logged in\r\n");
}

static char *
talk_to(struct pop3 *p, const char *in, size_t len, size_t step)
{
	struct evbuffer *out = evbuffer_new();
	char *text;

	assert_non_null(out);
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

static char *
talk(const char *in, size_t len, size_t step)
{
	return talk_to(begin(), in, len, step);
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
	    "PIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\n"
	    "IMPLEMENTATION fife\r\n.\r\n" },
	{ "LANG\r\nLANG zh-CN\r\nDELE 9\r\nLANG fr\r\nLIST 1\r\nLANG *\r\nNOOP x\r\n",
	    "+OK languages\r\nen English\r\nzh 中文\r\n.\r\n+OK zh 语言已更改\r\n"
	    "-ERR 没有这封邮件\r\n-ERR 没有这种语言\r\n+OK 1 33\r\n"
	    "+OK en language changed\r\n-ERR wrong number of arguments\r\n" },
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
	struct pop3 *p;

	memset(msg, '.', len);
	for (size_t i = 78; i < len; i += 80)
		memcpy(msg + i, "\r\n", 2);
	assert_int_equal(add(msg, len), 0);
	free(msg);
	p = begin();
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

static bool
no_lock(struct pop3 *p)
{
	return false;
}

static void
test_hello(void **state)
{
	static const char *const none[] = { "NOOP\r\n", "FIFE utf8=1\r\n",
		"FIFE utf8=1 strict=0 lang=xx delay=0 sasl=\r\n",
		"FIFE utf8=1 strict=0 lang=en delay=-1 sasl=\r\n",
		"FIFE utf8=11 strict=0 lang=en delay=0 sasl=\r\n", "FIFE\n" };
	struct pop3 *p;
	char *got;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		p = begin_as(none[i], "");
		assert_true(pop3_ended(p));
		pop3_free(p);
	}
	got = talk_to(
	    begin_as("FIFE utf8=1 strict=0 lang=zh delay=60 sasl= PLAIN LOGIN\r\n",
		"+OK 登录成功\r\n"),
	    "CAPA\r\n", 6, 1);
	assert_non_null(strstr(got, "\r\nLOGIN-DELAY 60\r\n"));
	assert_non_null(strstr(got, "\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n"));
	free(got);
	p = pop3_new(store, "", no_lock);
	assert_non_null(p);
	got = talk_to(p, HELLO "STAT\r\n", sizeof(HELLO) - 1 + 6, 7);
	assert_string_equal(
	    got, "-ERR [IN-USE] the maildrop is in use by another session\r\n");
	free(got);
}

static void
test_utf8_headers(void **state)
{
	static const char utf8[] = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nx\r\n",
			  latin1[] = "Subject: gr\xfc\r\n\r\nx\r\n",
			  body[] = "Subject: y\r\n\r\ngr\xc3\xbc\r\n";
	static const char strict[] = "FIFE utf8=0 strict=1 lang=en delay=0 sasl=\r\n",
			  asked[] = "FIFE utf8=1 strict=1 lang=en delay=0 sasl=\r\n";
	const char *const hellos[] = { HELLO, strict, asked };

	assert_int_equal(add(utf8, sizeof(utf8) - 1), 0);
	assert_int_equal(add(latin1, sizeof(latin1) - 1), 0);
	assert_int_equal(add(body, sizeof(body) - 1), 0);
	for (size_t i = 0; i < 3; i++)
		for (int m = 3; m <= 5; m++) {
			char in[20], *got;

			snprintf(in, sizeof(in), "RETR %d\r\n", m);
			got = talk_to(begin_as(hellos[i], "+OK logged in\r\n"), in,
			    strlen(in), 100);
			if (i == 1 && m == 3)
				assert_string_equal(got,
				    "-ERR [UTF8] the header is UTF-8: enable it before "
				    "the login\r\n");
			else
				assert_int_equal(strncmp(got, "+OK ", 4), 0);
			free(got);
		}
}

static int
add_to(const char *folder)
{
	struct folder *f;
	struct append *a;
	uint32_t uid;

	if (folder_open(store, folder, &f) != STORE_OK ||
	    append_begin(f, 8, &a) != STORE_OK ||
	    append_write(a, "A: b\r\n\r\n", 8) != STORE_OK ||
	    append_commit(a, 0, 0, -1, &uid) != STORE_OK)
		return -1;
	folder_close(f);
	return 0;
}

static void
test_folders(void **state)
{
	static const struct {
		const char *folders, *stat;
	} some[] = {
		{ "", "+OK 2 60\r\n" },
		{ "inbox", "+OK 2 60\r\n" },
		{ "*", "+OK 5 84\r\n" },
		{ "*,!Junk", "+OK 4 76\r\n" },
		{ "!Junk", "+OK 2 60\r\n" },
		{ "Lists/*", "+OK 2 16\r\n" },
		{ "INBOX, Lists/b", "+OK 3 68\r\n" },
		{ "nowhere", "+OK 0 0\r\n" },
	};
	char *got;

	assert_int_equal(store_create(store, "Junk", 0), STORE_OK);
	assert_int_equal(store_create(store, "Lists/a", 0), STORE_OK);
	assert_int_equal(store_create(store, "Lists/b", 0), STORE_OK);
	assert_int_equal(add_to("Junk"), 0);
	assert_int_equal(add_to("Lists/a"), 0);
	assert_int_equal(add_to("Lists/b"), 0);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		folders = some[i].folders;
		got = talk("STAT\r\n", 6, 10);
		assert_string_equal(got, some[i].stat);
		free(got);
	}
	/* Deletions go to the folders that the messages are in. */
	folders = "*";
	got = talk("DELE 1\r\nDELE 4\r\nSTAT\r\nQUIT\r\n", 30, 30);
	assert_string_equal(
	    got, "+OK message deleted\r\n+OK message deleted\r\n+OK 3 43\r\n+OK bye\r\n");
	free(got);
	folders = "Lists/*";
	got = talk("STAT\r\n", 6, 10);
	assert_string_equal(got, "+OK 1 8\r\n");
	free(got);
	folders = "";
	got = talk("STAT\r\n", 6, 10);
	assert_string_equal(got, "+OK 1 27\r\n");
	free(got);
}

static void
test_kept_uidl(void **state)
{
	struct uidl u = { 0 };
	struct folder *f;
	char *got;

	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	assert_int_equal(uidl_add(&u, 2, "old.2", 5), 0);
	assert_int_equal(uidl_save(f, &u), STORE_OK);
	uidl_clear(&u);
	got = talk("UIDL 2\r\n", 8, 100);
	assert_string_equal(got, "+OK 2 old.2\r\n");
	free(got);
	got = talk("UIDL 1\r\n", 8, 100);
	assert_int_equal(strlen(got), 6 + 16 + 2);
	free(got);
	/* The same one twice: the first keeps it. */
	assert_int_equal(uidl_add(&u, 1, "same", 4), 0);
	assert_int_equal(uidl_add(&u, 2, "same", 4), 0);
	assert_int_equal(uidl_save(f, &u), STORE_OK);
	got = talk("UIDL 1\r\nUIDL 2\r\n", 16, 100);
	assert_int_equal(strncmp(got, "+OK 1 same\r\n+OK 2 ", 18), 0);
	assert_int_not_equal(strncmp(got + 18, "same", 4), 0);
	free(got);
	uidl_clear(&u);
	folder_close(f);
}

/* What the file can be. */
static void
test_uidl_file(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} some[] = {
		{ "", 0 },
		{ "uidvalidity 7\n", 0 },
		{ "uidvalidity 7\n1 a\n3 b\n", 2 },
		{ "uidvalidity 8\n1 a\n3 b\n", 0 },
		{ "uidvalidity 7\n3 a\n1 b\n", 1 },
		{ "uidvalidity 7\n1 a\n3 b", 1 },
		{ "uidvalidity 7\n0 a\n", 0 },
		{ "uidvalidity 7\n1 a b\n", 0 },
		{ "uidvalidity 7\n99999999999 a\n", 0 },
		{ "uidvalidity 7\n1 \n", 0 },
		{ "uidvalidity 7\n1\n", 0 },
	};

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		struct uidl u = { 0 };

		uidl_parse(some[i].text, strlen(some[i].text), 7, &u);
		assert_int_equal(u.n, some[i].n);
		uidl_clear(&u);
	}
}

/* Mail without a body, without a header's end, of one line, of none. */
static void
test_top_of_odd_mail(void **state)
{
	static const struct {
		const char *msg, *top0, *top1;
	} odd[] = {
		{ "A: b\r\n", "A: b\r\n.\r\n", "A: b\r\n.\r\n" },
		{ "A: b", "A: b\r\n.\r\n", "A: b\r\n.\r\n" },
		{ "A: b\r\n\r\n", "A: b\r\n\r\n.\r\n", "A: b\r\n\r\n.\r\n" },
		{ "\r\nx\r\ny\r\n", "\r\n.\r\n", "\r\nx\r\n.\r\n" },
		{ "A: b\n\n.x\ny\n", "A: b\r\n\r\n.\r\n", "A: b\r\n\r\n..x\r\n.\r\n" },
		{ "no header\r\n\r\n.\r\n", "no header\r\n\r\n.\r\n",
		    "no header\r\n\r\n..\r\n.\r\n" },
		{ ".A: b\r\n\r\n", "..A: b\r\n\r\n.\r\n", "..A: b\r\n\r\n.\r\n" },
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		char in[40], *got;

		assert_int_equal(add(odd[i].msg, strlen(odd[i].msg)), 0);
		for (int lines = 0; lines < 2; lines++) {
			snprintf(in, sizeof(in), "TOP %zu %d\r\n", i + 3, lines);
			got = talk(in, strlen(in), 100);
			assert_non_null(strstr(got, "\r\n"));
			assert_string_equal(strstr(got, "\r\n") + 2,
			    lines == 0 ? odd[i].top0 : odd[i].top1);
			free(got);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dialogues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uidl_and_quit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hello, setup, teardown),
		cmocka_unit_test_setup_teardown(test_utf8_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_uidl, setup, teardown),
		cmocka_unit_test(test_uidl_file),
		cmocka_unit_test_setup_teardown(test_top_of_odd_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
