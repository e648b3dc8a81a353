/* SPDX-License-Identifier: ISC */
/* imap_lex.c and imap_parse.c: commands with literals, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/imap/imap_lex.h"
#include "common/imap/imap_parse.h"

#define HAVE(s) (const uint8_t *)(s), sizeof(s) - 1

/* What happened, as text: C[command] B[tag:error] +[size] -[size] X. Literals above
 * 100 octets are streamed when the command has the word APPEND, else refused. */
static void
run(const uint8_t *in, size_t len, size_t step, char *out, size_t cap)
{
	struct imap_lex l;
	size_t n = 0;
	char tag[32];

	imap_lex_init(&l, 200, 100, 400);
	out[0] = '\0';
	for (size_t at = 0; at < len;) {
		size_t end = at + step < len ? at + step : len, used;
		enum imap_lex_event ev = imap_lex_next(&l, in + at, end - at, &used);

		assert_true(used <= end - at);
		at += used;
		switch (ev) {
		case IMAP_LEX_MORE:
			assert_int_equal(at, end);
			break;
		case IMAP_LEX_LITERAL:
			n += (size_t)snprintf(out + n, cap - n, "%c%llu ",
			    l.literal_sync ? '+' : '-',
			    (unsigned long long)l.literal_size);
			if (l.len > 10 && memcmp(l.buf + 2, "APPEND", 6) == 0)
				imap_lex_stream(&l);
			else if (imap_lex_accept(&l) == -1 &&
				 imap_lex_refuse(&l, "refused") == -1) {
				snprintf(out + n, cap - n, "X");
				imap_lex_clear(&l);
				return;
			}
			break;
		case IMAP_LEX_DATA:
			n += (size_t)snprintf(out + n, cap - n, "%.*s", (int)l.data_len,
			    (const char *)l.data);
			break;
		case IMAP_LEX_COMMAND:
			n += (size_t)snprintf(
			    out + n, cap - n, "C[%.*s]", (int)l.len, l.buf);
			imap_lex_reset(&l);
			break;
		case IMAP_LEX_BAD:
			imap_lex_tag(&l, tag, sizeof(tag));
			n += (size_t)snprintf(out + n, cap - n, "B[%s:%s]", tag, l.error);
			imap_lex_reset(&l);
			break;
		case IMAP_LEX_CLOSE:
			snprintf(out + n, cap - n, "X");
			imap_lex_clear(&l);
			return;
		}
	}
	imap_lex_clear(&l);
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
	const char *in;
	size_t len;
	const char *out;
} rows[] = {
#define ROW(in, out)                    \
	{                               \
		in, sizeof(in) - 1, out \
	}
	ROW("a NOOP\r\n", "C[a NOOP]"),
	ROW("\r\n", "C[]"),
	ROW("a NOOP\r\nb NOOP\r\n", "C[a NOOP]C[b NOOP]"),
	ROW("a LOGIN {5}\r\nalice {6}\r\nsecret\r\n",
	    "+5 +6 C[a LOGIN {5}\r\nalice {6}\r\nsecret]"),
	ROW("a LOGIN {5+}\r\nalice {0+}\r\n\r\n",
	    "-5 -0 C[a LOGIN {5+}\r\nalice {0+}\r\n]"),
	ROW("a X {4}\r\n\r\n\r\n\r\n", "+4 C[a X {4}\r\n\r\n\r\n]"),
	ROW("a X \"{5}\"\r\n", "C[a X \"{5}\"]"),
	ROW("a X {}\r\n", "C[a X {}]"),
	ROW("a NOOP\n", "B[a:Lines end in CRLF]"),
	ROW("a NO\rOP\r\n", "B[a:CR in command]"),
	ROW("a NO\0OP\r\n", "B[a:NUL in command]"),
	ROW("a NO\0OP {3+}\r\nabc\r\nb NOOP\r\n", "B[a:NUL in command]C[b NOOP]"),
	ROW("a X {101}\r\nb NOOP\r\n", "+101 C[b NOOP]"),
	ROW("a X {101+}\r\n" HUNDRED "!\r\nb NOOP\r\n", "-101 B[a:refused]C[b NOOP]"),
	ROW("a X {4294967296}\r\nb NOOP\r\n", "+4294967296 C[b NOOP]"),
	ROW("a X {4294967296+}\r\nxx", "-4294967296 X"),
	ROW("a X {99999999999999999999999}\r\n", "+18446744073709551615 "),
	ROW("a " HUNDRED HUNDRED "\r\nb NOOP\r\n", "B[a:Command too long]C[b NOOP]"),
	ROW("a " HUNDRED HUNDRED HUNDRED " {3+}\r\nabc {2+}\r\nxy\r\nb NOOP\r\n",
	    "B[a:Command too long]C[b NOOP]"),
	ROW("a " HUNDRED HUNDRED " {3}\r\nb NOOP\r\n", "B[a:Command too long]C[b NOOP]"),
	ROW("a APPEND x {3}\r\nabc\r\nb NOOP\r\n",
	    "+3 abcC[a APPEND x {3}\r\n]C[b NOOP]"),
	ROW("a APPEND x {3+}\r\nabc {3+}\r\ndef\r\n",
	    "-3 abc-3 defC[a APPEND x {3+}\r\n {3+}\r\n]"),
};

