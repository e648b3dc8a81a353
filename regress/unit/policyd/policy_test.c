/* SPDX-License-Identifier: ISC */
/* MTA-STS policies, and what web servers answer, whole and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policyd/http.h"
#include "policyd/policy.h"

static void
policies(void **state)
{
	static const struct {
		const char *text;
		int mode; /* -1: refused */
		uint32_t age;
		const char *mx;
	} rows[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
		  "mx: *.Example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n",
		    STS_ENFORCE, 604800,
		    "mail.example.com *.example.net backupmx.example.com" },
		{ "version:STSv1\nmode:testing\nmx:a.test\nmax_age:1", STS_TESTING, 1,
		    "a.test" },
		{ "version: STSv1\nmode: none\nmax_age: 86400\n", STS_NONE, 86400, "" },
		{ "version: STSv1\nmode: enforce\nmode: none\nmx: a.test\n"
		  "max_age: 9\nmax_age: 10\nnew: thing\n\n",
		    STS_ENFORCE, 9, "a.test" },
		{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999\n",
		    STS_ENFORCE, POLICY_AGE_MAX, "a.test" },
		{ "version: STSv1\nmode: enforce\nmax_age: 5\n", -1, 0, NULL },
		{ "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 5\n", -1, 0,
		    NULL },
		{ "mode: enforce\nmx: a.test\nmax_age: 5\n", -1, 0, NULL },
		{ "version: STSv1\nmode: strict\nmx: a.test\nmax_age: 5\n", -1, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.test\n", -1, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5\n", -1, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 5\n", -1, 0,
		    NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -5\n", -1, 0,
		    NULL },
		{ "<html>\n", -1, 0, NULL },
		{ "", -1, 0, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy p;
		const char *why = "";
		int rc = policy_parse(rows[i].text, strlen(rows[i].text), &p, &why);

		if ((rc == 0) != (rows[i].mode != -1))
			fail_msg("row %zu: %d %s", i, rc, why);
		if (rc == -1)
			continue;
		assert_int_equal(p.mode, rows[i].mode);
		assert_int_equal(p.max_age_s, rows[i].age);
		assert_string_equal(p.mx, rows[i].mx);
	}
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"

static void
answers(void **state)
{
	static const struct {
		const char *text;
		const char *body; /* NULL: refused */
		int at_eof;
	} rows[] = {
		{ OK "Content-Length: 5\r\n\r\nhello", "hello", 0 },
		{ OK "Content-Length: 0\r\n\r\n", "", 0 },
		{ OK "\r\nhello\r\n", "hello\r\n", 1 },
		{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n"
		     "0\r\nTrailer: x\r\n\r\n",
		    "hello", 0 },
		{ "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "x",
		    0 },
		{ "HTTP/1.0 200\nContent-Type: text/plain\n\nx", "x", 1 },
		{ OK "Content-Length: 5\r\n\r\nhell", NULL, 1 },
		{ OK "Content-Length: 99999\r\n\r\n", NULL, 0 },
		{ OK "Content-Length: x\r\n\r\n", NULL, 0 },
		{ OK "Content-Encoding: gzip\r\n\r\n", NULL, 0 },
		{ OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, 0 },
		{ OK "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", NULL, 0 },
		{ OK "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", NULL, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", NULL, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/plainer\r\n\r\nx", NULL, 0 },
		{ "HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n", NULL, 0 },
		{ "HTTP/1.1 404 Not Found\r\n\r\n", NULL, 0 },
		{ "SSH-2.0-x\r\n", NULL, 0 },
		{ "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", NULL, 0 },
		{ "", NULL, 1 },
	};
	static struct http h;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 100; step += 98) {
			size_t len = strlen(rows[i].text);
			int rc = 0;

			http_init(&h, 0);
			for (size_t at = 0; at < len && rc == 0; at += step)
				rc = http_push(&h, (const uint8_t *)rows[i].text + at,
				    len - at < step ? len - at : step);
			if (rc == 0 && rows[i].at_eof)
				rc = http_eof(&h);
			if (rc != (rows[i].body != NULL ? 1 : -1))
				fail_msg("row %zu: %d %s", i, rc, h.why);
			if (rc == 1) {
				assert_int_equal(h.body_len, strlen(rows[i].body));
				assert_memory_equal(h.body, rows[i].body, h.body_len);
			} else
				assert_true(h.why[0] != '\0');
		}
}

static void
too_much(void **state)
{
	static struct http h;
	static const uint8_t line[] =
	    "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
	int rc = 0;

	http_init(&h, 0);
	(void)http_push(&h, (const uint8_t *)OK, strlen(OK));
	for (int i = 0; i < 10000 && rc == 0; i++)
		rc = http_push(&h, line, sizeof(line) - 1);
	assert_int_equal(rc, -1);
	http_init(&h, 0);
	(void)http_push(&h, (const uint8_t *)OK "\r\n", strlen(OK) + 2);
	rc = 0;
	for (int i = 0; i < 10000 && rc == 0; i++)
		rc = http_push(&h, line, sizeof(line) - 1);
	assert_int_equal(rc, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(policies),
		cmocka_unit_test(answers), cmocka_unit_test(too_much) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
