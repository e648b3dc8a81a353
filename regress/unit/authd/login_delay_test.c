/* SPDX-License-Identifier: ISC */
/* LOGIN-DELAY's memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "authd/login_delay.h"

static void
by_user(void **state)
{
	struct login_delay *d = login_delay_new();

	assert_non_null(d);
	assert_true(login_delay_over(NULL, "a@b", 0, 1000));
	assert_true(login_delay_over(d, "a@b", 0, 1000));
	login_delay_mark(d, "a@b", 5000, 1000);
	assert_false(login_delay_over(d, "a@b", 5000, 1000));
	assert_false(login_delay_over(d, "a@b", 5999, 1000));
	assert_true(login_delay_over(d, "a@b", 6000, 1000));
	assert_true(login_delay_over(d, "c@b", 5000, 1000));
	login_delay_mark(d, "a@b", 6000, 1000);
	assert_false(login_delay_over(d, "a@b", 6500, 1000));
	assert_int_equal(login_delay_count(d), 1);
	/* What is over is forgotten by the next. */
	login_delay_mark(d, "c@b", 7000, 1000);
	assert_int_equal(login_delay_count(d), 1);
	/* A shorter setting holds at once. */
	assert_true(login_delay_over(d, "c@b", 7010, 10));
	login_delay_free(d);
}

static void
bounded(void **state)
{
	struct login_delay *d = login_delay_new();
	char address[32];

	assert_non_null(d);
	for (unsigned int i = 0; i < LOGIN_DELAY_ENTRIES_MAX + 10; i++) {
		snprintf(address, sizeof(address), "u%u@b", i);
		login_delay_mark(d, address, i, UINT64_MAX);
	}
	assert_int_equal(login_delay_count(d), LOGIN_DELAY_ENTRIES_MAX);
	assert_true(login_delay_over(d, "u9@b", 100, UINT64_MAX));
	assert_false(login_delay_over(d, "u10@b", 100, UINT64_MAX));
	login_delay_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_user),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
