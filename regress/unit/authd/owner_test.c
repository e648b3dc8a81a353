/* SPDX-License-Identifier: ISC */
/* Whose an address is since when (RFC 7293). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authd/owner.h"

static char dir[64], path[80];
static struct resolver r;

static int
setup(void **state)
{
	struct user u = {
		.address = "alice@example.test", .created = 1000, .since = 1000
	};
	struct user old = { .address = "old@example.test" };

	(void)state;
	strcpy(dir, "/tmp/fife-owner.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/directory", dir);
	r = (struct resolver){ .directory = directory_open(path, 60000, 60100),
		.hostname = "mx.example.test",
		.postmaster = "" };
	return r.directory != NULL &&
		       directory_domain_add(r.directory, "example.test") == DIR_OK &&
		       directory_user_add(r.directory, &u) == DIR_OK &&
		       directory_user_add(r.directory, &old) == DIR_OK &&
		       directory_alias_put(
			   r.directory, "a@example.test", "alice@example.test") == DIR_OK
		   ? 0
		   : -1;
}

static int
teardown(void **state)
{
	char cmd[100];

	(void)state;
	directory_close(r.directory);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void
test_rows(void **state)
{
	static const struct {
		const char *address;
		int64_t since;
		enum rclass rclass;
	} rows[] = {
		{ "alice@example.test", 1000, RCLASS_LOCAL },
		{ "alice@example.test", 1001, RCLASS_LOCAL },
		{ "alice@example.test", 999, RCLASS_OTHER_OWNER },
		{ "Alice@Example.test", 999, RCLASS_OTHER_OWNER },
		{ "alice+box@example.test", 1000, RCLASS_LOCAL },
		{ "alice+box@example.test", 999, RCLASS_OTHER_OWNER },
		{ "alice@example.test", INT64_MIN, RCLASS_OTHER_OWNER },
		/* Nothing is known of these. */
		{ "a@example.test", 5000, RCLASS_NO_OWNER },
		{ "+box@example.test", 5000, RCLASS_NO_OWNER },
		{ "old@example.test", 5000, RCLASS_NO_OWNER },
		/* Roles have no owner. */
		{ "postmaster@example.test", 1, RCLASS_LOCAL },
		{ "POSTMASTER", 1, RCLASS_LOCAL },
		{ "abuse+x@example.test", 1, RCLASS_LOCAL },
		{ "abused@example.test", 1, RCLASS_NO_OWNER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (owner_check(&r, rows[i].address, rows[i].since) != rows[i].rclass)
			fail_msg(
			    "%s since %lld", rows[i].address, (long long)rows[i].since);
}

/* Who takes over another's name has had it from now on only. */
static void
test_rename(void **state)
{
	struct user u;

	(void)state;
	assert_int_equal(
	    directory_user_rename(r.directory, "alice@example.test", "bob@example.test"),
	    DIR_OK);
	assert_int_equal(directory_user_get(r.directory, "bob@example.test", &u), DIR_OK);
	assert_int_equal(u.created, 1000);
	assert_true(u.since > 1000);
	assert_int_equal(
	    owner_check(&r, "bob@example.test", u.since - 1), RCLASS_OTHER_OWNER);
	assert_int_equal(owner_check(&r, "bob@example.test", u.since), RCLASS_LOCAL);
	assert_int_equal(
	    owner_check(&r, "alice@example.test", time(NULL)), RCLASS_NO_OWNER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
