/* SPDX-License-Identifier: ISC */
/* Our tables beside iconv itself: each short sequence of octets, and random ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <iconv.h>

#include "common/proto/charset.h"

#define BAD "\xef\xbf\xbd"
#define OUT_MAX 4096

static const struct {
	const char *name, *iconv;
} charsets[] = { { "iso-8859-2", "ISO-8859-2" }, { "iso-8859-3", "ISO-8859-3" },
	{ "iso-8859-4", "ISO-8859-4" }, { "iso-8859-5", "ISO-8859-5" },
	{ "iso-8859-6", "ISO-8859-6" }, { "iso-8859-7", "ISO-8859-7" },
	{ "iso-8859-8", "ISO-8859-8" }, { "iso-8859-9", "ISO-8859-9" },
	{ "iso-8859-10", "ISO-8859-10" }, { "iso-8859-11", "CP874" },
	{ "iso-8859-13", "ISO-8859-13" }, { "iso-8859-14", "ISO-8859-14" },
	{ "iso-8859-15", "ISO-8859-15" }, { "iso-8859-16", "ISO-8859-16" },
	{ "windows-1250", "CP1250" }, { "windows-1251", "CP1251" },
	{ "windows-1253", "CP1253" }, { "windows-1254", "CP1254" },
	{ "windows-1255", "CP1255" }, { "windows-1256", "CP1256" },
	{ "windows-1257", "CP1257" }, { "windows-1258", "CP1258" },
	{ "koi8-r", "KOI8-R" }, { "koi8-u", "KOI8-U" }, { "macintosh", "MACINTOSH" },
	{ "ibm437", "CP437" }, { "ibm850", "CP850" }, { "ibm866", "CP866" },
	{ "gb18030", "GB18030" }, { "big5", "BIG5-HKSCS" }, { "shift_jis", "CP932" },
	{ "euc-jp", "EUC-JP" }, { "euc-kr", "UHC" }, { "iso-2022-jp", "ISO-2022-JP-2" },
	{ "iso-2022-kr", "ISO-2022-KR" } };
#define SINGLE 28 /* of them have one octet a character */
#define N (sizeof(charsets) / sizeof(charsets[0]))

static uint32_t seed = 1;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* What iconv makes of it, with a mark for each octet that fits nothing. Returns how many
 * marks. */
static int
reference(iconv_t cd, const char *in, size_t len, char *out, size_t *out_len)
{
	char *ip = (char *)(uintptr_t)in, *op = out;
	size_t room = OUT_MAX;
	int marks = 0;

	iconv(cd, NULL, NULL, NULL, NULL);
	while (len > 0 && iconv(cd, &ip, &len, &op, &room) == (size_t)-1) {
		assert_int_not_equal(errno, E2BIG);
		/* What it keeps for a mark to come stands before the bad octet. */
		if (len > 0) {
			memcpy(op, BAD, 3);
			op += 3;
			room -= 3;
			ip++;
			len--;
			marks++;
		}
	}
	iconv(cd, NULL, NULL, &op, &room);
	*out_len = (size_t)(op - out);
	return marks;
}

static void
compare(size_t k, iconv_t cd, const void *in, size_t len, int well_formed_only)
{
	char want[OUT_MAX], got[OUT_MAX];
	size_t n, m;
	int marks = reference(cd, in, len, want, &n);

	if (marks > 0 && well_formed_only)
		return;
	charset_to_utf8(
	    charsets[k].name, strlen(charsets[k].name), in, len, got, sizeof(got), &m);
	if (n == m && memcmp(want, got, n) == 0)
		return;
	fprintf(stderr, "%s:", charsets[k].name);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, " %02x", ((const uint8_t *)in)[i]);
	fail_msg(": [%.*s], not [%.*s]", (int)m, got, (int)n, want);
}

static size_t
find(const char *name)
{
	for (size_t k = 0; k < N; k++)
		if (strcmp(charsets[k].name, name) == 0)
			return k;
	fail_msg("%s", name);
	return 0;
}

