/* SPDX-License-Identifier: ISC */
/* Whole reads and writes: what is there, what is not, and at which offset. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"

static void
offsets_are_obeyed(void **state)
{
	FILE *f = tmpfile();
	char buf[8] = "";
	int fd;

	assert_non_null(f);
	fd = fileno(f);
	assert_int_equal(file_write_at(fd, "defg", 4, 3), 0);
	assert_int_equal(file_write_all(fd, "abc", 3), 0); /* from the beginning still */
	assert_int_equal(file_read_at(fd, buf, 7, 0), 0);
	assert_memory_equal(buf, "abcdefg", 7);
	assert_int_equal(file_read_at(fd, buf, 2, 5), 0);
	assert_memory_equal(buf, "fg", 2);
	assert_int_equal(file_read_at(fd, buf, 0, 100), 0);
	fclose(f);
}

static void
a_short_file_is_an_error(void **state)
{
	FILE *f = tmpfile();
	char buf[8];
	int fd, pipes[2];

	assert_non_null(f);
	fd = fileno(f);
	assert_int_equal(file_write_all(fd, "abc", 3), 0);
	errno = 0;
	assert_int_equal(file_read_at(fd, buf, 4, 0), -1);
	assert_int_equal(errno, EIO);
	fclose(f);
	/* What has no offsets nobody waits for. */
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(file_read_at(pipes[0], buf, 1, 0), -1);
	assert_int_equal(errno, ESPIPE);
	assert_int_equal(file_write_at(pipes[1], buf, 1, 0), -1);
	close(pipes[0]);
	close(pipes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_obeyed),
		cmocka_unit_test(a_short_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
