/* SPDX-License-Identifier: ISC */
/* How many jobs at a time: growth, shrinking, bounds, and against a model of a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "queued/concurrency.h"

/* As many jobs as may, which all end so. */
static void
round_of(struct concurrency *c, enum concurrency_end end, uint32_t ceiling)
{
	uint32_t n = concurrency_limit(c, ceiling);
	uint8_t epoch = c->epoch;

	for (uint32_t i = 0; i < n; i++)
		concurrency_end(c, end, epoch, 1, ceiling);
}

static void
grows(void **state)
{
	struct concurrency c;

	concurrency_init(&c);
	assert_int_equal(concurrency_limit(&c, 20), CONCURRENCY_FIRST);
	assert_int_equal(concurrency_limit(&c, 3), 3);
	round_of(&c, CONCURRENCY_GOOD, 20);
	assert_int_equal(concurrency_limit(&c, 20), 2 * CONCURRENCY_FIRST);
	round_of(&c, CONCURRENCY_GOOD, 20);
	assert_int_equal(concurrency_limit(&c, 20), 20);
	for (int i = 0; i < 100; i++)
		round_of(&c, CONCURRENCY_GOOD, 20);
	assert_int_equal(concurrency_limit(&c, 20), 20);
	/* A higher ceiling is not taken at once, a lower one is. */
	assert_int_equal(concurrency_limit(&c, 100), 20);
	assert_int_equal(concurrency_limit(&c, 7), 7);
	round_of(&c, CONCURRENCY_GOOD, 100);
	assert_int_equal(concurrency_limit(&c, 100), 40);
	/* One at a time says nothing about many. */
	for (int i = 0; i < 100; i++)
		concurrency_end(&c, CONCURRENCY_GOOD, c.epoch, 0, 100);
	assert_int_equal(concurrency_limit(&c, 100), 40);
	round_of(&c, CONCURRENCY_SAME, 100);
	assert_int_equal(concurrency_limit(&c, 100), 40);
}

static void
shrinks(void **state)
{
	struct concurrency c;
	uint8_t before;

	concurrency_init(&c);
	for (int i = 0; i < 10; i++)
		round_of(&c, CONCURRENCY_GOOD, 40);
	assert_int_equal(concurrency_limit(&c, 40), 40);
	/* All of a round at once: that is one event. */
	before = c.epoch;
	round_of(&c, CONCURRENCY_PRESSED, 40);
	assert_int_equal(concurrency_limit(&c, 40), 20);
	concurrency_end(&c, CONCURRENCY_PRESSED, before, 1, 40);
	assert_int_equal(concurrency_limit(&c, 40), 20);
	/* From there by one a round. */
	for (uint32_t n = 21; n < 25; n++) {
		round_of(&c, CONCURRENCY_GOOD, 40);
		assert_int_equal(concurrency_limit(&c, 40), n);
	}
	for (int i = 0; i < 10; i++)
		round_of(&c, CONCURRENCY_PRESSED, 40);
	assert_int_equal(concurrency_limit(&c, 40), 1);
	round_of(&c, CONCURRENCY_PRESSED, 40);
	assert_int_equal(concurrency_limit(&c, 40), 1);
	round_of(&c, CONCURRENCY_GOOD, 40);
	assert_int_equal(concurrency_limit(&c, 40), 2);
	/* It is a lower ceiling that is halved, not what was never used. */
	for (int i = 0; i < 40; i++)
		round_of(&c, CONCURRENCY_GOOD, 40);
	concurrency_end(&c, CONCURRENCY_PRESSED, c.epoch, 1, 8);
	assert_int_equal(concurrency_limit(&c, 8), 4);
	assert_int_equal(concurrency_limit(&c, 0), 1);
}

/* A host that takes 12 at a time and hangs up on more: about so many are found. */
static void
finds_it(void **state)
{
	struct concurrency c;
	uint32_t sum = 0, refused = 0;

	concurrency_init(&c);
	for (int turn = 0; turn < 400; turn++) {
		uint32_t n = concurrency_limit(&c, 50);
		uint8_t epoch = c.epoch;

		for (uint32_t i = 0; i < n; i++)
			concurrency_end(&c,
			    i < 12 ? CONCURRENCY_GOOD : CONCURRENCY_PRESSED, epoch, 1,
			    50);
		sum += n < 12 ? n : 12;
		refused += n > 12 ? n - 12 : 0;
	}
	assert_true(sum >= 400 * 8);
	assert_true(refused <= 400 / 4);
}

static void
any_order(void **state)
{
	struct concurrency c;

	srand(7);
	concurrency_init(&c);
	for (int i = 0; i < 200000; i++) {
		uint32_t ceiling = 1 + (uint32_t)rand() % 100000;

		concurrency_end(&c, (enum concurrency_end)(rand() % 3),
		    (uint8_t)(rand() % CONCURRENCY_EPOCHS), rand() % 2, ceiling);
		assert_in_range(concurrency_limit(&c, ceiling), 1, ceiling);
		assert_true(c.epoch < CONCURRENCY_EPOCHS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(grows),
		cmocka_unit_test(shrinks), cmocka_unit_test(finds_it),
		cmocka_unit_test(any_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
