/*
 * syncfs(2) for a directory.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>

#include "common/compat/compat.h"

int
compat_syncfs(int dirfd)
{
#ifdef __linux__
	if (syncfs(dirfd) == 0)
		return 0;
	if (errno != ENOSYS)
		return -1;
#endif
	/* sync(2) has no way to report: fsync at least notices a bad disk. */
	if (fsync(dirfd) == -1)
		return -1;
	sync();
	return 0;
}
