/* SPDX-License-Identifier: ISC */
/* The extensions of the server, each dialogue in one piece and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/unit/smtpd/dialogue.h"

#define HELLO "EHLO client.example\r\n"
#define MAIL HELLO "MAIL FROM:<bob@remote.test>\r\n"
#define ALICE "RCPT TO:<alice@example.test>"
#define END "DATA\r\n.\r\n"
#define IN(s) s, sizeof(s) - 1
#define N(a) (sizeof(a) / sizeof((a)[0]))

static const size_t pieces[] = { 0, 1, 2, 3, 7 };

struct row {
	const char *name;
	enum listener_kind kind;
	const char *in;
	size_t len;
	const char *codes;
	unsigned int committed;
	const char *asked; /* NULL: not looked at */
	const char *content;
};

/* The codes of the final lines. */
static void
codes(const char *out, char *buf, size_t cap)
{
	size_t n = 0;

	for (const char *end; (end = strstr(out, "\r\n")) != NULL; out = end + 2)
		if (end - out >= 4 && out[3] == ' ' && n + 5 < cap) {
			memcpy(buf + n, out, 4);
			n += 4;
		}
	buf[n] = '\0';
}

static void
run_rows(const struct row *rows, size_t n)
{
	char got[4096];

	for (size_t i = 0; i < n; i++)
		for (size_t p = 0; p < N(pieces); p++) {
			const struct row *r = &rows[i];
			struct dialogue d;

			dialogue_init(&d, r->kind, 0);
			smtp_in_start(d.e);
			dialogue_act(&d);
			dialogue_feed(&d, r->in, r->len, pieces[p]);
			codes(d.out, got, sizeof(got));
			if (strcmp(got, r->codes) != 0)
				fail_msg("%s (%zu):\n%s\n%s\n%s", r->name, pieces[p],
				    r->codes, got, d.out);
			if (d.committed != r->committed)
				fail_msg("%s: %u messages", r->name, d.committed);
			if (d.opened != d.committed + d.aborted)
				fail_msg("%s: a transaction was left open", r->name);
			if (r->asked != NULL && strcmp(r->asked, d.asked) != 0)
				fail_msg("%s: asked %s", r->name, d.asked);
			if (r->content != NULL && (strlen(r->content) != d.content_len ||
						      strcmp(r->content, d.content) != 0))
				fail_msg("%s: content %s", r->name, d.content);
			dialogue_clear(&d);
		}
}

static const struct row dsn[] = {
	{ "all of it", LISTENER_SMTP,
	    IN(HELLO "MAIL FROM:<bob@remote.test> RET=HDRS ENVID=QQ+2B3\r\n" ALICE
		     " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Al+2Bx@a.test\r\n"
		     "RCPT TO:<list@example.test> notify=never\r\n" END),
	    "220 250 250 250 250 354 250 ", 1, "2 QQ+2B3 7:rfc822;Al+2Bx@a.test 8:", "" },
	{ "nothing of one message in the next", LISTENER_SMTP,
	    IN(HELLO "MAIL FROM:<b@c.d> RET=FULL ENVID=x\r\n" ALICE
		     " NOTIFY=DELAY ORCPT=x;y\r\nRSET\r\nMAIL FROM:<b@c.d>\r\n" ALICE
		     "\r\n" END),
	    "220 250 250 250 250 250 250 354 250 ", 1, "0  0:", "" },
	{ "of a refused recipient nothing stays", LISTENER_SMTP,
	    IN(MAIL "RCPT TO:<who@example.test> NOTIFY=NEVER ORCPT=x;y\r\n" ALICE
		    "\r\n" END),
	    "220 250 250 550 250 354 250 ", 1, "0  0:", "" },
	{ "utf-8 address", LISTENER_SMTP,
	    IN(MAIL ALICE " ORCPT=utf-8;j\xc3\xb6@x.test\r\n" ALICE
			  " ORCPT=utf-8;j\\x{F6}@x.test\r\n" END),
	    "220 250 250 250 250 354 250 ", 1,
	    "0  0:utf-8;j\xc3\xb6@x.test 0:utf-8;j\\x{F6}@x.test", "" },
	{ "mail's parameters are strict", LISTENER_SMTP,
	    IN(HELLO "MAIL FROM:<b@c.d> RET=ALL\r\nMAIL FROM:<b@c.d> RET\r\n"
		     "MAIL FROM:<b@c.d> RET=FULL RET=FULL\r\nMAIL FROM:<b@c.d> ENVID=\r\n"
		     "MAIL FROM:<b@c.d> ENVID=a+2\r\nMAIL FROM:<b@c.d> ENVID=a+0D+0Ab\r\n"
		     "MAIL FROM:<b@c.d> ENVID=a=b\r\nMAIL FROM:<b@c.d> NOTIFY=NEVER\r\n"
		     "MAIL FROM:<b@c.d> ENVID=j\xc3\xb6\r\n"),
	    "220 250 501 501 501 501 501 501 501 555 501 ", 0, NULL, NULL },
	{ "rcpt's parameters are strict", LISTENER_SMTP,
	    IN(MAIL ALICE " NOTIFY=\r\n" ALICE " NOTIFY\r\n" ALICE
			  " NOTIFY=SUCCESS,\r\n" ALICE " NOTIFY=NEVER,DELAY\r\n" ALICE
			  " NOTIFY=ALWAYS\r\n" ALICE " ORCPT=\r\n" ALICE
			  " ORCPT=a@b.c\r\n" ALICE " ORCPT=;a\r\n" ALICE
			  " ORCPT=rfc822;\r\n" ALICE " ORCPT=rfc822;a+zz\r\n" ALICE
			  " ORCPT=r f;a\r\n" ALICE " ORCPT=rfc822;a+0Ab\r\n" ALICE
			  " RET=FULL\r\n" ALICE " ORCPT=a;b ORCPT=a;b\r\n" ALICE
			  " ORCPT=rfc822;\xc3\xb6\r\n"),
	    "220 250 250 501 501 501 501 501 501 501 501 501 501 501 501 555 501 501 ", 0,
	    NULL, NULL },
};

