/* SPDX-License-Identifier: ISC */
/* header.c and rfc2047.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/header.h"
#include "common/proto/rfc2047.h"

static const char message[] = "Received: a\r\n\tb\r\n"
			      "Subject : hello\r\n  world \r\n"
			      "no field here\n"
			      "x\x01y: z\r\n"
			      "received:\r\n"
			      "To: q\n"
			      "\r\n"
			      "Subject: body\r\n";

static void
test_scan(void **state)
{
	static const struct {
		const char *name, *value;
	} want[] = { { "Received", " a\r\n\tb" }, { "Subject", " hello\r\n  world " },
		{ "", "no field here" }, { "", "x\x01y: z" }, { "received", "" },
		{ "To", " q" } };
	struct header_scan s;
	struct header_field f;
	size_t n = 0, off = 0, i = 0;
	enum header_result rc;

	(void)state;
	/* One octet more each time: fields come out once and the same. */
	header_scan_init(&s, message, 0, false);
	for (;;) {
		header_scan_extend(&s, message, n, n == sizeof(message) - 1);
		while ((rc = header_next(&s, &f)) == HEADER_FIELD) {
			assert_true(i < sizeof(want) / sizeof(want[0]));
			assert_int_equal(f.offset, off);
			off += f.length;
			assert_int_equal(f.name_len, strlen(want[i].name));
			assert_memory_equal(f.name, want[i].name, f.name_len);
			assert_int_equal(f.value_len, strlen(want[i].value));
			assert_memory_equal(f.value, want[i].value, f.value_len);
			assert_int_equal(f.malformed, want[i].name[0] == '\0');
			i++;
		}
		if (rc == HEADER_END)
			break;
		assert_int_equal(rc, HEADER_MORE);
		n++;
	}
	assert_int_equal(i, 6);
	assert_false(s.no_blank);
	assert_int_equal(s.pos, off + 2);
	assert_string_equal(message + s.pos, "Subject: body\r\n");
	assert_int_equal(header_section_len(message, sizeof(message) - 1), s.pos);
}

static void
test_ends(void **state)
{
	struct header_scan s;
	struct header_field f;

	(void)state;
	header_scan_init(&s, "", 0, true);
	assert_int_equal(header_next(&s, &f), HEADER_END);
	assert_true(s.no_blank);
	header_scan_init(&s, "\n", 1, true);
	assert_int_equal(header_next(&s, &f), HEADER_END);
	assert_int_equal(s.pos, 1);
	assert_false(s.no_blank);
	header_scan_init(&s, "a: b", 4, true);
	assert_int_equal(header_next(&s, &f), HEADER_FIELD);
	assert_int_equal(f.value_len, 2);
	assert_int_equal(header_next(&s, &f), HEADER_END);
	assert_true(s.no_blank);
	header_scan_init(&s, "\ra: b\n", 6, true);
	assert_int_equal(header_next(&s, &f), HEADER_FIELD);
	assert_true(f.malformed);

	header_scan_init(&s, "a: b\nc: d\n\n", 11, true);
	s.max_fields = 1;
	assert_int_equal(header_next(&s, &f), HEADER_FIELD);
	assert_int_equal(header_next(&s, &f), HEADER_LIMIT);
	header_scan_init(&s, "a: b\nc: d\n\n", 11, true);
	s.max_octets = 7;
	assert_int_equal(header_next(&s, &f), HEADER_FIELD);
	assert_int_equal(header_next(&s, &f), HEADER_LIMIT);
}

static void
test_get(void **state)
{
	struct header_field f;
	char out[64];
	size_t len = sizeof(message) - 1;

	(void)state;
	assert_int_equal(header_count(message, len, "RECEIVED"), 2);
	assert_int_equal(header_count(message, len, "Subject"), 1);
	assert_int_equal(header_get(message, len, "received", 1, &f), 0);
	assert_int_equal(f.value_len, 0);
	assert_int_equal(header_get(message, len, "received", 2, &f), -1);
	assert_int_equal(header_get(message, len, "subject", 0, &f), 0);
	assert_int_equal(header_unfold(f.value, f.value_len, out, sizeof(out)), 12);
	assert_string_equal(out, "hello  world");
	assert_int_equal(header_unfold(f.value, f.value_len, out, 4), 3);
	assert_string_equal(out, "hel");
}

