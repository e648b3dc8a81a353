/* SPDX-License-Identifier: ISC */
/* Whole dialogues with the engine, each in one piece and in pieces of 1, 2, 3 and 7
 * octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/unit/smtpd/dialogue.h"

#define HELLO "EHLO client.example\r\n"
#define ENVELOPE HELLO "MAIL FROM:<bob@remote.test>\r\nRCPT TO:<alice@example.test>\r\n"
#define HELLO_CODES "220 250 "
#define ENVELOPE_CODES "220 250 250 250 "

struct row {
	const char *name;
	enum listener_kind kind;
	int tls;
	const char *in;
	size_t len;
	const char *codes; /* of the replies */
	unsigned int committed;
	const char *content; /* of the last message, NULL: not looked at */
};
#define IN(s) s, sizeof(s) - 1

static const struct row rows[] = {
	{ "whole session", LISTENER_SMTP, 0,
	    IN(ENVELOPE "DATA\r\nSubject: x\r\n\r\nhello\r\n..dot\r\n.\r\nQUIT\r\n"),
	    ENVELOPE_CODES "354 250 221 ", 1, "Subject: x\r\n\r\nhello\r\n.dot\r\n" },
	{ "two messages", LISTENER_SMTP, 0,
	    IN(ENVELOPE "DATA\r\na\r\n.\r\nMAIL FROM:<>\r\nRCPT "
			"TO:<Postmaster>\r\nDATA\r\n.\r\nQUIT\r\n"),
	    ENVELOPE_CODES "354 250 250 250 354 250 221 ", 2, "" },
	{ "helo", LISTENER_SMTP, 0,
	    IN("helo x\r\nmail from:<>\r\nrcpt to:<alice@example.test>\r\n"),
	    "220 250 250 250 ", 0, NULL },
	{ "out of order", LISTENER_SMTP, 0,
	    IN("MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\n" HELLO
	       "RCPT TO:<a@b>\r\nDATA\r\n"
	       "MAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\nDATA\r\n"),
	    "220 503 503 503 250 503 503 250 503 503 ", 0, NULL },
	{ "syntax", LISTENER_SMTP, 0,
	    IN("EHLO\r\nEHLO a b\r\nEHLO a<b\r\nFOO\r\n\r\n" HELLO
	       "MAIL\r\nMAIL FROM\r\nMAIL FROM:a@b\r\n"
	       "MAIL FROM:<a@b.c> FOO=1\r\nMAIL FROM:<a@b.c> SIZE=x\r\nMAIL FROM:<a@b.c> "
	       "SIZE=1 SIZE=1\r\n"
	       "MAIL FROM:<a@b.c>x\r\nDATA x\r\nRSET x\r\nQUIT x\r\n"),
	    "220 501 501 501 500 500 250 501 501 501 555 501 501 501 503 501 501 ", 0,
	    NULL },
	{ "harmless ones", LISTENER_SMTP, 0,
	    IN("NOOP\r\nNOOP x\r\nRSET\r\nVRFY a\r\nHELP\r\nEXPN a\r\n"),
	    "220 250 250 250 252 214 502 ", 0, NULL },
	{ "parameters", LISTENER_SMTP, 0,
	    IN(HELLO
		"MAIL FROM:<a@b.c> SIZE=100 BODY=8BITMIME SMTPUTF8 AUTH=<>\r\nRSET\r\n"
		"MAIL FROM:<a@b.c> BODY=9BIT\r\nMAIL FROM: <a@b.c> size=1\r\n"
		"RCPT TO:<alice@example.test> SIZE=1\r\n"),
	    HELLO_CODES "250 250 501 250 555 ", 0, NULL },
	{ "size said", LISTENER_SMTP, 0,
	    IN(HELLO "MAIL FROM:<a@b.c> SIZE=100001\r\nMAIL FROM:<a@b.c> "
		     "SIZE=99999999999999999999\r\n"
		     "MAIL FROM:<a@b.c> SIZE=100000\r\n"),
	    HELLO_CODES "552 552 250 ", 0, NULL },
	{ "recipients", LISTENER_SMTP, 0,
	    IN(HELLO "MAIL FROM:<a@b.c>\r\nRCPT TO:<x@remote.test>\r\nRCPT "
		     "TO:<who@example.test>\r\n"
		     "RCPT TO:<off@example.test>\r\nRCPT TO:<full@example.test>\r\n"
		     "RCPT TO:<temp@example.test>\r\nRCPT TO:<>\r\nRCPT "
		     "TO:<root>\r\nDATA\r\n"),
	    HELLO_CODES "250 550 550 550 452 451 501 501 554 ", 0, NULL },
	{ "smtputf8", LISTENER_SMTP, 0,
	    IN(HELLO "MAIL FROM:<\xc3\xa4@b.c>\r\nMAIL FROM:<a@b.c>\r\nRCPT "
		     "TO:<\xc3\xbc@example.test>\r\n"
		     "RSET\r\nMAIL FROM:<\xc3\xa4@b.c> SMTPUTF8\r\nRCPT "
		     "TO:<\xc3\xbc@example.test>\r\n"
		     "DATA\r\n\xc3\xa4\r\n.\r\n"),
	    HELLO_CODES "553 250 553 250 250 250 354 250 ", 1, "\xc3\xa4\r\n" },
	{ "submission", LISTENER_SUBMISSION, 1,
	    IN(HELLO "MAIL FROM:<alice@example.test>\r\nAUTH PLAIN "
		     "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"
		     "AUTH PLAIN\r\nMAIL FROM:<alice@example.test>\r\nRCPT "
		     "TO:<x@remote.test>\r\n"
		     "DATA\r\n\r\n.\r\n"),
	    HELLO_CODES "530 235 503 250 250 354 250 ", 1, "\r\n" },
	{ "auth without initial response", LISTENER_SUBMISSION, 1,
	    IN(HELLO "AUTH PLAIN\r\nAGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"),
	    HELLO_CODES "334 235 ", 0, NULL },
	{ "auth login", LISTENER_SMTP, 1,
	    IN(HELLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\nMAIL "
		     "FROM:<a@b.c>\r\n"
		     "RCPT TO:<x@remote.test>\r\n"),
	    HELLO_CODES "334 334 235 250 250 ", 0, NULL },
	{ "auth garbage", LISTENER_SMTP, 1,
	    IN("AUTH PLAIN\r\n" HELLO
	       "AUTH\r\nAUTH FOO\r\nAUTH PLAIN !!!!\r\nAUTH PLAIN\r\n*\r\n"
	       "AUTH PLAIN\r\na\r\nAUTH PLAIN =\r\nAUTH PLAIN AAAA\r\nNOOP\r\nAUTH PLAIN "
	       "A B\r\n"),
	    "220 503 250 501 504 501 334 501 334 501 535 535 250 501 ", 0, NULL },
	{ "auth tries", LISTENER_SMTP, 1,
	    IN(HELLO "AUTH PLAIN AAAA\r\nAUTH PLAIN AAAA\r\nAUTH PLAIN AAAA\r\nAUTH "
		     "PLAIN AAAA\r\n"
		     "AUTH PLAIN AAAA\r\nNOOP\r\n"),
	    HELLO_CODES "535 535 535 535 535 421 ", 0, NULL },
	{ "auth in plain text", LISTENER_SUBMISSION, 0,
	    IN(HELLO "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\nMAIL "
		     "FROM:<a@b.c>\r\n"),
	    HELLO_CODES "538 530 ", 0, NULL },
	{ "auth within a transaction", LISTENER_SMTP, 1,
	    IN(HELLO "MAIL FROM:<a@b.c>\r\nAUTH PLAIN AAAA\r\n"), HELLO_CODES "250 503 ",
	    0, NULL },
	{ "local", LISTENER_LOCAL, 0,
	    IN(HELLO "MAIL FROM:<cron>\r\nRCPT TO:<root>\r\nRCPT TO:<x@remote.test>\r\n"
		     "AUTH PLAIN AAAA\r\nDATA\r\n.\r\n"),
	    HELLO_CODES "250 250 250 503 354 250 ", 1, "" },
	{ "lmtp", LISTENER_LMTP, 0,
	    IN("EHLO x\r\nHELO x\r\nLHLO x\r\nMAIL FROM:<>\r\nRCPT "
	       "TO:<alice@example.test>\r\n"
	       "RCPT TO:<who@example.test>\r\nRCPT "
	       "TO:<list@example.test>\r\nDATA\r\n.\r\nNOOP\r\n"),
	    "220 502 502 250 250 250 550 250 354 250 250 250 ", 1, "" },
	{ "lmtp refused content", LISTENER_LMTP, 0,
	    IN("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n"
	       "RCPT TO:<list@example.test>\r\nDATA\r\n\n\r\n.\r\nQUIT\r\n"),
	    "220 250 250 250 250 354 550 550 221 ", 0, NULL },
	{ "lhlo on smtp", LISTENER_SMTP, 0, IN("LHLO x\r\n"), "220 502 ", 0, NULL },
	{ "http", LISTENER_SMTP, 0, IN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "220 554 ",
	    0, NULL },
	{ "nul in a command", LISTENER_SMTP, 0, IN("NOOP \0\r\nNOOP\r\n"), "220 500 250 ",
	    0, NULL },
	{ "bare cr in a command", LISTENER_SMTP, 0,
	    IN("NOOP\rQUIT\r\nNOOP\r\r\nNOOP\r\n"), "220 500 500 250 ", 0, NULL },
	{ "bare lf in a command", LISTENER_SMTP, 0,
	    IN("NOOP\nQUIT\r\nNOOP\r\n\nNOOP\r\nNOOP\r\n"), "220 500 250 500 250 ", 0,
	    NULL },
	{ "bare lf in auth", LISTENER_SMTP, 1,
	    IN(HELLO "AUTH PLAIN\r\nAAAA\nx\r\nNOOP\r\n"), HELLO_CODES "334 500 250 ", 0,
	    NULL },
	{ "errors", LISTENER_SMTP, 0,
	    IN("A\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r\nA\r"
	       "\nA\r\nA\r\nA\r\n"
	       "A\r\nA\r\nA\r\nNOOP\r\n"),
	    "220 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 "
	    "500 500 500 "
	    "421 ",
	    0, NULL },
	{ "empty message", LISTENER_SMTP, 0, IN(ENVELOPE "DATA\r\n.\r\n"),
	    ENVELOPE_CODES "354 250 ", 1, "" },
	{ "dots", LISTENER_SMTP, 0, IN(ENVELOPE "DATA\r\n..\r\n.a\r\n...\r\n. \r\n.\r\n"),
	    ENVELOPE_CODES "354 250 ", 1, ".\r\na\r\n..\r\n \r\n" },
	{ "nul in content", LISTENER_SMTP, 0,
	    IN(ENVELOPE "DATA\r\na\0b\r\n.\r\nNOOP\r\n"), ENVELOPE_CODES "354 550 250 ",
	    0, NULL },
	{ "rset and ehlo forget", LISTENER_SMTP, 0,
	    IN(ENVELOPE
		"RSET\r\nRCPT TO:<alice@example.test>\r\nMAIL FROM:<a@b.c>\r\n" HELLO
		"RCPT TO:<alice@example.test>\r\n"),
	    ENVELOPE_CODES "250 503 250 250 503 ", 0, NULL },
	{ "quit ends it", LISTENER_SMTP, 0, IN("QUIT\r\nNOOP\r\n"), "220 221 ", 0, NULL },
};

