/*
 * Durable system calls, see sys.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "queued/sys.h"

int (*sys_fault)(const char *op, int fd, const void *buf, size_t len, off_t off);
void (*sys_done)(const char *op, int fd, const char *name, const char *to, off_t len);

#define FAULT(op, fd, buf, len, off)                                  \
	do {                                                          \
		if (sys_fault != NULL &&                              \
		    sys_fault((op), (fd), (buf), (len), (off)) == -1) \
			return -1;                                    \
	} while (0)

int
sys_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	const char *p = buf;

	FAULT("pwrite", fd, buf, len, off);
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, off);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return -1;
		}
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

int
sys_pread(int fd, void *buf, size_t len, off_t off)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, off);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return -1;
		}
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
done(int rv, const char *op, int fd, const char *name, const char *to, off_t len)
{
	if (rv == 0 && sys_done != NULL)
		sys_done(op, fd, name, to, len);
	return rv;
}

int
sys_fdatasync(int fd)
{
	FAULT("fdatasync", fd, NULL, 0, 0);
	return done(fdatasync(fd), "fdatasync", fd, NULL, NULL, 0);
}

int
sys_fsync(int fd)
{
	FAULT("fsync", fd, NULL, 0, 0);
	return done(fsync(fd), "fsync", fd, NULL, NULL, 0);
}

int
sys_rename(int dirfd, const char *from, const char *to)
{
	FAULT("rename", dirfd, from, 0, 0);
	return done(renameat(dirfd, from, dirfd, to), "rename", dirfd, from, to, 0);
}

int
sys_unlink(int dirfd, const char *name)
{
	FAULT("unlink", dirfd, name, 0, 0);
	return done(unlinkat(dirfd, name, 0), "unlink", dirfd, name, NULL, 0);
}

int
sys_allocate(int fd, off_t len)
{
	FAULT("allocate", fd, NULL, 0, len);
#ifdef __linux__
	if (fallocate(fd, 0, 0, len) == 0)
		return done(0, "allocate", fd, NULL, NULL, len);
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -1;
#endif
	return done(ftruncate(fd, len), "allocate", fd, NULL, NULL, len);
}
