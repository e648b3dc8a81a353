/* SPDX-License-Identifier: ISC */
/* Limits of accounts: what they are written as, and which one holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authd/limits.h"

static void
words(void **state)
{
	static const struct {
		enum limit l;
		const char *text;
		int bad;
		uint64_t value;
	} rows[] = {
		{ LIMIT_MESSAGES_HOUR, "12", 0, 12 },
		{ LIMIT_MESSAGES_HOUR, "0", 0, LIMIT_INHERITED },
		{ LIMIT_MESSAGES_HOUR, "default", 0, LIMIT_INHERITED },
		{ LIMIT_MESSAGES_HOUR, "unlimited", 0, LIMIT_UNLIMITED },
		{ LIMIT_MESSAGES_HOUR, "12k", 1, 0 },
		{ LIMIT_MESSAGES_HOUR, "-1", 1, 0 },
		{ LIMIT_MESSAGES_HOUR, "", 1, 0 },
		{ LIMIT_MESSAGES_HOUR, "4294967295", 0, 4294967295 },
		{ LIMIT_MESSAGES_HOUR, "4294967296", 1, 0 },
		{ LIMIT_QUOTA, "10m", 0, 10 << 20 },
		{ LIMIT_QUOTA, "2T", 0, 2ull << 40 },
		{ LIMIT_QUOTA, "m", 1, 0 },
		{ LIMIT_QUOTA, "9223372036854775807", 0, INT64_MAX },
		{ LIMIT_QUOTA, "9223372036854775807k", 1, 0 },
	};
	char text[LIMIT_TEXT_MAX];
	uint64_t n, again;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = 77;
		if ((limit_parse(rows[i].l, rows[i].text, &n) != NULL) != rows[i].bad ||
		    (!rows[i].bad && n != rows[i].value))
			fail_msg("%s of %s", rows[i].text, limit_word(rows[i].l));
		if (rows[i].bad)
			continue;
		limit_format(n, text);
		assert_null(limit_parse(rows[i].l, text, &again));
		assert_true(again == n);
	}
	for (int i = 0; i < LIMITS; i++)
		assert_int_equal(limit_find(limit_word((enum limit)i)), i);
	assert_int_equal(limit_find("messages"), LIMITS);
}

static void
the_nearest_counts(void **state)
{
	struct limits user = { 0 }, group = { 0 }, system = { 0 };
	enum limit_source source;

	assert_int_equal(
	    limit_of(LIMIT_RECIPIENTS_MESSAGE, &user, NULL, &system, &source), 128);
	assert_int_equal(source, LIMIT_BUILT_IN);
	system.v[LIMIT_RECIPIENTS_MESSAGE] = 5;
	assert_int_equal(
	    limit_of(LIMIT_RECIPIENTS_MESSAGE, &user, &group, &system, &source), 5);
	assert_int_equal(source, LIMIT_SYSTEM);
	group.v[LIMIT_RECIPIENTS_MESSAGE] = LIMIT_UNLIMITED;
	assert_true(limit_of(LIMIT_RECIPIENTS_MESSAGE, &user, &group, &system, &source) ==
		    LIMIT_UNLIMITED);
	assert_int_equal(source, LIMIT_GROUP);
	user.v[LIMIT_RECIPIENTS_MESSAGE] = 7;
	assert_int_equal(
	    limit_of(LIMIT_RECIPIENTS_MESSAGE, &user, &group, &system, &source), 7);
	assert_int_equal(source, LIMIT_USER);
	/* Another one is as it was. */
	assert_int_equal(limit_of(LIMIT_SESSIONS, &user, &group, &system, NULL), 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words),
		cmocka_unit_test(the_nearest_counts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
