/* SPDX-License-Identifier: ISC */
/* wire.c: packets built here, and what is read of them; hosts.c's order of MX. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dnsd/hosts.h"
#include "dnsd/wire.h"

struct pkt {
	uint8_t b[4096];
	size_t len;
};

static void
put(struct pkt *p, const void *data, size_t len)
{
	memcpy(p->b + p->len, data, len);
	p->len += len;
}

static void
put16(struct pkt *p, unsigned int v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	put(p, b, 2);
}

static void
name(struct pkt *p, const char *n)
{
	while (*n != '\0' && strcmp(n, ".") != 0) {
		size_t len = strcspn(n, ".");
		uint8_t l = (uint8_t)len;

		put(p, &l, 1);
		put(p, n, len);
		n += len + (n[len] == '.');
	}
	put(p, "", 1);
}

static void
begin(struct pkt *p, const char *qname, unsigned int type)
{
	p->len = 0;
	put(p, "\0\1\x84\0\0\1\0\0\0\0\0\0", 12);
	name(p, qname);
	put16(p, type);
	put16(p, 1);
}

static void
rr(struct pkt *p, const char *owner, unsigned int type, unsigned int ttl,
    const void *data, size_t len)
{
	name(p, owner);
	put16(p, type);
	put16(p, 1);
	put16(p, 0);
	put16(p, ttl);
	put16(p, (unsigned int)len);
	put(p, data, len);
	p->b[7]++;
}

static struct wire_answer a;

static int
decode(const struct pkt *p, unsigned int type)
{
	/* Exactly as long as it is, for the sanitizer. */
	uint8_t *copy = malloc(p->len + 1);
	int rc;

	memcpy(copy, p->b, p->len);
	rc = wire_decode(copy, p->len, "fallback.test", (uint16_t)type, &a);
	free(copy);
	return rc;
}

static void
expect(const char *text)
{
	char out[2000] = "", one[300];
	struct dnsrr r;
	size_t off = 0;

	while (dnsrr_next(a.records, a.len, &off, &r) == 1) {
		dnsrr_text(&r, one, sizeof(one));
		strncat(out, one, sizeof(out) - strlen(out) - 1);
		strncat(out, ";", sizeof(out) - strlen(out) - 1);
	}
	assert_string_equal(out, text);
}

static void
test_types(void **state)
{
	struct pkt p;

	begin(&p, "X.test", DNSRR_A);
	rr(&p, "x.TEST", DNSRR_A, 60, "\xc0\0\2\1", 4);
	rr(&p, "x.test", DNSRR_A, 30, "\xc0\0\2\2", 4);
	rr(&p, "x.test", DNSRR_A, 10, "\xc0\0\2", 3);  /* malformed: left out */
	rr(&p, "y.test", DNSRR_A, 1, "\xc0\0\2\3", 4); /* of somebody else */
	rr(&p, "x.test", DNSRR_TXT, 1, "\1x", 2);      /* not asked for */
	assert_int_equal(decode(&p, DNSRR_A), 0);
	expect("192.0.2.1;192.0.2.2;");
	assert_int_equal(a.ttl, 30);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.canonical, "x.test");
	/* Another question than ours. */
	assert_int_equal(decode(&p, DNSRR_AAAA), -1);

	begin(&p, "x.test", DNSRR_MX);
	rr(&p, "x.test", DNSRR_MX, 60, "\0\x0a\2mx\xc0\x0c", 7); /* points at x.test */
	rr(&p, "x.test", DNSRR_MX, 60, "\0\0\0", 3);
	rr(&p, "x.test", DNSRR_MX, 60, "\0\0\0x", 4); /* something behind the name */
	rr(&p, "x.test", DNSRR_MX, 60, "\0\0", 2);
	assert_int_equal(decode(&p, DNSRR_MX), 0);
	expect("10 mx.x.test;0 .;");

	begin(&p, "x.test", DNSRR_TXT);
	rr(&p, "x.test", DNSRR_TXT, 60, "\2ab\0\2cd", 7);
	rr(&p, "x.test", DNSRR_TXT, 60, "\2a", 2);
	rr(&p, "x.test", DNSRR_TXT, 60, "", 0);
	assert_int_equal(decode(&p, DNSRR_TXT), 0);
	expect("\"abcd\";");

	begin(&p, "x.test", DNSRR_SRV);
	rr(&p, "x.test", DNSRR_SRV, 60, "\0\1\0\2\0\x19\1h\4test", 14);
	rr(&p, "x.test", DNSRR_SRV, 60, "\0\1\0\2\0\x19\1h\4test\0", 14);
	assert_int_equal(decode(&p, DNSRR_SRV), 0);
	expect("1 2 25 h.test;1 2 25 h.test;");

	begin(&p, "x.test", DNSRR_CAA);
	rr(&p, "x.test", DNSRR_CAA, 60, "\0\5issueca", 9);
	rr(&p, "x.test", DNSRR_CAA, 60, "\0\x09issueca", 9);
	assert_int_equal(decode(&p, DNSRR_CAA), 0);
	expect("0 issue \"ca\";");

	begin(&p, "x.test", DNSRR_TLSA);
	rr(&p, "x.test", DNSRR_TLSA, 60, "\3\1\1\xab", 4);
	rr(&p, "x.test", DNSRR_TLSA, 60, "\3\1\1", 3);
	assert_int_equal(decode(&p, DNSRR_TLSA), 0);
	expect("3 1 1 ab;");
}

