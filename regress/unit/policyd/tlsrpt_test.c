/* SPDX-License-Identifier: ISC */
/* Reports on TLS: the record, the counts, their file, and the report itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <zlib.h>

#include "common/proto/tlsrpt.h"
#include "policyd/report.h"
#include "policyd/rua.h"
#include "policyd/tally_file.h"

#define DAY 20417 /* 2025-11-25 */
#define NOON ((int64_t)DAY * 86400 + 43200)

static void
records(void **state)
{
	static const struct {
		const char *txt;
		int n;
		const char *first;
	} rows[] = {
		{ "v=TLSRPTv1;rua=mailto:reports@example.com", 1, "reports@example.com" },
		{ "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", 1,
		    "reporting.example.com /v1/tlsrpt" },
		{ "v=TLSRPTv1 ; x=1; rua=mailto:a@b.test , https://c.test;", 2,
		    "a@b.test" },
		{ "v=TLSRPTv1;rua=https://c.test:443?q=1#frag", 1, "c.test /?q=1" },
		{ "v=TLSRPTv1;rua=mailto:a%2Cb@c.test", 0, NULL },
		{ "v=TLSRPTv1;rua=mailto:a%21b@c.test?subject=x", 1, "a!b@c.test" },
		{ "v=TLSRPTv1;rua=MAILTO:a@b.test,mailto:c@d.test,mailto:e@f.test,"
		  "mailto:g@h.test,mailto:i@j.test",
		    RUA_MAX, "a@b.test" },
		{ "v=TLSRPTv1;rua=ftp://x.test/,mailto:a@b.test", 1, "a@b.test" },
		{ "v=TLSRPTv1;rua=https://c.test:8443/", 0, NULL },
		{ "v=TLSRPTv1;rua=https://u@c.test/", 0, NULL },
		{ "v=TLSRPTv1;rua=mailto:a%0d%0ab@c.test", 0, NULL },
		{ "v=TLSRPTv1;rua=mailto:a%4", 0, NULL },
		{ "v=TLSRPTv1;rua=https://c.test/a b", 0, NULL },
		{ "v=TLSRPTv1;", 0, NULL },
		{ "v=TLSRPTv1", -1, NULL },
		{ "v=TLSRPTv12;rua=mailto:a@b.test", -1, NULL },
		{ "v=STSv1; id=1;", -1, NULL },
		{ "", -1, NULL },
	};
	struct rua r[RUA_MAX];
	char got[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int n = rua_parse((const uint8_t *)rows[i].txt, strlen(rows[i].txt), r);

		if (n != rows[i].n)
			fail_msg("row %zu: %d", i, n);
		if (n <= 0)
			continue;
		if (r[0].scheme == RUA_MAILTO)
			snprintf(got, sizeof(got), "%s", r[0].address);
		else
			snprintf(got, sizeof(got), "%s %s", r[0].host, r[0].path);
		assert_string_equal(got, rows[i].first);
	}
}

static struct tally_event
event(const char *domain, uint8_t policy, uint8_t result)
{
	return (struct tally_event){ .domain = domain,
		.policy = policy,
		.result = result,
		.policy_domain = policy == TLSRPT_TLSA ? "mx.example.com" : domain,
		.strings = policy == TLSRPT_TLSA  ? "3 1 1 AB;3 1 1 CD"
			   : policy == TLSRPT_STS ? "version: STSv1;mode: enforce"
						  : "",
		.sts_mx = policy == TLSRPT_STS ? "*.example.com" : "",
		.sending_ip = "192.0.2.1",
		.mx = "mx.example.com",
		.ip = "2001:db8::1",
		.helo = "mx",
		.reason = result == TLSRPT_SUCCESS ? "" : "say \"no\"",
		.count = 1 };
}

static void
empty(void)
{
	while (tally_first() != NULL)
		tally_free(tally_first());
	assert_int_equal(tally_octets(), 0);
}

/* What is known, in a form to compare. */
static void
dump(char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (struct tally *t = tally_first(); t != NULL; t = tally_next(t))
		for (struct tally_policy *p = t->policies; p != NULL; p = p->next) {
			n += (size_t)snprintf(out + n, cap - n, "%s %d %s %llu/%llu",
			    t->domain, t->to != 0, tlsrpt_policy_name(p->type),
			    (unsigned long long)p->success,
			    (unsigned long long)p->failure);
			for (struct tally_detail *d = p->details; d != NULL; d = d->next)
				n += (size_t)snprintf(out + n, cap - n, " %s=%llu",
				    tlsrpt_result_name(d->result),
				    (unsigned long long)d->count);
			n += (size_t)snprintf(out + n, cap - n, "\n");
		}
}

