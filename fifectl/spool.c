/* SPDX-License-Identifier: ISC */
/*
 * Standard input for a daemon: copied into a memory file first, so that the daemon
 * never waits for whoever writes it, and finds it complete or not at all.
 */
#include "fifectl/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"

/* Without memory files (or seals) an unlinked one on the disk will do. */
static int
make_file(int *sealable)
{
	int fd = compat_memfd_create("fifectl");
	FILE *f;

	*sealable = fd != -1;
	if (fd != -1 || (f = tmpfile()) == NULL)
		return fd;
	fd = dup(fileno(f));
	fclose(f);
	return fd;
}

static int
put(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
spool_input(int from)
{
	char buf[65536];
	size_t total = 0;
	int sealable, fd = make_file(&sealable), saved;
	ssize_t n;

	if (fd == -1)
		return -1;
	while ((n = read(from, buf, sizeof(buf))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			goto fail;
		if ((total += (size_t)n) > SPOOL_MAX) {
			errno = EFBIG;
			goto fail;
		}
		if (put(fd, buf, (size_t)n) == -1)
			goto fail;
	}
	explicit_bzero(buf, sizeof(buf)); /* a dump may hold hashes */
	if (lseek(fd, 0, SEEK_SET) == -1 || (sealable && compat_seal(fd) == -1))
		goto fail;
	return fd;
fail:
	saved = errno;
	explicit_bzero(buf, sizeof(buf));
	close(fd);
	errno = saved;
	return -1;
}
