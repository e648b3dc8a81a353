/* SPDX-License-Identifier: ISC */
/*
 * What a message's sender asked for, handed on to servers that know of it and to others:
 * REQUIRETLS, MT-PRIORITY, DELIVERBY, RRVS; and what TLS a message needs on its way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include "deliverd/remote/smtp_out.h"

#define NOW 1800000000

struct script {
	const char *dialogue; /* S: the server's lines, C: the client's */
	const char *actions;
	const char *sender; /* NULL: "s@y.test" */
	bool require_tls, verified;
	int8_t priority;
	int64_t by; /* from now */
	uint8_t by_mode;
	bool by_trace;
	uint8_t rrvs_action;
	uint8_t notify;
	bool utf8_header;
	const char *rcpt, *orcpt; /* NULL: "a@x.test", "" */
};

#define EHLO(e) "S:220 x\nC:EHLO me.test\n" e
#define TLS "S:250-x\nS:250 STARTTLS\nC:STARTTLS\nS:220 go\nTLS\nC:EHLO me.test\n"
#define REST "S:250 ok\nC:DATA\nS:354 go\nC:x\nC:.\nS:250 ok\n"
#define SENT "content|delivered 2.0.0|done"

static const struct script scripts[] = {
	/* REQUIRETLS */
	{ EHLO(TLS) "S:250-x\nS:250 REQUIRETLS\nC:MAIL FROM:<s@y.test> REQUIRETLS\nS:250 "
		    "ok\nC:RCPT TO:<a@x.test>\n" REST,
	    "tls|" SENT, .require_tls = true, .verified = true },
	{ EHLO(TLS) "S:250 x\nC:QUIT\n", "tls|trouble failed 5.7.30", .require_tls = true,
	    .verified = true },
	{ EHLO("S:250 x\nC:QUIT\n"), "trouble failed 5.7.10", .require_tls = true,
	    .verified = true },
	/* Said before TLS it means nothing. */
	{ EHLO("S:250-x\nS:250-REQUIRETLS\nS:250 STARTTLS\nC:STARTTLS\nS:220 go\nTLS\n"
	       "C:EHLO me.test\nS:250 x\nC:QUIT\n"),
	    "tls|trouble failed 5.7.30", .require_tls = true, .verified = true },
	/* A bounce goes as it can. */
	{ EHLO("S:250 x\nC:MAIL FROM:<>\nS:250 ok\nC:RCPT TO:<a@x.test>\n") REST, SENT,
	    .sender = "", .require_tls = true },
	{ EHLO(TLS) "S:250-x\nS:250 REQUIRETLS\nC:MAIL FROM:<> REQUIRETLS\nS:250 "
		    "ok\nC:RCPT TO:<a@x.test>\n" REST,
	    "tls|" SENT, .sender = "", .require_tls = true },
	{ EHLO(TLS) "S:250-x\nS:250 REQUIRETLS\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
		    "TO:<a@x.test>\n" REST,
	    "tls|" SENT },
	/* MT-PRIORITY */
	{ EHLO("S:250-x\nS:250 MT-PRIORITY MIXER\nC:MAIL FROM:<s@y.test> "
	       "MT-PRIORITY=-9\nS:250 ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .priority = -9 },
	{ EHLO("S:250-x\nS:250 mt-priority\nC:MAIL FROM:<s@y.test> MT-PRIORITY=0\nS:250 "
	       "ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT },
	{ EHLO("S:250 x\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .priority = 4 },
	/* DELIVERBY */
	{ EHLO("S:250-x\nS:250 DELIVERBY\nC:MAIL FROM:<s@y.test> BY=120;RT\nS:250 ok\n"
	       "C:RCPT TO:<a@x.test>\n") REST,
	    SENT, .by = 120, .by_mode = 'R', .by_trace = true },
	{ EHLO("S:250-x\nS:250 DELIVERBY 120\nC:MAIL FROM:<s@y.test> BY=120;R\nS:250 ok\n"
	       "C:RCPT TO:<a@x.test>\n") REST,
	    SENT, .by = 120, .by_mode = 'R' },
	{ EHLO("S:250-x\nS:250 DELIVERBY 121\n"), "failed 5.4.7|done", .by = 120,
	    .by_mode = 'R' },
	{ EHLO("S:250-x\nS:250 DELIVERBY 99999999999999999999999\n"), "failed 5.4.7|done",
	    .by = 120, .by_mode = 'R' },
	{ EHLO("S:250 x\n"), "failed 5.3.3|done", .by = 120, .by_mode = 'R' },
	{ EHLO("S:250-x\nS:250 DELIVERBY\n"), "failed 5.4.7|done", .by = 0,
	    .by_mode = 'R' },
	{ EHLO("S:250-x\nS:250 DELIVERBY 240\nC:MAIL FROM:<s@y.test> BY=-30;N\nS:250 "
	       "ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .by = -30, .by_mode = 'N' },
	{ EHLO("S:250-x\nS:250 DELIVERBY\nC:MAIL FROM:<s@y.test> BY=-999999999;N\nS:250 "
	       "ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .by = -NOW, .by_mode = 'N' },
	{ EHLO("S:250-x\nS:250 DSN\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> NOTIFY=FAILURE,DELAY\n") REST,
	    SENT, .by = 120, .by_mode = 'N' },
	{ EHLO("S:250-x\nS:250 DSN\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> NOTIFY=SUCCESS,DELAY\n") REST,
	    SENT, .by = 120, .by_mode = 'N', .notify = SMTP_OUT_NOTIFY_SUCCESS },
	{ EHLO("S:250-x\nS:250 DSN\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> NOTIFY=NEVER\n") REST,
	    SENT, .by = 120, .by_mode = 'N', .notify = SMTP_OUT_NOTIFY_NEVER },
	{ EHLO("S:250-x\nS:250-DELIVERBY\nS:250 DSN\nC:MAIL FROM:<s@y.test> BY=120;N\n"
	       "S:250 ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .by = 120, .by_mode = 'N' },
	/* RRVS */
	{ EHLO("S:250-x\nS:250 RRVS\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> RRVS=2014-04-03T23:01:00Z;R\n") REST,
	    SENT, .rrvs_action = 'R' },
	{ EHLO("S:250-x\nS:250 RRVS\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> RRVS=2014-04-03T23:01:00Z;C\n") REST,
	    SENT, .rrvs_action = 'C' },
	{ EHLO("S:250 x\n"), "failed 5.7.19|done", .rrvs_action = 'R' },
	{ EHLO("S:250 x\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\n") REST,
	    SENT, .rrvs_action = 'C' },
	/* RFC 6531, 3.2: a header in UTF-8 goes nowhere else. */
	{ EHLO("S:250 8BITMIME\n"), "failed 5.6.7|done", .utf8_header = true },
	{ EHLO("S:250-x\nS:250 SMTPUTF8\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test>\n") REST,
	    SENT, .utf8_header = true },
	/* An address that came by an alias. */
	{ EHLO("S:250-x\nS:250 SMTPUTF8\nC:MAIL FROM:<s@y.test> SMTPUTF8\nS:250 "
	       "ok\nC:RCPT "
	       "TO:<\xc3\xbc@x.test>\n") REST,
	    SENT, .rcpt = "\xc3\xbc@x.test" },
	/* RFC 6533, 3 */
	{ EHLO("S:250-x\nS:250 DSN\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> ORCPT=utf-8;\\x{FC}@x.test\n") REST,
	    SENT, .orcpt = "utf-8;\xc3\xbc@x.test" },
	{ EHLO("S:250-x\nS:250 DSN\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT "
	       "TO:<a@x.test> ORCPT=utf-8;\\x{FC}@x.test\n") REST,
	    SENT, .orcpt = "utf-8;\\x{FC}@x.test" },
	/* RFC 7504 */
	{ "S:521 no mail here\n", "trouble failed 5.3.2" },
	{ EHLO("S:521 no mail here\n"), "trouble failed 5.3.2" },
	{ EHLO("S:250 x\nC:MAIL FROM:<s@y.test>\nS:250 ok\nC:RCPT TO:<a@x.test>\nS:556 "
	       "no mail there\nC:RSET\nS:250 ok\n"),
	    "failed 5.1.10|done" },
};

static int64_t
now(void)
{
	return NOW;
}

struct play {
	struct smtp_out *o;
	char actions[512];
};

static void
note(struct play *p, const char *what)
{
	size_t len = strlen(p->actions);

	snprintf(
	    p->actions + len, sizeof(p->actions) - len, "%s%s", len > 0 ? "|" : "", what);
}

static void
drain(struct play *p)
{
	static const char *const words[] = { "", "delivered", "deferred", "failed" };
	struct smtp_out_action a;
	char text[64];

	for (;;) {
		smtp_out_next(p->o, &a);
		switch (a.kind) {
		case SMTP_OUT_NONE:
			return;
		case SMTP_OUT_STARTTLS:
			note(p, "tls");
			break;
		case SMTP_OUT_LOGIN:
		case SMTP_OUT_CHALLENGE:
		case SMTP_OUT_LOGGED_IN:
			fail();
			break;
		case SMTP_OUT_CONTENT:
			note(p, "content");
			assert_int_equal(smtp_out_content(p->o, "x", 1), 0);
			assert_int_equal(smtp_out_content_end(p->o), 0);
			break;
		case SMTP_OUT_RESULT:
		case SMTP_OUT_TROUBLE:
			snprintf(text, sizeof(text), "%s%s %s",
			    a.kind == SMTP_OUT_TROUBLE ? "trouble " : "", words[a.status],
			    a.enhanced);
			note(p, text);
			assert_true(a.status == JOB_DELIVERED || a.text[0] != '\0');
			break;
		case SMTP_OUT_DONE:
			note(p, "done");
			break;
		case SMTP_OUT_CLOSE:
			note(p, "close");
			break;
		}
	}
}

static void
say(struct play *p, const char *line, size_t len, size_t chunk)
{
	char octets[256];
	size_t n = (size_t)snprintf(octets, sizeof(octets), "%.*s\r\n", (int)len, line);

	for (size_t at = 0; at < n; at += chunk) {
		(void)smtp_out_input(
		    p->o, (uint8_t *)octets + at, n - at < chunk ? n - at : chunk);
		drain(p);
	}
}

static void
play(const struct script *s, size_t chunk)
{
	struct smtp_out_conf conf = { .helo = "me.test",
		.tls = s->require_tls && s->verified ? SMTP_OUT_TLS_REQUIRED
						     : SMTP_OUT_TLS_OFFERED,
		.verified = s->verified,
		.now = now };
	struct smtp_out_rcpt r = { .address = s->rcpt != NULL ? s->rcpt : "a@x.test",
		.orcpt = s->orcpt != NULL ? s->orcpt : "",
		.notify = s->notify,
		.rrvs = 1396566060,
		.rrvs_action = s->rrvs_action };
	struct smtp_out_message m = { .sender =
					  s->sender != NULL ? s->sender : "s@y.test",
		.envid = "",
		.require_tls = s->require_tls,
		.priority = s->priority,
		.utf8_header = s->utf8_header,
		.by = NOW + s->by,
		.by_mode = s->by_mode,
		.by_trace = s->by_trace,
		.rcpts = &r,
		.n_rcpts = 1 };
	struct play p = { 0 };

	assert_non_null(p.o = smtp_out_new(&conf));
	assert_int_equal(smtp_out_message(p.o, &m), 0);
	for (const char *line = s->dialogue; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		char got[256] = "", want[256];

		if (line[0] == 'S')
			say(&p, line + 2, len - 2, chunk);
		else if (line[0] == 'C') {
			snprintf(want, sizeof(want), "%.*s\r\n", (int)len - 2, line + 2);
			(void)evbuffer_remove(smtp_out_output(p.o), got, strlen(want));
			assert_string_equal(got, want);
		} else {
			smtp_out_tls_ready(p.o);
			drain(&p);
		}
		line += len + 1;
	}
	assert_string_equal(p.actions, s->actions);
	assert_int_equal(evbuffer_get_length(smtp_out_output(p.o)), 0);
	smtp_out_free(p.o);
}

static void
test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		play(&scripts[i], 1);
		play(&scripts[i], 4096);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
