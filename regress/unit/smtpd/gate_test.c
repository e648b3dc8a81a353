/* SPDX-License-Identifier: ISC */
/* The gate: rates, names and answers of lists, the decision about a stranger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/dnsrr.h"
#include "smtpd/dnsbl.h"
#include "smtpd/gate.h"
#include "smtpd/rate.h"

/* ---- rates ---- */

static const uint8_t *
key(uint32_t n)
{
	static uint8_t k[RATE_KEY];

	memset(k, 0, sizeof(k));
	k[0] = 4;
	memcpy(k + 1, &n, 4);
	return k;
}

static void
test_rate(void **state)
{
	uint64_t now = 5000;

	/* All at once, then at the pace. */
	for (int i = 0; i < 6; i++)
		assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now), 0);
	assert_int_equal(rate_is_over(COUNTS_CONNECTIONS, key(1), 6, 60000, now), 1);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now), -1);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(2), 6, 60000, now), 0);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now + 9999), -1);
	/* Who is refused does not lose what time has given. */
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now + 10000), 0);
	assert_int_equal(
	    rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now + 10001), -1);
	now += 10 * 60000;
	for (int i = 0; i < 6; i++)
		assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now), 0);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(1), 6, 60000, now), -1);
	/* One a minute; none is no bound. */
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(3), 1, 60000, now), 0);
	assert_int_equal(
	    rate_take(COUNTS_CONNECTIONS, key(3), 1, 60000, now + 59999), -1);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(3), 1, 60000, now + 60000), 0);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key(3), 0, 60000, now + 60000), 0);
}

/* The table holds some thousands: those of late are known. */
static void
test_rate_bound(void **state)
{
	uint64_t now = 100000000;

	assert_int_equal(rate_take(COUNTS_MESSAGES, key(0), 1, 60000, now), 0);
	for (uint32_t i = 1; i < 300000; i++)
		assert_int_equal(
		    rate_take(COUNTS_MESSAGES, key(i), 1, 60000000, now + i / 10), 0);
	for (uint32_t i = 300000 - 100; i < 300000; i++)
		assert_int_equal(
		    rate_take(COUNTS_MESSAGES, key(i), 1, 60000000, now + 30000), -1);
	assert_int_equal(rate_take(COUNTS_MESSAGES, key(0), 1, 60000, now + 30000), 0);
	/* One kind is not another. */
	assert_int_equal(rate_take(COUNTS_ERRORS, key(299999), 1, 60000, now), 0);
}

static void
key_of_text(const char *ip, unsigned int prefix, uint8_t out[RATE_KEY])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, ip, &sin.sin_addr) == 1)
		rate_key((const struct sockaddr *)(const void *)&sin, prefix, out);
	else {
		assert_int_equal(inet_pton(AF_INET6, ip, &sin6.sin6_addr), 1);
		rate_key((const struct sockaddr *)(const void *)&sin6, prefix, out);
	}
}

static void
test_rate_key(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned int prefix;
		int same;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.2", 32, 0 },
		{ "192.0.2.1", "192.0.2.2", 24, 1 },
		{ "192.0.2.1", "192.0.3.1", 24, 0 },
		{ "192.0.2.1", "192.0.3.1", 23, 1 },
		{ "10.1.2.3", "10.9.8.7", 8, 1 },
		{ "192.0.2.1", "::ffff:192.0.2.1", 32, 1 },
		{ "192.0.2.1", "::ffff:192.0.2.9", 24, 1 },
		{ "2001:db8::1", "2001:db8::2", 32, 1 },
		{ "2001:db8::1", "2001:db8:0:1::1", 32, 0 },
	};
	uint8_t a[RATE_KEY], b[RATE_KEY];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		key_of_text(rows[i].a, rows[i].prefix, a);
		key_of_text(rows[i].b, rows[i].prefix, b);
		if ((memcmp(a, b, sizeof(a)) == 0) != rows[i].same)
			fail_msg("%s and %s /%u", rows[i].a, rows[i].b, rows[i].prefix);
	}
}

