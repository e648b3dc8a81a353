/* SPDX-License-Identifier: ISC */
/*
 * smtp_out.c against scripted servers. A script is a string: S: a line of the
 * server, C: a line that the client must have said, and at the end the expected
 * actions. Each runs with the server's octets whole and one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include "deliverd/remote/smtp_out.h"

struct script {
	const char *name;
	const char *dialogue; /* lines ended by '\n' */
	const char *actions;  /* "result 0 delivered 2.0.0|done|close" */
	const char *content;  /* NULL: "Subject: x\r\n\r\nhello\r\n" */
	unsigned int rcpts;   /* 0: 1 */
	enum smtp_out_tls tls;
	bool lmtp, utf8, binary, login, chunking;
	const char *initial;
	uint64_t size;
	const char *end; /* "lost", "timeout" after the dialogue */
};

static const char *const addresses[] = { "a@x.test", "b@x.test", "c@x.test" };
static const char *const utf8_addresses[] = { "\xc3\xbc@x.test", "b@\xc3\xbc.test",
	"c@x.test" };

#define HELLO "S:220 hi\nC:EHLO me.test\n"
#define PLAIN HELLO "S:250 x\n"
#define PIPE HELLO "S:250-x\nS:250 PIPELINING\n"
#define CHUNKS                                                 \
	HELLO "S:250-x\nS:250-CHUNKING\nS:250 PIPELINING\n"    \
	      "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\n" \
	      "C:RCPT TO:<b@x.test>\n"
#define BODY "C:Subject: x\nC:\nC:hello\nC:.\n"

