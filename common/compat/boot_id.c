/*
 * The identity of this boot: it tells a lock or a marker left by a process
 * of before the crash from one that is alive.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/types.h>
#ifndef __linux__
#include <sys/sysctl.h>
#include <sys/time.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/compat/compat.h"

int
compat_boot_id(char buf[COMPAT_BOOT_ID_SIZE])
{
#ifdef __linux__
	ssize_t n;
	int fd, save;

	buf[0] = '\0';
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	do {
		n = read(fd, buf, COMPAT_BOOT_ID_SIZE - 1);
	} while (n == -1 && errno == EINTR);
	save = errno;
	close(fd);
	if (n != COMPAT_BOOT_ID_SIZE - 1) {
		buf[0] = '\0';
		errno = n == -1 ? save : EIO;
		return -1;
	}
	buf[n] = '\0';
	return 0;
#else
	int mib[2] = { CTL_KERN, KERN_BOOTTIME };
	struct timeval tv;
	size_t len = sizeof(tv);
	unsigned long long sec, usec;

	buf[0] = '\0';
	if (sysctl(mib, 2, &tv, &len, NULL, 0) == -1)
		return -1;
	sec = (unsigned long long)tv.tv_sec;
	usec = (unsigned long long)tv.tv_usec;
	/* Shaped as Linux has it, so that readers need one format. */
	(void)snprintf(buf, COMPAT_BOOT_ID_SIZE, "%08llx-%04llx-%04llx-0000-%012llx",
	    (sec >> 32) & 0xffffffffULL, (sec >> 16) & 0xffffULL, sec & 0xffffULL,
	    usec & 0xffffffffffffULL);
	return 0;
#endif
}
