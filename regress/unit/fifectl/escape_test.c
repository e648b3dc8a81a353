/* SPDX-License-Identifier: ISC */
/* What comes from outside cannot steer a terminal nor break out of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fifectl/escape.h"

static const struct {
	const char *in;
	const char *text;
	const char *lines; /* NULL: as text */
	const char *json;
	size_t width;
} rows[] = {
	{ "", "", NULL, "\"\"", 0 },
	{ "plain", "plain", NULL, "\"plain\"", 5 },
	{ "a\nb", "a\\x0ab", "a\nb", "\"a\\nb\"", 6 },
	{ "a\tb", "a\\x09b", "a\tb", "\"a\\tb\"", 6 },
	{ "a\rb", "a\\x0db", NULL, "\"a\\u000db\"", 6 },
	{ "\x1b[2J", "\\x1b[2J", NULL, "\"\\u001b[2J\"", 7 },
	{ "\x7f", "\\x7f", NULL, "\"\\u007f\"", 4 },
	{ "\"\\", "\"\\", NULL, "\"\\\"\\\\\"", 2 },
	{ "\xc3\xbc", "\xc3\xbc", NULL, "\"\xc3\xbc\"", 1 },
	{ "\xe2\x82\xac", "\xe2\x82\xac", NULL, "\"\xe2\x82\xac\"", 1 },
	{ "\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7", NULL, "\"\xf0\x9f\x93\xa7\"", 1 },
	/* C1 control, mark of direction, byte order mark */
	{ "\xc2\x9b", "\\xc2\\x9b", NULL, "\"\\u009b\"", 8 },
	{ "\xe2\x80\xae", "\\xe2\\x80\\xae", NULL, "\"\\u202e\"", 12 },
	{ "\xef\xbb\xbf", "\\xef\\xbb\\xbf", NULL, "\"\\ufeff\"", 12 },
	/* not UTF-8: alone, cut, too long, surrogate, beyond the end */
	{ "\xff", "\\xff", NULL, "\"\\\\xff\"", 4 },
	{ "\xc3", "\\xc3", NULL, "\"\\\\xc3\"", 4 },
	{ "\xc0\xaf", "\\xc0\\xaf", NULL, "\"\\\\xc0\\\\xaf\"", 8 },
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf", NULL, "\"\\\\xe0\\\\x80\\\\xaf\"", 12 },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", NULL, "\"\\\\xed\\\\xa0\\\\x80\"", 12 },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", NULL,
	    "\"\\\\xf4\\\\x90\\\\x80\\\\x80\"", 16 },
	{ "\xe2\x82x", "\\xe2\\x82x", NULL, "\"\\\\xe2\\\\x82x\"", 9 },
};

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int kind = 0; kind < 3; kind++) {
			const char *expected = kind == 0   ? rows[i].text
					       : kind == 1 ? rows[i].json
							   : rows[i].lines;
			char *buf = NULL, *in;
			size_t len, in_len = strlen(rows[i].in);
			FILE *f;

			if (expected == NULL)
				expected = rows[i].text;
			/* exact size, for the sanitizer */
			in = malloc(in_len + (in_len == 0));
			memcpy(in, rows[i].in, in_len);
			f = open_memstream(&buf, &len);
			if (kind == 1)
				escape_json(f, in, in_len);
			else
				escape_text(f, in, in_len,
				    kind == 0 ? ESCAPE_ONE_LINE : ESCAPE_KEEP_LINES);
			fclose(f);
			assert_string_equal(buf, expected);
			assert_int_equal(escape_width(in, in_len), rows[i].width);
			free(buf);
			free(in);
		}
	}
}

static void
nul(void **state)
{
	char *buf = NULL;
	size_t len;
	FILE *f = open_memstream(&buf, &len);

	escape_json(f, "a\0b", 3);
	escape_text(f, "a\0b", 3, ESCAPE_ONE_LINE);
	fclose(f);
	assert_string_equal(buf, "\"a\\u0000b\"a\\x00b");
	free(buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
