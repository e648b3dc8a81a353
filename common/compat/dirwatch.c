/* SPDX-License-Identifier: ISC */
/* Notice of changes in directories, where the system can give it by path: Linux. */
#include <errno.h>
#include <unistd.h>

#include "common/compat/compat.h"

#ifdef __linux__
#include <sys/inotify.h>

int
compat_dirwatch_open(void)
{
	return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

int
compat_dirwatch_add(int fd, const char *path)
{
	return inotify_add_watch(fd, path,
		   IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR) == -1
		   ? -1
		   : 0;
}

#else

int
compat_dirwatch_open(void)
{
	errno = ENOSYS;
	return -1;
}

int
compat_dirwatch_add(int fd, const char *path)
{
	(void)fd;
	(void)path;
	errno = ENOSYS;
	return -1;
}

#endif

void
compat_dirwatch_drain(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}
