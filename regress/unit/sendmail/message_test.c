/* SPDX-License-Identifier: ISC */
/* What sendmail(8) makes of standard input, its arguments and fife.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sendmail/host.h"
#include "sendmail/message.h"

static const struct message_facts facts = { .sender = "cron@example.test",
	.full_name = "Cron",
	.domain = "mail.example.test",
	.time = 1700000000,
	.unique = 1 };

#define DATE "Date: Tue, 14 Nov 2023 22:13:20 +0000\n"
#define FROM "From: \"Cron\" <cron@example.test>\n"
#define ID "Message-ID: <6553f100.0000000000000001@mail.example.test>\n"

struct row {
	const char *in;
	int dots;
	int from_header;
	const char *out;
	const char *rcpts; /* each with a space behind */
};

static const struct row rows[] = {
	{ "hello\n", 1, 0, DATE FROM ID "\nhello\n", "" },
	{ "", 1, 0, DATE FROM ID "\n", "" },
	{ "\nhello", 1, 0, DATE FROM ID "\nhello\n", "" },
	{ "Subject: x\n\nhello\n.\nrest\n", 1, 0, DATE FROM ID "Subject: x\n\nhello\n",
	    "" },
	{ "Subject: x\n\nhello\n.\nrest\n", 0, 0,
	    DATE FROM ID "Subject: x\n\nhello\n.\nrest\n", "" },
	{ "Subject: x\r\n\r\na\rb\r\nc\0d\r\n", 1, 0,
	    DATE FROM ID "Subject: x\n\na\nb\nc\n", "" },
	{ "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: e\n\n", 1, 0,
	    "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: e\n\n", "" },
	{ "From x Mon\nFrom: a@b.c\nDate: d\nMessage-id: <x>\n\n", 1, 0,
	    "From: a@b.c\nDate: d\nMessage-id: <x>\n\n", "" },
	{ "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: \"A, B\" <a@b.c>,\n\troot\nBcc: "
	  "d@e.f,\n g@h.i\n"
	  "Cc: team: x@y.z, a@b.c;\n\nBcc: no\n",
	    1, 1,
	    "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: \"A, B\" <a@b.c>,\n\troot\n"
	    "Cc: team: x@y.z, a@b.c;\n\nBcc: no\n",
	    "a@b.c root d@e.f g@h.i x@y.z " },
	{ "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: old@b.c\nResent-To: "
	  "new@b.c\nResent-Bcc: s@b.c\n\n",
	    1, 1,
	    "From: a@b.c\nDate: d\nMessage-id: <x>\nTo: old@b.c\nResent-To: new@b.c\n\n",
	    "new@b.c s@b.c " },
};

static void
test_rows(void **state)
{
	static const size_t pieces[] = { 1000, 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t p = 0; p < 4; p++) {
			struct message m;
			char rcpts[512] = "";
			size_t len = strlen(rows[i].in);

			message_init(&m, rows[i].dots);
			for (size_t pos = 0; pos < len; pos += pieces[p])
				assert_int_not_equal(
				    message_read(&m, rows[i].in + pos,
					pos + pieces[p] < len ? pieces[p] : len - pos),
				    -1);
			assert_int_equal(message_read_end(&m), 0);
			assert_int_equal(
			    message_finish(&m, &facts, rows[i].from_header), 0);
			if (m.len != strlen(rows[i].out) ||
			    memcmp(m.text, rows[i].out, m.len) != 0)
				fail_msg("row %zu: %.*s", i, (int)m.len, m.text);
			for (size_t j = 0; j < m.nrcpts; j++) {
				strcat(rcpts, m.rcpts[j]);
				strcat(rcpts, " ");
			}
			assert_string_equal(rcpts, rows[i].rcpts);
			message_clear(&m);
		}
}

static void
test_arguments(void **state)
{
	static const struct {
		const char *arg;
		const char *rcpts; /* NULL: refused */
	} args[] = {
		{ "root", "root " },
		{ "a@b.c,d@e.f", "a@b.c d@e.f " },
		{ "a@b.c; d@e.f;", "a@b.c d@e.f " },
		{ "Name <a@b.c>", "a@b.c " },
		{ "\"x;y\"@b.c", "\"x;y\"@b.c " },
		{ "a@b@c", NULL },
		{ "a@b@", NULL },
		{ "", NULL },
		{ ",", NULL },
		{ "a@b.c (", "a@b.c " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		struct message m;
		char rcpts[512] = "";
		int r;

		message_init(&m, 1);
		r = message_add_rcpts(&m, args[i].arg, strlen(args[i].arg));
		for (size_t j = 0; j < m.nrcpts; j++) {
			strcat(rcpts, m.rcpts[j]);
			strcat(rcpts, " ");
		}
		if (args[i].rcpts == NULL && r != -1)
			fail_msg("%s: %s", args[i].arg, rcpts);
		if (args[i].rcpts != NULL && strcmp(rcpts, args[i].rcpts) != 0)
			fail_msg("%s: %s", args[i].arg, rcpts);
		message_clear(&m);
	}
}

static void
test_conf(void **state)
{
	static const char text[] = "# state /wrong\n hostname  mail.example.test # x\n"
				   "state \"/var/my state\"\nsmtp {\n\tstate /wrong\n}\n"
				   "postmaster root@example.test\n";
	struct host h;

	(void)state;
	memset(&h, 0, sizeof(h));
	host_parse(&h, text, sizeof(text) - 1);
	assert_string_equal(h.name, "mail.example.test");
	assert_string_equal(h.state, "/var/my state");
	assert_string_equal(h.domain, "example.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