static const size_t pieces[] = { 0, 1, 2, 3, 7 };
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The codes of the final lines. */
static void
codes(const char *out, char *buf, size_t cap)
{
	size_t n = 0;

	while (*out != '\0') {
		const char *end = strstr(out, "\r\n");

		if (end == NULL || end - out < 4 || end - out > 510)
			fail_msg("not a reply line: %.80s", out);
		if (out[3] == ' ' && n + 5 < cap) {
			memcpy(buf + n, out, 4);
			n += 4;
		} else if (out[3] != '-')
			fail_msg("not a reply line: %.80s", out);
		out = end + 2;
	}
	buf[n] = '\0';
}

static void
test_rows(void **state)
{
	char got[4096];

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		for (size_t p = 0; p < N(pieces); p++) {
			const struct row *r = &rows[i];
			struct dialogue d;

			dialogue_init(&d, r->kind, r->tls);
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
			if (r->content != NULL && (strlen(r->content) != d.content_len ||
						      strcmp(r->content, d.content) != 0))
				fail_msg("%s: content %s", r->name, d.content);
			dialogue_clear(&d);
		}
}

/* Every pseudo-end of data that some server takes for one. Whatever stands around it must
 * be content of a message that is refused; nothing behind it may become a command. */
static void
test_smuggling(void **state)
{
	static const struct {
		const char *s;
		size_t len;
	} ends[] = {
		{ IN("\n.\n") },
		{ IN("\n.\r\n") },
		{ IN("\r\n.\n") },
		{ IN("\r\n.\r") },
		{ IN("\r.\r") },
		{ IN("\r.\r\n") },
		{ IN("\r.\n") },
		{ IN("\n.\r") },
		{ IN("\r\n\0.\r\n") },
		{ IN("\r\n.\0\r\n") },
		{ IN("\r\r\n.\r\r\n") },
		{ IN("\r\n.\r\r\n") },
		{ IN("\r\n.\n\r\n") },
		{ IN("\n\r\n.\n") },
		{ IN("\n\n.\r\n") },
		{ IN("\r\n\r.\r\n") },
		{ IN("\r\n\n.\r\n") },
		{ IN("\n.\r\r\n") },
	};
	static const char evil[] =
	    "MAIL FROM:<evil@b.c>\r\nRCPT TO:<alice@example.test>\r\n"
	    "DATA\r\nsmuggled\r\n.\r\nQUIT\r\n";
	char in[1024], got[256];

	(void)state;
	for (size_t i = 0; i < N(ends); i++)
		for (size_t p = 0; p < N(pieces); p++) {
			struct dialogue d;
			size_t n = (size_t)snprintf(
			    in, sizeof(in), "%s", ENVELOPE "DATA\r\nfirst");

			memcpy(in + n, ends[i].s, ends[i].len);
			n += ends[i].len;
			memcpy(in + n, evil, sizeof(evil) - 1);
			n += sizeof(evil) - 1;
			dialogue_init(&d, LISTENER_SMTP, 0);
			dialogue_feed(&d, in, n, pieces[p]);
			codes(d.out, got, sizeof(got));
			if (strcmp(got, "250 250 250 354 550 221 ") != 0 ||
			    d.committed != 0 || d.opened != 1 || d.aborted != 1)
				fail_msg("variant %zu in pieces of %zu: %s", i, pieces[p],
				    d.out);
			dialogue_clear(&d);
		}
	/* Cut in two at every octet; by LMTP; and as a chunk, whose length says where it
	 * ends. */
	for (size_t i = 0; i < N(ends); i++) {
		size_t head = strlen(ENVELOPE "DATA\r\nfirst"), n, whole;
		struct dialogue d;

		memcpy(in, ENVELOPE "DATA\r\nfirst", head);
		memcpy(in + head, ends[i].s, ends[i].len);
		n = head + ends[i].len;
		memcpy(in + n, evil, sizeof(evil) - 1);
		n += sizeof(evil) - 1;
		for (size_t cut = 1; cut < n; cut++) {
			dialogue_init(&d, LISTENER_SMTP, 0);
			dialogue_feed(&d, in, cut, 0);
			dialogue_feed(&d, in + cut, n - cut, 0);
			codes(d.out, got, sizeof(got));
			if (strcmp(got, "250 250 250 354 550 221 ") != 0 ||
			    d.committed != 0)
				fail_msg("variant %zu cut at %zu: %s", i, cut, d.out);
			dialogue_clear(&d);
		}
		whole = 5 + ends[i].len + sizeof(evil) - 1;
		head = (size_t)snprintf(
		    in, sizeof(in), ENVELOPE "BDAT %zu LAST\r\nfirst", whole);
		memcpy(in + head, ends[i].s, ends[i].len);
		memcpy(in + head + ends[i].len, evil, sizeof(evil) - 1);
		n = head + ends[i].len + sizeof(evil) - 1;
		for (size_t p = 0; p < N(pieces); p++) {
			dialogue_init(&d, LISTENER_SMTP, 0);
			dialogue_feed(&d, in, n, pieces[p]);
			codes(d.out, got, sizeof(got));
			if (strcmp(got, "250 250 250 550 ") != 0 || d.committed != 0)
				fail_msg("variant %zu as a chunk: %s", i, d.out);
			dialogue_clear(&d);
		}
	}
	/* The lonely real one. */
	for (size_t p = 0; p < N(pieces); p++) {
		struct dialogue d;

		dialogue_init(&d, LISTENER_SMTP, 0);
		dialogue_feed(
		    &d, IN(ENVELOPE "DATA\r\nfirst\r\n.\r\n.\r\nNOOP\r\n"), pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, "250 250 250 354 250 500 250 ");
		dialogue_clear(&d);
	}
}

