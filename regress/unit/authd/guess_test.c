/* SPDX-License-Identifier: ISC */
/* Failed logins: counted, forgiven, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "authd/guess.h"

static void
counts(void **state)
{
	struct guess *g = guess_new();
	uint64_t t = 1000;

	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(guess_failed(g, "192.0.2.1", i, t), i);
	assert_int_equal(guess_failed(g, "192.0.2.2", 1, t), 1);
	/* The same wrong password again is no guess; unknown ones are. */
	assert_int_equal(guess_failed(g, "192.0.2.1", 5, t), 5);
	assert_int_equal(guess_failed(g, "192.0.2.1", 0, t), 6);
	assert_int_equal(guess_failed(g, "192.0.2.1", 0, t), 7);
	/* One is forgiven each time. */
	t += 2 * GUESS_FORGIVE_MS + 1;
	assert_int_equal(guess_failed(g, "192.0.2.1", 9, t), 6);
	t += 100 * (uint64_t)GUESS_FORGIVE_MS;
	assert_int_equal(guess_failed(g, "192.0.2.1", 9, t), 1);
	guess_forget(g, "192.0.2.1");
	guess_forget(g, "192.0.2.1");
	assert_int_equal(guess_failed(g, "192.0.2.1", 9, t), 1);
	guess_free(g);
	guess_free(NULL);
}

static void
bound(void **state)
{
	struct guess *g = guess_new();
	char name[32];

	for (int i = 0; i < GUESS_NAMES_MAX + 100; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		guess_failed(g, name, 0, 1);
		if (i % 50 == 0)
			guess_failed(g, "name 0", 0, 1);
	}
	assert_int_equal(guess_count(g), GUESS_NAMES_MAX);
	/* The quiet went first. */
	assert_int_equal(guess_failed(g, "name 1", 0, 1), 1);
	assert_true(guess_failed(g, "name 0", 0, 1) > 300);
	guess_free(g);
}

static void
delays(void **state)
{
	static const struct {
		uint32_t failures, free, ms;
	} rows[] = { { 0, 1, 0 }, { 1, 1, 0 }, { 2, 1, 500 }, { 3, 1, 1000 },
		{ 5, 1, 4000 }, { 6, 1, 8000 }, { 7, 1, 8000 }, { 1000, 1, 8000 },
		{ 3, 3, 0 }, { 4, 3, 500 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    guess_delay_ms(rows[i].failures, rows[i].free), rows[i].ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(bound),
		cmocka_unit_test(delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
