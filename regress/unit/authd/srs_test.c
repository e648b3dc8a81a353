/* SPDX-License-Identifier: ISC */
/* Rewritten senders: there and back, over several hosts, old ones, forged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authd/srs.h"
#include "common/proto/address.h"

#define DAY 86400
#define NOW (INT64_C(20000) * DAY + 5)

static const uint8_t here[32] = { 1 }, there[32] = { 2 }, third[32] = { 3 };

static void
there_and_back(void **state)
{
	static const char *const rows[] = { "a@x.test", "Some.Body+tag@sub.x.test",
		"a=b==c@x.test", "x=y=z@a-b.test", "srs@x.test" };
	char out[ADDRESS_MAX + 1], back[ADDRESS_MAX + 1], upper[ADDRESS_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    srs_forward(here, NOW, rows[i], "me.test", out, sizeof(out)), 0);
		assert_true(strncmp(out, "SRS0=", 5) == 0);
		assert_non_null(strstr(out, "@me.test"));
		assert_int_equal(srs_reverse(here, NOW, out, back, sizeof(back)), 0);
		assert_string_equal(back, rows[i]);
		/* Hosts on the way may change the case. */
		for (size_t k = 0; k <= strlen(out); k++)
			upper[k] =
			    out[k] >= 'a' && out[k] <= 'z' ? (char)(out[k] - 32) : out[k];
		assert_int_equal(srs_reverse(here, NOW, upper, back, sizeof(back)), 0);
		assert_int_equal(
		    srs_reverse(here, NOW + 20 * DAY, out, back, sizeof(back)), 0);
		assert_int_equal(
		    srs_reverse(here, NOW + 23 * DAY, out, back, sizeof(back)), -1);
		assert_int_equal(
		    srs_reverse(here, NOW + 80 * DAY, out, back, sizeof(back)), -1);
		assert_int_equal(srs_reverse(there, NOW, out, back, sizeof(back)), -1);
		out[6] = out[6] == 'a' ? 'b' : 'a';
		assert_int_equal(srs_reverse(here, NOW, out, back, sizeof(back)), -1);
	}
}

static void
over_three_hosts(void **state)
{
	char one[ADDRESS_MAX + 1], two[ADDRESS_MAX + 1], three[ADDRESS_MAX + 1];
	char back[ADDRESS_MAX + 1];

	assert_int_equal(srs_forward(here, NOW, "a@x.test", "one.test", one, 320), 0);
	assert_int_equal(srs_forward(there, NOW, one, "two.test", two, 320), 0);
	assert_true(strncmp(two, "SRS1=", 5) == 0);
	assert_int_equal(srs_forward(third, NOW, two, "three.test", three, 320), 0);
	assert_true(strncmp(three, "SRS1=", 5) == 0);
	/* From the last straight to the first. */
	assert_int_equal(srs_reverse(third, NOW, three, back, sizeof(back)), 0);
	assert_string_equal(back, one);
	assert_int_equal(srs_reverse(there, NOW, two, back, sizeof(back)), 0);
	assert_string_equal(back, one);
	assert_int_equal(srs_reverse(here, NOW, back, two, sizeof(two)), 0);
	assert_string_equal(two, "a@x.test");
}

static void
bad(void **state)
{
	static const char *const rows[] = { "", "a", "@x.test", "SRS0@me.test",
		"SRS0=@me.test", "SRS0=aaaaaaaa=@me.test",
		"SRS0=aaaaaaaa=aa=x.test=a@me.test", "SRS1=aaaaaaaa=x.test==b@me.test",
		"SRS0=aaaaaaaa", "a@x.test" };
	char out[ADDRESS_MAX + 1], longer[400];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(srs_reverse(here, NOW, rows[i], out, sizeof(out)), -1);
	assert_int_equal(srs_forward(here, NOW, "nobody", "me.test", out, 320), -1);
	assert_int_equal(
	    srs_forward(here, NOW, "SRS1=x@y.test", "me.test", out, 320), -1);
	memset(longer, 'a', 310);
	strcpy(longer + 310, "@x.test");
	assert_int_equal(srs_forward(here, NOW, longer, "me.test", out, 320), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(there_and_back),
		cmocka_unit_test(over_three_hosts), cmocka_unit_test(bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
