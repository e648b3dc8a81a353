/* SPDX-License-Identifier: ISC */
/* What is made before the first daemon is nobody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "fifed/internal.h"

struct suite *fifed;

/* A local user who can open the lock could hold it, and fifed would never start. */
static void
lock_is_closed_to_others(void **state)
{
	static struct suite s = { .lock_fd = -1 };
	char dir[] = "/tmp/fife-start.XXXXXX", back[1024], e[1400];
	struct stat st;
	mode_t mask = umask(022);
	int fd;

	assert_non_null(getcwd(back, sizeof(back)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	/* As one of an earlier version has left it. */
	assert_int_not_equal(fd = open("lock", O_RDWR | O_CREAT, 0644), -1);
	close(fd);
	assert_int_equal(start_lock(&s, e, sizeof(e)), 0);
	assert_int_equal(stat("lock", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(s.lock_fd);
	assert_int_equal(unlink("lock"), 0);
	assert_int_equal(chdir(back), 0);
	assert_int_equal(rmdir(dir), 0);
	umask(mask);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lock_is_closed_to_others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
