/* SPDX-License-Identifier: ISC */
/* What an account may send: messages and recipients, in an hour and in a day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "authd/sendlimit.h"

static void
windows(void **state)
{
	const uint32_t limits[SEND_LIMITS] = { 2, 3, 5, 6 };
	struct sendlimit *s = sendlimit_new();
	int first;

	/* Two messages with two recipients each, then the third in that hour. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    sendlimit_take(s, "a", i % 2 == 0, limits, 10000, &first),
		    SEND_LIMITS);
	assert_int_equal(
	    sendlimit_take(s, "a", 1, limits, 10001, &first), SEND_MESSAGES_HOUR);
	assert_int_equal(first, 1);
	assert_int_equal(
	    sendlimit_take(s, "a", 1, limits, 10002, &first), SEND_MESSAGES_HOUR);
	assert_int_equal(first, 0);
	/* More recipients of the one that is under way. */
	assert_int_equal(sendlimit_take(s, "a", 0, limits, 10002, &first), SEND_LIMITS);
	assert_int_equal(
	    sendlimit_take(s, "a", 0, limits, 10002, &first), SEND_RECIPIENTS_HOUR);
	/* Another account is another's business. */
	assert_int_equal(sendlimit_take(s, "b", 1, limits, 10002, &first), SEND_LIMITS);
	/* The next hour, up to the day's limits. */
	assert_int_equal(sendlimit_take(s, "a", 1, limits, 13600, &first), SEND_LIMITS);
	assert_int_equal(
	    sendlimit_take(s, "a", 0, limits, 13600, &first), SEND_RECIPIENTS_DAY);
	assert_int_equal(
	    sendlimit_take(s, "a", 1, limits, 13600, &first), SEND_MESSAGES_DAY);
	assert_int_equal(sendlimit_take(s, "a", 1, limits, 96400, &first), SEND_LIMITS);
	/* A clock that was put back does not lock anybody out. */
	assert_int_equal(sendlimit_take(s, "a", 1, limits, 50, &first), SEND_LIMITS);
	sendlimit_free(s);
	sendlimit_free(NULL);
}

static void
unlimited(void **state)
{
	const uint32_t limits[SEND_LIMITS] = { SEND_UNLIMITED, SEND_UNLIMITED,
		SEND_UNLIMITED, SEND_UNLIMITED };
	struct sendlimit *s = sendlimit_new();
	char name[32];
	int first;

	for (int i = 0; i < 100000; i++)
		assert_int_equal(
		    sendlimit_take(s, "a", 1, limits, 1, &first), SEND_LIMITS);
	for (int i = 0; i < SENDLIMIT_ACCOUNTS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "user %d", i);
		assert_int_equal(
		    sendlimit_take(s, name, 1, limits, 1, &first), SEND_LIMITS);
	}
	sendlimit_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows),
		cmocka_unit_test(unlimited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
