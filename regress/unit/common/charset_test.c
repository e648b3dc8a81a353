/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"

struct row {
	const char *charset, *in, *want;
	int rc;
};

static const struct row rows[] = {
	{ "utf-8", "a\xc3\xbc", "a\xc3\xbc", 0 },
	{ "UTF8", "a\xc3", "a\xef\xbf\xbd", 1 },
	{ "utf-8", "\xff\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz", 1 },
	{ "us-ascii", "abc", "abc", 0 },
	{ "us-ascii", "gr\xfc\xc3\xbc", "gr\xc3\xbc\xc3\xbc", 1 },
	{ "iso-8859-1", "\xe4\x80\x81", "\xc3\xa4\xe2\x82\xac\xef\xbf\xbd", 1 },
	{ "ISO_8859-1", "\xe4", "\xc3\xa4", 0 },
	{ "Latin1", "\xe4", "\xc3\xa4", 0 },
	{ "iso-8859-15", "\xa4", "\xe2\x82\xac", 0 },
	{ "iso-8859-2", "\xb1", "\xc4\x85", 0 },
	{ "windows-1251", "\xcf\xf0\xe8", "\xd0\x9f\xd1\x80\xd0\xb8", 0 },
	{ "CP1251", "\xcf", "\xd0\x9f", 0 },
	{ "koi8-r", "\xf0\xd2\xc9", "\xd0\x9f\xd1\x80\xd0\xb8", 0 },
	{ "koi8-u", "\xa4", "\xd1\x94", 0 },
	{ "gb2312", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd", 0 },
	{ "GBK", "\xc4\xe3", "\xe4\xbd\xa0", 0 },
	{ "gb18030", "\x94\x39\xda\x33", "\xf0\x9f\x92\xa9", 0 },
	{ "big5", "\xa7\x41\xa6\x6e", "\xe4\xbd\xa0\xe5\xa5\xbd", 0 },
	{ "shift_jis", "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac", 0 },
	{ "euc-jp", "\xc6\xfc\xcb\xdc", "\xe6\x97\xa5\xe6\x9c\xac", 0 },
	{ "iso-2022-jp", "\x1b$BF|K\\\x1b(Bx", "\xe6\x97\xa5\xe6\x9c\xacx", 0 },
	{ "euc-kr", "\xc7\xd1\xb1\xdb", "\xed\x95\x9c\xea\xb8\x80", 0 },
	{ "ks_c_5601-1987", "\xc7\xd1", "\xed\x95\x9c", 0 },
	{ "utf-7", "a+AOQ-b",
	    "a\xc3\xa4"
	    "b",
	    0 },
	{ "gb2312",
	    "a\xff"
	    "b",
	    "a\xef\xbf\xbd"
	    "b",
	    1 },
	{ "gb2312", "a\xc4", "a\xef\xbf\xbd", 1 },
	{ "no-such", "\xe4", "\xc3\xa4", 1 },
	{ "no-such", "\xc3\xa4", "\xc3\xa4", 1 },
	{ "", "\xc3\xa4", "\xc3\xa4", 1 },
	{ "iso-2022-cn-ext", "\xe4", "\xc3\xa4", 1 },
};

static void
test_rows(void **state)
{
	char out[256], small[256];
	size_t n, m;

	(void)state;
	assert_int_equal(charset_preload(), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		int rc = charset_to_utf8(r->charset, strlen(r->charset), r->in,
		    strlen(r->in), out, sizeof(out), &n);

		if (strcmp(out, r->want) != 0 || rc != r->rc)
			fail_msg("%s: row %zu gives [%s] %d", r->charset, i, out, rc);
		assert_int_equal(n, strlen(r->want));
		/* Cut at each length. */
		for (size_t cap = 1; cap <= n; cap++) {
			assert_int_equal(charset_to_utf8(r->charset, strlen(r->charset),
					     r->in, strlen(r->in), small, cap, &m),
			    1);
			assert_true(m < cap && utf8_valid(small, m));
			assert_memory_equal(small, out, m);
		}
	}
	charset_to_utf8("utf-16", 6,
	    "\xfe\xff\x00"
	    "a\xd8\x3d\xdc\xa9",
	    8, out, sizeof(out), &n);
	assert_int_equal(n, 5);
	charset_to_utf8("utf-16", 6,
	    "\xff\xfe"
	    "a\x00",
	    4, out, sizeof(out), &n);
	assert_string_equal(out, "a");
	assert_int_equal(charset_to_utf8("utf-8", 5, "", 0, out, 1, &n), 0);
}

static void
test_pieces(void **state)
{
	struct charset_conv c;
	char in[300], whole[2000], parts[2000];
	size_t n, m, used, made, len;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		/* Repeated, so that characters lie across all places. */
		len = 0;
		while (len + strlen(r->in) < sizeof(in)) {
			memcpy(in + len, r->in, strlen(r->in));
			len += strlen(r->in);
		}
		for (size_t step = 1; step <= len; step += 1 + step / 3) {
			for (int pass = 0; pass < 2; pass++) {
				char *out = pass == 0 ? whole : parts;

				charset_conv_init(&c, r->charset, strlen(r->charset));
				n = m = 0;
				do {
					size_t take =
					    pass == 0 || len - n < step ? len - n : step;

					charset_conv_feed(&c, in + n, take,
					    n + take == len, out + m, sizeof(whole) - m,
					    &used, &made);
					n += used;
					m += made;
				} while (n < len);
				out[m] = '\0';
			}
			if (strcmp(whole, parts) != 0)
				fail_msg("%s: row %zu, step %zu: [%s] is not [%s]",
				    r->charset, i, step, parts, whole);
		}
	}
}

static void
test_names(void **state)
{
	size_t n = 0;

	(void)state;
	for (; charset_name(n) != NULL; n++)
		assert_true(charset_known(charset_name(n), strlen(charset_name(n))));
	assert_true(n > 30);
	assert_false(charset_known("", 0));
	assert_false(charset_known("--", 2));
	assert_false(charset_known("UTF-8//IGNORE", 13));
	charset_unload();
	assert_true(charset_known("koi8-r", 6));
	charset_unload();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
