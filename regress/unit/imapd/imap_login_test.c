/* SPDX-License-Identifier: ISC */
/* The IMAP login machine: dialogues whole and byte by byte, with an authd that knows
 * alice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "common/imap/imap_capability.h"
#include "imapd/imap_login.h"

#define ALICE "\0alice@example.test\0secret"

/* How the shell would do it; returns the octets that were left over at the end. */
static size_t
run(const struct login_facts *facts, const char *in, size_t len, size_t step,
    struct evbuffer *out, bool mailbox, bool continues)
{
	struct login *l = imap_login_new(facts);
	size_t at = 0;

	assert_non_null(l);
	evbuffer_add_buffer(out, l->out);
	while (at < len) {
		size_t end = at + step < len ? at + step : len;
		struct login_sasl sasl;

		at += imap_login_input(l, (const uint8_t *)in + at, end - at);
		evbuffer_add_buffer(out, l->out);
		switch (login_action(l, &sasl)) {
		case LOGIN_NONE:
			assert_int_equal(at, end);
			break;
		case LOGIN_STARTTLS:
			evbuffer_add_printf(out, "[tls]");
			at = end; /* what came in plain is lost */
			imap_login_tls_ready(l);
			break;
		case LOGIN_SASL:
			assert_string_equal(sasl.mechanism, "PLAIN");
			if (continues && sasl.first) {
				imap_login_result(
				    l, LOGIN_CONTINUE, (const uint8_t *)"more", 4, "");
			} else if (sasl.len == sizeof(ALICE) - 1 &&
				   memcmp(sasl.data, ALICE, sasl.len) == 0) {
				imap_login_result(l, LOGIN_OK, NULL, 0, "");
				imap_login_opened(l, mailbox, "Mailbox unavailable");
				if (mailbox) {
					evbuffer_add_buffer(out, l->out);
					imap_login_free(l);
					return len - at;
				}
			} else
				imap_login_result(l, LOGIN_DENIED, NULL, 0, "");
			break;
		case LOGIN_ABORT:
			evbuffer_add_printf(out, "[abort]");
			break;
		case LOGIN_CLOSE:
			evbuffer_add_printf(out, "[close]");
			imap_login_free(l);
			return len - at;
		}
		evbuffer_add_buffer(out, l->out);
	}
	imap_login_free(l);
	return 0;
}

#define BASE_CAPS IMAP_CAPABILITY_BASE " SASL-IR"
#define PLAIN_CAPS BASE_CAPS " AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN"
#define TLS_CAPS                                                                       \
	BASE_CAPS " AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-256 " \
		  "AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN"
#define TLS_GREETING "* OK [CAPABILITY " TLS_CAPS "] mx.example.test ready\r\n"
#define GREETING "* OK [CAPABILITY " PLAIN_CAPS "] mx.example.test ready\r\n"
#define NO_TLS_GREETING                                           \
	"* OK [CAPABILITY " BASE_CAPS " STARTTLS LOGINDISABLED] " \
	"mx.example.test ready\r\n"
#define AFTER "OK [CAPABILITY " IMAP_CAPABILITY_LOGGED_IN "] "
#define B64 "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ="
#define DENIED "NO [AUTHENTICATIONFAILED] Invalid user name or password\r\n"

enum {
	PLAIN_OK,
	TLS_WANTED,
	TLS_DONE,
	NO_MAILBOX,
	CONTINUES
};

