/* SPDX-License-Identifier: ISC */
/* The POP3 login machine: dialogues whole and byte by byte, with an authd that knows
 * alice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "pop3d/pop3_login.h"

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
		kind != TLS_WANTED };
	struct login *l = pop3_login_new(&facts);
	size_t at = 0;
	bool over = false;

	assert_non_null(l);
	evbuffer_add_buffer(out, l->out);
	while (at < len && !over) {
		size_t end = at + step < len ? at + step : len;
		struct login_sasl sasl;

		at += pop3_login_input(l, (const uint8_t *)in + at, end - at);
		evbuffer_add_buffer(out, l->out);
		switch (login_action(l, &sasl)) {
		case LOGIN_NONE:
			assert_int_equal(at, end);
			break;
		case LOGIN_STARTTLS:
			at = len; /* lost */
			evbuffer_add_printf(out, "[tls]");
			pop3_login_tls_ready(l);
			pop3_login_input(l, (const uint8_t *)"PASS x\r\nCAPA\r\n", 14);
			break;
		case LOGIN_SASL:
			if (sasl.len == sizeof(ALICE) - 1 &&
			    memcmp(sasl.data, ALICE, sasl.len) == 0) {
				pop3_login_result(l, LOGIN_OK, NULL, 0, "");
				pop3_login_opened(
				    l, kind != NO_MAILBOX, "mailbox unavailable");
				over = kind != NO_MAILBOX;
				if (over)
					evbuffer_add_printf(out, "[hello]");
			} else
				pop3_login_result(l, LOGIN_DENIED, NULL, 0, "");
			break;
		case LOGIN_ABORT:
			break;
		case LOGIN_CLOSE:
			evbuffer_add_printf(out, "[close]");
			over = true;
			break;
		}
		evbuffer_add_buffer(out, l->out);
	}
	pop3_login_free(l);
	return len - at;
}

#define GREETING "+OK mx.example.test ready\r\n"
#define DENIED "-ERR [AUTH] invalid user name or password\r\n"
#define CAPA                                                      \
	"+OK "                                                    \
	"capabilities\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-" \
	"CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"                  \
	"UTF8 USER\r\nLANG\r\nIMPLEMENTATION fife\r\n"

static const struct {
	int kind;
	const char *in, *out;
	size_t left;
} rows[] = {
	{ PLAIN_OK, "CAPA\r\nQUIT\r\nCAPA\r\n",
	    GREETING CAPA "USER\r\nSASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN "
			  "LOGIN\r\n.\r\n+OK bye\r\n[close]",
	    6 },
	{ PLAIN_OK, "USER alice@example.test\r\nPASS se cret\r\nSTAT\r\n",
	    GREETING "+OK password please\r\n[hello]", 6 },
	{ PLAIN_OK, "USER alice@example.test\r\nPASS wrong\r\nPASS se cret\r\n",
	    GREETING "+OK password please\r\n" DENIED "-ERR USER first\r\n", 0 },
	{ PLAIN_OK, "AUTH\r\nAUTH PLAIN " B64 "\r\nLIST\r\n",
	    GREETING "+OK "
		     "mechanisms\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nPLAIN\r\nLOGIN\r\n."
		     "\r\n[hello]",
	    6 },
	{ PLAIN_OK, "AUTH PLAIN\r\n" B64 "\r\n", GREETING "+ \r\n[hello]", 0 },
	{ PLAIN_OK, "AUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH PLAIN !\r\nAUTH X\r\n",
	    GREETING "+ \r\n-ERR authentication cancelled\r\n" DENIED
		     "-ERR invalid base64\r\n-ERR unsupported mechanism\r\n",
	    0 },
	{ PLAIN_OK, "NOOP\r\nSTAT\r\nPASS x\r\nUSER\r\nSTLS\r\nCAPA x\r\n",
	    GREETING "-ERR unknown command, or log in first\r\n"
		     "-ERR unknown command, or log in first\r\n-ERR USER first\r\n"
		     "-ERR wrong number of arguments\r\n-ERR TLS is not available\r\n"
		     "-ERR wrong number of arguments\r\n",
	    0 },
	{ TLS_WANTED, "CAPA\r\nUSER x\r\nAUTH PLAIN\r\nSTLS\r\nUSER x\r\n",
	    GREETING CAPA "STLS\r\n.\r\n-ERR [AUTH] login is refused without TLS\r\n"
			  "-ERR [AUTH] login is refused without TLS\r\n"
			  "+OK begin TLS negotiation\r\n[tls]-ERR USER first\r\n" CAPA
			  "USER\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "
			  "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN "
			  "LOGIN\r\n.\r\n",
	    0 },
	{ PLAIN_OK,
	    "LANG\r\nLANG zh\r\nUSER\r\nSTLS\r\nPASS x\r\nLANG de\r\nLANG en-GB\r\n",
	    GREETING
	    "+OK languages\r\nen English\r\nzh 中文\r\n.\r\n+OK zh 语言已更改\r\n"
	    "-ERR 参数个数不对\r\n-ERR TLS 不可用\r\n-ERR 请先发送 USER\r\n"
	    "-ERR 没有这种语言\r\n+OK en language changed\r\n",
	    0 },
	{ PLAIN_OK, "UTF8\r\nUTF8 x\r\nUSER \xff\r\nUSER a\r\nPASS \xfc\r\n",
	    GREETING "+OK UTF-8 is enabled\r\n-ERR wrong number of arguments\r\n"
		     "-ERR not UTF-8\r\n+OK password please\r\n-ERR not UTF-8\r\n",
	    0 },
	{ TLS_WANTED, "UTF8\r\nSTLS\r\n",
	    GREETING "+OK UTF-8 is enabled\r\n-ERR no STLS after UTF8\r\n", 0 },
	{ NO_MAILBOX, "AUTH PLAIN " B64 "\r\n",
	    GREETING "-ERR [SYS/TEMP] mailbox unavailable\r\n", 0 },
};

