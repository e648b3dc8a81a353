/* SPDX-License-Identifier: ISC */
/* address.c: the forms of RFC 5321, 4.1.2 and 4.1.3, and keys for look-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/proto/address.h"

/* local NULL: refused. */
struct row {
	const char *in, *local, *domain, *printed;
};

static const struct row mailboxes[] = {
	{ "fred@example.com", "fred", "example.com", NULL },
	{ "Fred.Bar+x@Example.COM", "Fred.Bar+x", "Example.COM", NULL },
	{ "\"fred\"@example.com", "fred", "example.com", "fred@example.com" },
	{ "\"a b\"@example.com", "a b", "example.com", NULL },
	{ "\"a\\\"b\\\\\"@example.com", "a\"b\\", "example.com", NULL },
	{ "\"a\\b\"@example.com", "ab", "example.com", "ab@example.com" },
	{ "\"a@b\"@example.com", "a@b", "example.com", NULL },
	{ "\"a..b\"@example.com", "a..b", "example.com", NULL },
	{ "\".\"@example.com", ".", "example.com", NULL },
	{ "!#$%&'*+-/=?^_`{|}~@x.y", "!#$%&'*+-/=?^_`{|}~", "x.y", NULL },
	{ "a@[1.2.3.4]", "a", "[1.2.3.4]", NULL },
	{ "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", NULL },
	{ "j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example",
	    "j\xc3\xb6rg",
	    "b\xc3\xbc"
	    "cher.example",
	    NULL },
	{ "a@localhost", "a", "localhost", NULL },
	{ "a@1.2.3.4", "a", "1.2.3.4", NULL },
	{ "", NULL, NULL, NULL },
	{ "fred", NULL, NULL, NULL },
	{ "@example.com", NULL, NULL, NULL },
	{ "fred@", NULL, NULL, NULL },
	{ "\"\"@example.com", NULL, NULL, NULL },
	{ "\"a@example.com", NULL, NULL, NULL },
	{ "\"a\\", NULL, NULL, NULL },
	{ "\"a\"b@example.com", NULL, NULL, NULL },
	{ "a b@example.com", NULL, NULL, NULL },
	{ ".a@example.com", NULL, NULL, NULL },
	{ "a.@example.com", NULL, NULL, NULL },
	{ "a..b@example.com", NULL, NULL, NULL },
	{ "a@@example.com", NULL, NULL, NULL },
	{ "a@b@example.com", NULL, NULL, NULL },
	{ "a@example.com.", NULL, NULL, NULL },
	{ "a@.example.com", NULL, NULL, NULL },
	{ "a@example..com", NULL, NULL, NULL },
	{ "a@-x.com", NULL, NULL, NULL },
	{ "a@x-.com", NULL, NULL, NULL },
	{ "a@x_y.com", NULL, NULL, NULL },
	{ "a@example.com ", NULL, NULL, NULL },
	{ " a@example.com", NULL, NULL, NULL },
	{ "<a@example.com>", NULL, NULL, NULL },
	{ "a@[1.2.3]", NULL, NULL, NULL },
	{ "a@[1.2.3.4", NULL, NULL, NULL },
	{ "a@[]", NULL, NULL, NULL },
	{ "a@[IPv6:]", NULL, NULL, NULL },
	{ "a@[IPv6:1.2.3.4]", NULL, NULL, NULL },
	{ "a@[2001:db8::1]", NULL, NULL, NULL },
	{ "a@[x400:foo]", NULL, NULL, NULL },
	{ "a\x01@example.com", NULL, NULL, NULL },
	{ "\"a\tb\"@example.com", NULL, NULL, NULL },
	{ "\"a\nb\"@example.com", NULL, NULL, NULL },
	{ "a\xff@example.com", NULL, NULL, NULL },
	{ "a\xc3@example.com", NULL, NULL, NULL },
	{ "\"a\\\xc3\xb6\"@example.com", NULL, NULL, NULL },
	{ "a@b\xff.example", NULL, NULL, NULL },
	{ "a@b\xe2\x80\xae.example", NULL, NULL, NULL },
};

