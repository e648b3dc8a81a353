/* SPDX-License-Identifier: ISC */
/* The scripts of the site in one piece. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct site_script s;
	size_t at = 0, before = 0;
	unsigned int sum = 0;
	int r;

	while ((r = site_next(data, size, &at, &s)) == 1) {
		if (at <= before || at > size || strlen(s.name) > SIEVE_NAME_MAX)
			abort();
		before = at;
		for (size_t i = 0; i < s.len; i++)
			sum += (unsigned char)s.text[i];
	}
	return r == 0 && at != size && sum == 0 ? abort(), 0 : 0;
}