/* ---- lists ---- */

static void
test_dnsbl_name(void **state)
{
	char out[256], zone[256];
	uint8_t ip[16];

	/* RFC 5782, 2.1 and 2.4 */
	inet_pton(AF_INET, "192.0.2.99", ip);
	assert_int_equal(dnsbl_name(ip, 4, "bad.example.com", out, sizeof(out)), 26);
	assert_string_equal(out, "99.2.0.192.bad.example.com");
	inet_pton(AF_INET6, "2001:db8:1:2:3:4:567:89ab", ip);
	assert_true(dnsbl_name(ip, 16, "ugly.example.com", out, sizeof(out)) > 0);
	assert_string_equal(out, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d."
				 "0.1.0.0.2.ugly.example.com");
	memset(zone, 'a', 189);
	zone[60] = zone[120] = zone[180] = '.';
	zone[189] = '\0';
	assert_int_equal(dnsbl_name(ip, 16, zone, out, sizeof(out)), 253);
	zone[189] = 'a';
	zone[190] = '\0';
	assert_int_equal(dnsbl_name(ip, 16, zone, out, sizeof(out)), -1);
	assert_int_equal(dnsbl_name(ip, 16, "x.example", out, 20), -1);
}

static int
listed(const char *answers, const char *ip)
{
	uint8_t buf[200], a[4];
	size_t len = 0;
	struct dnsrr rr = { .type = DNSRR_A, .ttl = 1, .data = a, .len = 4 };

	inet_pton(AF_INET, ip, a);
	assert_int_equal(dnsrr_add(buf, sizeof(buf), &len, &rr), 0);
	return dnsbl_is_listed(answers, buf, len);
}