static void
test_mailboxes(void **state)
{
	struct address a;
	char buf[ADDRESS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++) {
		const struct row *r = &mailboxes[i];
		int rc = address_parse(r->in, strlen(r->in), &a);

		if (rc != (r->local == NULL ? -1 : 0))
			fail_msg("%s: %d", r->in, rc);
		if (r->local == NULL) {
			assert_true(address_is_null(&a));
			continue;
		}
		assert_string_equal(a.local, r->local);
		assert_string_equal(a.domain, r->domain);
		assert_int_not_equal(address_format(&a, buf, sizeof(buf)), -1);
		assert_string_equal(buf, r->printed != NULL ? r->printed : r->in);
	}
	assert_int_equal(address_parse("a\0b@x", 5, &a), -1);
	assert_int_equal(address_parse("a@x\0y", 5, &a), -1);
}

static void
test_lengths(void **state)
{
	char in[600], label[64];
	struct address a;

	(void)state;
	memset(label, 'd', 63);
	label[63] = '\0';
	memset(in, 'l', sizeof(in));
	strcpy(in + 128, "@x.example");
	assert_int_equal(address_parse(in, strlen(in), &a), 0);
	memset(in, 'l', 129);
	strcpy(in + 129, "@x.example");
	assert_int_equal(address_parse(in, strlen(in), &a), -1);

	snprintf(in, sizeof(in), "a@%s.%s.%s.%.61s", label, label, label, label);
	assert_int_equal(address_parse(in, strlen(in), &a), 0);
	snprintf(in, sizeof(in), "a@%s.%s.%s.%.62s", label, label, label, label);
	assert_int_equal(address_parse(in, strlen(in), &a), -1);
	snprintf(in, sizeof(in), "a@%sd.example", label);
	assert_int_equal(address_parse(in, strlen(in), &a), -1);

	/* Both parts within their bounds, the whole above its own. */
	snprintf(in, sizeof(in), "%s%s@%s.%s.%s", label, label, label, label, label);
	assert_int_equal(address_parse(in, strlen(in), &a), 0);
	snprintf(in, sizeof(in), "%s%s@%s.%s.%s.xx", label, label, label, label, label);
	assert_int_equal(address_parse(in, strlen(in), &a), -1);
}

static void
test_paths(void **state)
{
	static const struct {
		const char *in;
		unsigned int flags;
		const char *printed;
		size_t used;
	} rows[] = {
		{ "<a@x.y>", 0, "<a@x.y>", 7 },
		{ "<a@x.y> SIZE=5", 0, "<a@x.y>", 7 },
		{ "<@p.q,@r.s:a@x.y>", 0, "<a@x.y>", 17 },
		{ "<@[1.2.3.4]:a@x.y>", 0, "<a@x.y>", 18 },
		{ "<\"a>b\"@x.y>", 0, "<\"a>b\"@x.y>", 11 },
		{ "<>", ADDRESS_NULL, "<>", 2 },
		{ "<>", 0, NULL, 0 },
		{ "<postmaster>", ADDRESS_POSTMASTER, "<postmaster>", 12 },
		{ "<PostMaster>", ADDRESS_POSTMASTER, "<PostMaster>", 12 },
		{ "<postmaster>", 0, NULL, 0 },
		{ "<root>", ADDRESS_POSTMASTER, NULL, 0 },
		{ "<root>", ADDRESS_NO_DOMAIN, "<root>", 6 },
		{ "<j\xc3\xb6rg@x.y>", 0, "<j\xc3\xb6rg@x.y>", 11 },
		{ "<j\xc3\xb6rg@x.y>", ADDRESS_ASCII, NULL, 0 },
		{ "<a@b\xc3\xbc.y>", ADDRESS_ASCII, NULL, 0 },
		{ "", 0, NULL, 0 },
		{ "<", 0, NULL, 0 },
		{ "<a@x.y", 0, NULL, 0 },
		{ "a@x.y>", 0, NULL, 0 },
		{ "<a@x.y >", 0, NULL, 0 },
		{ "<@p.q>", 0, NULL, 0 },
		{ "<@p.q:>", 0, NULL, 0 },
		{ "<@p.q,a@x.y>", 0, NULL, 0 },
		{ "<@p.q a@x.y>", 0, NULL, 0 },
		{ "<<a@x.y>>", 0, NULL, 0 },
	};
	struct address a;
	char buf[ADDRESS_MAX + 3];
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc =
		    path_parse(rows[i].in, strlen(rows[i].in), rows[i].flags, &a, &used);

		if (rc != (rows[i].printed == NULL ? -1 : 0))
			fail_msg("%s: %d", rows[i].in, rc);
		assert_int_equal(used, rows[i].used);
		if (rows[i].printed != NULL) {
			assert_int_not_equal(path_format(&a, buf, sizeof(buf)), -1);
			assert_string_equal(buf, rows[i].printed);
		}
	}
}