static void
test_lex(void **state)
{
	char out[4096];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step <= 1000;
		     step = step < 8 ? step + 1 : step * 11) {
			run((const uint8_t *)rows[i].in, rows[i].len, step, out,
			    sizeof(out));
			assert_string_equal(out, rows[i].out);
		}
}

static void
test_tokens(void **state)
{
	char line[] = "tag atom INBOX] \"a\\\"b\\\\\" {3}\r\nx\ny {2+}\r\nhi 42 \\Seen "
		      "$Junk lis%t*";
	struct imap_args a;
	struct imap_str v;
	uint32_t n;
	char buf[8];

	imap_args_init(&a, line, sizeof(line) - 1);
	assert_int_equal(imap_tag(&a, &v), 0);
	assert_true(imap_str_is(&v, "TAG"));
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_atom(&a, &v), 0);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_astring(&a, &v), 0);
	assert_int_equal(v.len, 6);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_string(&a, &v), 0);
	assert_int_equal(imap_str_copy(&v, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "a\"b\\");
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_astring(&a, &v), 0);
	assert_memory_equal(v.s, "x\ny", 3);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_string(&a, &v), 0);
	assert_memory_equal(v.s, "hi", 2);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_number(&a, &n), 0);
	assert_int_equal(n, 42);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_flag(&a, &v), 0);
	assert_true(imap_str_is(&v, "\\seen"));
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_flag(&a, &v), 0);
	assert_int_equal(imap_sp(&a), 0);
	assert_int_equal(imap_list_mailbox(&a, &v), 0);
	assert_int_equal(v.len, 6);
	assert_int_equal(imap_end(&a), 0);
	assert_null(a.error);
	assert_int_equal(imap_sp(&a), -1);
	assert_string_equal(a.error, "Missing argument");
}

static void
test_malformed(void **state)
{
	static const char *const strings[] = { "\"", "\"abc", "\"a\\", "\"a\\n\"",
		"{5}\r\nabc", "{", "{3", "{3}", "{3}\r\n", "{-1}\r\n",
		"{99999999999999999999}\r\nabc", "(" };
	struct imap_args a;
	struct imap_str v;
	char buf[64];
	uint32_t n;

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		snprintf(buf, sizeof(buf), "%s", strings[i]);
		imap_args_init(&a, buf, strlen(buf));
		assert_int_equal(imap_astring(&a, &v), -1);
		assert_non_null(a.error);
	}
	strcpy(buf, "4294967296");
	imap_args_init(&a, buf, strlen(buf));
	assert_int_equal(imap_number(&a, &n), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lex),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
