/* SPDX-License-Identifier: ISC */
/* The PROXY protocol: no prefix of a complete header says anything but "more". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy p, q;
	size_t used = 0, again = 0;
	int r;

	if (size > 4096)
		return 0;
	r = proxy_parse(data, size, &p, &used);
	if (r == 1) {
		if (used == 0 || used > size || used > PROXY_MAX ||
		    proxy_parse(data, used, &q, &again) != 1 || again != used ||
		    memcmp(&p, &q, sizeof(p)) != 0)
			abort();
		for (size_t n = 0; n < used; n++)
			if (proxy_parse(data, n, &q, &again) != 0)
				abort();
	} else if (r == 0 && size >= PROXY_MAX)
		abort();
	return 0;
}
