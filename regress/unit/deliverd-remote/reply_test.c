/* SPDX-License-Identifier: ISC */
/* reply.c: rows of octets and what they mean, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliverd/remote/explain.h"
#include "deliverd/remote/reply.h"

static const struct row {
	const char *in;
	int result;
	const char *formatted; /* of a complete one */
	size_t left;           /* octets behind it */
} rows[] = {
	{ "220 mx.test ESMTP\r\n", 1, "220 mx.test ESMTP", 0 },
	{ "250\r\n", 1, "250", 0 },
	{ "250 \r\n", 1, "250", 0 },
	{ "250 ok\n", 1, "250 ok", 0 },
	{ "550 5.1.1 no such user\r\nrest", 1, "550 5.1.1 no such user", 4 },
	{ "250-mx.test\r\n250-SIZE 10\r\n250 DSN\r\n", 1, "250 mx.test SIZE 10 DSN", 0 },
	{ "554-5.7.1 first\r\n554-5.7.1 second\r\n554 5.7.1 third\r\n", 1,
	    "554 5.7.1 first second third", 0 },
	/* The class must be the code's. */
	{ "550 2.1.1 what\r\n", 1, "550 2.1.1 what", 0 },
	{ "450 4.2.1000 what\r\n", 1, "450 4.2.1000 what", 0 },
	{ "550 5.1.1\r\n", 1, "550 5.1.1", 0 },
	{ "550 a\tb\x01\x7f\r\n", 1, "550 a b??", 0 },
	{ "550 caf\xc3\xa9\r\n", 1, "550 caf\xc3\xa9", 0 },
	{ "550 caf\xe9\r\n", 1, "550 caf?", 0 },
	{ "550 a\rb\r\n", 1, "550 a?b", 0 },
	{ "", 0, NULL, 0 },
	{ "25", 0, NULL, 0 },
	{ "250 ok", 0, NULL, 0 },
	{ "250-ok\r\n", 0, NULL, 0 },
	{ "\r\n", -1, NULL, 0 },
	{ "HTTP/1.1 400 Bad Request\r\n", -1, NULL, 0 },
	{ "SSH-2.0-OpenSSH\r\n", -1, NULL, 0 },
	{ "150 no\r\n", -1, NULL, 0 },
	{ "600 no\r\n", -1, NULL, 0 },
	{ "25 no\r\n", -1, NULL, 0 },
	{ "2500 no\r\n", -1, NULL, 0 },
	{ "250-a\r\n251 b\r\n", -1, NULL, 0 },
};

static void
run(const struct row *row, size_t chunk)
{
	struct reply r;
	const uint8_t *in = (const uint8_t *)row->in;
	size_t len = strlen(row->in), at = 0, used;
	char out[1024];
	int rc = 0;

	reply_init(&r);
	while (at < len && rc == 0) {
		size_t n = len - at < chunk ? len - at : chunk;

		rc = reply_push(&r, in + at, n, &used);
		assert_true(used <= n);
		at += used;
	}
	if (rc != row->result)
		fail_msg("%s: %d", row->in, rc);
	if (rc != 1)
		return;
	reply_format(&r, out, sizeof(out));
	assert_string_equal(out, row->formatted);
	assert_int_equal(len - at, row->left);
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t chunk = 1; chunk < 100; chunk += chunk < 4 ? 1 : 32)
			run(&rows[i], chunk);
}

static void
test_endless(void **state)
{
	static const char line[] = "250-more and more\r\n";
	struct reply r;
	size_t used;
	int rc = 0, n = 0;

	reply_init(&r);
	while (rc == 0 && n++ < 10000)
		rc = reply_push(&r, (const uint8_t *)line, sizeof(line) - 1, &used);
	assert_int_equal(rc, -1);
	assert_true(strlen(r.text) <= REPLY_TEXT_MAX);

	reply_init(&r);
	rc = reply_push(&r, (const uint8_t *)"250 ", 4, &used);
	for (n = 0; rc == 0 && n < 100000; n++)
		rc = reply_push(&r, (const uint8_t *)"x", 1, &used);
	assert_int_equal(rc, -1);
}

static void
test_long_is_cut(void **state)
{
	char in[3000] = "550 ", out[101];
	struct reply r;
	size_t used;

	for (size_t i = 4; i < 2004; i += 2)
		memcpy(in + i, "\xc3\xa9", 3);
	memcpy(in + 2004, "\r\n", 3);
	reply_init(&r);
	assert_int_equal(reply_push(&r, (const uint8_t *)in, strlen(in), &used), 1);
	reply_format(&r, out, sizeof(out));
	assert_int_equal(strlen(out), 100);
	reply_format(&r, out, sizeof(out) - 1);
	assert_int_equal(strlen(out), 98);
}

static void
test_explain(void **state)
{
	char out[512];

	explain_reply("5.7.1",
	    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
	    "zen.spamhaus.org; https://www.spamhaus.org/query",
	    out, sizeof(out));
	assert_non_null(strstr(out, "on the list zen.spamhaus.org:"));
	explain_reply("5.7.1", "550 you are on our blacklist", out, sizeof(out));
	assert_non_null(strstr(out, "on a list"));
	explain_reply("5.1.1", "550 5.1.1 no", out, sizeof(out));
	assert_non_null(strstr(out, "no mailbox"));
	explain_reply("5.0.0", "550 no marble", out, sizeof(out));
	assert_non_null(strstr(out, "words tell why"));
	explain_reply("4.9.9", "", out, sizeof(out));
	assert_non_null(strstr(out, "tried again"));
	assert_string_equal(explain_code(550, STAGE_RCPT), "5.1.1");
	assert_string_equal(explain_code(550, STAGE_DATA), "5.7.1");
	assert_string_equal(explain_code(499, STAGE_DATA), "4.0.0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_long_is_cut),
		cmocka_unit_test(test_explain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