static void
test_burl(void **state)
{
	static const struct {
		const char *in, *codes;
		int committed;
		const char *last; /* in the last reply but the one to RSET */
	} some[] = {
		{ "BURL imap://a/x LAST\r\n", "250 ", 1, "queued" },
		{ "BURL imap://a/x\r\n", "250 ", 0, "2.5.0" },
		{ "BURL imap://a/x\r\nBURL imap://a/y LAST\r\n", "250 250 ", 1,
		    "queued" },
		{ "BDAT 3\r\na\r\nBURL imap://a/x\r\nBDAT 3 LAST\r\nb\r\n",
		    "250 250 250 ", 1, "queued" },
		{ "BURL imap://empty/ LAST\r\n", "250 ", 1, "queued" },
		{ "BURL imap://none/x LAST\r\n", "554 ", 0, "5.6.6" },
		{ "BURL imap://foreign/x LAST\r\n", "554 ", 0, "5.7.8" },
		{ "BURL imap://denied/x LAST\r\n", "554 ", 0, "5.7.0" },
		{ "BURL imap://temp/x LAST\r\n", "451 ", 0, "4.4.1" },
		{ "BURL imap://large/x LAST\r\n", "552 ", 0, "5.3.4" },
		{ "BURL imap://none/x\r\nBURL imap://a/x LAST\r\nBDAT 2 LAST\r\nxy",
		    "554 503 503 ", 0, "5.5.1" },
		{ "BURL\r\n", "501 ", 0, "5.5.4" },
		{ "BURL http://a/x LAST\r\n", "501 ", 0, "5.5.4" },
		{ "BURL imap://a/x FIRST\r\n", "501 ", 0, "5.5.4" },
		{ "BURL imap://a/x\r\nDATA\r\nMAIL FROM:<a@b.test>\r\n", "250 503 503 ",
		    0, "5.5.1" },
	};
	static const char hello[] = "EHLO c.test\r\nAUTH PLAIN "
				    "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n",
			  envelope[] = "MAIL FROM:<alice@example.test>\r\nRCPT "
				       "TO:<alice@example.test>\r\n";
	char in[1000], got[256], want[256];

	(void)state;
	for (size_t i = 0; i < N(some); i++)
		for (size_t p = 0; p < N(pieces); p++) {
			struct dialogue d;

			dialogue_init(&d, LISTENER_SUBMISSION, 1);
			snprintf(in, sizeof(in), "%s%s%sRSET\r\n", hello, envelope,
			    some[i].in);
			dialogue_feed(&d, in, strlen(in), pieces[p]);
			codes(d.out, got, sizeof(got));
			snprintf(
			    want, sizeof(want), "250 235 250 250 %s250 ", some[i].codes);
			if (strcmp(got, want) != 0 ||
			    (d.committed != 0) != some[i].committed ||
			    strstr(d.out, some[i].last) == NULL)
				fail_msg("%s: %s, %d", some[i].in, d.out, d.committed);
			dialogue_clear(&d);
		}
	/* Before a login, and where there is none. */
	for (size_t i = 0; i < 3; i++) {
		static const enum listener_kind kinds[] = { LISTENER_SUBMISSION,
			LISTENER_SMTP, LISTENER_LOCAL };
		struct dialogue d;

		dialogue_init(&d, kinds[i], 1);
		dialogue_feed(&d, IN("EHLO c.test\r\nBURL imap://a/x LAST\r\n"), 0);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, i < 2 ? "250 530 " : "250 502 ");
		assert_null(strstr(d.out, "BURL"));
		dialogue_clear(&d);
	}
}

