/* SPDX-License-Identifier: ISC */
/* 8-bit messages to 7-bit ones and binary ones to 8-bit ones, in one piece and octet by
 * octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/compat/compat.h"
#include "common/proto/recode.h"

static char out[65536];
static size_t out_len;

static int
put(void *arg, const void *p, size_t len)
{
	assert_true(out_len + len < sizeof(out));
	memcpy(out + out_len, p, len);
	out_len += len;
	return 0;
}

static bool impossible;

static bool
recode(enum recode_to to, const char *in, size_t len, size_t step)
{
	struct recode *c = recode_new(to, put, NULL);
	bool any;

	assert_non_null(c);
	out_len = 0;
	for (size_t at = 0; at < len; at += step)
		assert_int_equal(
		    recode_scan(c, in + at, len - at < step ? len - at : step), 0);
	assert_int_equal(out_len, 0);
	any = recode_scanned(c);
	impossible = recode_impossible(c);
	for (size_t at = 0; at < len; at += step)
		assert_int_equal(
		    recode_push(c, in + at, len - at < step ? len - at : step), 0);
	assert_int_equal(recode_end(c), 0);
	out[out_len] = '\0';
	recode_free(c);
	return any;
}

static const struct {
	const char *in, *want; /* NULL: as it is, and nothing to be done */
} rows[] = {
	{ "Subject: x\r\n\r\nhello\r\n", NULL },
	{ "Subject: x\r\n", NULL },
	{ "", NULL },
	{ "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n", NULL },
	/* no MIME at all */
	{ "Subject: x\r\n\r\nd\xe9j\xe0 =vu \r\n.\r\n",
	    "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "d=E9j=E0 =3Dvu=20\r\n.\r\n" },
	/* the field in the middle, folded */
	{ "MIME-Version: 1.0\r\nContent-Transfer-Encoding:\r\n 8bit\r\n"
	  "Content-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xbc",
	    "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n=C3=BC" },
	/* it says 8bit and is not */
	{ "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhello\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\nhello\r\n" },
	/* application as base64 */
	{ "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
	  "Content-Transfer-Encoding: binary\r\n\r\nab\xff\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nYWL/DQo=\r\n" },
	/* one part of two, preamble and epilogue, the composite's own encoding */
	{ "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b c\"\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n\r\npreambl\xe9\r\n--b c\r\n\r\nplain\r\n"
	  "--b c\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  "\xff\r\n--b c--\r\nend\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b c\"\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\npreambl?\r\n--b c\r\n\r\nplain\r\n"
	    "--b c\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "/w==\r\n--b c--\r\nend\r\n" },
	/* a message in a message, with a multipart in it whose end is missing */
	{ "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  "Subject: in\r\nMIME-Version: 1.0\r\n"
	  "Content-Type: multipart/alternative; boundary=oi\r\n\r\n--oi\r\n"
	  "Content-Type: text/html; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n\r\n<p>\xc3\xbc</p>\r\n--o--\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
	    "boundary=o\r\n\r\n--o\r\n"
	    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	    "Subject: in\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/alternative; boundary=oi\r\n\r\n--oi\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC</p>\r\n"
	    "--o--\r\n" },
	/* never twice */
	{ "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC \xc3\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC =C3\r\n" },
};

static void
messages(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 1000; step += step == 1 ? 6 : 992) {
			bool any =
			    recode(RECODE_7BIT, rows[i].in, strlen(rows[i].in), step);
			const char *want =
			    rows[i].want != NULL ? rows[i].want : rows[i].in;

			if (strcmp(out, want) != 0)
				fail_msg("row %zu, step %zu:\n%s", i, step, out);
			assert_int_equal(any, rows[i].want != NULL);
		}
}

/* A NUL stands for "@". */
static const struct {
	const char *in, *want; /* NULL: as it is, and nothing to be done */
	bool impossible;
} to_8bit[] = {
	{ "Subject: x\r\n\r\nd\xe9j\xe0\r\n", NULL, false },
	{ "Content-Transfer-Encoding: 8bit\r\n\r\nd\xe9j\xe0 \rx\ny\r\n", NULL, false },
	/* the encoding's name stays where it was, and the octets what they were */
	{ "Content-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n"
	  "Content-Type: text/plain\r\n\r\na\rb\nc\xff\r\n",
	    "Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain\r\n\r\nYQ1iCmP/DQo=\r\n",
	    false },
	{ "Subject: x\r\n\r\na@b",
	    "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nYQBi\r\n",
	    false },
	/* only the parts that need it; a composite part is 8bit then */
	{ "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	  "Content-Transfer-Encoding: "
	  "binary\r\n\r\npreamble\r\n--b\r\n\r\n\xe9\r\n--b\r\n"
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	  "Content-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n@@\r\n"
	  "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41@\r\n--b--\r\n",
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	    "Content-Transfer-Encoding: "
	    "8bit\r\n\r\npreamble\r\n--b\r\n\r\n\xe9\r\n--b\r\n"
	    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	    "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n"
	    "--b\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\n=41=00\r\n--b--\r\n",
	    false },
	/* nothing can hold these */
	{ "Subject: @\r\n\r\nx\r\n", NULL, true },
	{ "Content-Transfer-Encoding: base64\r\n\r\nYQ@==\r\n", NULL, true },
	{ "Content-Transfer-Encoding: x-uuencode\r\n\r\n@\r\n", NULL, true },
	{ "Content-Transfer-Encoding: x-none\r\n\r\n@\r\n", NULL, true },
	{ "Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\n@\r\n--x--\r\n", NULL, true },
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n@\r\n--b--\r\n", NULL, true },
	{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b@\r\n\r\nx--b--\r\n", NULL,
	    true },
};

static void
binary(void **state)
{
	char in[2048];

	for (size_t i = 0; i < sizeof(to_8bit) / sizeof(to_8bit[0]); i++)
		for (size_t step = 1; step < 1000; step += step == 1 ? 6 : 992) {
			size_t len = strlcpy(in, to_8bit[i].in, sizeof(in));
			const char *want =
			    to_8bit[i].want != NULL ? to_8bit[i].want : to_8bit[i].in;
			bool any;

			for (size_t k = 0; k < len; k++)
				if (in[k] == '@')
					in[k] = '\0';
			any = recode(RECODE_8BIT, in, len, step);
			assert_int_equal(impossible, to_8bit[i].impossible);
			if (impossible)
				continue;
			if (strcmp(out, want) != 0 || out_len != strlen(out))
				fail_msg("row %zu, step %zu:\n%s", i, step, out);
			assert_int_equal(any, to_8bit[i].want != NULL);
		}
}

static void
long_lines(void **state)
{
	static char in[20000];
	size_t n = (size_t)snprintf(
	    in, sizeof(in), "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n");

	memset(in + n, 'x', 5000);
	memcpy(in + n + 5000, "\xe9\r\nend\r\n", 8);
	n += 5008;
	for (size_t step = 1; step < 20000; step += step == 1 ? 510 : 20000) {
		size_t column = 0;

		assert_true(recode(RECODE_7BIT, in, n, step));
		for (size_t i = 0; i < out_len; i++) {
			assert_true((unsigned char)out[i] < 0x80);
			column = out[i] == '\n' ? 0 : column + 1;
			assert_true(column <= 77);
		}
		assert_non_null(strstr(out, "=E9\r\nend\r\n"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(messages),
		cmocka_unit_test(binary), cmocka_unit_test(long_lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
