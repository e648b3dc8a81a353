/* SPDX-License-Identifier: ISC */
/* The frame of URLs that authorise (RFC 4467, 9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/imap/imap_urlauth.h"

#define TOKEN "91354a473744909de610943775f92038"

static int
parse(const char *s, struct imap_urlauth *u)
{
	return imap_urlauth_parse(s, strlen(s), u);
}

static void
good(void **state)
{
	static const char full[] = "imap://joe@example.com/INBOX/;uid=20/;section=1.2"
				   ";urlauth=submit+fred:internal:" TOKEN;
	struct imap_urlauth u;

	assert_int_equal(parse(full, &u), 0);
	assert_string_equal(u.owner, "joe");
	assert_int_equal(u.access, IMAP_URL_SUBMIT);
	assert_string_equal(u.user, "fred");
	assert_int_equal(u.rump_len, strlen(full) - strlen(":internal:" TOKEN));
	assert_int_equal(u.part_len, strlen("/INBOX/;uid=20/;section=1.2"));
	assert_memory_equal(u.part, "/INBOX/", 7);
	assert_int_equal(u.mechanism_len, 8);
	assert_int_equal(u.token_len, 32);
	assert_false(u.expires);
	assert_int_equal(
	    parse("imap://a%40b.c;AUTH=*@h:143/x/;UID=1;EXPIRE=2026-01-02T03:04:05Z"
		  ";URLAUTH=user+d%40e.f",
		&u),
	    0);
	assert_string_equal(u.owner, "a@b.c");
	assert_string_equal(u.user, "d@e.f");
	assert_null(u.mechanism);
	assert_true(u.expires);
	assert_int_equal(u.expire, 1767323045);
	assert_int_equal(u.part_len, strlen("/x/;UID=1"));
	assert_int_equal(parse("IMAP://a@h/x/;UID=1;URLAUTH=Anonymous", &u), 0);
	assert_int_equal(u.access, IMAP_URL_ANONYMOUS);
	assert_int_equal(parse("imap://a@h/x/;UID=1;URLAUTH=authuser", &u), 0);
	assert_int_equal(u.access, IMAP_URL_AUTHUSER);
}

static void
bad(void **state)
{
	static const char *const some[] = { "", "imap://", "imap://a@h",
		"imap://h/x;URLAUTH=authuser", "imap://@h/x;URLAUTH=authuser",
		"imap://a@/x;URLAUTH=authuser", "imap://a@h/x",
		"imap://a@h/x;URLAUTH=", "imap://a@h/x;URLAUTH=root",
		"imap://a@h/x;URLAUTH=user+", "imap://a@h/x;URLAUTH=submit+%",
		"imap://a@h/x;URLAUTH=user+%00", "imap://a%ff@h/x;URLAUTH=authuser",
		"imap://a@h/x;URLAUTH=authuser:",
		"imap://a@h/x;URLAUTH=authuser:INTERNAL",
		"imap://a@h/x;URLAUTH=authuser::" TOKEN,
		"imap://a@h/x;URLAUTH=authuser:INTERNAL:1234",
		"imap://a@h/x;URLAUTH=authuser:INTERNAL:" TOKEN "x",
		"imap://a@h/x;EXPIRE=tomorrow;URLAUTH=authuser",
		"imap://a;b@h/x;URLAUTH=authuser", "http://a@h/x;URLAUTH=authuser",
		"imap://a b@h/x;URLAUTH=authuser" };
	struct imap_urlauth u;
	char *large = malloc(IMAP_URLAUTH_MAX + 10);

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		if (parse(some[i], &u) != -1)
			fail_msg("taken: %s", some[i]);
	assert_non_null(large);
	memset(large, 'x', IMAP_URLAUTH_MAX + 10);
	memcpy(large, "imap://a@h/", 11);
	memcpy(large + IMAP_URLAUTH_MAX + 1 - 17, ";URLAUTH=authuser", 17);
	assert_int_equal(imap_urlauth_parse(large, IMAP_URLAUTH_MAX + 1, &u), -1);
	free(large);
}

static void
users(void **state)
{
	assert_true(imap_urlauth_is("a@b.c", "A@B.c", "x@b.c"));
	assert_true(imap_urlauth_is("a", "a@b.c", "x@b.c"));
	assert_false(imap_urlauth_is("a", "a@b.c", "x@other.c"));
	assert_false(imap_urlauth_is("a", "ab@b.c", "x@b.c"));
	assert_false(imap_urlauth_is("a@b.c", "a@b.d", "x@b.c"));
	assert_false(imap_urlauth_is("", "a@b.c", "a@b.c"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
