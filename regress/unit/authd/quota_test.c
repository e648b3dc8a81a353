/* SPDX-License-Identifier: ISC */
/* How full mailboxes are: levels with their slack, answers at RCPT, the table and its
 * file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/quota.h"

static void
levels(void **state)
{
	static const struct {
		unsigned int percent;
		uint8_t was, is;
	} rows[] = {
		{ 0, 0, 0 },
		{ 79, 0, 0 },
		{ 80, 0, 1 },
		{ 94, 1, 1 },
		{ 95, 1, 2 },
		{ 100, 0, 2 },
		/* Down again: later than up. */
		{ 94, 2, 2 },
		{ 90, 2, 2 },
		{ 89, 2, 1 },
		{ 80, 2, 1 },
		{ 75, 1, 1 },
		{ 74, 1, 0 },
		{ 10, 2, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(quota_level(rows[i].percent, rows[i].was), rows[i].is);
}

static void
answers(void **state)
{
	struct quota_use use = { .octets = 90, .messages = 2 };
	struct quota_limits none = { 0 }, octets = { .octets = 100 },
			    messages = { .messages = 2 }, more = { 100, 3 };

	assert_int_equal(quota_answer(NULL, &octets, 100), QUOTA_ROOM);
	assert_int_equal(quota_answer(NULL, &octets, 101), QUOTA_NEVER);
	assert_int_equal(quota_answer(&use, &none, UINT64_MAX), QUOTA_ROOM);
	assert_int_equal(quota_answer(&use, &octets, 10), QUOTA_ROOM);
	assert_int_equal(quota_answer(&use, &octets, 11), QUOTA_FULL);
	assert_int_equal(quota_answer(&use, &octets, 0), QUOTA_ROOM);
	assert_int_equal(quota_answer(&use, &messages, 0), QUOTA_FULL);
	assert_int_equal(quota_answer(&use, &more, 10), QUOTA_ROOM);
	use.octets = 100;
	assert_int_equal(quota_answer(&use, &octets, 0), QUOTA_FULL);
	use.octets = UINT64_MAX;
	assert_int_equal(quota_answer(&use, &octets, 1), QUOTA_FULL);
	assert_int_equal(quota_percent(&use, &octets), 100);
	assert_int_equal(quota_percent(&use, &none), 0);
	use.octets = 1;
	assert_int_equal(quota_percent(&use, &more), 66);
	octets.octets = UINT64_MAX - 1;
	use.octets = UINT64_MAX / 2;
	assert_in_range(quota_percent(&use, &octets), 49, 50);
}

static void
put(struct quota_table *t, const char *name, uint64_t octets, uint8_t warned)
{
	struct quota_use *u = quota_table_get(t, name);

	assert_non_null(u);
	u->octets = octets;
	u->messages = octets / 10;
	u->when = 1000;
	u->warned = warned;
	quota_table_changed(t, u);
}

static void
table(void **state)
{
	struct quota_table *t = quota_table_new();
	const struct quota_use *use;
	const void *iter = NULL;

	assert_null(quota_table_find(t, "d/a"));
	put(t, "d/a", 10, 0);
	put(t, "d/b", 20, 1);
	assert_int_equal(quota_table_count(t), 2);
	quota_table_saved(t);
	assert_null(quota_table_next(t, &iter, 1, &use));
	put(t, "d/a", 30, 2);
	iter = NULL;
	assert_string_equal(quota_table_next(t, &iter, 1, &use), "d/a");
	assert_int_equal(use->octets, 30);
	assert_null(quota_table_next(t, &iter, 1, &use));
	quota_table_rename(t, "d/a", "d/c");
	assert_null(quota_table_find(t, "d/a"));
	assert_int_equal(quota_table_find(t, "d/c")->warned, 2);
	quota_table_remove(t, "d/c");
	quota_table_remove(t, "d/c");
	quota_table_remove(t, "d/none");
	assert_int_equal(quota_table_count(t), 1);
	/* A new one of an old name begins empty. */
	assert_int_equal(quota_table_get(t, "d/c")->octets, 0);
	assert_int_equal(quota_table_count(t), 2);
	quota_table_free(t);
}

static void
file(void **state)
{
	struct quota_table *t = quota_table_new(), *u = quota_table_new();
	char path[] = "/tmp/quota_test.XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	close(fd);
	unlink(path);
	assert_int_equal(quota_load(t, path), 0);
	put(t, "d/a", 10, 0);
	put(t, "d/b", 20, 1);
	put(t, "d/gone", 20, 1);
	assert_int_equal(quota_save(t), 0);
	assert_int_equal(quota_save(t), 0);
	quota_table_remove(t, "d/gone");
	put(t, "d/a", 11, 2);
	assert_int_equal(quota_save(t), 0);
	quota_unload();
	assert_int_equal(quota_load(u, path), 0);
	assert_int_equal(quota_table_count(u), 2);
	assert_int_equal(quota_table_find(u, "d/a")->octets, 11);
	assert_int_equal(quota_table_find(u, "d/a")->warned, 2);
	assert_int_equal(quota_table_find(u, "d/b")->messages, 2);
	assert_int_equal(quota_table_find(u, "d/b")->when, 1000);
	quota_unload();
	unlink(path);
	quota_table_free(t);
	quota_table_free(u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(answers),
		cmocka_unit_test(table),
		cmocka_unit_test(file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