static void
test_starttls(void **state)
{
	struct dialogue d;
	char got[256];
	size_t n;

	(void)state;
	/* Injected behind STARTTLS: in one piece it is refused, in pieces never read. */
	for (size_t p = 0; p < N(pieces); p++) {
		dialogue_init(&d, LISTENER_SMTP, 0);
		dialogue_feed(
		    &d, IN(HELLO "STARTTLS\r\nMAIL FROM:<a@b.c>\r\n"), pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_true(strcmp(got, "250 554 ") == 0 || strcmp(got, "250 220 ") == 0);
		if (pieces[p] == 0)
			assert_true(d.closed);
		dialogue_clear(&d);
	}
	dialogue_init(&d, LISTENER_SMTP, 0);
	dialogue_feed(&d, IN(HELLO "MAIL FROM:<a@b.c>\r\n"), 0);
	assert_non_null(strstr(d.out, "250-STARTTLS\r\n"));
	assert_null(strstr(d.out, "AUTH"));
	n = d.out_len;
	dialogue_feed(&d, IN("STARTTLS\r\n"), 0);
	assert_int_equal(d.tls, 1);
	assert_true(smtp_in_waiting(d.e));
	assert_int_equal(smtp_in_input(d.e, "NOOP\r\n", 6), 0);
	smtp_in_tls_ready(d.e);
	dialogue_act(&d);
	dialogue_feed(&d,
	    IN("RCPT TO:<alice@example.test>\r\nMAIL FROM:<a@b.c>\r\n" HELLO
	       "STARTTLS\r\n"),
	    1);
	codes(d.out + n, got, sizeof(got));
	assert_string_equal(got, "220 503 503 250 503 ");
	assert_non_null(strstr(d.out + n, " PLAIN LOGIN\r\n"));
	assert_null(strstr(d.out + n, "250-STARTTLS"));
	dialogue_clear(&d);
}

static void
test_many_recipients(void **state)
{
	struct dialogue d;
	char line[64];
	size_t ok = 0, full = 0;

	(void)state;
	dialogue_init(&d, LISTENER_SMTP, 0);
	dialogue_feed(&d, IN(HELLO "MAIL FROM:<a@b.c>\r\n"), 0);
	for (int i = 0; i < 10000; i++) {
		int n =
		    snprintf(line, sizeof(line), "RCPT TO:<list%d@example.test>\r\n", i);

		dialogue_feed(&d, line, (size_t)n, 0);
	}
	for (const char *p = d.out; (p = strstr(p, "\r\n")) != NULL; p += 2) {
		ok += strncmp(p + 2, "250 2.1.5", 9) == 0;
		full += strncmp(p + 2, "452 4.5.3", 9) == 0;
	}
	assert_int_equal(ok, 1000);
	assert_int_equal(full, 9000);
	assert_int_equal(d.asked_rcpt, 1000);
	dialogue_feed(&d, IN("DATA\r\n\r\n.\r\n"), 0);
	assert_int_equal(d.committed, 1);
	assert_int_equal(d.nrcpt, 1000);
	dialogue_clear(&d);

	/* Guessing names ends in 421. */
	dialogue_init(&d, LISTENER_SMTP, 0);
	dialogue_feed(&d, IN(HELLO "MAIL FROM:<a@b.c>\r\n"), 0);
	for (int i = 0; i < 10000 && !d.closed; i++) {
		int n =
		    snprintf(line, sizeof(line), "RCPT TO:<guess%d@example.test>\r\n", i);

		dialogue_feed(&d, line, (size_t)n, 0);
	}
	assert_true(d.closed);
	assert_non_null(strstr(d.out, "\r\n421 4.7.0 "));
	dialogue_clear(&d);
}

static void
test_long_lines(void **state)
{
	struct dialogue d;
	char got[256], *line = malloc(20000);

	(void)state;
	assert_non_null(line);
	for (size_t p = 0; p < N(pieces); p++) {
		dialogue_init(&d, LISTENER_SMTP, 1);
		memset(line, 'x', 20000);
		memcpy(line, "NOOP ", 5);
		dialogue_feed(&d, line, 2046, pieces[p]); /* the longest one */
		dialogue_feed(&d, "\r\n", 2, pieces[p]);
		dialogue_feed(&d, line, 2047, pieces[p]);
		dialogue_feed(&d, "\r\nNOOP\r\n", 8, pieces[p]);
		dialogue_feed(&d, line, 20000, pieces[p]);
		dialogue_feed(&d, "\r\n" HELLO, sizeof(HELLO) + 1, pieces[p]);
		/* AUTH may be longer, and is not decoded in full when it is too long. */
		memset(line, 'A', 20000);
		memcpy(line, "AUTH PLAIN ", 11);
		dialogue_feed(&d, line, 11 + 10000, pieces[p]);
		dialogue_feed(&d, "\r\n", 2, pieces[p]);
		dialogue_feed(&d, line, 20000, pieces[p]);
		dialogue_feed(&d, "\r\nAUTH PLAIN\r\n", 14, pieces[p]);
		dialogue_feed(&d, line + 11, 15000, pieces[p]);
		dialogue_feed(&d, "\r\nNOOP\r\n", 8, pieces[p]);
		codes(d.out, got, sizeof(got));
		assert_string_equal(got, "250 500 250 500 250 535 500 334 500 250 ");
		assert_non_null(strstr(d.out, "500 5.5.6 "));
		dialogue_clear(&d);
	}
	free(line);
}

static void
test_content_limits(void **state)
{
	struct dialogue d;
	char *big = malloc(400000);

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 400000);
	/* One octet over the size; a line of 99,998 octets is no fault. */
	for (int over = 0; over < 2; over++) {
		dialogue_init(&d, LISTENER_SMTP, 0);
		dialogue_feed(&d, IN(ENVELOPE "DATA\r\n"), 0);
		dialogue_feed(&d, big, 99998 + (size_t)over, 0);
		dialogue_feed(&d, IN("\r\n.\r\nNOOP\r\n"), 0);
		assert_int_equal(d.committed, over ? 0 : 1);
		assert_int_equal(d.aborted, over ? 1 : 0);
		assert_true((strstr(d.out, "\r\n552 5.3.4 ") != NULL) == over);
		assert_non_null(strstr(d.out, "\r\n250 2.0.0 Ok\r\n"));
		dialogue_clear(&d);
	}
	/* A message without end is cut off at last. */
	dialogue_init(&d, LISTENER_SMTP, 0);
	dialogue_feed(&d, IN(ENVELOPE "DATA\r\n"), 0);
	for (int i = 0; i < 100 && !d.closed; i++)
		dialogue_feed(&d, big, 400000, 0);
	assert_true(d.closed);
	assert_non_null(strstr(d.out, "\r\n552 5.3.4 "));
	assert_int_equal(d.aborted, 1);
	dialogue_clear(&d);
	/* A header without end. */
	dialogue_init(&d, LISTENER_SMTP, 0);
	d.conf.size_max = 10000000;
	dialogue_feed(&d, IN(ENVELOPE "DATA\r\n"), 0);
	for (int i = 0; i < 30000; i++)
		dialogue_feed(
		    &d, IN("X-Endless: 0123456789012345678901234567890123456789\r\n"), 0);
	dialogue_feed(&d, IN("\r\n.\r\nNOOP\r\n"), 0);
	assert_non_null(strstr(d.out, "\r\n552 5.3.4 Header"));
	dialogue_clear(&d);
	/* A loop: 25 hops are well, 26 are not. */
	for (int n = 25; n <= 26; n++) {
		dialogue_init(&d, LISTENER_SMTP, 0);
		dialogue_feed(&d, IN(ENVELOPE "DATA\r\n"), 1);
		for (int i = 0; i < n; i++)
			dialogue_feed(&d, IN("RECEIVED: x\r\n\ty\r\n"), 1);
		dialogue_feed(&d, IN("\r\nReceived: not counted\r\n.\r\n"), 1);
		assert_true((strstr(d.out, "\r\n554 5.4.6 ") != NULL) == (n > 25));
		dialogue_clear(&d);
	}
	free(big);
}

