/* SPDX-License-Identifier: ISC */
/* The site's Sieve scripts: read and checked with the configuration, kept for mboxd. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "fifed/internal.h"
#include "mailbox/site.h"

/* A file in memory; where there is none, one without a name. */
static int
memory_file(void)
{
	char path[] = "/tmp/fife.XXXXXX";
	int fd = compat_memfd_create("sieve");

	if (fd == -1 && (fd = mkstemp(path)) != -1)
		unlink(path);
	return fd;
}

int
site_open(const struct conf *c, struct site_scripts *s, char *e, size_t cap)
{
	uint8_t *piece;
	size_t len, n = 0;

	s->fd = -1;
	s->size = 0;
	if (site_read(c, &piece, &len, e, cap) == -1)
		return -1;
	if (len == 0)
		return 0;
	if ((s->fd = memory_file()) != -1)
		while (n < len) {
			ssize_t k = write(s->fd, piece + n, len - n);

			if (k <= 0)
				break;
			n += (size_t)k;
		}
	free(piece);
	if (n < len) {
		snprintf(e, cap, "%s: sieve: no memory for the scripts", c->file);
		site_close(s);
		return -1;
	}
	(void)compat_seal(s->fd);
	s->size = len;
	return 0;
}

void
site_close(struct site_scripts *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->size = 0;
}
