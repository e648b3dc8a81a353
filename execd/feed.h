/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXECD_FEED_H
#define FIFE_EXECD_FEED_H

/*
 * A message on its way to a program or into a Maildir: first the prefix, then the octets
 * of a descriptor, with lines that end in LF alone, as programs of the system expect.
 * feed_next() does no I/O but pread(2).
 */

#include <stddef.h>
#include <stdint.h>

#define FEED_ROOM (64 * 1024)

struct feed {
	const uint8_t *prefix; /* lent */
	size_t prefix_len;
	int fd; /* lent */
	uint64_t size;
	size_t prefix_done;
	uint64_t done;
	int cr; /* one is held back */
	char in[FEED_ROOM];
};

void feed_init(
    struct feed *, const uint8_t *prefix, size_t prefix_len, int fd, uint64_t size);
/* The next octets into out, which has 2 * FEED_ROOM; 0 at the end, -1 with errno. */
ptrdiff_t feed_next(struct feed *, char *out);

#endif