static void
test_header_facts(void **state)
{
	struct dialogue d;

	(void)state;
	for (size_t p = 0; p < N(pieces); p++) {
		dialogue_init(&d, LISTENER_SMTP, 0);
		dialogue_feed(&d,
		    IN(ENVELOPE "DATA\r\nDATE : x\r\nX: Message-ID: y\r\n From: "
				"z\r\n\r\nFrom: z\r\n.\r\n"),
		    pieces[p]);
		assert_int_equal(smtp_in_content(d.e)->has_date, 1);
		assert_int_equal(smtp_in_content(d.e)->has_message_id, 0);
		assert_int_equal(smtp_in_content(d.e)->has_from, 0);
		dialogue_clear(&d);
	}
}

static void
test_failures(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_init(&d, LISTENER_SMTP, 0);
	d.fail_open = 1;
	dialogue_feed(&d, IN(ENVELOPE "DATA\r\nNOOP\r\n"), 0);
	assert_non_null(strstr(d.out, "\r\n451 4.3.0 The queue"));
	assert_non_null(strstr(d.out, "\r\n250 2.0.0 Ok\r\n"));
	dialogue_clear(&d);

	dialogue_init(&d, LISTENER_SMTP, 0);
	d.fail_content = 1;
	dialogue_feed(&d, IN(ENVELOPE "DATA\r\nx\r\n.\r\nNOOP\r\n"), 0);
	assert_non_null(strstr(d.out, "\r\n452 4.3.1 "));
	assert_int_equal(d.aborted, 1);
	dialogue_clear(&d);

	dialogue_init(&d, LISTENER_SMTP, 0);
	dialogue_feed(&d, IN(ENVELOPE "DATA\r\nx"), 0);
	smtp_in_timeout(d.e);
	dialogue_act(&d);
	assert_non_null(strstr(d.out, "\r\n421 4.4.2 "));
	assert_true(d.closed);
	assert_int_equal(d.aborted, 1);
	dialogue_clear(&d);
}