static void
test_dnsbl_answers(void **state)
{
	static const struct {
		const char *answers, *ip;
		int listed;
	} rows[] = {
		{ "", "127.0.0.2", 1 },
		{ "", "127.0.1.255", 1 },
		{ "", "192.0.2.1", 0 },       /* somebody's search page */
		{ "", "127.255.255.254", 0 }, /* "you may not ask" */
		{ "127.0.0.2", "127.0.0.2", 1 },
		{ "127.0.0.2", "127.0.0.3", 0 },
		{ "127.0.0.2 127.0.0.4/30", "127.0.0.7", 1 },
		{ "127.0.0.2 127.0.0.4/30", "127.0.0.8", 0 },
		{ "127.0.0.0/8", "127.9.9.9", 1 },
		{ "127.0.0.0/8", "128.9.9.9", 0 },
		{ "rubbish 127.0.0.1/0 127.0.0.1/99", "127.0.0.1", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (listed(rows[i].answers, rows[i].ip) != rows[i].listed)
			fail_msg("«%s» %s", rows[i].answers, rows[i].ip);
	assert_int_equal(dnsbl_is_listed("", (const uint8_t *)"", 0), 0);
}

static void
test_dnsbl_text(void **state)
{
	uint8_t buf[700] = { 0 };
	size_t len = 0;
	char out[30];
	struct dnsrr rr = { .type = DNSRR_TXT, .ttl = 1 };

	dnsbl_text(buf, 0, out, sizeof(out));
	assert_string_equal(out, "");
	rr.data = (const uint8_t *)"see\r\n250 http://x/\xff";
	rr.len = 19;
	assert_int_equal(dnsrr_add(buf, sizeof(buf), &len, &rr), 0);
	dnsbl_text(buf, len, out, sizeof(out));
	assert_string_equal(out, "see??250 http://x/?");
	len = 0;
	rr.data = (const uint8_t *)"0123456789012345678901234567890123456789";
	rr.len = 40;
	assert_int_equal(dnsrr_add(buf, sizeof(buf), &len, &rr), 0);
	dnsbl_text(buf, len, out, sizeof(out));
	assert_int_equal(strlen(out), 29);
}

/* ---- the decision ---- */

static const struct msg_conf_dnslist black = { .zone = "bl.test", .weight = 5 },
				     grey = { .zone = "grey.test", .weight = 3 },
				     white = {
					     .zone = "wl.test", .weight = 4, .white = 1
				     };

static struct gate_facts
facts(const char *helo, const char *ip)
{
	static uint8_t raw[16];
	struct gate_facts f = { .hostname = "mx.example.test",
		.helo = helo,
		.client = ip,
		.ip = raw,
		.reverse = GATE_REVERSE_CONFIRMED };

	f.ip_len = inet_pton(AF_INET, ip, raw) == 1 ? 4 : 16;
	if (f.ip_len == 16)
		assert_int_equal(inet_pton(AF_INET6, ip, raw), 1);
	return f;
}

static void
test_scores(void **state)
{
	struct msg_conf_gate c = { .refuse_score = 5, .junk_score = 3 };
	struct gate_facts f = facts("mail.remote.test", "192.0.2.1");
	struct gate_hit hits[3];
	struct gate_decision d;

	gate_decide(&c, &f, &d);
	assert_int_equal(d.verdict, GATE_PASS);
	assert_string_equal(d.why, "");
	f.hits = hits;
	hits[0] = (struct gate_hit){ &grey, "" };
	f.n_hits = 1;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.verdict, GATE_JUNK);
	assert_string_equal(d.why, "listed by grey.test (3)");
	hits[1] = (struct gate_hit){ &black, "see http://bl.test/1" };
	f.n_hits = 2;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.verdict, GATE_REFUSE);
	assert_int_equal(d.score, 8);
	assert_string_equal(d.reply,
	    "192.0.2.1 is refused: listed by grey.test; listed by bl.test, which says "
	    "\"see http://bl.test/1\"");
	/* A good reputation outweighs. */
	hits[2] = (struct gate_hit){ &white, "" };
	f.n_hits = 3;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.score, 4);
	assert_int_equal(d.verdict, GATE_JUNK);
	f.hits = &hits[2];
	f.n_hits = 1;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.score, -4);
	assert_int_equal(d.verdict, GATE_PASS);
	/* 0: never. */
	f.hits = hits;
	f.n_hits = 2;
	c.refuse_score = c.junk_score = 0;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.verdict, GATE_PASS);
}

