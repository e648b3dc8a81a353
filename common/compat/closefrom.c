/*
 * Close all descriptors from one on: between fork and exec.
 *
 * SPDX-License-Identifier: ISC
 */
#include "common/compat/compat.h"

void
compat_closefrom(int fd)
{
	/* In libc on the BSDs and with glibc 2.34, in libbsd before. */
	closefrom(fd < 0 ? 0 : fd);
}
