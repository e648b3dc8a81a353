/* SPDX-License-Identifier: ISC */
/* App passwords: made, used for their service only, revoked; damaged records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "authd/apppass.h"
#include "common/compat/compat.h"
#include "common/msg.h"

static void
life(void **state)
{
	char phone[APPPASS_LEN + 1], any[APPPASS_LEN + 1], p[APPPASS_LEN + 1];
	struct user u = { 0 };
	struct apppass a;

	assert_int_equal(apppass_check(&u, SERVICE_IMAP, "", &a), 0);
	assert_int_equal(
	    apppass_add(&u, "phone", apppass_service("imap"), 7, phone), DIR_OK);
	assert_int_equal(apppass_add(&u, "any", 0, 8, any), DIR_OK);
	assert_int_equal(strlen(phone), APPPASS_LEN);
	assert_string_not_equal(phone, any);
	assert_null(strstr(u.apppass, phone));
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, phone, &a), 1);
	assert_string_equal(a.name, "phone");
	assert_int_equal(a.created, 7);
	assert_int_equal(apppass_check(&u, SERVICE_SMTP, phone, &a), 0);
	assert_int_equal(apppass_check(&u, SERVICE_POP3, phone, &a), 0);
	for (int s = SERVICE_SMTP; s <= SERVICE_POP3; s++)
		assert_int_equal(apppass_check(&u, s, any, &a), 1);
	phone[3] ^= 1;
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, phone, &a), 0);
	phone[3] ^= 1;

	assert_int_equal(apppass_add(&u, "phone", 0, 9, p), DIR_EXISTS);
	assert_int_equal(apppass_add(&u, "", 0, 9, p), DIR_BAD);
	assert_int_equal(apppass_add(&u, "a b", 0, 9, p), DIR_BAD);
	assert_int_equal(apppass_add(&u, "a;b", 0, 9, p), DIR_BAD);
	assert_int_equal(apppass_add(&u, "x", apppass_service("ftp"), 9, p), DIR_BAD);
	assert_int_equal(apppass_del(&u, "phon"), DIR_NONE);
	assert_int_equal(apppass_del(&u, "phone"), DIR_OK);
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, phone, &a), 0);
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, any, &a), 1);
	assert_int_equal(apppass_del(&u, "any"), DIR_OK);
	assert_string_equal(u.apppass, "");
	assert_int_equal(apppass_get(&u, 0, &a), 0);
}

static void
full(void **state)
{
	char name[APPPASS_NAME_MAX + 1], p[APPPASS_LEN + 1];
	struct user u = { 0 };
	struct apppass a;

	for (int i = 0; i < APPPASS_USER_MAX; i++) {
		snprintf(name, sizeof(name), "a-name-as-long-as-it-may-be---%c%c",
		    '0' + i / 10, '0' + i % 10);
		assert_int_equal(apppass_add(&u, name, 0, 1900000000, p), DIR_OK);
	}
	assert_int_equal(apppass_add(&u, "one-more", 0, 1, p), DIR_FULL);
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, p, &a), 1);
	/* From the middle and the end. */
	assert_int_equal(apppass_del(&u, "a-name-as-long-as-it-may-be---07"), DIR_OK);
	assert_int_equal(apppass_del(&u, "a-name-as-long-as-it-may-be---15"), DIR_OK);
	for (size_t n = 0;; n++)
		if (!apppass_get(&u, n, &a)) {
			assert_int_equal(n, APPPASS_USER_MAX - 2);
			break;
		}
}

static void
damaged(void **state)
{
	static const char *const rows[] = { ";;;", ":::", "a", "a:b", "a:imap:x:y",
		"a:imap:1:", "a:ftp:1:AAAA", ";a:imap:1:AAAA" };
	struct apppass a;
	struct user u = { 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strlcpy(u.apppass, rows[i], sizeof(u.apppass));
		assert_int_equal(
		    apppass_check(&u, SERVICE_IMAP, "abcdefghijkmnpqrstuv", &a), 0);
		(void)apppass_del(&u, "a");
	}
	memset(u.apppass, 'x', sizeof(u.apppass) - 1);
	assert_int_equal(apppass_check(&u, SERVICE_IMAP, "abcdefghijkmnpqrstuv", &a), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life),
		cmocka_unit_test(full),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