static void
test_cname(void **state)
{
	struct pkt p;
	char owner[32], target[32];

	begin(&p, "a.test", DNSRR_A);
	rr(&p, "c.test", DNSRR_A, 60, "\xc0\0\2\1", 4);
	rr(&p, "b.test", DNSRR_CNAME, 5, "\1c\4test", 8);
	rr(&p, "a.test", DNSRR_CNAME, 50, "\1b\4test", 8);
	assert_int_equal(decode(&p, DNSRR_A), 0);
	expect("192.0.2.1;");
	assert_string_equal(a.canonical, "c.test");
	assert_int_equal(a.ttl, 5);
	/* Asked for, it is not followed. */
	begin(&p, "a.test", DNSRR_CNAME);
	rr(&p, "a.test", DNSRR_CNAME, 50, "\1b\4test", 8);
	assert_int_equal(decode(&p, DNSRR_CNAME), 0);
	expect("b.test;");
	/* A circle. */
	begin(&p, "a.test", DNSRR_A);
	rr(&p, "a.test", DNSRR_CNAME, 5, "\1b\4test", 8);
	rr(&p, "b.test", DNSRR_CNAME, 5, "\1a\4test", 8);
	assert_int_equal(decode(&p, DNSRR_A), -1);
	/* Longer than any bound. */
	begin(&p, "n0.test", DNSRR_A);
	for (int i = 0; i < 40; i++) {
		snprintf(owner, sizeof(owner), "n%d.test", i);
		snprintf(
		    target, sizeof(target), "%cn%d\4test", i + 1 < 10 ? 2 : 3, i + 1);
		rr(&p, owner, DNSRR_CNAME, 5, target, strlen(target) + 1);
	}
	assert_int_equal(decode(&p, DNSRR_A), -1);
}

/* What becomes of a name that starts at off. */
static int
try_name(const void *data, size_t len, size_t off)
{
	char out[DNSRR_NAME_MAX + 1];

	return wire_name(data, len, &off, out);
}

static void
test_malformed(void **state)
{
	struct pkt p, whole;
	char out[DNSRR_NAME_MAX + 1];
	size_t off;

	begin(&whole, "x.test", DNSRR_MX);
	rr(&whole, "x.test", DNSRR_MX, 60, "\0\x0a\2mx\xc0\x0c", 7);
	for (size_t cut = 0; cut < whole.len; cut++) {
		p = whole;
		p.len = cut;
		assert_int_equal(decode(&p, DNSRR_MX), -1);
	}
	/* Pointers: to itself, forwards, beyond the end, a circle of two. */
	assert_int_equal(try_name("\xc0\0", 2, 0), -1);
	assert_int_equal(try_name("\xc0\2\0", 3, 0), -1);
	assert_int_equal(try_name("\xff\xff", 2, 0), -1);
	assert_int_equal(try_name("\xc0", 1, 0), -1);
	assert_int_equal(try_name("\xc0\2\xc0\0", 4, 2), -1);
	/* Types of label that do not exist. */
	assert_int_equal(try_name("\x41x", 2, 0), -1);
	assert_int_equal(try_name("\x80x", 2, 0), -1);
	/* 256 octets. */
	p.len = 0;
	for (int i = 0; i < 4; i++) {
		memset(p.b + p.len, 'a', 64);
		p.b[p.len] = 63;
		p.len += 64;
	}
	p.b[p.len++] = 0;
	off = 0;
	assert_int_equal(wire_name(p.b, p.len, &off, out), -1);
	/* Octets that are no letters. */
	off = 0;
	assert_int_equal(wire_name((const uint8_t *)"\4a.\\\xff\0", 6, &off, out), 0);
	assert_string_equal(out, "a\\.\\\\\\255");
	assert_int_equal(off, 6);
	/* Legal, but longer than its room as text: no name. */
	memset(p.b, 1, 200);
	for (size_t i = 0; i < 3; i++)
		p.b[i * 51] = 50;
	p.b[153] = 0;
	off = 0;
	assert_int_equal(wire_name(p.b, 154, &off, out), 0);
	assert_string_equal(out, "");
	/* No question: the caller's name. */
	memcpy(p.b, "\0\1\x84\0\0\0\0\0\0\0\0\0", 12);
	p.len = 12;
	assert_int_equal(decode(&p, DNSRR_A), 0);
	assert_string_equal(a.canonical, "fallback.test");
	p.b[5] = 2;
	assert_int_equal(decode(&p, DNSRR_A), -1);
}