static void
test_dsn(void **state)
{
	(void)state;
	run_rows(dsn, N(dsn));
}

/* RFC 3461, 5.4: 100 and 500 octets, and no more. */
static void
test_dsn_lengths(void **state)
{
	char buf[1200];

	(void)state;
	for (int over = 0; over < 2; over++) {
		struct dialogue d;
		size_t n;

		dialogue_init(&d, LISTENER_SMTP, 0);
		n = (size_t)snprintf(buf, sizeof(buf),
		    HELLO "MAIL FROM:<> ENVID=%.*s\r\n", 100 + over,
		    (char[102]){ [0 ... 100] = 'e' });
		dialogue_feed(&d, buf, n, 0);
		assert_int_equal(strstr(d.out, "\n501 ") != NULL, over);
		d.out_len = 0;
		n = (size_t)snprintf(buf, sizeof(buf),
		    "RSET\r\nMAIL FROM:<>\r\n" ALICE " ORCPT=x;%.*s\r\n", 498 + over,
		    (char[502]){ [0 ... 500] = 'o' });
		dialogue_feed(&d, buf, n, 0);
		assert_int_equal(strstr(d.out, "\n501 ") != NULL, over);
		dialogue_clear(&d);
	}
}

#define RCPT MAIL ALICE "\r\n"
#define BIN HELLO "MAIL FROM:<b@c.d> BODY=BINARYMIME\r\n" ALICE "\r\n"
#define CODES "220 250 250 250 "

/* RFC 7505, and domains that are not there; logins, bounces and literals are not asked
 * about. */