static void
short_ones(void **state)
{
	for (size_t k = 0; k < N; k++) {
		iconv_t cd = iconv_open("UTF-8", charsets[k].iconv);
		int composed = strcmp(charsets[k].iconv, "CP1255") == 0 ||
			       strcmp(charsets[k].iconv, "CP1258") == 0;
		/* Marks come in another order, or control characters get one. */
		int loose = composed || strncmp(charsets[k].name, "iso-2022", 8) == 0;
		uint8_t in[3];

		assert_true(cd != (iconv_t)-1);
		for (int a = 0; a < 256; a++) {
			in[0] = (uint8_t)a;
			compare(k, cd, in, 1, loose);
			if (k < SINGLE && !composed)
				continue;
			for (int b = 0; b < 256; b++) {
				in[1] = (uint8_t)b;
				in[2] = 'x';
				/* glibc's UHC steps over it before it refuses it. */
				if (a == 0xa2 && b == 0xe8 && k == find("euc-kr"))
					continue;
				compare(k, cd, in, 2, loose);
				if (b >= 0x80)
					compare(k, cd, in, 3, loose);
			}
		}
		iconv_close(cd);
	}
}

/* Letters with two marks, and what has three octets. */
static void
threes(void **state)
{
	static const struct {
		const char *name;
		int first, last, low, high; /* of the first, and of the others */
	} rows[] = { { "windows-1255", 0xe0, 0xff, 0xc0, 0xd8 },
		{ "windows-1258", 'A', 'Z', 0xcc, 0xf2 },
		{ "windows-1258", 0xc0, 0xe0, 0xcc, 0xf2 },
		{ "euc-jp", 0x8f, 0x8f, 0xa0, 0xff } };
	uint8_t in[3];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t k = find(rows[i].name);
		iconv_t cd = iconv_open("UTF-8", charsets[k].iconv);

		for (int a = rows[i].first; a <= rows[i].last; a++)
			for (int b = rows[i].low; b <= rows[i].high; b++)
				for (int c = rows[i].low; c <= rows[i].high; c++) {
					in[0] = (uint8_t)a;
					in[1] = (uint8_t)b;
					in[2] = (uint8_t)c;
					compare(k, cd, in, 3, 1);
				}
		iconv_close(cd);
	}
}

/* Four octets in rows, of which one conversion makes many. */
static void
gb18030(void **state)
{
	size_t k = find("gb18030");
	iconv_t cd = iconv_open("UTF-8", "GB18030");
	uint8_t in[4 * 1260];

	for (int a = 0x81; a <= 0xff; a++)
		for (int b = '0'; b <= '9'; b++) {
			/* All that is far away is one row of numbers. */
			if (a > 0x91 && a < 0xe2 && b != '5')
				continue;
			for (int row = 0; row < 126; row += 63) {
				size_t n = 0;

				for (int i = row * 10; i < (row + 63) * 10; i++) {
					in[n++] = (uint8_t)a;
					in[n++] = (uint8_t)b;
					in[n++] = (uint8_t)(0x81 + i / 10);
					in[n++] = (uint8_t)(0x30 + i % 10);
				}
				for (size_t at = 0; at < n; at += 280)
					compare(k, cd, in + at, 280, 0);
			}
		}
	iconv_close(cd);
}

static const char *const japanese[] = { "\x1b(B", "\x1b(J", "\x1b$@", "\x1b$B", "\x1b$A",
	"\x1b$(C", "\x1b$(D", "\x1b.A", "\x1b.F", "\x1bN", "\n", "ab", "!!", "~}" };
static const char *const korean[] = { "\x1b$)C", "\x0e", "\x0f", "\n", "ab", "!!" };

