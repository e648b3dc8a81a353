/*
 * common/compat: the system interfaces that differ.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/compat/compat.h"

static void
test_strings(void **state)
{
	const char *error;
	char buf[4];
	char *p;

	(void)state;
	assert_int_equal(strlcpy(buf, "abcdef", sizeof(buf)), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(strlcat(buf, "d", sizeof(buf)), 4);
	assert_int_equal(strtonum("17", 1, 20, &error), 17);
	assert_null(error);
	(void)strtonum("21", 1, 20, &error);
	assert_string_equal(error, "too large");
	p = reallocarray(NULL, 4, 4);
	assert_non_null(p);
	free(p);
	p = recallocarray(NULL, 0, 16, 1);
	assert_non_null(p);
	assert_int_equal(p[15], 0);
	freezero(p, 16);
	explicit_bzero(buf, sizeof(buf));
	assert_int_equal(buf[0], 0);
	assert_true(arc4random_uniform(10) < 10);
}

static void
test_memfd(void **state)
{
	char c;
	void *map;
	int fd, ro;

	(void)state;
	fd = compat_memfd_create("compat_test");
	if (fd == -1 && errno == ENOSYS)
		skip();
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "mail", 4), 4);
	assert_int_equal(compat_is_sealed(fd), 0);

	/* Someone who could still write through a mapping: no seal. */
	map = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(compat_seal(fd), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(compat_is_sealed(fd), 0);
	munmap(map, 4);

	assert_int_equal(compat_seal(fd), 0);
	assert_int_equal(compat_is_sealed(fd), 1);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 2), -1);
	assert_int_equal(ftruncate(fd, 200), -1);
	assert_int_equal(pread(fd, &c, 1, 3), 1);
	assert_int_equal(c, 'l');
	assert_int_equal(compat_seal(fd), -1);
	close(fd);
	assert_int_equal(compat_is_sealed(fd), -1);

	/* Some of the seals are not the seal. */
#ifdef F_ADD_SEALS
	fd = compat_memfd_create("compat_test");
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	assert_int_equal(compat_is_sealed(fd), 0);
	close(fd);
#endif
	ro = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(compat_is_sealed(ro), 0);
	close(ro);
}

static void
test_syncfs(void **state)
{
	int fd;

	(void)state;
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		skip();
	assert_int_equal(compat_syncfs(fd), 0);
	close(fd);
	assert_int_equal(compat_syncfs(fd), -1);
	assert_int_equal(errno, EBADF);
}

static void
test_peer_uid(void **state)
{
	uid_t uid = 12345;
	gid_t gid = 12345;
	int sv[2], null;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(compat_peer_uid(sv[0], &uid, &gid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	uid = 12345;
	assert_int_equal(compat_peer_uid(sv[1], &uid, NULL), 0);
	assert_int_equal(uid, geteuid());
	close(sv[0]);
	close(sv[1]);
	assert_int_equal(socket(AF_UNIX, SOCK_STREAM, 0), sv[0]);
	assert_int_equal(compat_peer_uid(sv[0], &uid, &gid), -1);
	close(sv[0]);
	null = open("/dev/null", O_RDONLY);
	assert_int_equal(compat_peer_uid(null, &uid, &gid), -1);
	close(null);
}

static void
test_closefrom(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(0, 50) == -1 || dup2(0, 60) == -1)
			_exit(1);
		compat_closefrom(51);
		if (fcntl(50, F_GETFD) == -1 || fcntl(60, F_GETFD) != -1)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_boot_id(void **state)
{
	char a[COMPAT_BOOT_ID_SIZE], b[COMPAT_BOOT_ID_SIZE];

	(void)state;
	if (compat_boot_id(a) == -1) {
		assert_string_equal(a, "");
		skip();
	}
	assert_int_equal(compat_boot_id(b), 0);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_string_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_syncfs),
		cmocka_unit_test(test_peer_uid),
		cmocka_unit_test(test_closefrom),
		cmocka_unit_test(test_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
