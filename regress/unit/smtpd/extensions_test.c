/* SPDX-License-Identifier: ISC */
/*
 * Extensions that mark a message, whole and byte by byte: who is offered them, what their
 * parameters may say, and what goes on to the queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "regress/unit/smtpd/dialogue.h"

#define NOW 1800000000 /* 2027-01-15T08:00:00Z */
#define N(a) (sizeof(a) / sizeof((a)[0]))
#define LOGIN "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"
#define TO "RCPT TO:<alice@example.test>\r\n"
#define DATA "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"

static int64_t
now(void)
{
	return NOW;
}

static void
start(struct dialogue *d, enum listener_kind kind, int tls, int priority)
{
	struct smtp_in_facts facts = { .kind = kind,
		.tls = (uint8_t)tls,
		.auth_without_tls = 1,
		.priority = (uint8_t)priority };

	dialogue_init(d, kind, tls);
	d->conf.now = now;
	d->conf.release_max_s = 3600;
	d->conf.by_min_s = 60;
	d->conf.priority_policy = "MIXER";
	d->conf.priority_login_max = 3;
	smtp_in_free(d->e);
	assert_non_null(d->e = smtp_in_new(&d->conf, &facts));
	smtp_in_start(d->e);
	dialogue_act(d);
}

static void
say(struct dialogue *d, const char *in, size_t piece)
{
	d->out_len = 0;
	dialogue_feed(d, in, strlen(in), piece);
}

static void
test_offered(void **state)
{
	static const struct {
		enum listener_kind kind;
		int tls, priority, login;
		const char *has; /* separated by | */
		const char * not ;
	} rows[] = {
		{ LISTENER_SMTP, 0, 0, 0, "DELIVERBY 60|RRVS",
		    "REQUIRETLS|FUTURERELEASE|MT-PRIORITY" },
		{ LISTENER_SMTP, 1, 0, 0, "DELIVERBY 60|RRVS|REQUIRETLS",
		    "FUTURERELEASE|MT-PRIORITY" },
		{ LISTENER_SMTP, 0, 1, 0, "MT-PRIORITY MIXER", "FUTURERELEASE" },
		{ LISTENER_SMTP, 0, 0, 1, "MT-PRIORITY MIXER", "FUTURERELEASE" },
		{ LISTENER_SUBMISSION, 1, 0, 0,
		    "FUTURERELEASE 3600 2027-01-15T09:00:00Z|MT-PRIORITY "
		    "MIXER|DELIVERBY 60|REQUIRETLS|RRVS",
		    "" },
		{ LISTENER_LMTP, 1, 0, 0, "MT-PRIORITY MIXER|DELIVERBY 60|RRVS",
		    "FUTURERELEASE|REQUIRETLS" },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct dialogue d;
		char words[200], *rest, *w;

		start(&d, rows[i].kind, rows[i].tls, rows[i].priority);
		if (rows[i].login)
			say(&d, "EHLO x\r\n" LOGIN, 0);
		say(&d, rows[i].kind == LISTENER_LMTP ? "LHLO x\r\n" : "EHLO x\r\n", 0);
		snprintf(words, sizeof(words), "%s", rows[i].has);
		for (rest = words; (w = strsep(&rest, "|")) != NULL && *w != '\0';) {
			char line[100];

			snprintf(line, sizeof(line), "250-%s\r\n", w);
			if (strstr(d.out, line) == NULL)
				fail_msg("row %zu: no %s in %s", i, w, d.out);
		}
		snprintf(words, sizeof(words), "%s", rows[i].not );
		for (rest = words; (w = strsep(&rest, "|")) != NULL && *w != '\0';)
			if (strstr(d.out, w) != NULL)
				fail_msg("row %zu: %s in %s", i, w, d.out);
		dialogue_clear(&d);
	}
	/* Off by configuration. */
	{
		struct dialogue d;

		start(&d, LISTENER_SUBMISSION, 1, 0);
		d.conf.release_max_s = 0;
		d.conf.by_min_s = 0;
		d.conf.priority_policy = NULL;
		say(&d, "EHLO x\r\n" LOGIN, 0);
		assert_null(strstr(d.out, "FUTURERELEASE"));
		assert_null(strstr(d.out, "MT-PRIORITY"));
		assert_non_null(strstr(d.out, "250-DELIVERBY\r\n"));
		say(&d, "MAIL FROM:<alice@example.test> HOLDFOR=1\r\n", 0);
		assert_memory_equal(d.out, "555 5.5.4", 9);
		say(&d, "MAIL FROM:<alice@example.test> MT-PRIORITY=1\r\n", 0);
		assert_memory_equal(d.out, "555 5.5.4", 9);
		dialogue_clear(&d);
	}
}

