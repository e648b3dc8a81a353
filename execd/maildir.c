/* SPDX-License-Identifier: ISC */
/*
 * A Maildir that is not of the store: of a user of the system, or an archive. As
 * maildir(5) has it: written below tmp, synced, renamed into new.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "execd/child.h"
#include "execd/feed.h"

static int
failed(const char *what)
{
	int e = errno;

	dprintf(2, "%s: %s\n", what, strerror(e));
	/* What an administrator mends, or what passes. */
	return e == EIO ? EX_IOERR : EX_TEMPFAIL;
}

static int
copy(int out, const uint8_t *prefix, size_t prefix_len, int in, uint64_t size)
{
	static char buf[2 * FEED_ROOM];
	static struct feed f;
	ptrdiff_t n;

	feed_init(&f, prefix, prefix_len, in, size);
	while ((n = feed_next(&f, buf)) > 0)
		if (file_write_all(out, buf, (size_t)n) == -1)
			return -1;
	return n == 0 ? 0 : -1;
}

static void
unique_name(char *buf, size_t cap)
{
	char host[256] = "localhost";
	struct timespec now;

	(void)gethostname(host, sizeof(host) - 1);
	/* Neither may be in a file name of a Maildir. */
	for (char *p = host; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(buf, cap, "%lld.M%ldP%ldR%08x.%s", (long long)now.tv_sec,
	    now.tv_nsec / 1000, (long)getpid(), arc4random(), host);
}

static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd == -1)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

/* What is missing is made: with its name on the disk as well, for nobody syncs it later.
 */
static int
make_maildir(const char *path)
{
	static const char *const parts[] = { "tmp", "cur", "new" };
	int made = mkdir(path, 0700) == 0;

	if ((!made && errno != EEXIST) || chdir(path) == -1)
		return failed(path);
	/* A directory above that may not be read cannot be synced by this user. */
	if (made && sync_directory("..") == -1 && errno != EACCES)
		return failed(path);
	for (int i = 0; i < 3; i++)
		if (mkdir(parts[i], 0700) == 0)
			made = 1;
		else if (errno != EEXIST)
			return failed(parts[i]);
	return made && sync_directory(".") == -1 ? failed(path) : 0;
}

int
maildir_deliver(const char *path, const uint8_t *prefix, size_t prefix_len, int content,
    uint64_t size)
{
	char unique[512], tmp[600], new[600];
	int fd, status;

	if ((status = make_maildir(path)) != 0)
		return status;
	unique_name(unique, sizeof(unique));
	snprintf(tmp, sizeof(tmp), "tmp/%s", unique);
	snprintf(new, sizeof(new), "new/%s", unique);
	if ((fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) == -1)
		return failed(tmp);
	if (copy(fd, prefix, prefix_len, content, size) == -1 || fsync(fd) == -1)
		status = failed(tmp);
	if (close(fd) == -1 && status == 0)
		status = failed(tmp);
	if (status == 0 && rename(tmp, new) == -1)
		status = failed(new);
	if (status != 0)
		(void)unlink(tmp);
	else if (sync_directory("new") == -1)
		status = failed("new");
	return status;
}