static void
counted_and_kept(void **state)
{
	char dir[] = "/tmp/fife-tlsrpt.XXXXXX", before[1024], after[1024];
	struct tally_event e;
	struct tally *t;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	tally_file_open();
	e = event("example.com", TLSRPT_STS, TLSRPT_SUCCESS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tally_file_count(&e, NOON), 0);
	e = event("example.com", TLSRPT_STS, TLSRPT_CERTIFICATE_EXPIRED);
	assert_int_equal(tally_file_count(&e, NOON), 0);
	assert_int_equal(tally_file_count(&e, NOON), 0);
	e = event("example.com", TLSRPT_TLSA, TLSRPT_SUCCESS);
	assert_int_equal(tally_file_count(&e, NOON), 0);
	e = event("other.test", TLSRPT_NO_POLICY, TLSRPT_STARTTLS_NOT_SUPPORTED);
	assert_int_equal(tally_file_count(&e, NOON), 0);
	t = tally_find(DAY, "example.com");
	assert_non_null(t);
	assert_int_equal(t->since, (int64_t)DAY * 86400);
	dump(before, sizeof(before));
	assert_string_equal(before,
	    "example.com 0 tlsa 1/0\n"
	    "example.com 0 sts 3/2 certificate-expired=2\n"
	    "other.test 0 no-policy-found 0/1 starttls-not-supported=1\n");
	/* Twice through the file: as it was added to, and as it was written anew. */
	for (int i = 0; i < 2; i++) {
		tally_file_flush();
		empty();
		tally_file_open();
		dump(after, sizeof(after));
		assert_int_equal(strlen(after), strlen(before));
	}
	/* One is reported: what comes then is counted by itself. */
	t = tally_find(DAY, "example.com");
	tally_file_close_tally(t, NOON + 5);
	e = event("example.com", TLSRPT_STS, TLSRPT_SUCCESS);
	assert_int_equal(tally_file_count(&e, NOON + 9), 0);
	assert_int_equal(tally_find(DAY, "example.com")->since, NOON + 5);
	tally_file_flush();
	empty();
	tally_file_open();
	assert_int_equal(tally_total(), 3);
	for (t = tally_first(); t->to == 0; t = tally_next(t))
		;
	assert_int_equal(t->to, NOON + 5);
	tally_file_done(t);
	tally_file_flush();
	empty();
	tally_file_open();
	assert_int_equal(tally_total(), 2);
	assert_int_equal(tally_find(DAY, "example.com")->policies->success, 1);
	/* Nothing left: no file is. */
	while ((t = tally_first()) != NULL)
		tally_file_done(t);
	tally_file_flush();
	assert_int_equal(access(".tls/20251125", F_OK), -1);
	assert_int_equal(rmdir(".tls"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
bad_lines(void **state)
{
	static const char *const rows[] = { "", "P", "P\t1\t\t0\t1\tb\t\t",
		"P\t0\ta.test\t0\t1\tb\t\t", "P\t1\ta.test\t0\t4\tb\t\t",
		"P\t9999999\ta.test\t0\t1\tb\t\t", "P\t1\ta.test\t-1\t1\tb\t\t",
		"C\t1\t1\t1\t\t\t\t\t", "E\t1\t5", "X\t1", "X\t", "C\t1\t77\t1\t\t\t\t\t",
		"Q\t1\t2\t3" };
	static const char *const good[] = { "P\t7\ta.test\t0\t1\tb\t\t",
		"C\t7\t1\t5\t\tmx\t\t\t", "E\t7\t9", "X\t7" };
	char line[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "%s", rows[i]);
		if (tally_file_line(DAY, line) == 0)
			fail_msg("row %zu", i);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "%s", good[i]);
		if (tally_file_line(DAY, line) == -1)
			fail_msg("good row %zu", i);
		/* The same once more is a lie: of the number, or of what is gone. */
		snprintf(line, sizeof(line), "%s", good[i]);
		if (i == 0 || i == 3)
			assert_int_equal(tally_file_line(DAY, line), -1);
	}
	tally_file_forget_numbers();
	empty();
}

static void
bounds(void **state)
{
	char reason[32], domain[64];
	bool a, b;
	struct tally_policy *p = NULL;
	struct tally_event e = event("many.test", TLSRPT_STS, TLSRPT_VALIDATION_FAILURE);
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(reason, sizeof(reason), "%d", i);
		e.reason = reason;
		p = tally_count(DAY, NOON, &e, &a, &b);
		assert_non_null(p);
	}
	/* Without details, but counted. */
	assert_int_equal(p->failure, 1000);
	assert_int_equal(p->n_details, TALLY_DETAILS_MAX);
	for (i = 0; i < 1000; i++) {
		snprintf(reason, sizeof(reason), "version: %d", i);
		e.strings = reason;
		if (tally_count(DAY, NOON, &e, &a, &b) == NULL)
			break;
	}
	assert_int_equal(p->tally->n_policies, TALLY_POLICIES_MAX);
	for (i = 0; i < TALLIES_MAX + 5; i++) {
		snprintf(domain, sizeof(domain), "d%d.test", i);
		e.domain = domain;
		if (tally_count(DAY, NOON, &e, &a, &b) == NULL)
			break;
	}
	assert_int_equal(tally_total(), TALLIES_MAX);
	empty();
	tally_clean("a\tb;c\x80 d\n", reason, sizeof(reason));
	assert_string_equal(reason, "a?b?c? d?");
}

