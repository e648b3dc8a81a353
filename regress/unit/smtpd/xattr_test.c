/* SPDX-License-Identifier: ISC */
/* Attributes of XCLIENT and XFORWARD. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "smtpd/xattr.h"

static int
parse(const char *s, unsigned int allowed, struct xattr *x)
{
	memset(x, 0, sizeof(*x));
	return xattr_parse(s, strlen(s), allowed, x);
}

static void
test_good(void **state)
{
	struct xattr x;
	const struct sockaddr_in6 *in6 = (const void *)&x.addr;

	(void)state;
	assert_int_equal(
	    parse("name=mx.remote.test  Addr=192.0.2.1 PORT=4000 proto=esmtp "
		  "HELO=a+2Bb IDENT=1+202 SOURCE=local",
		XATTR_XFORWARD, &x),
	    0);
	assert_string_equal(x.name, "mx.remote.test");
	assert_int_equal(x.addr.ss_family, AF_INET);
	assert_int_equal(x.port, 4000);
	assert_string_equal(x.proto, "ESMTP");
	assert_string_equal(x.helo, "a+b");
	assert_string_equal(x.ident, "1 2");
	assert_string_equal(x.source, "LOCAL");
	assert_int_equal(x.seen, XATTR_XFORWARD);
	/* A second line adds to it, and can take back. */
	assert_int_equal(xattr_parse("ADDR=IPV6:2001:db8::1 NAME=[unavailable]", 40,
			     XATTR_XFORWARD, &x),
	    0);
	assert_int_equal(x.addr.ss_family, AF_INET6);
	assert_int_equal(in6->sin6_addr.s6_addr[15], 1);
	assert_string_equal(x.name, "");
	assert_string_equal(x.helo, "a+b");
	assert_int_equal(
	    parse("ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]", XATTR_XCLIENT, &x), 0);
	assert_int_equal(x.addr.ss_family, AF_UNSPEC);
	assert_int_equal(x.seen, XATTR_ADDR | XATTR_NAME);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", " ", "NAME", "NAME=", "=x", "FOO=x",
		"ADDR=192.0.2", "ADDR=2001:db8::1", "ADDR=IPV6:192.0.2.1", "ADDR=x",
		"PORT=-1", "PORT=65536", "PORT=123456", "PROTO=QMTP", "NAME=a..b",
		"NAME=a+0Ab", "NAME=a+zz", "HELO=a(b", "HELO=a+0Db", "HELO=a+20b",
		"LOGIN=x", "DESTADDR=192.0.2.1", "NAME=a.b NAME=a.b", "NAME=a.b ADDR",
		"IDENT=x", "SOURCE=LOCAL" };
	char big[400] = "HELO=";
	struct xattr x, was;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], XATTR_XCLIENT, &x) != -1)
			fail_msg("%s", bad[i]);
	assert_int_equal(parse("SOURCE=BOTH", XATTR_XFORWARD, &x), -1);
	assert_int_equal(parse("IDENT=a+0Ab", XATTR_XFORWARD, &x), -1);
	memset(big + 5, 'x', 255);
	assert_int_equal(parse(big, XATTR_XCLIENT, &x), 0);
	memset(big + 5, 'x', 256);
	assert_int_equal(parse(big, XATTR_XCLIENT, &x), -1);
	/* All or nothing. */
	assert_int_equal(parse("NAME=a.b", XATTR_XCLIENT, &x), 0);
	was = x;
	assert_int_equal(
	    xattr_parse("HELO=c NAME=d.e PORT=x", 22, XATTR_XCLIENT, &x), -1);
	assert_memory_equal(&x, &was, sizeof(x));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