static const struct {
	int kind;
	const char *in, *out;
	size_t left;
} rows[] = {
	{ PLAIN_OK, "", GREETING, 0 },
	{ PLAIN_OK, "a CAPABILITY\r\nb NOOP\r\nc LOGOUT\r\n",
	    GREETING "* CAPABILITY " PLAIN_CAPS "\r\na OK CAPABILITY completed\r\n"
		     "b OK NOOP completed\r\n* BYE Logging out\r\nc OK LOGOUT "
		     "completed\r\n[close]",
	    0 },
	{ PLAIN_OK, "a LOGIN alice@example.test secret\r\n",
	    GREETING "a " AFTER "LOGIN completed\r\n", 0 },
	{ PLAIN_OK, "a login \"alice@example.test\" \"secret\"\r\nb SELECT INBOX\r\n",
	    GREETING "a " AFTER "LOGIN completed\r\n", 16 },
	{ PLAIN_OK, "a LOGIN {18}\r\nalice@example.test {6}\r\nsecret\r\n",
	    GREETING "+ Ready for literal\r\n+ Ready for literal\r\na " AFTER
		     "LOGIN completed\r\n",
	    0 },
	{ PLAIN_OK, "a LOGIN {18+}\r\nalice@example.test {6+}\r\nsecret\r\nb NOOP\r\n",
	    GREETING "a " AFTER "LOGIN completed\r\n", 8 },
	{ PLAIN_OK, "a LOGIN alice@example.test wrong\r\nb LOGIN a b\r\n",
	    GREETING "a " DENIED "b " DENIED, 0 },
	{ PLAIN_OK, "a LOGIN {4294967296}\r\nb NOOP\r\n",
	    GREETING "a BAD [TOOBIG] Literal too large\r\nb OK NOOP completed\r\n", 0 },
	{ PLAIN_OK, "a LOGIN {4294967296+}\r\n",
	    GREETING
	    "a BAD [TOOBIG] Literal too large\r\n* BYE Literal too large to skip\r\n"
	    "[close]",
	    0 },
	{ PLAIN_OK, "a AUTHENTICATE PLAIN " B64 "\r\nb NOOP\r\n",
	    GREETING "a " AFTER "AUTHENTICATE completed\r\n", 8 },
	{ PLAIN_OK, "a AUTHENTICATE PLAIN\r\n" B64 "\r\n",
	    GREETING "+ \r\na " AFTER "AUTHENTICATE completed\r\n", 0 },
	{ PLAIN_OK, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n",
	    GREETING "+ \r\na BAD Authentication cancelled\r\nb OK NOOP completed\r\n",
	    0 },
	{ PLAIN_OK, "a AUTHENTICATE PLAIN\r\n%%%\r\nb AUTHENTICATE PLAIN =\r\n",
	    GREETING "+ \r\na BAD Invalid base64\r\nb " DENIED, 0 },
	{ PLAIN_OK, "a AUTHENTICATE PLAIN\r\nx {5}\r\nb NOOP\r\n",
	    GREETING "+ \r\na BAD [TOOBIG] Literal too large\r\nb OK NOOP completed\r\n",
	    0 },
	{ PLAIN_OK, "a AUTHENTICATE CRAM-MD5\r\n",
	    GREETING "a NO [CANNOT] Unsupported authentication mechanism\r\n", 0 },
	{ PLAIN_OK, "a ID NIL\r\nb ID (\"name\" \"x\" \"version\" NIL)\r\n",
	    GREETING "* ID (\"name\" \"fife\")\r\na OK ID completed\r\n"
		     "* ID (\"name\" \"fife\")\r\nb OK ID completed\r\n",
	    0 },
	{ PLAIN_OK, "a STARTTLS\r\n", GREETING "a BAD TLS is not available\r\n", 0 },
	{ PLAIN_OK, "a SELECT INBOX\r\na\r\n\r\n+ x\r\na LOGIN x\r\na NOOP x\r\n",
	    GREETING
	    "a BAD Unknown command, or log in first\r\na BAD Missing command\r\n"
	    "* BAD A command starts with a tag\r\n* BAD A command starts with a tag\r\n"
	    "a BAD Missing argument\r\na BAD Unexpected extra arguments\r\n",
	    0 },
	{ TLS_WANTED, "a LOGIN alice@example.test secret\r\nb AUTHENTICATE PLAIN\r\n",
	    NO_TLS_GREETING
	    "a NO [PRIVACYREQUIRED] LOGIN is refused without TLS\r\n"
	    "b NO [PRIVACYREQUIRED] Authentication is refused without TLS\r\n",
	    0 },
	{ TLS_DONE, "a STARTTLS\r\n", TLS_GREETING "a BAD TLS is active already\r\n", 0 },
	{ NO_MAILBOX, "a LOGIN alice@example.test secret\r\nb NOOP\r\n",
	    GREETING "a NO [UNAVAILABLE] Mailbox unavailable\r\nb OK NOOP completed\r\n",
	    0 },
	{ CONTINUES, "a AUTHENTICATE PLAIN =\r\n" B64 "\r\n",
	    GREETING "+ bW9yZQ==\r\na " AFTER "AUTHENTICATE completed\r\n", 0 },
	{ CONTINUES, "a AUTHENTICATE PLAIN =\r\n*\r\nb NOOP\r\n",
	    GREETING "+ bW9yZQ==\r\na BAD Authentication cancelled\r\n[abort]"
		     "b OK NOOP completed\r\n",
	    0 },
};