static void
test_keys(void **state)
{
	static const char *rows[][2] = {
		{ "Fred@Example.COM", "fred@example.com" },
		{ "\"A b\"@X.y", "a b@x.y" },
		{ "J\xc3\x96rg@B\xc3\x9c"
		  "cher.Example",
		    "j\xc3\x96rg@xn--bcher-kva.example" },
		{ "a@xn--bcher-kva.EXAMPLE", "a@xn--bcher-kva.example" },
		{ "a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]" },
	};
	struct address a, b;
	const char *detail;
	char buf[ADDRESS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(address_parse(rows[i][0], strlen(rows[i][0]), &a), 0);
		assert_int_equal(
		    address_fold_key(&a, buf, sizeof(buf)), strlen(rows[i][1]));
		assert_string_equal(buf, rows[i][1]);
		for (size_t cap = 0; cap <= strlen(rows[i][1]); cap++)
			assert_int_equal(address_fold_key(&a, buf, cap), -1);
	}
	address_parse("A@b\xc3\xbc"
		      "cher.example",
	    17, &a);
	address_parse("a@xn--bcher-kva.example", 23, &b);
	assert_true(address_equal(&a, &b));
	assert_int_equal(address_domain_unicode(b.domain, buf, sizeof(buf)), 15);
	assert_string_equal(buf, "b\xc3\xbc"
				 "cher.example");
	assert_int_equal(address_domain_ascii("Example.org.", buf, sizeof(buf)), 11);
	assert_int_equal(
	    address_domain_ascii("_dmarc.example.org", buf, sizeof(buf)), 18);
	assert_int_equal(address_domain_ascii("", buf, sizeof(buf)), -1);
	assert_int_equal(address_domain_ascii(".", buf, sizeof(buf)), -1);
	assert_int_equal(address_domain_ascii("a b", buf, sizeof(buf)), -1);

	address_parse("fred+list+x@x.y", 15, &a);
	address_split_detail(&a, '+', &b, &detail);
	assert_string_equal(b.local, "fred");
	assert_string_equal(detail, "list+x");
	address_parse("fred+@x.y", 9, &a);
	address_split_detail(&a, '+', &b, &detail);
	assert_string_equal(b.local, "fred+");
	assert_null(detail);
	address_parse("+fred@x.y", 9, &a);
	address_split_detail(&a, '+', &b, &detail);
	assert_string_equal(b.local, "+fred");
	assert_null(detail);
}

static void
test_literal(void **state)
{
	unsigned char ip[16];
	int family;

	(void)state;
	assert_int_equal(address_literal_ip("[192.0.2.1]", &family, ip), 0);
	assert_int_equal(family, AF_INET);
	assert_memory_equal(ip, "\xc0\x00\x02\x01", 4);
	assert_int_equal(address_literal_ip("[ipv6:::1]", &family, ip), 0);
	assert_int_equal(family, AF_INET6);
	assert_int_equal(ip[15], 1);
	assert_int_equal(address_literal_ip("192.0.2.1", &family, ip), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