static void
test_local_addresses(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_init(&d, LISTENER_LOCAL, 0);
	dialogue_feed(
	    &d, IN(HELLO "MAIL FROM:<cron>\r\nRCPT TO:<root>\r\nDATA\r\n.\r\n"), 0);
	assert_string_equal(d.sender, "cron@example.test");
	assert_string_equal(d.rcpt, "alice@example.test");
	dialogue_clear(&d);
}

static void
test_reply_text(void **state)
{
	char buf[SMTP_REPLY_MAX], text[1200];
	size_t n;

	(void)state;
	n = smtp_reply_put_text(buf, 0, sizeof(buf), 550, "5.7.1", "no\r\n250 yes");
	assert_int_equal(n, strlen("550 5.7.1 no??250 yes\r\n"));
	assert_memory_equal(buf, "550 5.7.1 no??250 yes\r\n", n);
	n = smtp_reply_put_text(buf, 0, sizeof(buf), 450, "5.7.1", "x");
	assert_memory_equal(buf, "450 4.0.0 x\r\n", n);
	n = smtp_reply_put_text(buf, 0, sizeof(buf), 550, "5.7.1234", "x");
	assert_memory_equal(buf, "550 5.0.0 x\r\n", n);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = smtp_reply_put_text(buf, 0, sizeof(buf), 550, "5.7.1", text);
	assert_true(n > 1023 && n < sizeof(buf));
	assert_memory_equal(buf, "550-5.7.1 xx", 12);
	assert_memory_equal(buf + 512, "550-5.7.1 xx", 12);
	assert_memory_equal(buf + 1024, "550 5.7.1 xx", 12);
	assert_memory_equal(buf + n - 2, "\r\n", 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_burl),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_content_limits),
		cmocka_unit_test(test_header_facts),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_local_addresses),
		cmocka_unit_test(test_reply_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