static void
test_sender_domain(void **state)
{
	static const char in[] = HELLO
	    "MAIL FROM:<a@null.test>\r\nMAIL FROM:<a@no.test>\r\nMAIL "
	    "FROM:<a@temp.test>\r\n"
	    "RCPT TO:<alice@example.test>\r\nMAIL FROM:<a@good.test>\r\n" ALICE "\r\n" END
	    "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<a@[192.0.2.1]>\r\nRSET\r\n"
	    "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\nMAIL "
	    "FROM:<a@no.test>\r\n";
	char got[400];

	(void)state;
	for (size_t p = 0; p < N(pieces); p++) {
		struct smtp_in_facts facts = {
			.kind = LISTENER_SMTP, .tls = 1, .check_sender = 1
		};
		struct dialogue d;

		dialogue_init(&d, LISTENER_SMTP, 1);
		smtp_in_free(d.e);
		d.e = smtp_in_new(&d.conf, &facts);
		dialogue_feed(&d, in, sizeof(in) - 1, pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(
		    got, "250 550 550 450 503 250 250 354 250 250 250 250 250 235 250 ");
		assert_non_null(strstr(d.out, "550 5.7.27 "));
		assert_non_null(strstr(d.out, "550 5.1.8 "));
		assert_non_null(strstr(d.out, "250-LIMITS RCPTMAX=1000\r\n"));
		dialogue_clear(&d);
	}
}

static const struct row denied[] = {
	{ "xclient of anybody", LISTENER_SMTP,
	    IN("XCLIENT ADDR=192.0.2.1\r\n" HELLO
	       "XCLIENT ADDR=192.0.2.1\r\nXFORWARD NAME=x\r\n"),
	    "220 550 250 550 550 ", 0, NULL, NULL },
};

static void
test_xclient(void **state)
{
	static const char in[] =
	    HELLO "XCLIENT NAME=mail.remote.test ADDR=192.0.2.1 PORT=25 PROTO=SMTP "
		  "HELO=they\r\n"
		  "MAIL FROM:<>\r\nXCLIENT LOGIN=x\r\nXCLIENT\r\n" HELLO
		  "XFORWARD NAME=a.b IDENT=Q+20x\r\n"
		  "XFORWARD SOURCE=LOCAL\r\nXFORWARD FOO=x\r\nMAIL FROM:<>\r\nXCLIENT "
		  "NAME=x.y\r\n";
	char got[400];

	(void)state;
	run_rows(denied, 1);
	for (size_t p = 0; p < N(pieces); p++) {
		struct smtp_in_facts facts = {
			.kind = LISTENER_SMTP, .tls = 1, .xclient = 1
		};
		struct dialogue d;

		dialogue_init(&d, LISTENER_SMTP, 1);
		smtp_in_free(d.e);
		d.e = smtp_in_new(&d.conf, &facts);
		dialogue_feed(&d, in, sizeof(in) - 1, pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, "250 220 503 501 501 250 250 250 501 250 503 ");
		assert_string_equal(d.asked, "1f mail.remote.test they");
		assert_non_null(
		    strstr(d.out, "250-XCLIENT NAME ADDR PORT PROTO HELO\r\n"));
		assert_string_equal(smtp_in_forward(d.e)->ident, "Q x");
		assert_string_equal(smtp_in_forward(d.e)->source, "LOCAL");
		/* Not for the next message. */
		dialogue_feed(&d, IN("RSET\r\n"), 0);
		assert_null(smtp_in_forward(d.e));
		/* Nothing of a login stays with another client. */
		d.out_len = 0;
		dialogue_feed(&d,
		    IN("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\nXCLIENT "
		       "ADDR=IPV6:::1\r\n" HELLO
		       "MAIL FROM:<>\r\nRCPT TO:<x@remote.test>\r\n"),
		    pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, "235 220 250 250 550 ");
		dialogue_clear(&d);
	}
}

static void
test_etrn(void **state)
{
	static const struct row stranger = { "etrn of anybody", LISTENER_SMTP,
		IN(HELLO "ETRN good.test\r\n"), "220 250 502 ", 0, NULL, NULL };
	char got[200];

	(void)state;
	run_rows(&stranger, 1);
	for (size_t p = 0; p < N(pieces); p++) {
		struct smtp_in_facts facts = { .kind = LISTENER_SMTP, .etrn = 1 };
		struct dialogue d;

		dialogue_init(&d, LISTENER_SMTP, 0);
		smtp_in_free(d.e);
		d.e = smtp_in_new(&d.conf, &facts);
		dialogue_feed(&d,
		    IN("ETRN good.test\r\n" HELLO
		       "ETRN\r\nETRN @good.test\r\nETRN #1\r\nETRN a b\r\n"
		       "ETRN busy.test\r\nMAIL FROM:<>\r\nETRN good.test\r\nRSET\r\nETRN "
		       "good.test\r\n"),
		    pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, "503 250 501 501 501 501 458 250 503 250 250 ");
		assert_string_equal(d.asked, "good.test");
		assert_non_null(strstr(d.out, "250-ETRN\r\n"));
		dialogue_clear(&d);
	}
}

static const struct row bdat[] = {
	{ "one chunk", LISTENER_SMTP,
	    IN(RCPT "BDAT 15 LAST\r\nSubject: x\r\n\r\nhNOOP\r\n"), CODES "250 250 ", 1,
	    NULL, "Subject: x\r\n\r\nh" },
	{ "three, dots and all", LISTENER_SMTP,
	    IN(RCPT "BDAT 6\r\nA: b\r\nbdat 7\r\n\r\n.\r\n..BDAT 2 last\r\n\r\nQUIT\r\n"),
	    CODES "250 250 250 221 ", 1, NULL, "A: b\r\n\r\n.\r\n..\r\n" },
	{ "empty ones", LISTENER_SMTP,
	    IN(RCPT "BDAT 0\r\nBDAT 0 LAST\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	    CODES "250 250 503 250 ", 1, NULL, "" },
	{ "content that looks like commands", LISTENER_SMTP,
	    IN(RCPT "BDAT 20\r\n\r\n.\r\nQUIT\r\nRSET\r\nX\r\nBDAT 6 "
		    "LAST\r\nDATA\r\nNOOP\r\n"),
	    CODES "250 250 250 ", 1, NULL, "\r\n.\r\nQUIT\r\nRSET\r\nX\r\nDATA\r\n" },
	{ "two messages", LISTENER_SMTP,
	    IN(RCPT "BDAT 1 LAST\r\naMAIL FROM:<>\r\n" ALICE
		    "\r\nDATA\r\nb\r\n.\r\nMAIL FROM:<>\r\n" ALICE
		    "\r\nBDAT 1 LAST\r\nc"),
	    CODES "250 250 250 354 250 250 250 250 ", 3, NULL, "c" },
	{ "not here: each chunk is read", LISTENER_SMTP,
	    IN("BDAT 6 LAST\r\nQUIT\r\n" HELLO
	       "BDAT 6\r\nQUIT\r\nMAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\n"
	       "RCPT TO:<who@example.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
	    "220 503 250 503 250 503 550 554 250 ", 0, NULL, NULL },
	{ "no mixing", LISTENER_SMTP,
	    IN(RCPT "BDAT 1\r\naDATA\r\nMAIL FROM:<>\r\n" ALICE
		    "\r\nNOOP\r\nBDAT 1 LAST\r\nb"),
	    CODES "250 503 503 503 250 250 ", 1, NULL, "ab" },
	{ "rset and ehlo between chunks", LISTENER_SMTP,
	    IN(RCPT "BDAT 1\r\naRSET\r\nBDAT 1 LAST\r\nbMAIL FROM:<>\r\n" ALICE
		    "\r\nBDAT 1\r\nc" HELLO "BDAT 1 LAST\r\ndQUIT\r\n"),
	    CODES "250 250 503 250 250 250 250 503 221 ", 0, NULL, NULL },
	{ "no size", LISTENER_SMTP, IN(RCPT "BDAT\r\nQUIT\r\n"), CODES "501 ", 0, NULL,
	    NULL },
	{ "no number", LISTENER_SMTP, IN(RCPT "BDAT -1 LAST\r\nQUIT\r\n"), CODES "501 ",
	    0, NULL, NULL },
	{ "another word", LISTENER_SMTP, IN(RCPT "BDAT 1 FIRST\r\nx"), CODES "501 ", 0,
	    NULL, NULL },
	{ "two words", LISTENER_SMTP, IN(RCPT "BDAT 1 LAST LAST\r\nx"), CODES "501 ", 0,
	    NULL, NULL },
	{ "huge where it may not come", LISTENER_SMTP,
	    IN(HELLO "BDAT 99999999999999999999\r\nQUIT\r\n"), "220 250 552 ", 0, NULL,
	    NULL },
	{ "a bare line end in text", LISTENER_SMTP,
	    IN(RCPT "BDAT 3\r\na\nbBDAT 5\r\nQUIT\nBDAT 2 LAST\r\nxyNOOP\r\n"),
	    CODES "550 503 503 250 ", 0, NULL, NULL },
	{ "half a line end at the end", LISTENER_SMTP,
	    IN(RCPT "BDAT 2 LAST\r\na\rNOOP\r\n"), CODES "550 250 ", 0, NULL, NULL },
	{ "a line end across chunks", LISTENER_SMTP,
	    IN(RCPT "BDAT 2\r\na\rBDAT 1 LAST\r\n\n"), CODES "250 250 ", 1, NULL,
	    "a\r\n" },
	{ "nul in text", LISTENER_SMTP, IN(RCPT "BDAT 1 LAST\r\n\0"), CODES "550 ", 0,
	    NULL, NULL },
	{ "binary", LISTENER_SMTP,
	    IN(BIN "BDAT 13\r\nA: b\r\n\r\n\r\r\n.\nBDAT 3 LAST\r\n\n\xff\r"),
	    CODES "250 250 ", 1, NULL, "A: b\r\n\r\n\r\r\n.\n\n\xff\r" },
	{ "binary header", LISTENER_SMTP, IN(BIN "BDAT 9 LAST\r\nA: b\nC: d"),
	    CODES "550 ", 0, NULL, NULL },
	{ "binary by DATA", LISTENER_SMTP, IN(BIN "DATA\r\nBDAT 0 LAST\r\n"),
	    CODES "503 250 ", 1, NULL, "" },
	{ "lmtp", LISTENER_LMTP,
	    IN("LHLO x\r\nMAIL FROM:<>\r\n" ALICE "\r\nRCPT TO:<who@example.test>\r\n"
	       "RCPT TO:<list@example.test>\r\nBDAT 1\r\naBDAT 1 LAST\r\nbNOOP\r\n"),
	    "220 250 250 250 550 250 250 250 250 250 ", 1, NULL, "ab" },
	{ "lmtp, refused at the last and before it", LISTENER_LMTP,
	    IN("LHLO x\r\nMAIL FROM:<>\r\n" ALICE "\r\nRCPT TO:<list@example.test>\r\n"
	       "BDAT 1 LAST\r\n\nMAIL FROM:<>\r\n" ALICE
	       "\r\nRCPT TO:<list@example.test>\r\n"
	       "BDAT 1\r\n\nBDAT 1 LAST\r\nxNOOP\r\n"),
	    "220 250 250 250 250 550 550 250 250 250 550 503 250 ", 0, NULL, NULL },
};

static void
test_bdat(void **state)
{
	(void)state;
	run_rows(bdat, N(bdat));
}

/* Sizes, and a queue that does not take it. */
static void
test_bdat_failures(void **state)
{
	static char big[400000];

	(void)state;
	for (int what = 0; what < 4; what++)
		for (size_t p = 0; p < N(pieces); p++) {
			struct dialogue d;
			char got[200];
			int n;

			dialogue_init(&d, LISTENER_SMTP, 0);
			d.fail_open = what == 0;
			d.fail_content = what == 1;
			dialogue_feed(&d, IN(RCPT), 0);
			d.out_len = 0;
			memset(big, 'x', sizeof(big));
			/* 100,000 is the limit. */
			n = snprintf(big, sizeof(big), "BDAT 60000\r\n");
			big[n] = 'x';
			dialogue_feed(&d, big, (size_t)n + 60000, pieces[p]);
			n = snprintf(
			    big, sizeof(big), "BDAT %d\r\n", what == 3 ? 40000 : 40001);
			big[n] = 'x';
			dialogue_feed(
			    &d, big, (size_t)n + (what == 3 ? 40000 : 40001), pieces[p]);
			/* Pipelined, many of them: no errors of the client's. */
			for (int i = 0; i < 30; i++)
				dialogue_feed(&d, IN("BDAT 0\r\n"), 0);
			dialogue_feed(
			    &d, IN("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), pieces[p]);
			codes(d.out, got, sizeof(got));
			assert_false(d.closed);
			assert_int_equal(d.committed, 0);
			assert_int_equal(d.opened, d.aborted + (what == 0));
			/* Whether a failing write is seen in this chunk or the next is
			 * open. */
			assert_memory_equal(got,
			    what == 0   ? "451 503 503 503 "
			    : what == 1 ? ""
			    : what == 2 ? "250 552 503 503 "
					: "250 250 250 250 ",
			    what == 1 ? 0 : 16);
			assert_string_equal(
			    got + strlen(got) - 8, what == 3 ? "552 250 " : "503 250 ");
			dialogue_clear(&d);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_dsn_lengths),
		cmocka_unit_test(test_sender_domain),
		cmocka_unit_test(test_xclient),
		cmocka_unit_test(test_etrn),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_bdat_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