static const struct script scripts[] = {
	{ "one",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:354 go\n" BODY "S:250 2.0.0 queued as 1\n",
	    "content|result 0 delivered 2.0.0 250 2.0.0 queued as 1|done" },
	{ "pipelined",
	    PIPE "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
		 "S:250 ok\nS:550 5.1.1 no\nS:250 ok\nC:DATA\nS:354 go\n" BODY
		 "S:250 ok\n",
	    "result 0 failed 5.1.1 550 5.1.1 no|content|result 1 delivered 2.0.0 250 "
	    "ok|done",
	    .rcpts = 2 },
	{ "all extensions",
	    HELLO
	    "S:250-x\nS:250-SIZE 1000\nS:250-8BITMIME\nS:250-DSN\nS:250 SMTPUTF8\n"
	    "C:MAIL FROM:<s@y.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=e1\nS:250 ok\n"
	    "C:RCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@x.test\nS:250 ok\n"
	    "C:DATA\nS:354 go\n" BODY "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", .size = 100 },
	{ "dots",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:354 go\nC:..\nC:..a\nC:b.\nC:..\nC:..\nC:c\nC:.\nS:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", ".\r\n.a\r\nb.\n.\r.\r\nc" },
	{ "empty content",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:354 go\nC:.\nS:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", "" },
	{ "HELO",
	    HELLO
	    "S:502 what\nC:HELO me.test\nS:250 x\nC:MAIL FROM:<s@y.test>\nS:250 ok\n"
	    "C:RCPT TO:<a@x.test>\nS:450 4.2.1 later\nC:RSET\nS:250 ok\n",
	    "result 0 deferred 4.2.1 450 4.2.1 later|done" },
	{ "login",
	    HELLO "S:250-x\nS:250 AUTH LOGIN PLAIN\nC:AUTH LOGIN\nS:334 VXNlcg==\n"
		  "C:YW5z\nS:334 more\nC:YW5z\nS:235 2.7.0 ok\n"
		  "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\n"
		  "S:250 ok\nC:DATA\nS:354 go\n" BODY "S:250 ok\n",
	    "login LOGIN PLAIN|challenge VXNlcg==|challenge more|in|content|result 0 "
	    "delivered 2.0.0 250 ok|done",
	    .login = true },
	{ "login refused",
	    HELLO "S:250-x\nS:250 AUTH=PLAIN\nC:AUTH LOGIN aQ==\nS:535 5.7.8 no\n",
	    "login PLAIN|trouble deferred 4.7.8 535 5.7.8 no", .login = true,
	    .initial = "aQ==" },
	{ "login cancelled",
	    HELLO "S:250-x\nS:250 AUTH LOGIN\nC:AUTH LOGIN\nS:334 no\nC:*\n"
		  "S:501 5.7.0 as you like\n",
	    "login LOGIN|challenge no|trouble deferred 4.7.8 501 5.7.0 as you like",
	    .login = true },
	{ "greeting says no", "S:554 5.7.1 go away\n",
	    "trouble failed 5.7.1 554 5.7.1 go away" },
	{ "greeting says later", "S:421 busy\n", "trouble deferred 4.3.2 421 busy" },
	{ "not SMTP", "S:HTTP/1.1 400 what\n", "trouble deferred 4.5.0 " },
	{ "EHLO says later", HELLO "S:451 later\n", "trouble deferred 4.3.0 451 later" },
	{ "sender refused",
	    PIPE "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
		 "S:550 5.7.1 you\nS:503 bad\nS:503 bad\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.7.1 550 5.7.1 you|result 1 failed 5.7.1 550 5.7.1 "
	    "you|done",
	    .rcpts = 2 },
	{ "sender refused, step by step",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:450 later\nC:RSET\nS:250 ok\n",
	    "result 0 deferred 4.7.1 450 later|done" },
	{ "all refused",
	    PIPE "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
		 "S:250 ok\nS:550 no\nS:452 4.2.2 full\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|result 1 deferred 4.2.2 452 4.2.2 full|done",
	    .rcpts = 2 },
	{ "421 amid recipients",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:550 no\n"
		  "C:RCPT TO:<b@x.test>\nS:421 4.3.2 closing\n",
	    "result 0 failed 5.1.1 550 no|trouble deferred 4.3.2 421 4.3.2 closing",
	    .rcpts = 2 },
	{ "DATA refused",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:554 no valid recipients\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.6.0 554 no valid recipients|done" },
	{ "refused after DATA",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:354 go\n" BODY "S:554 5.7.1 virus\n",
	    "content|result 0 failed 5.7.1 554 5.7.1 virus|done" },
	{ "lost after the dot",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\n"
		  "C:DATA\nS:354 go\n" BODY,
	    "content|result 0 deferred 4.4.2 |done|close", .end = "lost" },
	{ "silent at RCPT",
	    PLAIN "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\n",
	    "trouble deferred 4.4.2 ", .end = "timeout" },
	{ "lost at once", "", "trouble deferred 4.4.2 ", .end = "lost" },
	{ "354 to MAIL", PLAIN "C:MAIL FROM:<s@y.test>\nS:354 go\n",
	    "trouble deferred 4.5.0 " },
	{ "too big", HELLO "S:250-x\nS:250 SIZE 1000\n", "result 0 failed 5.3.4 |done",
	    .size = 1001 },
	{ "SIZE without a limit",
	    HELLO "S:250-x\nS:250 SIZE 0\nC:MAIL FROM:<s@y.test> SIZE=1001\nS:250 ok\n"
		  "C:RCPT TO:<a@x.test>\nS:550 no\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|done", .size = 1001 },
	{ "no SMTPUTF8",
	    PIPE
	    "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<b@xn--tda.test>\nC:RCPT TO:<c@x.test>\n"
	    "S:250 ok\nS:250 ok\nS:250 ok\nC:DATA\nS:354 go\n" BODY "S:250 ok\n",
	    "result 0 failed 5.6.7 |content|result 1 delivered 2.0.0 250 ok|"
	    "result 2 delivered 2.0.0 250 ok|done",
	    .rcpts = 3, .utf8 = true },
	{ "SMTPUTF8",
	    HELLO "S:250-x\nS:250 SMTPUTF8\nC:MAIL FROM:<s@y.test> SMTPUTF8\nS:250 ok\n"
		  "C:RCPT TO:<\xc3\xbc@x.test>\nS:550 no\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|done", .utf8 = true },
	{ "STARTTLS",
	    HELLO
	    "S:250-x\nS:250 STARTTLS\nC:STARTTLS\nS:220 go\nTLS\nC:EHLO me.test\n"
	    "S:250 x\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:550 no\n"
	    "C:RSET\nS:250 ok\n",
	    "starttls|result 0 failed 5.1.1 550 no|done", .tls = SMTP_OUT_TLS_REQUIRED },
	{ "STARTTLS required and not offered", PLAIN, "trouble failed 5.7.4 ",
	    .tls = SMTP_OUT_TLS_REQUIRED },
	{ "STARTTLS required and refused",
	    HELLO "S:250-x\nS:250 STARTTLS\nC:STARTTLS\nS:454 4.7.0 no\n",
	    "trouble deferred 4.7.5 454 4.7.0 no", .tls = SMTP_OUT_TLS_REQUIRED },
	{ "STARTTLS offered and refused",
	    HELLO "S:250-x\nS:250 STARTTLS\nC:STARTTLS\nS:454 4.7.0 no\n"
		  "C:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:550 "
		  "no\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|done", .tls = SMTP_OUT_TLS_OFFERED },
	{ "LMTP",
	    "S:220 hi\nC:LHLO me.test\nS:250-x\nS:250 PIPELINING\n"
	    "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
	    "C:RCPT TO:<c@x.test>\nS:250 ok\nS:250 ok\nS:550 no\nS:250 ok\nC:DATA\nS:354 "
	    "go\n" BODY "S:250 2.1.5 one\nS:452 4.2.2 full\n",
	    "result 1 failed 5.1.1 550 no|content|result 0 delivered 2.1.5 250 2.1.5 one|"
	    "result 2 deferred 4.2.2 452 4.2.2 full|done",
	    .rcpts = 3, .lmtp = true },
	{ "binary",
	    HELLO "S:250-x\nS:250-CHUNKING\nS:250 BINARYMIME\n"
		  "C:MAIL FROM:<s@y.test> BODY=BINARYMIME\nS:250 ok\nC:RCPT "
		  "TO:<a@x.test>\nS:250 ok\n"
		  "C:BDAT 6 LAST\nC:x\nC:.\nS:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", "x\r\n.\r\n", .size = 6,
	    .binary = true },
	{ "binary, refused",
	    HELLO "S:250-x\nS:250-CHUNKING\nS:250 BINARYMIME\n"
		  "C:MAIL FROM:<s@y.test> BODY=BINARYMIME\nS:250 ok\nC:RCPT "
		  "TO:<a@x.test>\nS:550 no\n"
		  "C:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|done", "x\r\n.\r\n", .size = 6,
	    .binary = true },
	/* The caller makes it 7-bit then. */
	{ "binary, no BINARYMIME",
	    HELLO "S:250-x\nS:250 CHUNKING\nC:MAIL FROM:<s@y.test>\nS:250 ok\n"
		  "C:RCPT TO:<a@x.test>\nS:250 ok\nC:DATA\nS:354 go\n" BODY "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", .binary = true },
	{ "binary, no CHUNKING",
	    HELLO "S:250-x\nS:250-SIZE\nS:250 8BITMIME\nC:MAIL FROM:<s@y.test>\n"
		  "S:250 ok\nC:RCPT TO:<a@x.test>\nS:250 ok\nC:DATA\nS:354 go\n" BODY
		  "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", .binary = true },
	{ "chunks",
	    CHUNKS "S:250 ok\nS:250 ok\nS:250 ok\nC:BDAT 7 LAST\nC:x\nC:.y\n"
		   "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|result 1 delivered 2.0.0 250 "
	    "ok|done",
	    "x\n.y\r\n", .rcpts = 2, .chunking = true },
	{ "chunks, one recipient refused",
	    CHUNKS "S:250 ok\nS:550 no\nS:250 ok\nC:BDAT 5 LAST\nC:end\n"
		   "S:554 5.7.1 spam\n",
	    "result 0 failed 5.1.1 550 no|content|result 1 failed 5.7.1 554 5.7.1 "
	    "spam|done",
	    "end", .rcpts = 2, .chunking = true },
	{ "chunks, all refused",
	    CHUNKS "S:250 ok\nS:550 no\nS:450 not now\nC:RSET\nS:250 ok\n",
	    "result 0 failed 5.1.1 550 no|result 1 deferred 4.2.1 450 not now|done",
	    .rcpts = 2, .chunking = true },
	{ "chunks, lost", CHUNKS "S:250 ok\nS:250 ok\nS:250 ok\nC:BDAT 3 LAST\nC:x\n",
	    "content|result 0 deferred 4.4.2 |result 1 deferred 4.4.2 |done|close",
	    "x\r\n", .rcpts = 2, .chunking = true, .end = "lost" },
	{ "chunks, unasked reply",
	    CHUNKS "S:250 ok\nS:250 ok\nS:250 ok\nC:BDAT 3 LAST\nC:x\nS:354 go\n",
	    "content|result 0 deferred 4.4.2 |result 1 deferred 4.4.2 |done|close",
	    "x\r\n", .rcpts = 2, .chunking = true },
	{ "chunks forbidden",
	    CHUNKS "S:250 ok\nS:250 ok\nS:250 ok\nC:DATA\nS:354 go\nC:..x\nC:.\n"
		   "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|result 1 delivered 2.0.0 250 "
	    "ok|done",
	    ".x\r\n", .rcpts = 2 },
	{ "CHUNKING without PIPELINING",
	    HELLO "S:250-x\nS:250 CHUNKING\nC:MAIL FROM:<s@y.test>\nS:250 ok\n"
		  "C:RCPT TO:<a@x.test>\nS:250 ok\nC:DATA\nS:354 go\n" BODY "S:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", .chunking = true },
	{ "chunks with SIZE and SMTPUTF8",
	    HELLO "S:250-x\nS:250-CHUNKING\nS:250-SIZE 1000\nS:250-SMTPUTF8\n"
		  "S:250 PIPELINING\nC:MAIL FROM:<s@y.test> SIZE=900 SMTPUTF8\n"
		  "C:RCPT TO:<\xc3\xbc@x.test>\nS:250 ok\nS:250 ok\n"
		  "C:BDAT 3 LAST\nC:x\nS:250 ok\n",
	    "content|result 0 delivered 2.0.0 250 ok|done", "x\r\n", .size = 900,
	    .utf8 = true, .chunking = true },
	{ "chunks and too big",
	    HELLO "S:250-x\nS:250-CHUNKING\nS:250-PIPELINING\nS:250 SIZE 1000\n",
	    "result 0 failed 5.3.4 |done", .size = 1001, .chunking = true },
	{ "LMTP in chunks",
	    "S:220 hi\nC:LHLO me.test\nS:250-x\nS:250-CHUNKING\nS:250 PIPELINING\n"
	    "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
	    "S:250 ok\nS:250 ok\nS:250 ok\nC:BDAT 3 LAST\nC:x\nS:250 2.1.5 one\n"
	    "S:452 4.2.2 full\n",
	    "content|result 0 delivered 2.1.5 250 2.1.5 one|"
	    "result 1 deferred 4.2.2 452 4.2.2 full|done",
	    "x\r\n", .rcpts = 2, .lmtp = true, .chunking = true },
	{ "LMTP lost between the replies",
	    "S:220 hi\nC:LHLO me.test\nS:250-x\nS:250 PIPELINING\n"
	    "C:MAIL FROM:<s@y.test>\nC:RCPT TO:<a@x.test>\nC:RCPT TO:<b@x.test>\n"
	    "S:250 ok\nS:250 ok\nS:250 ok\nC:DATA\nS:354 go\n" BODY "S:250 one\n",
	    "content|result 0 delivered 2.0.0 250 one|result 1 deferred 4.4.2 "
	    "|done|close",
	    .rcpts = 2, .lmtp = true, .end = "lost" },
};

struct play {
	struct smtp_out *o;
	const struct script *s;
	char actions[2048];
	bool want_tls;
};

static void
note(struct play *p, const char *what)
{
	if (p->actions[0] != '\0')
		strncat(p->actions, "|", sizeof(p->actions) - strlen(p->actions) - 1);
	strncat(p->actions, what, sizeof(p->actions) - strlen(p->actions) - 1);
}

static void
feed_content(struct play *p, size_t chunk)
{
	const char *c =
	    p->s->content != NULL ? p->s->content : "Subject: x\r\n\r\nhello\r\n";
	size_t len = strlen(c);

	for (size_t at = 0; at < len; at += chunk)
		assert_int_equal(
		    smtp_out_content(p->o, c + at, len - at < chunk ? len - at : chunk),
		    0);
	assert_int_equal(smtp_out_content_end(p->o), 0);
}

static void
drain(struct play *p, size_t chunk)
{
	static const char *const words[] = { "", "delivered", "deferred", "failed" };
	struct smtp_out_action a;
	char line[1200];

	for (;;) {
		smtp_out_next(p->o, &a);
		switch (a.kind) {
		case SMTP_OUT_NONE:
			return;
		case SMTP_OUT_STARTTLS:
			note(p, "starttls");
			p->want_tls = true;
			break;
		case SMTP_OUT_LOGIN:
			snprintf(line, sizeof(line), "login %s", a.text);
			note(p, line);
			smtp_out_auth(p->o, "LOGIN", p->s->initial);
			break;
		case SMTP_OUT_CHALLENGE:
			snprintf(line, sizeof(line), "challenge %s", a.reply);
			note(p, line);
			smtp_out_auth_answer(
			    p->o, strcmp(a.reply, "no") == 0 ? NULL : "YW5z");
			break;
		case SMTP_OUT_LOGGED_IN:
			note(p, "in");
			smtp_out_auth_done(p->o);
			break;
		case SMTP_OUT_CONTENT:
			note(p, "content");
			feed_content(p, chunk);
			break;
		case SMTP_OUT_RESULT:
			snprintf(line, sizeof(line), "result %zu %s %s %s", a.index,
			    words[a.status], a.enhanced, a.reply);
			note(p, line);
			assert_true(a.status == JOB_DELIVERED || a.text[0] != '\0');
			break;
		case SMTP_OUT_DONE:
			note(p, "done");
			break;
		case SMTP_OUT_TROUBLE:
			snprintf(line, sizeof(line), "trouble %s %s %s", words[a.status],
			    a.enhanced, a.reply);
			note(p, line);
			break;
		case SMTP_OUT_CLOSE:
			note(p, "close");
			break;
		}
	}
}

static void
expect_line(struct play *p, const char *line, size_t len)
{
	char want[512], got[512] = "";
	ev_ssize_t n;

	snprintf(want, sizeof(want), "%.*s\r\n", (int)len, line);
	n = evbuffer_remove(smtp_out_output(p->o), got,
	    strlen(want) < sizeof(got) ? strlen(want) : sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	if (strcmp(want, got) != 0)
		fail_msg("%s: said '%s', not '%s'", p->s->name, got, want);
}

static void
server_says(struct play *p, const char *line, size_t len, size_t chunk)
{
	char octets[1024];
	size_t n = (size_t)snprintf(octets, sizeof(octets), "%.*s\r\n", (int)len, line);

	for (size_t at = 0; at < n;) {
		size_t k = n - at < chunk ? n - at : chunk;
		size_t used = smtp_out_input(p->o, (uint8_t *)octets + at, k);

		assert_int_equal(used, k);
		at += k;
		drain(p, chunk);
	}
}

static void
play(const struct script *s, size_t chunk)
{
	struct smtp_out_conf conf = { .helo = "me.test",
		.lmtp = s->lmtp,
		.tls = s->tls,
		.login = s->login,
		.chunking = s->chunking };
	bool ext = s->size == 100;
	struct smtp_out_rcpt rcpts[3];
	struct smtp_out_message m = {
		.sender = "s@y.test",
		.size = s->size,
		.body = s->binary ? BODY_BINARYMIME
			: ext     ? BODY_8BITMIME
				  : BODY_7BIT,
		.smtputf8 = s->utf8,
		.envid = ext ? "e1" : "",
		.ret = ext ? 2 : 0,
		.rcpts = rcpts,
		.n_rcpts = s->rcpts == 0 ? 1 : s->rcpts,
	};
	struct play p = { .s = s };

	for (size_t i = 0; i < 3; i++)
		rcpts[i] = (struct smtp_out_rcpt){ (uint32_t)i + 7, i,
			s->utf8 ? utf8_addresses[i] : addresses[i], ext ? 5 : 0,
			ext ? "rfc822;a@x.test" : "" };
	assert_non_null(p.o = smtp_out_new(&conf));
	assert_int_equal(smtp_out_message(p.o, &m), 0);
	assert_int_equal(smtp_out_message(p.o, &m), -1);
	for (const char *line = s->dialogue; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (line[0] == 'S')
			server_says(&p, line + 2, len - 2, chunk);
		else if (line[0] == 'C')
			expect_line(&p, line + 2, len - 2);
		else {
			assert_true(p.want_tls);
			/* Octets behind the 220 are not ours to take. */
			assert_int_equal(
			    smtp_out_input(p.o, (const uint8_t *)"250 injected\r\n", 14),
			    0);
			smtp_out_tls_ready(p.o);
			drain(&p, chunk);
		}
		line += len + 1;
	}
	if (s->end != NULL && strcmp(s->end, "lost") == 0)
		smtp_out_lost(p.o, "gone");
	else if (s->end != NULL)
		smtp_out_timeout(p.o);
	drain(&p, chunk);
	if (strcmp(p.actions, s->actions) != 0)
		fail_msg("%s: '%s'\nnot '%s'", s->name, p.actions, s->actions);
	assert_int_equal(evbuffer_get_length(smtp_out_output(p.o)), 0);
	smtp_out_free(p.o);
}

static void
test_scripts(void **state)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		play(&scripts[i], 1);
		play(&scripts[i], 3);
		play(&scripts[i], 4096);
	}
}

/* Several chunks, line ends at their seams, and one that is refused. */
static void
test_chunks(void **state)
{
	static const struct {
		const char *replies[3]; /* to the chunks; the last may come late */
		const char *want;
	} rows[] = {
		{ { "250 1", "250 2", "250 3" },
		    "content|result 0 delivered 2.0.0 250 3|done" },
		{ { "250 1", "552 2", "503 3" },
		    "content|result 0 failed 5.3.4 552 2|done" },
		{ { "452 1", "503 2", "503 3" },
		    "content|result 0 deferred 4.3.1 452 1|done" },
		{ { "421 1", NULL, NULL },
		    "content|result 0 deferred 4.3.2 421 1|done|close" },
	};
	struct smtp_out_conf conf = { .helo = "me.test", .chunking = true };
	struct smtp_out_rcpt r = { 1, 0, "a@x.test", 0, "" };
	struct smtp_out_message m = {
		.sender = "s@y.test", .envid = "", .rcpts = &r, .n_rcpts = 1
	};
	char *content, *want;
	size_t len = 2 * SMTP_OUT_CHUNK + 100;

	/* Bare LFs: it grows, and what goes out is the same in any slices. */
	content = malloc(len + 1);
	want = malloc(2 * len);
	assert_true(content != NULL && want != NULL);
	for (size_t i = 0; i < len; i++)
		content[i] = i % 64 == 63 ? '\n' : '.';
	content[len] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script s = { "many chunks", .content = content };
		struct play p = { .s = &s };
		size_t total = 0, chunks = 0;

		assert_non_null(p.o = smtp_out_new(&conf));
		assert_int_equal(smtp_out_message(p.o, &m), 0);
		server_says(&p, "220 x", 5, 100);
		server_says(&p, "250-x", 5, 100);
		server_says(&p, "250-CHUNKING", 12, 100);
		server_says(&p, "250 PIPELINING", 14, 100);
		expect_line(&p, "EHLO me.test", 12);
		expect_line(&p, "MAIL FROM:<s@y.test>", 20);
		expect_line(&p, "RCPT TO:<a@x.test>", 18);
		server_says(&p, "250 x", 5, 100);
		server_says(&p, "250 x", 5, i == 0 ? 1 : 4096);
		for (int last = 0; !last; chunks++) {
			char head[64];
			size_t n = 0, size;

			while (n == 0 || head[n - 1] != '\n') {
				assert_int_equal(
				    evbuffer_remove(smtp_out_output(p.o), head + n, 1),
				    1);
				n++;
			}
			head[n] = '\0';
			assert_int_equal(sscanf(head, "BDAT %zu", &size), 1);
			last = strstr(head, " LAST\r\n") != NULL;
			assert_true(last || size >= SMTP_OUT_CHUNK);
			assert_int_equal(
			    evbuffer_remove(smtp_out_output(p.o), want + total, size),
			    size);
			total += size;
		}
		assert_true(chunks == 3);
		assert_int_equal(total, len + len / 64 + 2);
		for (size_t k = 0, n = 0; k < total; k++)
			if (want[k] != '\r')
				assert_true(want[k] == (n < len ? content[n] : '\n') &&
					    ++n <= len + 1);
		for (int k = 0; k < 3 && rows[i].replies[k] != NULL; k++)
			server_says(
			    &p, rows[i].replies[k], strlen(rows[i].replies[k]), 100);
		if (strcmp(p.actions, rows[i].want) != 0)
			fail_msg("row %zu: '%s'", i, p.actions);
		if (i == 1 || i == 2) {
			expect_line(&p, "RSET", 4);
			server_says(&p, "250 x", 5, 100);
			assert_true(smtp_out_idle(p.o));
		}
		assert_int_equal(evbuffer_get_length(smtp_out_output(p.o)), 0);
		smtp_out_free(p.o);
	}
	free(content);
	free(want);
}

/* A second message over the same connection, given while RSET is under way. */
static void
test_reuse(void **state)
{
	struct smtp_out_conf conf = { "me.test", false, SMTP_OUT_TLS_NO };
	struct smtp_out_rcpt r = { 1, 0, "a@x.test", 0, "" };
	struct smtp_out_message m = {
		.sender = "", .envid = "", .rcpts = &r, .n_rcpts = 1
	};
	static const struct script s = { "reuse" };
	struct play p = { .s = &s };

	assert_non_null(p.o = smtp_out_new(&conf));
	assert_int_equal(smtp_out_message(p.o, &m), 0);
	server_says(&p, "220 x", 5, 100);
	expect_line(&p, "EHLO me.test", 12);
	assert_false(smtp_out_idle(p.o));
	server_says(&p, "250 x", 5, 100);
	expect_line(&p, "MAIL FROM:<>", 12);
	server_says(&p, "250 x", 5, 100);
	expect_line(&p, "RCPT TO:<a@x.test>", 18);
	server_says(&p, "550 x", 5, 100);
	expect_line(&p, "RSET", 4);
	assert_true(smtp_out_idle(p.o));
	assert_int_equal(smtp_out_message(p.o, &m), 0);
	assert_true(smtp_out_untouched(p.o));
	server_says(&p, "250 x", 5, 100);
	expect_line(&p, "MAIL FROM:<>", 12);
	assert_true(smtp_out_untouched(p.o));
	server_says(&p, "250 x", 5, 100);
	assert_false(smtp_out_untouched(p.o));
	expect_line(&p, "RCPT TO:<a@x.test>", 18);
	server_says(&p, "250 x", 5, 100);
	expect_line(&p, "DATA", 4);
	server_says(&p, "354 x", 5, 100);
	assert_true(smtp_out_past_end(p.o));
	evbuffer_drain(smtp_out_output(p.o), 1000);
	server_says(&p, "250 x", 5, 100);
	assert_true(smtp_out_idle(p.o));
	/* A 421 that nobody asked for. */
	server_says(&p, "421 bye", 7, 100);
	assert_string_equal(p.actions, "result 0 failed 5.1.1 550 x|done|content|result "
				       "0 delivered 2.0.0 250 x|done|close");
	assert_int_equal(smtp_out_message(p.o, &m), -1);
	smtp_out_free(p.o);
}

static void
test_early_reply(void **state)
{
	struct smtp_out_conf conf = { "me.test", false, SMTP_OUT_TLS_NO };
	struct smtp_out_rcpt r = { 1, 0, "a@x.test", 0, "" };
	struct smtp_out_message m = {
		.sender = "s@y.test", .envid = "", .rcpts = &r, .n_rcpts = 1
	};
	static const char dialogue[] = "220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n";
	struct smtp_out *o = smtp_out_new(&conf);
	struct smtp_out_action a;

	assert_int_equal(smtp_out_message(o, &m), 0);
	assert_int_equal(
	    smtp_out_input(o, (const uint8_t *)dialogue, sizeof(dialogue) - 1),
	    sizeof(dialogue) - 1);
	smtp_out_next(o, &a);
	assert_int_equal(a.kind, SMTP_OUT_CONTENT);
	assert_int_equal(smtp_out_content(o, "x", 1), 0);
	(void)smtp_out_input(o, (const uint8_t *)"552 5.3.4 enough\r\n", 18);
	assert_int_equal(smtp_out_content(o, "x", 1), -1);
	smtp_out_next(o, &a);
	assert_int_equal(a.kind, SMTP_OUT_RESULT);
	assert_int_equal(a.status, JOB_FAILED);
	assert_string_equal(a.enhanced, "5.3.4");
	smtp_out_next(o, &a);
	assert_int_equal(a.kind, SMTP_OUT_DONE);
	smtp_out_next(o, &a);
	assert_int_equal(a.kind, SMTP_OUT_CLOSE);
	smtp_out_free(o);
}

/* A recipient that would smuggle a command. */
static void
test_line_end_in_address(void **state)
{
	struct smtp_out_conf conf = { "me.test", false, SMTP_OUT_TLS_NO };
	struct smtp_out_rcpt r[2] = { { 1, 0, "a@x.test>\r\nDATA", 0, "" },
		{ 2, 1, "a@x.test> NOTIFY=NEVER <b", 0, "" } };
	struct smtp_out_message m = {
		.sender = "s@y.test", .envid = "", .rcpts = r, .n_rcpts = 2
	};
	static const char dialogue[] = "220 x\r\n250 x\r\n250 x\r\n";
	struct smtp_out *o = smtp_out_new(&conf);
	char said[200];
	ev_ssize_t n;

	assert_int_equal(smtp_out_message(o, &m), 0);
	(void)smtp_out_input(o, (const uint8_t *)dialogue, sizeof(dialogue) - 1);
	n = evbuffer_remove(smtp_out_output(o), said, sizeof(said) - 1);
	said[n] = '\0';
	assert_string_equal(said, "EHLO me.test\r\nMAIL FROM:<s@y.test>\r\nRSET\r\n");
	smtp_out_free(o);
}

/* What some server takes for the end of data never leaves, however content has it and in
 * whatever pieces it comes: the only end is our own. */
static void
test_smuggling(void **state)
{
#define OCTETS(s) s, sizeof(s) - 1
	static const struct {
		const char *s;
		size_t len;
	} ends[] = { { OCTETS("\n.\n") }, { OCTETS("\n.\r\n") }, { OCTETS("\r\n.\n") },
		{ OCTETS("\r\n.\r") }, { OCTETS("\r.\r") }, { OCTETS("\r.\r\n") },
		{ OCTETS("\r.\n") }, { OCTETS("\n.\r") }, { OCTETS("\r\n.\r\n") },
		{ OCTETS("\r\n\0.\r\n") }, { OCTETS("\r\n.\0\r\n") },
		{ OCTETS("\r\r\n.\r\r\n") }, { OCTETS("\r\n.\r\r\n") },
		{ OCTETS("\r\n..\r\n") }, { OCTETS("\r\n.\r\n.\r\n") },
		{ OCTETS("\n\n.\n\n") }, { OCTETS("\r\n\r.\r\n") },
		{ OCTETS("\n.\r\r\n") } };
	static const char evil[] = "MAIL FROM:<evil@b.c>\r\nDATA\r\n.";
	static const char dialogue[] = "220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n";

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		for (size_t cut = 0; cut < ends[i].len + 5; cut++) {
			struct smtp_out_conf conf = { "me.test", false, SMTP_OUT_TLS_NO };
			struct smtp_out_rcpt r = {
				.number = 1, .address = "a@x.test", .orcpt = ""
			};
			struct smtp_out_message m = { .sender = "s@y.test",
				.envid = "",
				.rcpts = &r,
				.n_rcpts = 1 };
			struct smtp_out *o = smtp_out_new(&conf);
			char content[200] = "first", said[400];
			size_t len = 5, ended = 0, n;
			struct smtp_out_action a;

			memcpy(content + len, ends[i].s, ends[i].len);
			len += ends[i].len;
			memcpy(content + len, evil, sizeof(evil) - 1);
			len += sizeof(evil) - 1;
			assert_int_equal(smtp_out_message(o, &m), 0);
			(void)smtp_out_input(
			    o, (const uint8_t *)dialogue, sizeof(dialogue) - 1);
			smtp_out_next(o, &a);
			assert_int_equal(a.kind, SMTP_OUT_CONTENT);
			evbuffer_drain(
			    smtp_out_output(o), evbuffer_get_length(smtp_out_output(o)));
			assert_int_equal(smtp_out_content(o, content, cut), 0);
			assert_int_equal(
			    smtp_out_content(o, content + cut, len - cut), 0);
			assert_int_equal(smtp_out_content_end(o), 0);
			n = (size_t)evbuffer_remove(
			    smtp_out_output(o), said, sizeof(said));
			assert_true(n > 5 && n < sizeof(said));
			for (size_t at = 0; at < n; at++) {
				if (said[at] == '\r')
					assert_true(at + 1 < n && said[at + 1] == '\n');
				if (said[at] == '\n')
					assert_true(at > 0 && said[at - 1] == '\r');
				if (n - at >= 5 && memcmp(said + at, "\r\n.\r\n", 5) == 0)
					ended++;
			}
			assert_int_equal(ended, 1);
			assert_memory_equal(said + n - 5, "\r\n.\r\n", 5);
			smtp_out_free(o);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_early_reply),
		cmocka_unit_test(test_line_end_in_address),
		cmocka_unit_test(test_smuggling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
