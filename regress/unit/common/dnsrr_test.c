/* SPDX-License-Identifier: ISC */
/* dnsrr.c and dnshosts.c: round trips, truncation at every length, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/dnshosts.h"
#include "common/proto/dnsrr.h"

#define B(s) (const uint8_t *)(s), sizeof(s) - 1

static const struct {
	struct dnsrr rr;
	const char *text;
} rows[] = {
	{ { DNSRR_A, 60, B("\xc0\0\2\1") }, "192.0.2.1" },
	{ { DNSRR_AAAA, 0, B("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1") }, "2001:db8::1" },
	{ { DNSRR_MX, 1, B("\0\x0amx.test") }, "10 mx.test" },
	{ { DNSRR_MX, 1, B("\0\0.") }, "0 ." },
	{ { DNSRR_PTR, 4000000000u, B("host.test") }, "host.test" },
	{ { DNSRR_CNAME, 1, B("a.test") }, "a.test" },
	{ { DNSRR_SRV, 1, B("\0\1\0\2\0\x19h.test") }, "1 2 25 h.test" },
	{ { DNSRR_TXT, 1, B("v=spf1 \"\\ \x01\xff") }, "\"v=spf1 \\\"\\\\ \\001\\255\"" },
	{ { DNSRR_TXT, 1, B("") }, "\"\"" },
	{ { DNSRR_TLSA, 1, B("\3\1\1\xab\xcd") }, "3 1 1 abcd" },
	{ { DNSRR_CAA, 1, B("\0\5issueca.test") }, "0 issue \"ca.test\"" },
	{ { 99, 1, B("\1\2") }, "0102" },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void
test_round_trip(void **state)
{
	uint8_t buf[1000];
	size_t len = 0, off = 0;
	struct dnsrr rr;
	char text[200];

	for (size_t i = 0; i < N_ROWS; i++)
		assert_int_equal(dnsrr_add(buf, sizeof(buf), &len, &rows[i].rr), 0);
	for (size_t i = 0; i < N_ROWS; i++) {
		assert_int_equal(dnsrr_next(buf, len, &off, &rr), 1);
		assert_int_equal(rr.type, rows[i].rr.type);
		assert_true(rr.ttl == rows[i].rr.ttl);
		assert_int_equal(rr.len, rows[i].rr.len);
		assert_memory_equal(rr.data, rows[i].rr.data, rr.len);
		dnsrr_text(&rr, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
		for (size_t cap = 0; cap < 12; cap++) {
			char *small = malloc(cap + 1);

			small[cap] = 'x';
			dnsrr_text(&rr, small, cap);
			assert_int_equal(small[cap], 'x');
			assert_true(cap == 0 || memchr(small, '\0', cap) != NULL);
			free(small);
		}
	}
	assert_int_equal(dnsrr_next(buf, len, &off, &rr), 0);
	/* Cut anywhere but between records it is malformed. */
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1);
		int rc;

		memcpy(copy, buf, cut);
		off = 0;
		while ((rc = dnsrr_next(copy, cut, &off, &rr)) == 1)
			;
		assert_true(rc == -1 || off == cut);
		free(copy);
	}
	len = 0;
	assert_int_equal(dnsrr_add(buf, 11, &len, &rows[0].rr), -1);
	assert_int_equal(dnsrr_add(buf, 12, &len, &rows[0].rr), 0);
	assert_int_equal(dnsrr_add(buf, 12, &len, &rows[0].rr), -1);
}

static void
test_names(void **state)
{
	char name[DNSRR_NAME_MAX + 1], buf[16];
	uint16_t nums[3] = { 0 };
	struct dnsrr bad[] = { { DNSRR_MX, 0, B("\0\x0a") }, { DNSRR_PTR, 0, B("") },
		{ DNSRR_PTR, 0, B("a\0b") }, { DNSRR_A, 0, B("1234") } };

	assert_int_equal(dnsrr_name(&rows[6].rr, name, nums), 0);
	assert_string_equal(name, "h.test");
	assert_int_equal(nums[2], 25);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dnsrr_name(&bad[i], name, nums), -1);
	assert_int_equal(dnsrr_type_by_name("mx"), DNSRR_MX);
	assert_int_equal(dnsrr_type_by_name("TYPE65280"), 65280);
	assert_int_equal(dnsrr_type_by_name("TYPE65536"), 0);
	assert_int_equal(dnsrr_type_by_name("x"), 0);
	assert_string_equal(dnsrr_type_name(99, buf), "TYPE99");
}

