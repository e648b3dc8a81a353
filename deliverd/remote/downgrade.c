/* SPDX-License-Identifier: ISC */
/*
 * Hosts that have been seen with TLS, by name, for as long as the process lives:
 * one that offers none any more is worth a line, or more. The table is of a fixed
 * size, and the newer one of two in one place wins.
 */
#include <string.h>

#include "deliverd/remote/remote.h"

#define SLOTS 16384

static uint64_t seen[SLOTS];

static uint64_t
hash(const char *host)
{
	uint64_t h = 14695981039346656037ull;

	for (; *host != '\0'; host++) {
		unsigned char c = (unsigned char)*host;

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		h = (h ^ c) * 1099511628211ull;
	}
	return h | 1;
}

void
downgrade_note(const char *host)
{
	uint64_t h = hash(host);

	seen[(h >> 1) % SLOTS] = h;
}

bool
downgrade_known(const char *host)
{
	uint64_t h = hash(host);

	return seen[(h >> 1) % SLOTS] == h;
}