static void
random_states(size_t k, const char *const *words, uint32_t n_words, int rounds)
{
	iconv_t cd = iconv_open("UTF-8", charsets[k].iconv);

	for (int r = 0; r < rounds; r++) {
		uint8_t in[128];
		size_t n = 0;

		for (uint32_t i = random_below(12); i > 0; i--) {
			const char *w = words[random_below(n_words)];

			memcpy(in + n, w, strlen(w));
			n += strlen(w);
			/* ESC N is said of the next. */
			for (uint32_t c = random_below(5) + (w[1] == 'N'); c > 0; c--)
				in[n++] = (uint8_t)(0x21 + random_below(0x5e));
		}
		compare(k, cd, in, n, 1);
	}
	iconv_close(cd);
}

static void
with_states(void **state)
{
	random_states(
	    find("iso-2022-jp"), japanese, sizeof(japanese) / sizeof(japanese[0]), 30000);
	random_states(
	    find("iso-2022-kr"), korean, sizeof(korean) / sizeof(korean[0]), 10000);
}

/* What iconv writes is read. */
static void
written(const char *name, const char *iconv_name, int rounds)
{
	iconv_t cd = iconv_open(iconv_name, "UCS-4LE");

	assert_true(cd != (iconv_t)-1);
	for (int r = 0; r < rounds; r++) {
		uint32_t chars[40], n = random_below(40);
		char text[1024], want[256], got[OUT_MAX], *ip = (char *)chars, *op = text;
		size_t left, room = sizeof(text), m;
		iconv_t utf8 = iconv_open("UTF-8", "UCS-4LE");

		for (uint32_t i = 0; i < n; i++) {
			uint32_t limit = random_below(3);

			chars[i] = random_below(limit == 0   ? 0x80
						: limit == 1 ? 0xd800
							     : 0x110000);
			if (chars[i] >= 0xd800 && chars[i] < 0xe000)
				chars[i] = '+';
		}
		left = n * 4;
		assert_int_equal(iconv(cd, &ip, &left, &op, &room), 0);
		iconv(cd, NULL, NULL, &op, &room);
		charset_to_utf8(
		    name, strlen(name), text, (size_t)(op - text), got, sizeof(got), &m);
		ip = (char *)chars;
		op = want;
		left = n * 4;
		room = sizeof(want);
		assert_int_equal(iconv(utf8, &ip, &left, &op, &room), 0);
		assert_int_equal(m, op - want);
		assert_memory_equal(got, want, m);
		iconv_close(utf8);
	}
	iconv_close(cd);
}

static void
unicode(void **state)
{
	written("utf-7", "UTF-7", 3000);
	written("utf-16be", "UTF-16BE", 1000);
	written("utf-16le", "UTF-16LE", 1000);
}

static void
broken_unicode(void **state)
{
	static const struct {
		const char *charset, *in;
		size_t len;
		const char *want;
	} rows[] = {
		{ "utf-7", "a+2AA-b", 7, "a" BAD "b" }, /* half a pair */
		{ "utf-7", "a+2ADYAA-b", 10, "a" BAD BAD "b" },
		{ "utf-7", "+AOQ", 4, "\xc3\xa4" },
		{ "utf-7", "+A.", 3, BAD "." },
		{ "utf-7", "\xe4", 1, BAD },
		{ "utf-16be", "\xd8\x00\x00x", 4, BAD "x" },
		{ "utf-16le", "x\0y", 3, "x" BAD },
	};
	char got[64];
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		charset_to_utf8(rows[i].charset, strlen(rows[i].charset), rows[i].in,
		    rows[i].len, got, sizeof(got), &n);
		assert_string_equal(got, rows[i].want);
	}
}

/* Nothing of iconv stays mapped where the tables were made by another process. */
static void
no_modules(void **state)
{
	char line[512];
	FILE *f;

	charset_unload();
	assert_int_equal(charset_preload(), 0);
	assert_true(charset_known("big5", 4));
	if ((f = fopen("/proc/self/maps", "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		assert_null(strstr(line, "/gconv/"));
	fclose(f);
	short_ones(state);
	charset_unload();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_modules),
		cmocka_unit_test(threes),
		cmocka_unit_test(gb18030),
		cmocka_unit_test(with_states),
		cmocka_unit_test(unicode),
		cmocka_unit_test(broken_unicode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