static void
the_report(void **state)
{
	static const char want[] =
	    "{\"organization-name\":\"mail.test\",\"date-range\":"
	    "{\"start-datetime\":\"2025-11-25T00:00:00Z\","
	    "\"end-datetime\":\"2025-11-25T23:59:59Z\"},"
	    "\"contact-info\":\"postmaster@mail.test\","
	    "\"report-id\":\"1764028800.example.com@mail.test\",\"policies\":["
	    "{\"policy\":{\"policy-type\":\"tlsa\",\"policy-string\":[\"3 1 1 AB\","
	    "\"3 1 1 CD\"],\"policy-domain\":\"mx.example.com\"},"
	    "\"summary\":{\"total-successful-session-count\":0,"
	    "\"total-failure-session-count\":1},\"failure-details\":["
	    "{\"result-type\":\"validation-failure\",\"sending-mta-ip\":\"192.0.2.1\","
	    "\"receiving-mx-hostname\":\"mx.example.com\",\"receiving-mx-helo\":\"mx\","
	    "\"receiving-ip\":\"2001:db8::1\",\"failed-session-count\":1,"
	    "\"failure-reason-code\":\"say \\\"no\\\"\"}]},"
	    "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":["
	    "\"version: STSv1\",\"mode: enforce\"],\"policy-domain\":\"example.com\","
	    "\"mx-host\":[\"*.example.com\"]},\"summary\":"
	    "{\"total-successful-session-count\":1,\"total-failure-session-count\":0}}"
	    "]}\n";
	struct tally_event e = event("example.com", TLSRPT_STS, TLSRPT_SUCCESS);
	struct evbuffer *json = evbuffer_new();
	unsigned char *packed, text[4096];
	z_stream z = { 0 };
	bool a, b;
	struct tally *t;
	size_t len;

	assert_non_null(tally_count(DAY, (int64_t)DAY * 86400, &e, &a, &b));
	e = event("example.com", TLSRPT_TLSA, TLSRPT_VALIDATION_FAILURE);
	assert_non_null(tally_count(DAY, NOON, &e, &a, &b));
	t = tally_first();
	tally_close(t, (int64_t)DAY * 86400 + 86399);
	assert_int_equal(report_json(t, "mail.test", "postmaster@mail.test", json), 0);
	packed = report_gzip(json, &len);
	assert_non_null(packed);
	z.next_in = packed;
	z.avail_in = (uInt)len;
	z.next_out = text;
	z.avail_out = sizeof(text);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	text[z.total_out] = '\0';
	inflateEnd(&z);
	assert_string_equal((char *)text, want);
	free(packed);
	evbuffer_free(json);
	empty();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(records),
		cmocka_unit_test(counted_and_kept), cmocka_unit_test(bad_lines),
		cmocka_unit_test(bounds), cmocka_unit_test(the_report) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
