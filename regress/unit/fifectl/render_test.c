/* SPDX-License-Identifier: ISC */
/* Rows as text and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "fifectl/render.h"

static char *out;
static size_t out_len;
static FILE *f;

static struct render *
begin(int json)
{
	f = open_memstream(&out, &out_len);
	assert_non_null(f);
	return render_new(f, json);
}

static void
end(struct render *r, const char *expected)
{
	render_free(r);
	fclose(f);
	assert_string_equal(out, expected);
	free(out);
}

static void
row(struct render *r, const char *name, uint64_t size, int held, uint64_t time)
{
	struct client_field fields[] = {
		{ "name", 's', name, strlen(name), 0 },
		{ "size", 'u', NULL, 0, size },
		{ "held", 'b', NULL, 0, (uint64_t)held },
		{ "since", 't', NULL, 0, time },
	};

	render_row(r, NULL, CTL_TABLE, fields, 4);
}

static void
tables(void **state)
{
	struct render *r = begin(0);

	row(r, "a", 1, 0, 1700000000);
	row(r, "longer n\xc3\xa4me", 12345, 1, 0);
	end(r, "name          size  held  since\n"
	       "a                1  no    2023-11-14 22:13:20\n"
	       "longer n\xc3\xa4me  12345  yes   \n");
}

static void
json(void **state)
{
	struct render *r = begin(1);

	row(r, "a\"", 1, 0, 1700000000);
	row(r, "b", 18446744073709551615u, 1, 0);
	end(r, "[\n {\"name\": \"a\\\"\", \"size\": 1, \"held\": false, "
	       "\"since\": \"2023-11-14T22:13:20Z\"},\n"
	       " {\"name\": \"b\", \"size\": 18446744073709551615, \"held\": true, "
	       "\"since\": null}\n]\n");
	end(begin(1), "[]\n");
}

/* Another table, facts and text after one another. */
static void
mixed(void **state)
{
	struct render *r = begin(0);

	render_words(r, CTL_TABLE, "x", "1", NULL);
	render_words(r, CTL_TABLE, "y", "2", "z", "3", NULL);
	render_words(r, CTL_FACTS, "key", "value", "other", "a\nb", NULL);
	render_words(r, CTL_TEXT, "text", "line", NULL);
	render_words(r, CTL_TEXT, "text", "two\nlines\n", NULL);
	end(r, "x\n1\n\ny  z\n2  3\n\nkey: value\nother: a\\x0ab\nline\ntwo\nlines\n");
}

/* A row that lacks a column or has them in another order. */
static void
ragged(void **state)
{
	struct render *r = begin(0);

	render_words(r, CTL_TABLE, "a", "1", "b", "2", "c", "3", NULL);
	render_words(r, CTL_TABLE, "a", "4", "c", "6", NULL);
	end(r, "a  b  c\n1  2  3\n4     6\n");
}

/* Long tables come in parts, with one header. */
static void
many(void **state)
{
	struct render *r = begin(0);
	size_t lines = 0;

	for (int i = 0; i < 1234; i++)
		row(r, "x", (uint64_t)i, 0, 0);
	assert_int_equal(render_flush(r), 0);
	row(r, "y", 1, 0, 0);
	render_free(r);
	fclose(f);
	for (size_t i = 0; i < out_len; i++)
		lines += out[i] == '\n';
	assert_int_equal(lines, 1236);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(json),
		cmocka_unit_test(mixed),
		cmocka_unit_test(ragged),
		cmocka_unit_test(many),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