static void
test_checks(void **state)
{
	static const struct {
		size_t check;
		const char *helo, *ip;
		enum gate_reverse reverse;
		int refused;
	} rows[] = {
#define C(m) offsetof(struct msg_conf_gate, m)
		{ C(own_name), "mx.example.test", "192.0.2.1", 0, 1 },
		{ C(own_name), "MX.Example.TEST.", "192.0.2.1", 0, 1 },
		{ C(own_name), "mx.example.test.org", "192.0.2.1", 0, 0 },
		{ C(own_name), "mx.example.tes", "192.0.2.1", 0, 0 },
		{ C(wrong_literal), "[192.0.2.1]", "192.0.2.1", 0, 0 },
		{ C(wrong_literal), "[192.0.2.2]", "192.0.2.1", 0, 1 },
		{ C(wrong_literal), "[192.0.2.999]", "192.0.2.1", 0, 1 },
		{ C(wrong_literal), "[IPv6:2001:db8::1]", "2001:db8::1", 0, 0 },
		{ C(wrong_literal), "[IPv6:2001:db8::2]", "2001:db8::1", 0, 1 },
		{ C(wrong_literal), "[192.0.2.1]", "2001:db8::1", 0, 1 },
		{ C(wrong_literal), "[", "192.0.2.1", 0, 1 },
		{ C(wrong_literal), "name", "192.0.2.1", 0, 0 },
		{ C(no_name), "localhost", "192.0.2.1", 0, 1 },
		{ C(no_name), "mail.remote.test", "192.0.2.1", 0, 0 },
		{ C(no_name), "mail.remote.test.", "192.0.2.1", 0, 0 },
		{ C(no_name), "a_b.remote.test", "192.0.2.1", 0, 0 },
		{ C(no_name), "localhost.", "192.0.2.1", 0, 1 },
		{ C(no_name), ".test", "192.0.2.1", 0, 1 },
		{ C(no_name), "192.0.2.1", "192.0.2.1", 0, 1 },
		{ C(no_name), "[192.0.2.1]", "192.0.2.1", 0, 0 },
		{ C(no_name), "", "192.0.2.1", 0, 1 },
		{ C(no_reverse), "a.test", "192.0.2.1", GATE_REVERSE_NONE, 1 },
		{ C(no_reverse), "a.test", "192.0.2.1", GATE_REVERSE_UNKNOWN, 0 },
		{ C(no_reverse), "a.test", "192.0.2.1", GATE_REVERSE_UNCONFIRMED, 0 },
		{ C(unconfirmed_reverse), "a.test", "192.0.2.1", GATE_REVERSE_NONE, 0 },
		{ C(unconfirmed_reverse), "a.test", "192.0.2.1", GATE_REVERSE_UNCONFIRMED,
		    1 },
		{ C(unconfirmed_reverse), "a.test", "192.0.2.1", GATE_REVERSE_CONFIRMED,
		    0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_conf_gate c = { .refuse_score = 5 };
		struct gate_facts f = facts(rows[i].helo, rows[i].ip);
		uint32_t *check = (uint32_t *)(void *)((char *)&c + rows[i].check);
		struct gate_decision d;

		f.reverse = rows[i].reverse;
		*check = GATE_CHECK_REFUSE;
		gate_decide(&c, &f, &d);
		if ((d.verdict == GATE_REFUSE) != rows[i].refused)
			fail_msg("row %zu: %s", i, d.reply);
		/* As a score: below and at the threshold. */
		*check = 4;
		gate_decide(&c, &f, &d);
		assert_int_equal(d.verdict, GATE_PASS);
		assert_int_equal(d.score, rows[i].refused ? 4 : 0);
		*check = 5;
		gate_decide(&c, &f, &d);
		assert_int_equal(d.verdict, rows[i].refused ? GATE_REFUSE : GATE_PASS);
	}
}

/* Everything at once fits or is cut, and stays text. */
static void
test_long(void **state)
{
	struct msg_conf_gate c = { .refuse_score = 5 };
	struct gate_facts f = facts("x", "192.0.2.1");
	struct msg_conf_dnslist l = { .weight = 1000 };
	struct gate_hit hits[16];
	struct gate_decision d;
	char text[301];

	memset(l.zone, 'z', 189);
	memset(text, 't', 300);
	text[300] = '\0';
	for (int i = 0; i < 16; i++)
		hits[i] = (struct gate_hit){ &l, text };
	f.hits = hits;
	f.n_hits = 16;
	gate_decide(&c, &f, &d);
	assert_int_equal(d.verdict, GATE_REFUSE);
	assert_true(strlen(d.reply) < sizeof(d.reply) && strlen(d.why) < sizeof(d.why));
}

static void
test_open_for(void **state)
{
	assert_int_equal(gate_is_open_for("postmaster@example.test"), 1);
	assert_int_equal(gate_is_open_for("Postmaster"), 1);
	assert_int_equal(gate_is_open_for("ABUSE@example.test"), 1);
	assert_int_equal(gate_is_open_for("abuser@example.test"), 0);
	assert_int_equal(gate_is_open_for("alice@abuse"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_bound),
		cmocka_unit_test(test_rate_key),
		cmocka_unit_test(test_dnsbl_name),
		cmocka_unit_test(test_dnsbl_answers),
		cmocka_unit_test(test_dnsbl_text),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_open_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
