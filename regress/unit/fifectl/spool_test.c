/* SPDX-License-Identifier: ISC */
/* Standard input on its way to a daemon: a file, whatever it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "fifectl/command.h"

static void
pipe_becomes_file(void **state)
{
	char buf[16];
	struct stat st;
	int p[2], fd;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "domain a.test\n", 14), 14);
	close(p[1]);
	assert_int_not_equal(fd = spool_input(p[0]), -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 14);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 14);
	assert_memory_equal(buf, "domain a.test\n", 14);
	assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
#ifdef __linux__
	/* What the daemon has looked at stays as it is. */
	assert_int_equal(compat_is_sealed(fd), 1);
#endif
	close(fd);
	close(p[0]);
}

static void
unreadable_and_endless(void **state)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY), zero = open("/dev/zero", O_RDONLY);

	assert_int_equal(spool_input(fd), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(spool_input(zero), -1);
	assert_int_equal(errno, EFBIG);
	close(fd);
	close(zero);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe_becomes_file),
		cmocka_unit_test(unreadable_and_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