struct row {
	enum listener_kind kind;
	int tls, priority;
	const char *mail; /* parameters */
	const char *reply;
	struct smtp_in_ext ext;
};

static const struct row rows[] = {
	/* REQUIRETLS */
	{ LISTENER_SMTP, 1, 0, "REQUIRETLS", "250 2.1.0", { .require_tls = 1 } },
	{ LISTENER_SMTP, 1, 0, "requiretls", "250 2.1.0", { .require_tls = 1 } },
	{ LISTENER_SMTP, 0, 0, "REQUIRETLS", "530 5.7.10", { 0 } },
	{ LISTENER_LMTP, 1, 0, "REQUIRETLS", "555 5.5.4", { 0 } },
	{ LISTENER_SMTP, 1, 0, "REQUIRETLS=yes", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 1, 0, "REQUIRETLS=", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 1, 0, "REQUIRETLS REQUIRETLS", "501 5.5.4", { 0 } },
	/* FUTURERELEASE */
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=1", "250 2.1.0",
	    { .release = NOW + 1, .hold = "for;1" } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=3600", "250 2.1.0",
	    { .release = NOW + 3600, .hold = "for;3600" } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=3601", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=0", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=-1", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=1000000000", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T08:30:00Z", "250 2.1.0",
	    { .release = NOW + 1800, .hold = "until;2027-01-15T08:30:00Z" } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T08:30:00+00:00", "250 2.1.0",
	    { .release = NOW + 1800, .hold = "until;2027-01-15T08:30:00+00:00" } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T08:30:00+01:00", "501 5.5.4",
	    { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T07:59:59Z", "501 5.5.4",
	    { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T09:00:01Z", "501 5.5.4",
	    { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-02-30T09:00:01Z", "501 5.5.4",
	    { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDUNTIL=2027-01-15T08:30:00.5Z", "501 5.5.4",
	    { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=1 HOLDUNTIL=2027-01-15T08:30:00Z",
	    "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=1 HOLDFOR=1", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 1, 1, "HOLDFOR=1", "555 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "HOLDFOR=100 BY=99;R", "501 5.5.4", { 0 } },
	{ LISTENER_SUBMISSION, 1, 0, "BY=100;R HOLDFOR=100", "250 2.1.0",
	    { .release = NOW + 100,
		.hold = "for;100",
		.by = NOW + 100,
		.by_mode = 'R' } },
	/* DELIVERBY */
	{ LISTENER_SMTP, 0, 0, "BY=120;R", "250 2.1.0",
	    { .by = NOW + 120, .by_mode = 'R' } },
	{ LISTENER_SMTP, 0, 0, "BY=+60;rt", "250 2.1.0",
	    { .by = NOW + 60, .by_mode = 'R', .by_trace = 1 } },
	{ LISTENER_SMTP, 0, 0, "BY=59;R", "555 5.4.7", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=5;NT", "250 2.1.0",
	    { .by = NOW + 5, .by_mode = 'N', .by_trace = 1 } },
	{ LISTENER_SMTP, 0, 0, "BY=-999999999;N", "250 2.1.0",
	    { .by = NOW - 999999999, .by_mode = 'N' } },
	{ LISTENER_SMTP, 0, 0, "BY=0;N", "250 2.1.0", { .by = NOW, .by_mode = 'N' } },
	{ LISTENER_SMTP, 0, 0, "BY=0;R", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=-1;R", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=1000000000;N", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120;", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120;X", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120;RX", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120;RTT", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=;R", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "BY=120;R BY=120;R", "501 5.5.4", { 0 } },
	/* MT-PRIORITY */
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=9", "250 2.1.0",
	    { .has_priority = 1, .priority = 9 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=-9", "250 2.1.0",
	    { .has_priority = 1, .priority = -9 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=0", "250 2.1.0", { .has_priority = 1 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=-0", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=10", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=+1", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 1, "MT-PRIORITY=1 MT-PRIORITY=1", "501 5.5.4", { 0 } },
	{ LISTENER_SMTP, 0, 0, "MT-PRIORITY=-1", "555 5.5.4", { 0 } },
	/* A login has what the configuration grants, a stranger nothing. */
	{ LISTENER_SUBMISSION, 1, 0, "MT-PRIORITY=3", "250 2.1.0",
	    { .has_priority = 1, .priority = 3 } },
	{ LISTENER_SUBMISSION, 1, 0, "MT-PRIORITY=4", "250 2.3.6 3 is the new priority",
	    { .has_priority = 1, .priority = 3, .priority_lowered = 1 } },
	{ LISTENER_LMTP, 0, 0, "MT-PRIORITY=4", "250 2.3.6 0 is the new priority",
	    { .has_priority = 1, .priority_lowered = 1 } },
	{ LISTENER_LMTP, 0, 0, "MT-PRIORITY=-4", "250 2.1.0",
	    { .has_priority = 1, .priority = -4 } },
};

static void
run(const struct row *r, size_t piece)
{
	struct dialogue d;
	char line[200];

	start(&d, r->kind, r->tls, r->priority);
	say(&d, r->kind == LISTENER_LMTP ? "LHLO x\r\n" : "EHLO x\r\n", piece);
	if (r->kind == LISTENER_SUBMISSION)
		say(&d, LOGIN, piece);
	snprintf(line, sizeof(line), "MAIL FROM:<alice@example.test> %s\r\n", r->mail);
	say(&d, line, piece);
	if (strncmp(d.out, r->reply, strlen(r->reply)) != 0)
		fail_msg("%s: %s, not %s", r->mail, d.out, r->reply);
	say(&d, TO DATA, piece);
	assert_int_equal(d.committed, r->reply[0] == '2');
	if (d.committed) {
		assert_int_equal(d.ext.require_tls, r->ext.require_tls);
		assert_int_equal(d.ext.has_priority, r->ext.has_priority);
		assert_int_equal(d.ext.priority, r->ext.priority);
		assert_int_equal(d.ext.release, r->ext.release);
		assert_string_equal(d.ext.hold, r->ext.hold);
		assert_int_equal(d.ext.by, r->ext.by);
		assert_int_equal(d.ext.by_mode, r->ext.by_mode);
		assert_int_equal(d.ext.by_trace, r->ext.by_trace);
		/* Nothing of it stays for the next one. */
		say(&d, "MAIL FROM:<alice@example.test>\r\n" TO DATA, piece);
		assert_int_equal(d.committed, 2);
		assert_int_equal(d.ext.require_tls + d.ext.priority + d.ext.by_mode, 0);
		assert_int_equal(d.ext.release, 0);
		assert_string_equal(d.ext.hold, "");
	}
	dialogue_clear(&d);
}

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		run(&rows[i], 0);
		run(&rows[i], 1);
	}
}

static void
test_rrvs(void **state)
{
	static const struct {
		const char *value;
		uint8_t action; /* 0: refused */
	} values[] = {
		{ "2014-04-03T23:01:00Z", 'R' },
		{ "2014-04-03T23:01:00Z;R", 'R' },
		{ "2014-04-03T23:01:00Z;c", 'C' },
		{ "2014-04-04T01:01:00+02:00;C", 'C' },
		{ "2014-04-03T23:01:00Z;X", 0 },
		{ "2014-04-03T23:01:00Z;", 0 },
		{ "2014-04-03T23:01:00.5Z", 0 },
		{ "2014-04-03 23:01:00Z", 0 },
		{ "2014-04-31T23:01:00Z", 0 },
		{ ";C", 0 },
		{ "", 0 },
		{ "2014-04-03T23:01:00Z RRVS=2014-04-03T23:01:00Z", 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(values); i++)
		for (size_t piece = 0; piece < 2; piece++) {
			struct dialogue d;
			char line[200];

			start(&d, LISTENER_SMTP, 0, 0);
			say(&d, "EHLO x\r\nMAIL FROM:<a@remote.test>\r\n", piece);
			snprintf(line, sizeof(line),
			    "RCPT TO:<alice@example.test> RRVS=%s\r\n", values[i].value);
			say(&d, line, piece);
			assert_memory_equal(
			    d.out, values[i].action != 0 ? "250 2.1.5" : "501 5.5.4", 9);
			say(&d, DATA, piece);
			assert_int_equal(d.committed, values[i].action != 0);
			if (d.committed) {
				assert_int_equal(d.rrvs, values[i].action);
				assert_int_equal(d.since, 1396566060);
			}
			dialogue_clear(&d);
		}
}

static void
test_tls_required(void **state)
{
	static const struct {
		const char *header;
		int optional;
	} headers[] = {
		{ "TLS-Required: No\r\n", 1 },
		{ "tls-required:\r\n\tno \r\n", 1 },
		{ "TLS-Required:No\r\nSubject: x\r\n", 1 },
		{ "Subject: x\r\nTLS-Required : No\r\n", 1 },
		{ "TLS-Required: Yes\r\n", 0 },
		{ "TLS-Required: Nono\r\n", 0 },
		{ "TLS-Required: No really\r\n", 0 },
		{ "TLS-Required: No\r\nTLS-Required: No\r\n", 0 },
		{ "X-TLS-Required: No\r\n", 0 },
		{ "Subject: TLS-Required: No\r\n", 0 },
		{ "Subject: x\r\n\r\nTLS-Required: No\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < N(headers); i++)
		for (size_t piece = 0; piece < 4; piece++) {
			struct dialogue d;

			start(&d, LISTENER_SMTP, 0, 0);
			say(&d, "EHLO x\r\nMAIL FROM:<a@remote.test>\r\n" TO "DATA\r\n",
			    piece);
			say(&d, headers[i].header, piece);
			say(&d, "\r\nbody\r\n.\r\n", piece);
			assert_int_equal(d.committed, 1);
			assert_int_equal(d.tls_optional, headers[i].optional);
			dialogue_clear(&d);
		}
}

static void
fields_of(struct smtp_data *d, const char *header, size_t piece)
{
	size_t len = strlen(header), used, n, at = 0, span_len;
	const char *span;

	smtp_data_init(d, SMTP_DATA_DOTS, 100000, 10);
	while (at < len) {
		n = piece == 0 || piece > len - at ? len - at : piece;
		(void)smtp_data_feed(d, header + at, n, &used, &span, &span_len);
		at += used;
	}
}

static void
test_valid_since(void **state)
{
	static const char header[] =
	    "Require-Recipient-Valid-Since: a@x.test; Thu, 3 Apr 2014 23:01:00 +0000\r\n"
	    "Require-Recipient-Valid-Since: nobody\r\n"
	    "Subject: x\r\n"
	    "Require-recipient-valid-since:\r\n \"b;c\"@x.test ;\r\n Thu, 3 Apr 2014\r\n"
	    " 23:01:01 +0000 (comment)\r\n"
	    "Require-Recipient-Valid-Since: d@x.test; yesterday\r\n\r\n"
	    "Require-Recipient-Valid-Since: e@x.test; Thu, 3 Apr 2014 23:01:00 +0000\r\n";
	char address[ADDRESS_MAX + 1], *many;
	struct smtp_data d = { 0 };
	int64_t since;
	size_t off, n;

	(void)state;
	for (size_t piece = 0; piece < 5; piece++) {
		fields_of(&d, header, piece);
		off = 0;
		assert_int_equal(smtp_fields_rrvs(&d.fields, &off, address, &since), 1);
		assert_string_equal(address, "a@x.test");
		assert_int_equal(since, 1396566060);
		assert_int_equal(smtp_fields_rrvs(&d.fields, &off, address, &since), 1);
		assert_string_equal(address, "\"b;c\"@x.test");
		assert_int_equal(since, 1396566061);
		assert_int_equal(smtp_fields_rrvs(&d.fields, &off, address, &since), 0);
		assert_int_equal(smtp_fields_rrvs(&d.fields, &off, address, &since), 0);
		smtp_data_clear(&d);
	}
	/* A flood of them is cut off between two. */
	assert_non_null(many = calloc(1, 100001));
	for (n = 0; n + 100 < 100000;)
		n += (size_t)snprintf(many + n, 100,
		    "Require-Recipient-Valid-Since: a@x.test; 3 Apr 2014 23:01:00 "
		    "+0000\r\n");
	fields_of(&d, many, 0);
	for (off = 0, n = 0; smtp_fields_rrvs(&d.fields, &off, address, &since); n++)
		assert_int_equal(since, 1396566060);
	assert_true(n > 50 && n <= SMTP_FIELDS_RRVS_MAX / 30);
	smtp_data_clear(&d);
	free(many);
}

/* Single commands that the standards want answered so. */
static void
test_replies(void **state)
{
	static const struct {
		enum listener_kind kind;
		const char *before, *line, *reply;
	} lines[] = {
		/* RFC 2033, 4.2; RFC 2920, 3.1 */
		{ LISTENER_LMTP,
		    "LHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<no@example.test>\r\n",
		    "DATA\r\n", "503 " },
		{ LISTENER_SMTP,
		    "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<no@example.test>\r\n",
		    "DATA\r\n", "554 " },
		{ LISTENER_SMTP, "EHLO x\r\n", "VRFY\r\n", "501 5.5.4" },
		{ LISTENER_SMTP, "EHLO x\r\n", "VRFY alice\r\n", "252 " },
		/* RFC 4954, 5 */
		{ LISTENER_SMTP, "EHLO x\r\n", "MAIL FROM:<a@b.test> AUTH=<>\r\n",
		    "250 " },
		{ LISTENER_SMTP, "EHLO x\r\n",
		    "MAIL FROM:<a@b.test> AUTH=e+3Dmc2@x.test\r\n", "250 " },
		{ LISTENER_SMTP, "EHLO x\r\n", "MAIL FROM:<a@b.test> AUTH=a=b\r\n",
		    "501 5.5.4" },
		{ LISTENER_SMTP, "EHLO x\r\n", "MAIL FROM:<a@b.test> AUTH=\r\n",
		    "501 5.5.4" },
		{ LISTENER_SMTP, "EHLO x\r\n", "MAIL FROM:<a@b.test> SIZE=100001\r\n",
		    "552 5.3.4" },
		{ LISTENER_SMTP, "EHLO x\r\n",
		    "MAIL FROM:<a@b.test> SIZE=99999999999999999999\r\n", "552 5.3.4" },
		{ LISTENER_SMTP, "EHLO x\r\n",
		    "MAIL FROM:<a@b.test> SIZE=999999999999999999999\r\n", "501 5.5.4" },
		/* RFC 3030: chunks behind refused recipients are read. */
		{ LISTENER_SMTP,
		    "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<no@example.test>\r\n",
		    "BDAT 6 LAST\r\nQUIT\r\n", "554 " },
		{ LISTENER_SMTP,
		    "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<alice@example.test>\r\nBDAT 0\r\n",
		    "BDAT 0 LAST\r\n", "250 " },
		{ LISTENER_SMTP,
		    "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<alice@example.test>\r\nBDAT 0\r\n",
		    "DATA\r\n", "503 " },
		{ LISTENER_SMTP,
		    "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT "
		    "TO:<alice@example.test>\r\nBDAT 3\r\nabc",
		    "RCPT TO:<alice@example.test>\r\n", "503 " },
	};

	(void)state;
	for (size_t i = 0; i < N(lines); i++)
		for (size_t piece = 0; piece < 3; piece++) {
			struct dialogue d;

			start(&d, lines[i].kind, 0, 0);
			say(&d, lines[i].before, piece);
			say(&d, lines[i].line, piece);
			if (strncmp(d.out, lines[i].reply, strlen(lines[i].reply)) != 0)
				fail_msg("%s: %s", lines[i].line, d.out);
			assert_false(d.closed);
			dialogue_clear(&d);
		}
}

/* What an account may send: to send nothing is not to send everything. */
static void
test_size_of_login(void **state)
{
	struct dialogue d;

	(void)state;
	start(&d, LISTENER_SUBMISSION, 1, 0);
	say(&d, "EHLO x\r\n" LOGIN, 0);
	smtp_in_limit_size(d.e, 0);
	say(&d, "MAIL FROM:<alice@example.test>\r\n" TO DATA, 0);
	assert_int_equal(d.committed, 0);
	assert_non_null(strstr(d.out, "552 5.3.4 "));
	dialogue_clear(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offered),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rrvs),
		cmocka_unit_test(test_size_of_login),
		cmocka_unit_test(test_tls_required),
		cmocka_unit_test(test_valid_since),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
