/* SPDX-License-Identifier: ISC */
/* Nobody is answered without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "listd/often.h"

#define DAY 86400000u

static void
test_a_day(void **state)
{
	for (int i = 0; i < OFTEN_A_DAY; i++)
		assert_int_equal(
		    often_answered("bob@example.org", 1000 + (uint64_t)i), 0);
	assert_int_equal(often_answered("bob@example.org", 2000), 1);
	assert_int_equal(often_answered("Bob@Example.ORG", 2000), 1);
	assert_int_equal(often_answered("eve@example.org", 2000), 0);
	assert_int_equal(often_answered("bob@example.org", 999 + DAY), 1);
	assert_int_equal(often_answered("bob@example.org", 1000 + DAY), 0);
}

/* Many others do not make room for more letters to the one, by and large. */
static void
test_many(void **state)
{
	char address[40];

	for (int i = 0; i <= OFTEN_A_DAY; i++)
		(void)often_answered("ann@example.org", 5000);
	for (int i = 0; i < 500; i++) {
		snprintf(address, sizeof(address), "u%d@example.net", i);
		assert_int_equal(often_answered(address, 6000), 0);
	}
	assert_int_equal(often_answered("ann@example.org", 7000), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
