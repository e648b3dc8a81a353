/* SPDX-License-Identifier: ISC */
/* Names and directories of mailboxes: nothing leads out, nothing of others is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "mboxd/dirs.h"

static char dir[64], back[1024];

static int
setup(void **state)
{
	strlcpy(dir, "/tmp/fife-dirs.XXXXXX", sizeof(dir));
	assert_non_null(getcwd(back, sizeof(back)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	assert_int_equal(chdir(back), 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
names(void **state)
{
	static const char *const good[] = { "example.test/alice", "a/b", "x.test/%2e%2e",
		"example.test/\xc3\xa4" };
	static const char *const bad[] = { "", "a", "/", "a/", "/a", "a//b", "a/b/c",
		"../a", "a/..", "a/.b", ".a/b", "a/b\n", "a b/c", "a/b/", "./a" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(mailbox_name_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mailbox_name_valid(bad[i]));
}

static void
life(void **state)
{
	char trash[64], found[64];
	struct stat st;
	uint32_t uid;
	FILE *f;

	assert_non_null(mailbox_dir_check("x.test/a", 50050));
	assert_null(mailbox_dir_create("x.test/a", 50050));
	assert_null(mailbox_dir_create("x.test/a", 50050)); /* again is fine */
	assert_non_null(mailbox_dir_create("x.test/a", 50051));
	assert_int_equal(stat("x.test/a", &st), 0);
	assert_true(st.st_uid == 50050 && (st.st_mode & 0777) == 0700);
	assert_null(mailbox_dir_check("x.test/a", 50050));
	assert_non_null(mailbox_dir_check("x.test/a", 50051));
	assert_null(mailbox_dir_create("x.test/b", 50051));
	assert_non_null(mailbox_dir_rename("x.test/a", "x.test/b", 50050));
	assert_non_null(mailbox_dir_rename("x.test/a", "y.test/a", 50051));
	assert_null(mailbox_dir_rename("x.test/a", "y.test/a", 50050));
	assert_null(mailbox_dir_rename("x.test/a", "y.test/a", 50050)); /* lost answer */
	f = fopen("y.test/a/file", "w");
	fclose(f);
	mkdir("y.test/a/sub", 0700);
	assert_int_equal(symlink("/etc", "y.test/a/sub/link"), 0);
	assert_non_null(mailbox_dir_discard("y.test/a", 50051, trash, sizeof(trash)));
	assert_null(mailbox_dir_discard("y.test/a", 50050, trash, sizeof(trash)));
	assert_int_equal(access("y.test/a", F_OK), -1);
	assert_int_equal(trash_next(found, sizeof(found), &uid), 1);
	assert_string_equal(found, trash);
	assert_int_equal(uid, 50050);
	trash_empty(trash);
	assert_int_equal(rmdir(trash), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_null(mailbox_dir_discard("y.test/a", 50050, trash, sizeof(trash)));
	assert_string_equal(trash, "");
}

/* mboxd ended after mkdir and before chown: the account can still be made. */
static void
half_made(void **state)
{
	struct stat st;

	assert_int_equal(mkdir("x.test", 0711), 0);
	assert_int_equal(mkdir("x.test/a", 0700), 0);
	assert_null(mailbox_dir_create("x.test/a", 50050));
	assert_int_equal(stat("x.test/a", &st), 0);
	assert_int_equal(st.st_uid, 50050);
	/* Not when there is something in it. */
	assert_int_equal(mkdir("x.test/b", 0700), 0);
	assert_int_equal(mkdir("x.test/b/c", 0700), 0);
	assert_non_null(mailbox_dir_create("x.test/b", 50051));
}

static void
links_are_not_followed(void **state)
{
	assert_int_equal(mkdir("x.test", 0711), 0);
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(chown("elsewhere", 50050, 50050), 0);
	assert_int_equal(symlink("../elsewhere", "x.test/a"), 0);
	assert_non_null(mailbox_dir_check("x.test/a", 50050));
	assert_non_null(mailbox_dir_create("x.test/a", 50050));
	assert_int_equal(symlink("elsewhere", "y.test"), 0);
	assert_non_null(mailbox_dir_create("y.test/b", 50050));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names), T(life),
		T(half_made), T(links_are_not_followed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