static void
test_reverse(void **state)
{
	char out[80];
	uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0xf1 };

	assert_int_equal(
	    dnsrr_reverse_name(AF_INET, (const uint8_t *)"\xc0\0\2\1", out, sizeof(out)),
	    (int)strlen("1.2.0.192.in-addr.arpa"));
	assert_string_equal(out, "1.2.0.192.in-addr.arpa");
	assert_int_equal(dnsrr_reverse_name(AF_INET6, six, out, sizeof(out)), 72);
	assert_string_equal(out,
	    "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_int_equal(dnsrr_reverse_name(AF_INET6, six, out, 72), -1);
	assert_int_equal(dnsrr_reverse_name(AF_INET, six, out, 10), -1);
}

static void
test_hosts(void **state)
{
	struct dnshost a = { .preference = 10,
		.secure = 1,
		.name = "mx.test",
		.n_addrs = 2 },
		       h;
	struct dnshost none = { .preference = 65535, .name = "b.test" };
	uint8_t buf[200];
	size_t len = 0, off = 0;

	a.addrs[0].family = AF_INET;
	memcpy(a.addrs[0].ip, "\xc0\0\2\1", 4);
	a.addrs[1].family = AF_INET6;
	a.addrs[1].ip[15] = 7;
	assert_int_equal(dnshosts_add(buf, sizeof(buf), &len, &a), 0);
	assert_int_equal(dnshosts_add(buf, sizeof(buf), &len, &none), 0);
	assert_int_equal(dnshosts_next(buf, len, &off, &h), 1);
	assert_int_equal(h.preference, 10);
	assert_int_equal(h.secure, 1);
	assert_string_equal(h.name, "mx.test");
	assert_int_equal(h.n_addrs, 2);
	assert_memory_equal(h.addrs, a.addrs, 2 * sizeof(a.addrs[0]));
	assert_int_equal(dnshosts_next(buf, len, &off, &h), 1);
	assert_int_equal(h.preference, 65535);
	assert_int_equal(h.n_addrs, 0);
	assert_int_equal(dnshosts_next(buf, len, &off, &h), 0);
	for (size_t cut = 1; cut < len; cut++) {
		uint8_t *copy = malloc(cut);
		int rc;

		memcpy(copy, buf, cut);
		off = 0;
		while ((rc = dnshosts_next(copy, cut, &off, &h)) == 1)
			;
		assert_true(rc == -1 || off == cut);
		free(copy);
	}
	len = 0;
	none.name[0] = '\0';
	assert_int_equal(dnshosts_add(buf, sizeof(buf), &len, &none), -1);
	for (size_t cap = 0; cap < 34; cap++)
		assert_int_equal(dnshosts_add(buf, cap, &len, &a), -1);
}

static void
test_special(void **state)
{
	static const struct {
		const char *text;
		int special;
	} addrs[] = { { "127.0.0.1", 1 }, { "127.9.9.9", 1 }, { "0.0.0.0", 1 },
		{ "224.0.0.1", 1 }, { "255.255.255.255", 1 }, { "10.0.0.1", 0 },
		{ "192.0.2.1", 0 }, { "::", 1 }, { "::1", 1 }, { "::2", 0 },
		{ "ff02::1", 1 }, { "2001:db8::1", 0 }, { "::ffff:127.0.0.1", 1 },
		{ "::ffff:192.0.2.1", 0 } };
	struct dnsaddr a;
	char text[64];

	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		assert_int_equal(dnsaddr_parse(addrs[i].text, &a), 0);
		assert_int_equal(dnsaddr_is_special(&a), addrs[i].special);
		assert_string_equal(dnsaddr_text(&a, text, sizeof(text)), addrs[i].text);
	}
	assert_int_equal(dnsaddr_parse("[::1]", &a), -1);
	assert_int_equal(dnsaddr_parse("1.2.3", &a), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_special),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