static void
test_dialogues(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 10000; step *= 7) {
			struct evbuffer *out = evbuffer_new();
			size_t left =
			    run(rows[i].kind, rows[i].in, strlen(rows[i].in), step, out);

			evbuffer_add(out, "", 1);
			assert_string_equal(
			    (char *)evbuffer_pullup(out, -1), rows[i].out);
			assert_int_equal(left, rows[i].left);
			evbuffer_free(out);
		}
}

static void
test_too_many_errors(void **state)
{
	struct evbuffer *out = evbuffer_new();
	static const char x[] =
	    "X\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\n"
	    "X\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\n";

	assert_int_equal(run(PLAIN_OK, x, sizeof(x) - 1, 100, out), 3 * 7);
	evbuffer_free(out);
}

/* A certificate that was shown behind STARTTLS. */
static void
external_is_offered(void **state)
{
	static const char capability[] = "CAPA\r\n", auth[] = "AUTH EXTERNAL =\r\n";
	struct login_facts facts = { "mx.example.test", false, true, true, false };
	struct login *l = pop3_login_new(&facts);
	struct login_sasl sasl;

	assert_non_null(l);
	pop3_login_input(l, (const uint8_t *)auth, sizeof(auth) - 1);
	assert_int_equal(login_action(l, &sasl), LOGIN_NONE);
	l->facts.certificate = true;
	facts.tls = true;
	pop3_login_tls_ready(l);
	evbuffer_drain(l->out, evbuffer_get_length(l->out));
	pop3_login_input(l, (const uint8_t *)capability, sizeof(capability) - 1);
	evbuffer_add(l->out, "", 1);
	assert_non_null(strstr((char *)evbuffer_pullup(l->out, -1), "SASL EXTERNAL "));
	pop3_login_input(l, (const uint8_t *)auth, sizeof(auth) - 1);
	assert_int_equal(login_action(l, &sasl), LOGIN_SASL);
	assert_string_equal(sasl.mechanism, "EXTERNAL");
	assert_int_equal(sasl.first, 2);
	assert_int_equal(sasl.len, 0);
	pop3_login_free(l);
}

/* What the mailbox process is told. */
static void
hello_says_all(void **state)
{
	static const char in[] = "UTF8\r\nLANG zh\r\n";
	struct login_facts facts = { .hostname = "mx.example.test",
		.plain_auth = true,
		.utf8_strict = true,
		.login_delay_s = 90 };
	struct login *l = pop3_login_new(&facts);
	char hello[LOGIN_HELLO_MAX];
	size_t n;

	assert_non_null(l);
	pop3_login_input(l, (const uint8_t *)in, sizeof(in) - 1);
	n = pop3_login_hello(l, hello);
	assert_int_equal(n, strlen(hello));
	assert_string_equal(hello,
	    "FIFE utf8=1 strict=1 lang=zh delay=90 sasl= SCRAM-SHA-256 SCRAM-SHA-1 PLAIN "
	    "LOGIN\r\n");
	pop3_login_free(l);
}

/* LOGIN-DELAY: its own response code. */
static void
too_soon_is_told(void **state)
{
	struct login_facts facts = { .hostname = "mx.example.test", .plain_auth = true };
	struct login *l = pop3_login_new(&facts);
	struct login_sasl sasl;

	assert_non_null(l);
	pop3_login_input(l, (const uint8_t *)"AUTH PLAIN " B64 "\r\n", 13 + 36);
	assert_int_equal(login_action(l, &sasl), LOGIN_SASL);
	evbuffer_drain(l->out, evbuffer_get_length(l->out));
	pop3_login_result(l, LOGIN_TOO_SOON, NULL, 0, "");
	evbuffer_add(l->out, "", 1);
	assert_int_equal(
	    strncmp((char *)evbuffer_pullup(l->out, -1), "-ERR [LOGIN-DELAY] ", 19), 0);
	assert_true(login_wants_input(l));
	pop3_login_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_says_all),
		cmocka_unit_test(too_soon_is_told),
		cmocka_unit_test(external_is_offered),
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_too_many_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
