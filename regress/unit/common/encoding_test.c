/* SPDX-License-Identifier: ISC */
/* encoding.c, encoding_utf.c, encoding_cte.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/encoding.h"

static void
test_base64(void **state)
{
	/* RFC 4648, 10. */
	static const char *rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };
	static const char *bad[] = { "Z", "Zg",
		"Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm8=\n", "Zm 8",
		"Zg=v", "Zm9v=", "Zm-_" };
	char out[64], big[300], enc[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i][0]), e = strlen(rows[i][1]);

		assert_int_equal(base64_encode(rows[i][0], n, out, sizeof(out)), e);
		assert_string_equal(out, rows[i][1]);
		assert_int_equal(base64_encode(rows[i][0], n, out, e), -1);
		assert_int_equal(base64_decode(rows[i][1], e, out, n), n);
		assert_memory_equal(out, rows[i][0], n);
		if (n > 0)
			assert_int_equal(base64_decode(rows[i][1], e, out, n - 1), -1);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (base64_decode(bad[i], strlen(bad[i]), out, sizeof(out)) != -1)
			fail_msg("%s", bad[i]);
	}
	memset(big, 'x', sizeof(big));
	assert_int_equal(base64_encode_lines(big, 57, enc, sizeof(enc)), 78);
	assert_int_equal(base64_encode_lines(big, 58, enc, sizeof(enc)), 78 + 6);
	assert_int_equal(base64_encode_lines(big, 114, enc, 157), 156);
	assert_int_equal(base64_encode_lines(big, 114, enc, 156), -1);
	assert_int_equal(base64_encode_lines(big, 0, enc, sizeof(enc)), 0);
}

/* Whole, and octet by octet. */
static void
cte_check(enum cte cte, const char *in, const char *want)
{
	struct cte_decoder d;
	size_t len = strlen(in), used, made, n;
	char out[2048];

	for (size_t step = 1; step <= len + 1; step += len > 0 ? len : 1) {
		cte_init(&d, cte);
		n = 0;
		for (size_t i = 0; i < len; i += used) {
			cte_feed(&d, in + i, len - i < step ? len - i : step, out + n,
			    sizeof(out) - n, &used, &made);
			assert_true(used > 0);
			n += made;
		}
		n += cte_finish(&d, out + n, sizeof(out) - n);
		out[n] = '\0';
		if (strcmp(out, want) != 0)
			fail_msg("[%s] step %zu: [%s] is not [%s]", in, step, out, want);
	}
}

static void
test_cte(void **state)
{
	char in[1200];

	(void)state;
	cte_check(CTE_7BIT, "a=b\r\n", "a=b\r\n");
	cte_check(CTE_UNKNOWN, "a=b\r\n", "a=b\r\n");
	cte_check(CTE_BASE64, "Zm9v\r\nYmFy\r\n", "foobar");
	cte_check(CTE_BASE64, "Zg==Zm8=\r\nZm9v", "ffofoo");
	cte_check(CTE_BASE64, "Zm9vY", "foo");
	cte_check(CTE_BASE64, "Z!m*9 v", "foo");
	cte_check(CTE_BASE64, "", "");

	cte_check(CTE_QP, "a=3Db=\r\nc", "a=bc");
	cte_check(CTE_QP, "a=3d=\nc\n", "a=c\n");
	cte_check(CTE_QP, "a \t \r\nb  \nc  ", "a\r\nb\nc");
	cte_check(CTE_QP, "a \t b", "a \t b");
	cte_check(CTE_QP, "a=  \r\nb= \t\nc", "abc");
	cte_check(CTE_QP, "a=  b", "a=  b");
	cte_check(CTE_QP, "a=zz=4", "a=zz=4");
	cte_check(CTE_QP, "a=4z==41=", "a=4z=A");
	cte_check(CTE_QP, "a=\rb", "ab");
	cte_check(CTE_QP, "a==", "a=");
	cte_check(CTE_QP, "=C3=BC\r\n", "\xc3\xbc\r\n");
	cte_check(CTE_QP, "a =\r\n b", "a  b");
	/* More white space than is held: kept rather than lost. */
	memset(in, ' ', 1000);
	strcpy(in + 1000, "x");
	cte_check(CTE_QP, in, in);
	in[0] = '=';
	cte_check(CTE_QP, in, in);

	cte_check(
	    CTE_UUENCODE, "junk\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\ntail\r\n", "Cat");
	cte_check(CTE_UUENCODE, "begin 644 x\n#0V%T\n#0V%\nend", "CatCa@");

	assert_int_equal(cte_by_name("Base64", 6), CTE_BASE64);
	assert_int_equal(cte_by_name("QUOTED-PRINTABLE", 16), CTE_QP);
	assert_int_equal(cte_by_name("foo", 3), CTE_UNKNOWN);
	assert_int_equal(cte_by_name("", 0), CTE_UNKNOWN);
}

