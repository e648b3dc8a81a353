/* SPDX-License-Identifier: ISC */
/* Routes with their settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/proto/route.h"

static void
good(void **state)
{
	struct route r;
	const char *why;

	assert_int_equal(route_parse("smtp://a.test", &r, &why), 0);
	assert_int_equal(r.tls, TLS_FLOOR_DEFAULT);
	assert_int_equal(r.after, 1);
	assert_int_equal(route_parse("mx tls=dane messages=7", &r, &why), 0);
	assert_true(r.mx);
	assert_int_equal(r.tls, TLS_FLOOR_DANE);
	assert_int_equal(r.messages, 7);
	if (route_parse("smtp://u:s@h.test:587 tls=verified auth=scram-sha-256 "
			"source=192.0.2.7 source=2001:db8::7 helo=out.Example.test "
			"concurrency=3 rate=60 fallback=smtps://b.test after=2 "
			"on=550,45x,5.7.1",
		&r, &why) == -1)
		fail_msg("%s", why);
	assert_string_equal(r.url.user, "u");
	assert_string_equal(r.auth, "SCRAM-SHA-256");
	assert_int_equal(r.source4.family, AF_INET);
	assert_int_equal(r.source6.family, AF_INET6);
	assert_string_equal(r.helo, "out.example.test");
	assert_int_equal(r.concurrency, 3);
	assert_int_equal(r.rate, 60);
	assert_string_equal(r.fallback, "smtps://b.test");
	assert_int_equal(r.after, 2);
	assert_true(route_falls_back_on(&r, 550, ""));
	assert_true(route_falls_back_on(&r, 451, "4.3.0"));
	assert_true(route_falls_back_on(&r, 554, "5.7.1"));
	assert_false(route_falls_back_on(&r, 554, "5.7.10"));
	assert_false(route_falls_back_on(&r, 421, ""));
	assert_int_equal(
	    route_parse(
		"smtp://a.test tls=pin:"
		"00ff000000000000000000000000000000000000000000000000000000000001",
		&r, &why),
	    0);
	assert_int_equal(r.pin[1], 0xff);
	assert_int_equal(r.pin[31], 1);
}

static void
bad(void **state)
{
	static const char *const rows[] = { "", "mx://", "smtp://a.test tls",
		"smtp://a.test tls=", "smtp://a.test tls=pin:12", "smtp://a.test x=y",
		"smtp://a.test rate=0", "smtp://a.test rate=-1", "smtp://a.test rate= 1",
		"smtp://a.test rate=1 rate=2", "smtp://a.test on=550",
		"smtp://a.test after=2", "smtp://a.test fallback=b.test",
		"smtp://a.test on=350 fallback=mx", "smtp://a.test on= fallback=mx",
		"smtp://a.test source=192.0.2.1 source=192.0.2.2",
		"smtp://a.test helo=a..b", "smtp://a.test auth=CRAM-MD5",
		"smtp://u:s@a.test tls=none", " smtp://a.test" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route r;
		const char *why = "";

		if (route_parse(rows[i], &r, &why) == 0)
			fail_msg("%s is accepted", rows[i]);
		assert_true(why[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good),
		cmocka_unit_test(bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