static void
test_dialogues(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 10000;
		     step = step < 4 ? step + 1 : step * 7) {
			struct login_facts facts = { "mx.example.test",
				rows[i].kind == TLS_DONE, rows[i].kind == TLS_WANTED,
				rows[i].kind != TLS_WANTED };
			struct evbuffer *out = evbuffer_new();
			size_t left = run(&facts, rows[i].in, strlen(rows[i].in), step,
			    out, rows[i].kind != NO_MAILBOX, rows[i].kind == CONTINUES);

			evbuffer_add(out, "", 1);
			assert_string_equal(
			    (char *)evbuffer_pullup(out, -1), rows[i].out);
			assert_int_equal(left, rows[i].left);
			evbuffer_free(out);
		}
}

/* What follows STARTTLS in the same packet was perhaps put there by another. */
static void
test_starttls(void **state)
{
	static const char in[] = "a STARTTLS\r\nb LOGIN x y\r\n";
	struct login_facts facts = { "mx.example.test", false, true, false };
	struct login_sasl sasl;
	struct login *l = imap_login_new(&facts);
	struct evbuffer *out = l->out;

	assert_int_equal(imap_login_input(l, (const uint8_t *)in, sizeof(in) - 1), 12);
	assert_int_equal(login_action(l, &sasl), LOGIN_STARTTLS);
	evbuffer_drain(out, evbuffer_get_length(out));
	imap_login_tls_ready(l);
	assert_int_equal(
	    imap_login_input(l, (const uint8_t *)"c CAPABILITY\r\n", 14), 14);
	evbuffer_add(out, "", 1);
	assert_string_equal((char *)evbuffer_pullup(out, -1),
	    "* CAPABILITY " TLS_CAPS "\r\nc OK CAPABILITY completed\r\n");
	imap_login_free(l);
}

static void
test_too_many_errors(void **state)
{
	struct login_facts facts = { "mx.example.test", false, false, true };
	struct login_sasl sasl;
	struct login *l = imap_login_new(&facts);
	enum login_action action = LOGIN_NONE;

	for (int i = 0; i < 1000 && action == LOGIN_NONE; i++) {
		imap_login_input(l, (const uint8_t *)"a X\r\n", 5);
		action = login_action(l, &sasl);
	}
	assert_int_equal(action, LOGIN_CLOSE);
	imap_login_free(l);
}

/* A certificate that was shown behind STARTTLS. */
static void
external_is_offered(void **state)
{
	static const char capability[] = "a CAPABILITY\r\n",
			  auth[] = "b AUTHENTICATE EXTERNAL =\r\n";
	struct login_facts facts = { "mx.example.test", false, true, true, false };
	struct login *l = imap_login_new(&facts);
	struct login_sasl sasl;

	assert_non_null(l);
	imap_login_input(l, (const uint8_t *)auth, sizeof(auth) - 1);
	assert_int_equal(login_action(l, &sasl), LOGIN_NONE);
	l->facts.certificate = true;
	facts.tls = true;
	imap_login_tls_ready(l);
	evbuffer_drain(l->out, evbuffer_get_length(l->out));
	imap_login_input(l, (const uint8_t *)capability, sizeof(capability) - 1);
	evbuffer_add(l->out, "", 1);
	assert_non_null(strstr((char *)evbuffer_pullup(l->out, -1), " AUTH=EXTERNAL "));
	imap_login_input(l, (const uint8_t *)auth, sizeof(auth) - 1);
	assert_int_equal(login_action(l, &sasl), LOGIN_SASL);
	assert_string_equal(sasl.mechanism, "EXTERNAL");
	assert_int_equal(sasl.first, 2);
	assert_int_equal(sasl.len, 0);
	imap_login_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(external_is_offered),
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_too_many_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