static void
test_unfold(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(header_unfold(" \r\n\t", 4, out, sizeof(out)), 0);
	assert_int_equal(header_unfold(" a\0b", 4, out, sizeof(out)), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(header_unfold("a", 1, out, 0), 0);
}

static void
test_words(void **state)
{
	static const char *rows[][2] = {
		/* RFC 2047, 8. */
		{ "(=?ISO-8859-1?Q?a?=)", "(a)" },
		{ "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a?=\r\n   =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
		{ "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
		    "Keith Moore <moore@cs.utk.edu>" },
		{ "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
		{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
		  "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		    "If you can read this you understand the example." },
		/* A language tag, RFC 2231, 5. */
		{ "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" },
		/* A character split between words. */
		{ "=?utf-8?B?w7w=?= =?utf-8?B?w7w=?=", "\xc3\xbc\xc3\xbc" },
		{ "=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "\xc3\xbc" },
		{ "=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=",
		    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
		{ "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd" },
		{ "=?koi8-r?Q?=F0=D2=C9?=x", "\xd0\x9f\xd1\x80\xd0\xb8x" },
		/* None. */
		{ "=?", "=?" },
		{ "=??Q?a?=", "=??Q?a?=" },
		{ "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
		{ "=?utf-8?Q?a", "=?utf-8?Q?a" },
		{ "=?utf-8?Q?a?", "=?utf-8?Q?a?" },
		{ "=?utf-8?Q?a?b?=", "=?utf-8?Q?a?b?=" },
		{ "a = b", "a = b" },
		/* Broken ones. */
		{ "=?utf-8?Q?a b?=", "a b" },
		{ "=?utf-8?Q?a?=b", "ab" },
		{ "=?utf-8?Q?"
		  "?=",
		    "" },
		{ "=?utf-8?Q?=C3?= x", "\xef\xbf\xbd x" },
		{ "=?no-such?Q?=E4?=", "\xc3\xa4" },
		{ "=?utf-8?Q?a=0D=0ABcc:_x=00?=", "aBcc: x " },
		{ "gr\xfc\xdf", "gr\xc3\xbc\xc3\x9f" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "", "" },
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n =
		    rfc2047_decode(rows[i][0], strlen(rows[i][0]), out, sizeof(out));

		if (strcmp(out, rows[i][1]) != 0)
			fail_msg("[%s]: [%s] is not [%s]", rows[i][0], out, rows[i][1]);
		assert_int_equal(n, strlen(out));
	}
	assert_int_equal(rfc2047_decode("=?utf-8?Q?a=C3=BC?=", 19, out, 3), 1);
	assert_string_equal(out, "a");
	assert_int_equal(
	    header_decode(" \r\n =?utf-8?Q?=C3=BC?=\r\n ", 26, out, sizeof(out)), 2);
}

static void
test_encode(void **state)
{
	char in[400], out[2000], back[500];
	int n;

	(void)state;
	assert_int_equal(rfc2047_encode("hello", 5, 9, out, sizeof(out)), 5);
	assert_string_equal(out, "hello");
	n = rfc2047_encode("Gr\xc3\xbc\xc3\x9f"
			   "e aus Berlin am See",
	    25, 9, out, sizeof(out));
	assert_string_equal(out, "=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_Berlin_am_See?=");
	assert_int_equal(n, strlen(out));
	rfc2047_encode("\xe6\x97\xa5\xe6\x9c\xac", 6, 9, out, sizeof(out));
	assert_string_equal(out, "=?UTF-8?B?5pel5pys?=");
	rfc2047_encode("a\nb", 3, 0, out, sizeof(out));
	assert_string_equal(out, "=?UTF-8?B?YQpi?=");
	assert_int_equal(rfc2047_encode("\xc3\xbc", 2, 0, out, 20), -1);
	for (int kind = 0; kind < 2; kind++) {
		for (size_t i = 0; i < sizeof(in); i += 2)
			memcpy(in + i, kind == 0 || i % 20 == 0 ? "\xc3\xbc" : "ab", 2);
		for (size_t column = 0; column < 90; column += 9) {
			n = rfc2047_encode(in, sizeof(in), column, out, sizeof(out));
			assert_true(n > 0);
			for (char *p = out, *e; (e = strstr(p, "\r\n ")) != NULL;
			     p = e + 2)
				assert_true(
				    (size_t)(e - p) + (p == out ? column : 0) <= 76 ||
				    e == out);
			assert_int_equal(
			    header_decode(out, (size_t)n, back, sizeof(back)),
			    sizeof(in));
			assert_memory_equal(back, in, sizeof(in));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_unfold),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
