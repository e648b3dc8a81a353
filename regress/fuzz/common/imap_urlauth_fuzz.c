/* SPDX-License-Identifier: ISC */
/* The frame of URLs that authorise: what is taken lies within the URL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/imap/imap_urlauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	struct imap_urlauth u, rump;

	if (imap_urlauth_parse(s, size, &u) == -1)
		return 0;
	if (u.part < s || u.part + u.part_len > s + size || u.rump_len > size ||
	    u.owner[0] == '\0')
		abort();
	if (u.mechanism == NULL)
		return 0;
	if (u.token + u.token_len != s + size || u.token_len < IMAP_URLAUTH_TOKEN_MIN)
		abort();
	/* The rump alone says the same. */
	if (imap_urlauth_parse(s, u.rump_len, &rump) == -1 || rump.mechanism != NULL ||
	    rump.access != u.access || strcmp(rump.owner, u.owner) != 0 ||
	    rump.part_len != u.part_len)
		abort();
	return 0;
}
