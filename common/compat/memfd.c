/*
 * Anonymous memory files and their seals.  Message content goes from process
 * to process in one; the seal is what lets the receiver trust that the bytes
 * it has read stay the bytes that it has.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/compat/compat.h"

#if defined(MFD_ALLOW_SEALING) && defined(F_ADD_SEALS)

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Linux 6.3: refuse exec of the file; older C libraries lack the name. */
#if defined(__linux__) && !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0
#endif

int
compat_memfd_create(const char *name)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd;
}

int
compat_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) == -1 ? -1 : 0;
}

int
compat_is_sealed(int fd)
{
	int have;

	have = fcntl(fd, F_GET_SEALS);
	if (have == -1)
		return errno == EINVAL ? 0 : -1;
	return (have & SEALS) == SEALS;
}

#define LENGTH_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

static int
seal_length(int fd)
{
	return fcntl(fd, F_ADD_SEALS, LENGTH_SEALS) == -1 ? -1 : 0;
}

#else /* no seals */

static int
seal_length(int fd)
{
	(void)fd;
	return 0;
}

int
compat_memfd_create(const char *name)
{
#ifdef __OpenBSD__
	char path[] = "/tmp/fife.XXXXXXXXXX";
	int fd;

	(void)name;
	fd = shm_mkstemp(path);
	if (fd == -1)
		return -1;
	if (shm_unlink(path) == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
		close(fd);
		return -1;
	}
	return fd;
#else
	(void)name;
	errno = ENOSYS;
	return -1;
#endif
}

int
compat_seal(int fd)
{
	(void)fd;
	errno = ENOSYS;
	return -1;
}

int
compat_is_sealed(int fd)
{
	(void)fd;
	errno = ENOSYS;
	return -1;
}

#endif

static int
read_only(int fd)
{
#ifdef __linux__
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
#else
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
#endif
}

int
compat_shared_create(const char *name, size_t size, int fds[2])
{
	int saved;

	if ((fds[0] = compat_memfd_create(name)) == -1)
		return -1;
	if (ftruncate(fds[0], (off_t)size) == 0 && seal_length(fds[0]) == 0 &&
	    (fds[1] = read_only(fds[0])) != -1)
		return 0;
	saved = errno;
	close(fds[0]);
	errno = saved;
	return -1;
}
