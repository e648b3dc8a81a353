/* SPDX-License-Identifier: ISC */
/* The text of a message that rules on the body see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filterd/text.h"

static void
check(const char *message, const char *want)
{
	size_t len;
	char *text = filter_text(message, strlen(message), FILTER_TEXT_MAX, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, want);
	free(text);
}

#define TEXT(charset, cte)                                  \
	"Content-Type: text/plain; charset=" charset "\r\n" \
	"Content-Transfer-Encoding: " cte "\r\n\r\n"

static void
parts_are_decoded(void **state)
{
	check("Subject: x\r\n\r\nplain\r\n", "plain\r\n\n");
	check(TEXT("utf-8", "base64") "Y2Fmw6k=\r\n", "caf\xc3\xa9\n");
	check(TEXT("iso-8859-1", "quoted-printable") "caf=E9 =\r\non\r\n",
	    "caf\xc3\xa9 on\r\n\n");
	check(TEXT("windows-1252", "8bit") "\x80 5", "\xe2\x82\xac 5\n");
	/* Broken or unknown: something readable, never nothing. */
	check(TEXT("x-unknown", "7bit") "abc", "abc\n");
	check(TEXT("utf-8", "8bit") "a\xff"
				    "b",
	    "a\xef\xbf\xbd"
	    "b\n");
	check("", "\n");
}

static void
only_text_parts(void **state)
{
	check("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	      "preamble\r\n--b\r\n" TEXT("utf-8",
		  "7bit") "one\r\n"
			  "--b\r\nContent-Type: application/pdf\r\n\r\nbinary\r\n"
			  "--b\r\nContent-Type: text/html\r\n\r\n<b>two</b>\r\n"
			  "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
			  "y\r\n\r\nthree\r\n"
			  "--b--\r\nepilogue\r\n",
	    "one\n<b>two</b>\nthree\n");
}

/* Keywords cannot hide at the edge of the pieces that are decoded at a time. */
static void
nothing_is_lost_between_pieces(void **state)
{
	static const char head[] = TEXT("utf-8", "8bit");
	size_t n = 100000, len;
	char *m = malloc(sizeof(head) + n * 2), *p = m + sizeof(head) - 1, *text;

	memcpy(m, head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		*p++ = (char)0xc3;
		*p++ = (char)0xa9;
	}
	text = filter_text(m, (size_t)(p - m), FILTER_TEXT_MAX, &len);
	assert_non_null(text);
	assert_int_equal(len, 2 * n + 1);
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(text + 2 * i, "\xc3\xa9", 2);
	free(text);
	free(m);
}

static void
long_text_is_cut(void **state)
{
	size_t n = 300000, len;
	char *m = malloc(n), *text;

	memset(m, 'x', n);
	memcpy(m, "A: b\r\n\r\n", 8);
	for (size_t max = 0; max < 200; max += 13) {
		text = filter_text(m, n, max, &len);
		assert_non_null(text);
		assert_true(len <= max);
		assert_int_equal(text[len], '\0');
		free(text);
	}
	text = filter_text(m, n, 100000, &len);
	assert_true(len > 100000 - 128 && len <= 100000);
	free(text);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_decoded),
		cmocka_unit_test(only_text_parts),
		cmocka_unit_test(nothing_is_lost_between_pieces),
		cmocka_unit_test(long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
