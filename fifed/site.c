/* SPDX-License-Identifier: ISC */
/* The site's Sieve scripts: read and checked with the configuration, kept for mboxd. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "fifed/internal.h"
#include "mailbox/site.h"

int
site_open(const struct conf *c, struct site_scripts *s, char *e, size_t cap)
{
	uint8_t *piece;
	size_t len;
	int r;

	s->fd = -1;
	s->size = 0;
	if (site_read(c, &piece, &len, e, cap) == -1)
		return -1;
	if (len == 0)
		return 0;
	s->fd = compat_memfd_create("sieve");
	r = s->fd == -1 ? -1 : file_write_all(s->fd, piece, len);
	free(piece);
	if (r == -1) {
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