static void
test_too_much(void **state)
{
	static struct pkt p;
	uint8_t text[256];
	struct dnsrr r = { DNSRR_TXT, 1, text, sizeof(text) };

	/* A full blob is said to be so. */
	memset(text, 'x', sizeof(text));
	text[0] = 255;
	begin(&p, "x.test", DNSRR_TXT);
	for (int i = 0; i < 14; i++)
		rr(&p, "x.test", DNSRR_TXT, 1, text, sizeof(text));
	assert_int_equal(decode(&p, DNSRR_TXT), 0);
	assert_int_equal(a.count, 14);
	assert_int_equal(a.truncated, 0);
	while (dnsrr_add(a.records, sizeof(a.records), &a.len, &r) == 0)
		;
	assert_true(a.len <= sizeof(a.records));
}

static uint32_t
no_random(uint32_t bound)
{
	return bound - 1;
}

static uint32_t
first(uint32_t bound)
{
	return 0;
}

static void
mx(const char *const *records, size_t n)
{
	struct pkt p;
	uint8_t data[300];

	begin(&p, "x.test", DNSRR_MX);
	for (size_t i = 0; i < n; i++) {
		struct pkt d = { .len = 0 };
		const char *host = strchr(records[i], ' ') + 1;

		put16(&d, (unsigned int)strtoul(records[i], NULL, 10));
		name(&d, host);
		memcpy(data, d.b, d.len);
		rr(&p, "x.test", DNSRR_MX, 60, data, d.len);
	}
	assert_int_equal(decode(&p, DNSRR_MX), 0);
}

static void
test_mx_order(void **state)
{
	static const struct {
		const char *records[6];
		const char *names;
		int null_mx, loop;
	} cases[] = {
		{ { "20 b.test", "10 a.test", "30 c.test" }, "a.test b.test c.test ", 0,
		    0 },
		{ { "10 a.test", "10 a.test", "20 a.test" }, "a.test ", 0, 0 },
		{ { "0 ." }, "", 1, 0 },
		{ { "0 .", "10 a.test" }, "a.test ", 0, 0 },
		/* Us: nothing of equal or worse preference. */
		{ { "10 a.test", "20 Me.test", "20 b.test", "30 c.test" }, "a.test ", 0,
		    1 },
		{ { "10 me.test", "20 b.test" }, "", 0, 1 },
		{ { "10 a_b.test" }, "a_b.test ", 0, 0 },
		{ { "10 a b.test", "20 c.test" }, "c.test ", 0, 0 },
	};
	struct dnshost hosts[DNSHOSTS_MAX];
	int null_mx, loop, seen = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char names[400] = "";
		size_t n = 0, got;

		while (n < 6 && cases[i].records[n] != NULL)
			n++;
		mx(cases[i].records, n);
		got = hosts_from_mx(&a, "me.test", no_random, hosts, &null_mx, &loop);
		for (size_t k = 0; k < got; k++) {
			strncat(names, hosts[k].name, 300 - strlen(names));
			strncat(names, " ", 2);
		}
		assert_string_equal(names, cases[i].names);
		assert_int_equal(null_mx, cases[i].null_mx);
		assert_int_equal(loop, cases[i].loop);
	}
	/* Equals change places with the dice. */
	mx((const char *const[]){ "10 a.test", "10 b.test", "10 c.test" }, 3);
	(void)hosts_from_mx(&a, "me.test", no_random, hosts, &null_mx, &loop);
	seen = hosts[0].name[0];
	assert_int_equal(hosts_from_mx(&a, "me.test", first, hosts, &null_mx, &loop), 3);
	assert_int_not_equal(hosts[0].name[0], seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_cname),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_mx_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
