/* SPDX-License-Identifier: ISC */
/* The ManageSieve login machine: dialogues whole and byte by byte, with an authd that
 * knows alice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "sieved/sieve_login.h"

#define ALICE "\0alice@example.test\0se cret"
#define B64 "AGFsaWNlQGV4YW1wbGUudGVzdABzZSBjcmV0"

enum {
	PLAIN_OK,
	TLS_WANTED,
	NO_MAILBOX
};

/* Returns the octets that were left for the relay. */
static size_t
run(int kind, const char *in, size_t len, size_t step, struct evbuffer *out)
{
	struct login_facts facts = { "mx.example.test", false, kind == TLS_WANTED,
		kind != TLS_WANTED, false };
	struct login *l = sieve_login_new(&facts);
	size_t at = 0;
	bool over = false;

	assert_non_null(l);
	/* The greeting is looked at once, below. */
	evbuffer_drain(l->out, evbuffer_get_length(l->out));
	while (at < len && !over) {
		size_t end = at + step < len ? at + step : len;
		struct login_sasl sasl;

		at += sieve_login_input(l, (const uint8_t *)in + at, end - at);
		evbuffer_add_buffer(out, l->out);
		switch (login_action(l, &sasl)) {
		case LOGIN_NONE:
			assert_int_equal(at, end);
			break;
		case LOGIN_STARTTLS:
			evbuffer_add_printf(out, "[tls]");
			sieve_login_tls_ready(l);
			evbuffer_drain(l->out, evbuffer_get_length(l->out));
			break;
		case LOGIN_SASL:
			if (sasl.len == sizeof(ALICE) - 1 &&
			    memcmp(sasl.data, ALICE, sasl.len) == 0) {
				sieve_login_result(l, LOGIN_OK, NULL, 0, "");
				sieve_login_opened(l, kind != NO_MAILBOX, "no mailbox");
				over = kind != NO_MAILBOX;
			} else if (sasl.first && sasl.len == 1)
				sieve_login_result(
				    l, LOGIN_CONTINUE, (const uint8_t *)"more", 4, "");
			else
				sieve_login_result(l, LOGIN_DENIED, NULL, 0, "");
			break;
		case LOGIN_ABORT:
			evbuffer_add_printf(out, "[abort]");
			break;
		case LOGIN_CLOSE:
			over = true;
			break;
		}
		evbuffer_add_buffer(out, l->out);
	}
	sieve_login_free(l);
	return len - at;
}

static void
dialogue(int kind, const char *in, const char *wanted, size_t left)
{
	for (size_t step = 1; step < 500; step *= 5) {
		struct evbuffer *out = evbuffer_new();

		assert_non_null(out);
		assert_int_equal(run(kind, in, strlen(in), step, out), left);
		evbuffer_add(out, "", 1);
		assert_string_equal((char *)evbuffer_pullup(out, -1), wanted);
		evbuffer_free(out);
	}
}

static void
test_dialogues(void **state)
{
	dialogue(PLAIN_OK, "AUTHENTICATE \"PLAIN\" \"" B64 "\"\r\nLISTSCRIPTS\r\n",
	    "OK \"logged in\"\r\n", 13);
	dialogue(PLAIN_OK, "authenticate \"plain\"\r\n{36+}\r\n" B64 "\r\n",
	    "\"\"\r\nOK \"logged in\"\r\n", 0);
	dialogue(PLAIN_OK, "AUTHENTICATE \"PLAIN\" \"AGEAYg==\"\r\nLOGOUT\r\n",
	    "NO \"invalid user name or password\"\r\nOK \"bye\"\r\n", 0);
	dialogue(PLAIN_OK, "AUTHENTICATE \"PLAIN\" \"eA==\"\r\n*\r\nNOOP \"a\"\r\n",
	    "\"bW9yZQ==\"\r\nNO \"authentication cancelled\"\r\n[abort]OK (TAG \"a\") "
	    "\"done\"\r\n",
	    0);
	dialogue(PLAIN_OK,
	    "AUTHENTICATE \"NOPE\"\r\nAUTHENTICATE PLAIN\r\nLISTSCRIPTS\r\n",
	    "NO \"unsupported mechanism\"\r\n"
	    "NO \"AUTHENTICATE takes a mechanism and perhaps a response\"\r\n"
	    "NO \"unknown command, or log in first\"\r\n",
	    0);
	dialogue(TLS_WANTED,
	    "AUTHENTICATE \"PLAIN\" \"" B64 "\"\r\nSTARTTLS\r\nAUTHENTICATE \"PLAIN\" "
	    "\"" B64 "\"\r\n",
	    "NO (ENCRYPT-NEEDED) \"login is refused without TLS\"\r\n"
	    "OK \"begin TLS negotiation\"\r\n[tls]OK \"logged in\"\r\n",
	    0);
	dialogue(NO_MAILBOX, "AUTHENTICATE \"PLAIN\" \"" B64 "\"\r\nLOGOUT\r\n",
	    "NO (TRYLATER) \"no mailbox\"\r\nOK \"bye\"\r\n", 0);
}

static void
test_greeting(void **state)
{
	struct login_facts facts = { "mx.example.test", false, true, false, false };
	struct login *l = sieve_login_new(&facts);
	struct evbuffer *out;
	char *text;

	assert_non_null(l);
	out = l->out;
	evbuffer_add(out, "", 1);
	text = (char *)evbuffer_pullup(out, -1);
	assert_non_null(strstr(text, "\"SASL\" \"\"\r\n"));
	assert_non_null(strstr(text, "\"STARTTLS\"\r\n"));
	assert_non_null(strstr(text, "\"SIEVE\" \"fileinto "));
	assert_non_null(
	    strstr(text, "\"VERSION\" \"1.0\"\r\nOK \"mx.example.test\"\r\n"));
	sieve_login_free(l);
}

static void
test_errors_end_it(void **state)
{
	char in[SIEVE_LOGIN_BAD_MAX * 3 + 1] = "", *p = in;
	struct evbuffer *out = evbuffer_new();

	for (int i = 0; i < SIEVE_LOGIN_BAD_MAX; i++, p += 3)
		memcpy(p, "X\r\n", 4);
	assert_non_null(out);
	(void)run(PLAIN_OK, in, strlen(in), 1000, out);
	evbuffer_add(out, "", 1);
	assert_non_null(
	    strstr((char *)evbuffer_pullup(out, -1), "BYE \"too many errors\"\r\n"));
	evbuffer_free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_errors_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
