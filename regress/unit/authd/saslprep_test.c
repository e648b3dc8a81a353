/* SPDX-License-Identifier: ISC */
/* SASLprep: the examples of RFC 4013, 3, and what people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "authd/password.h"
#include "authd/saslprep.h"

static const struct {
	const char *in;
	const char *out; /* NULL: refused */
} rows[] = {
	{ "I\xc2\xadX", "IX" },   /* RFC 4013, 3: soft hyphen to nothing */
	{ "user", "user" },       /* no transformation */
	{ "USER", "USER" },       /* case is kept */
	{ "\xc2\xaa", "a" },      /* NFKC */
	{ "\xe2\x85\xa8", "IX" }, /* NFKC */
	{ "\x07", NULL },         /* prohibited */
	{ "\xd8\xa7"
	  "1",
	    NULL }, /* bidirectional */
	{ "a\xc2\xa0"
	  "b",
	    "a b" },                 /* no-break space */
	{ "\xe3\x80\x80x", " x" },   /* ideographic space */
	{ "e\xcc\x81", "\xc3\xa9" }, /* combined */
	{ "\xef\xbd\x81", "a" },     /* full width */
	{ "\xe5\xaf\x86\xe7\xa0\x81", "\xe5\xaf\x86\xe7\xa0\x81" },
	{ "\xf0\x9f\x90\xb4", "\xf0\x9f\x90\xb4" }, /* not in Unicode 3.2 */
	{ "\xc2\xad", NULL },                       /* nothing is left */
	{ "", NULL },
	{ "\xff", NULL },
	{ "\xed\xa0\x80", NULL }, /* surrogate */
	{ "\xee\x80\x80", NULL }, /* private use */
	{ "a\x7f", NULL },
};

static void
examples(void **state)
{
	char out[600];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = saslprep(rows[i].in, out, sizeof(out));

		if (rc != (rows[i].out == NULL ? -1 : 0) ||
		    (rc == 0 && strcmp(out, rows[i].out) != 0))
			fail_msg("row %zu", i);
		/* What was prepared stays as it is. */
		if (rc == 0) {
			char again[600];

			assert_int_equal(saslprep(out, again, sizeof(again)), 0);
			assert_string_equal(again, out);
		}
	}
	assert_int_equal(saslprep("abc", out, 3), -1);
	assert_int_equal(saslprep("abc", out, 4), 0);
	/* U+FDFA becomes 18 characters. */
	assert_int_equal(saslprep("\xef\xb7\xba\xef\xb7\xba", out, 40), -1);
}

static void
passwords(void **state)
{
	for (int scram = 0; scram < 2; scram++) {
		struct password p = { 0 };

		assert_int_equal(
		    password_make("caf\xc3\xa9\xc2\xa0x", scram, 4096, &p), 0);
		assert_int_equal(password_check("caf\xc3\xa9\xc2\xa0x", &p), 1);
		assert_int_equal(password_check("cafe\xcc\x81 x", &p), 1);
		assert_int_equal(password_check("cafe x", &p), 0);
		assert_int_equal(password_check("bell\x07", &p), 0);
		assert_int_equal(password_make("bell\x07", scram, 4096, &p), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(examples),
		cmocka_unit_test(passwords) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