static void
test_qp_encode(void **state)
{
	static const char *rows[][2] = {
		{ "hello", "hello" },
		{ "a=b\n", "a=3Db\r\n" },
		{ "a \r\nb\t", "a=20\r\nb=09" },
		{ "From x\n.\n.a\nFrom", "=46rom x\r\n=2E\r\n=2Ea\r\nFrom" },
		{ "\xc3\xbc\r", "=C3=BC=0D" },
		{ "", "" },
	};
	struct cte_decoder d;
	char out[2048], back[4096], in[500];
	size_t used, made;
	int n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    qp_encode(rows[i][0], strlen(rows[i][0]), out, sizeof(out)),
		    strlen(rows[i][1]));
		assert_string_equal(out, rows[i][1]);
	}
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i % 7 == 0 ? 0xe4 : i % 5 == 0 ? '.' : 'F');
	n = qp_encode(in, sizeof(in), out, sizeof(out));
	assert_true(n > 0);
	for (char *p = out, *e; (e = strstr(p, "\r\n")) != NULL; p = e + 2)
		assert_true(e - p <= 76);
	cte_init(&d, CTE_QP);
	cte_feed(&d, out, (size_t)n, back, sizeof(back), &used, &made);
	assert_int_equal(made, sizeof(in));
	assert_memory_equal(back, in, sizeof(in));
	assert_int_equal(qp_encode(in, sizeof(in), out, 100), -1);
}

static void
test_utf7(void **state)
{
	static const char *rows[][2] = {
		{ "INBOX", "INBOX" },
		{ "a&b", "a&-b" },
		/* RFC 3501, 5.1.3. */
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/"
		  "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		    "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
		{ "\xf0\x9f\x98\x80", "&2D3eAA-" },
		{ "\xc3\xbc&\xc3\xbc", "&APw-&-&APw-" },
		{ "", "" },
	};
	static const char *bad[] = { "&", "&AP", "&APw", "&APw-&APw-", "&AGE-", "&2D0-",
		"&3gA-", "&2D0AYQ-", "&APx-", "&APwA-", "&A/w-", "\xc3\xbc", "a\x01",
		"&A-", "&AAA-", "&U,BTFw-&ZeVnLIqe-" };
	char out[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t a = strlen(rows[i][0]), b = strlen(rows[i][1]);

		assert_int_equal(utf7_from_utf8(rows[i][0], a, out, sizeof(out)), b);
		assert_string_equal(out, rows[i][1]);
		assert_int_equal(utf7_to_utf8(rows[i][1], b, out, sizeof(out)), a);
		assert_string_equal(out, rows[i][0]);
		for (size_t cap = 0; cap <= b; cap++)
			assert_int_equal(utf7_from_utf8(rows[i][0], a, out, cap), -1);
		for (size_t cap = 0; cap <= a; cap++)
			assert_int_equal(utf7_to_utf8(rows[i][1], b, out, cap), -1);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (utf7_to_utf8(bad[i], strlen(bad[i]), out, sizeof(out)) != -1)
			fail_msg("%s", bad[i]);
	}
	assert_int_equal(utf7_from_utf8("a\xff", 2, out, sizeof(out)), -1);
	assert_int_equal(utf7_from_utf8("a\n", 2, out, sizeof(out)), -1);
	assert_int_equal(utf7_to_utf8("a\0b", 3, out, sizeof(out)), -1);
}

static void
test_utf8(void **state)
{
	static const char *bad[] = { "\x80", "\xc0\xaf", "\xc1\xbf", "\xc3",
		"\xe0\x80\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xe2\x82",
		"\xe2\x28\xa1" };
	uint32_t c;
	char out[4];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
	for (uint32_t v = 0; v < 0x110100; v += v < 0x3000 ? 1 : 97) {
		size_t n = utf8_put(v, out);

		if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(utf8_get(out, n, &c), n);
		assert_int_equal(c, v);
		assert_true(utf8_valid(out, n));
		if (n > 1)
			assert_false(utf8_valid(out, n - 1));
	}
	assert_int_equal(utf8_cut("a\xe2\x82\xac", 4, 4), 4);
	assert_int_equal(utf8_cut("a\xe2\x82\xac", 4, 3), 1);
	assert_int_equal(utf8_cut("a\xe2\x82\xac", 4, 2), 1);
	assert_int_equal(utf8_cut("a\xe2\x82\xac", 4, 1), 1);
	assert_int_equal(utf8_cut("\xe2\x82\xac", 3, 0), 0);
}

static void
test_xtext_hex(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(xtext_encode("a+b=c d\xc3", 8, out, sizeof(out)), 16);
	assert_string_equal(out, "a+2Bb+3Dc+20d+C3");
	assert_int_equal(xtext_decode(out, 16, out, sizeof(out)), 8);
	assert_string_equal(out, "a+b=c d\xc3");
	assert_int_equal(xtext_decode("a+2", 3, out, sizeof(out)), -1);
	assert_int_equal(xtext_decode("a+ZZ", 4, out, sizeof(out)), -1);
	assert_int_equal(xtext_decode("a=b", 3, out, sizeof(out)), -1);
	assert_int_equal(xtext_decode("a b", 3, out, sizeof(out)), -1);
	assert_int_equal(xtext_decode("+00", 3, out, sizeof(out)), -1);
	assert_int_equal(hex_encode("\x00\xff", 2, out, 5), 4);
	assert_string_equal(out, "00ff");
	assert_int_equal(hex_encode("\x00\xff", 2, out, 4), -1);
	assert_int_equal(hex_decode("00Ff", 4, out, 2), 2);
	assert_memory_equal(out, "\x00\xff", 2);
	assert_int_equal(hex_decode("00F", 3, out, 2), -1);
	assert_int_equal(hex_decode("0g", 2, out, 2), -1);
	assert_int_equal(hex_decode("0000", 4, out, 1), -1);
	assert_int_equal(qp_decode_word("a_=C3=BC=z", 10, out, sizeof(out)), 6);
	assert_memory_equal(out, "a \xc3\xbc=z", 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_cte),
		cmocka_unit_test(test_qp_encode),
		cmocka_unit_test(test_utf7),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_xtext_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
