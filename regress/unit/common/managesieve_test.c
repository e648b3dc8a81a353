/* SPDX-License-Identifier: ISC */
/* Commands of ManageSieve: whole, octet by octet, and malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "common/sieve/managesieve.h"

/* What a command was read as: VERB s:string n:number w:word. */
static void
describe(const struct managesieve_reader *r, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", r->verb != NULL ? r->verb : "-");

	for (size_t i = 0; i < r->n_args; i++) {
		const struct managesieve_arg *a = &r->args[i];

		if (a->kind == MANAGESIEVE_NUMBER)
			n += (size_t)snprintf(
			    out + n, cap - n, " n:%llu", (unsigned long long)a->number);
		else
			n += (size_t)snprintf(out + n, cap - n, " %c:%.*s",
			    a->kind == MANAGESIEVE_STRING ? 's' : 'w', (int)a->len, a->s);
		assert_int_equal(a->s[a->len], '\0');
	}
}

static void
run(const char *in, size_t step, const char *wanted)
{
	struct managesieve_reader r;
	char out[2048] = "", one[512];
	size_t len = strlen(in), at = 0, n = 0;

	managesieve_init(&r, 100);
	while (at < len) {
		size_t part = len - at < step ? len - at : step, used;
		/* A copy of just that size, so that reading beyond it is seen. */
		uint8_t *copy = malloc(part);
		enum managesieve_event ev;

		assert_non_null(copy);
		memcpy(copy, in + at, part);
		ev = managesieve_read(&r, copy, part, &used);
		free(copy);
		at += used;
		switch (ev) {
		case MANAGESIEVE_MORE:
			assert_int_equal(used, part);
			continue;
		case MANAGESIEVE_COMMAND:
			describe(&r, one, sizeof(one));
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s|", one);
			break;
		case MANAGESIEVE_BAD:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "bad|");
			break;
		case MANAGESIEVE_FATAL:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "fatal|");
			at = len;
			break;
		}
	}
	managesieve_clear(&r);
	assert_string_equal(out, wanted);
}

static void
test_commands(void **state)
{
	static const struct {
		const char *in, *wanted;
	} rows[] = {
		{ "NOOP\r\n", "NOOP|" },
		{ "NOOP\nnoop \"a b\"\r\n", "NOOP|noop s:a b|" },
		{ "HAVESPACE \"my \\\"x\\\\\" 4711\r\n", "HAVESPACE s:my \"x\\ n:4711|" },
		{ "PUTSCRIPT \"a\" {7+}\r\nkeep;\r\n\r\nNOOP\r\n",
		    "PUTSCRIPT s:a s:keep;\r\n|NOOP|" },
		{ "PUTSCRIPT {1+}\r\na {5+}\r\nkeep;\r\n", "PUTSCRIPT s:a s:keep;|" },
		{ "PUTSCRIPT {1+}\r\na {0+}\r\n\r\nNOOP\r\n", "PUTSCRIPT s:a s:|NOOP|" },
		{ "PUTSCRIPT \"a\" {3+}\r\n{9}\r\n", "PUTSCRIPT s:a s:{9}|" },
		{ "\"AGFsaWNl\"\r\n*\r\n", "- s:AGFsaWNl|*|" },
		{ "\r\nNOOP\r\n", "bad|NOOP|" },
		{ "NOOP \"a\r\nNOOP\r\n", "bad|NOOP|" },
		{ "NOOP (\r\nNOOP \"a\"\"b\"\r\n", "bad|bad|" },
		{ "NOOP 99999999999\r\n", "bad|" },
		{ "X \"1\" \"2\" \"3\" \"4\" \"5\"\r\n", "bad|" },
		/* 101 octets are one too many, and passed over. */
		{ "P \"a\" {101+}\r\n"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\nNOOP\r\n",
		    "bad|NOOP|" },
		{ "P {9999999999+}\r\nabc", "fatal|" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 300; step = step < 4 ? step + 1 : step * 4)
			run(rows[i].in, step, rows[i].wanted);
}

static void
test_bounds(void **state)
{
	char *s = malloc(40001);

	assert_non_null(s);
	memset(s, 'a', 40000);
	s[40000] = '\0';
	run(s, 1000, "fatal|");
	free(s);
}

static void
test_strings(void **state)
{
	struct evbuffer *b = evbuffer_new();

	assert_non_null(b);
	managesieve_put_string(b, "a\"\\b", 4);
	managesieve_put_string(b, "a\r\nb", 4);
	managesieve_reply(b, "NO", "ACTIVE", "x");
	evbuffer_add(b, "", 1);
	assert_string_equal((char *)evbuffer_pullup(b, -1),
	    "\"a\\\"\\\\b\"{4}\r\na\r\nbNO (ACTIVE) \"x\"\r\n");
	evbuffer_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
