/* SPDX-License-Identifier: ISC */
/* URLs of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/routeurl.h"

static void
good(void **state)
{
	static const struct {
		const char *url;
		enum route_scheme scheme;
		const char *host;
		int port;
		const char *user, *secret;
	} rows[] = {
		{ "smtp://mx.example.test", ROUTE_SMTP, "mx.example.test", 25, "", "" },
		{ "smtp://mx.example.test/", ROUTE_SMTP, "mx.example.test", 25, "", "" },
		{ "smtp://127.0.0.1:2526", ROUTE_SMTP, "127.0.0.1", 2526, "", "" },
		{ "smtp://119.90.56.86:25", ROUTE_SMTP, "119.90.56.86", 25, "", "" },
		{ "smtp+tls://a.test", ROUTE_SMTP_TLS, "a.test", 25, "", "" },
		{ "smtps://a.test", ROUTE_SMTPS, "a.test", 465, "", "" },
		{ "smtps://a.test:1", ROUTE_SMTPS, "a.test", 1, "", "" },
		{ "lmtp://localhost", ROUTE_LMTP, "localhost", 24, "", "" },
		{ "smtp://[::1]", ROUTE_SMTP, "::1", 25, "", "" },
		{ "smtp://[2001:db8::7]:65535/", ROUTE_SMTP, "2001:db8::7", 65535, "",
		    "" },
		{ "smtps://me:provider@smarthost.test", ROUTE_SMTPS, "smarthost.test",
		    465, "me", "provider" },
		{ "smtps://me%40here.test:a%3ab@h.test:587", ROUTE_SMTPS, "h.test", 587,
		    "me@here.test", "a:b" },
		{ "smtp://u:s@[::1]:25", ROUTE_SMTP, "::1", 25, "u", "s" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct routeurl r;
		const char *why = "";

		if (routeurl_parse(rows[i].url, &r, &why) == -1)
			fail_msg("%s: %s", rows[i].url, why);
		assert_int_equal(r.scheme, rows[i].scheme);
		assert_string_equal(r.host, rows[i].host);
		assert_int_equal(r.port, rows[i].port);
		assert_string_equal(r.user, rows[i].user);
		assert_string_equal(r.secret, rows[i].secret);
	}
}

static void
paths(void **state)
{
	struct routeurl r;
	const char *why;

	assert_int_equal(routeurl_parse("lmtp+unix:/run/dovecot/lmtp", &r, &why), 0);
	assert_int_equal(r.scheme, ROUTE_LMTP);
	assert_string_equal(r.path, "/run/dovecot/lmtp");
	assert_string_equal(r.host, "");
	assert_int_equal(routeurl_parse("smtp+unix:/x", &r, &why), 0);
	assert_int_equal(r.scheme, ROUTE_SMTP);
	assert_int_equal(routeurl_parse("smtp://a.test", &r, &why), 0);
	assert_string_equal(r.path, "");
}

static void
bad(void **state)
{
	static const char *const rows[] = { "", "smtp", "smtp:", "smtp:/", "smtp://",
		"smtp:///", "SMTP://a.test", "http://a.test", "mx.example.test",
		"smtp://:25", "smtp://a.test:", "smtp://a.test:0", "smtp://a.test:65536",
		"smtp://a.test:99999999999", "smtp://a.test:-1", "smtp://a.test:+25",
		"smtp://a.test: 25", "smtp://a.test:2x", "smtp://a.test:25:25",
		"smtp://a.test/path", "smtp://a test", "smtp://a\ntest", "smtp://a..test",
		"smtp://-a.test", "smtp://[::1", "smtp://::1", "smtp://[a.test]",
		"smtp://[127.0.0.1]", "smtp://[]", "smtp://[::1]x",
		"smtp://[::1]:", "smtp://@a.test", "smtp://u@a.test", "smtp://u:@a.test",
		"smtp://:s@a.test", "smtp://u:s%@a.test", "smtp://u:s%4@a.test",
		"smtp://u:s%zz@a.test", "smtp://u:s%00@a.test", "smtp://u:s%0a@a.test",
		"smtp://u:s@", "smtp://u:s@u:s@a.test", "lmtp+unix:", "lmtp+unix:/",
		"lmtp+unix:x", "lmtp+unix:///x", "lmtp+unix:/a b", "lmtp+unix:/a/../b",
		"smtps+unix:/x", "lmtp+unix:/\n", "lmtp+unix:/a%20b" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct routeurl r;
		const char *why = NULL;

		if (routeurl_parse(rows[i], &r, &why) != -1)
			fail_msg("taken: %s", rows[i]);
		assert_non_null(why);
		assert_true(why[0] != '\0');
	}
}

static void
long_ones(void **state)
{
	char url[2000];
	struct routeurl r;
	const char *why;

	for (size_t n = 100; n < 300; n++) {
		strlcpy(url, "smtp://", sizeof(url));
		for (size_t i = 0; i < n; i++)
			strlcat(url, i % 10 == 9 ? "." : "a", sizeof(url));
		strlcat(url, "b", sizeof(url));
		if (routeurl_parse(url, &r, &why) == 0)
			assert_true(strlen(r.host) == n + 1 && n < 255);
		else
			assert_true(n > 250);
		snprintf(url, sizeof(url), "smtp://%0*d:s@a.test", (int)n, 1);
		assert_int_equal(
		    routeurl_parse(url, &r, &why), n < sizeof(r.user) ? 0 : -1);
		snprintf(url, sizeof(url), "smtp://u:%0*d@a.test", (int)n, 1);
		assert_int_equal(
		    routeurl_parse(url, &r, &why), n < sizeof(r.secret) ? 0 : -1);
		snprintf(url, sizeof(url), "smtp://[%0*d]", (int)n, 1);
		assert_int_equal(routeurl_parse(url, &r, &why), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(paths),
		cmocka_unit_test(bad),
		cmocka_unit_test(long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
