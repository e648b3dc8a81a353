/* SPDX-License-Identifier: ISC */
/* Ends, stays in its buffers, and opens and closes groups in turn. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/addrlist.h"
#include "common/proto/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addrlist l;
	struct addrlist_item it;
	char out[ADDRESS_MAX + 1];
	size_t n = 0;
	int groups = 0;

	addrlist_init(&l, (const char *)data, size);
	while (addrlist_next(&l, &it)) {
		if (++n > size + 1)
			abort();
		groups += it.kind == ADDRLIST_GROUP       ? 1
			  : it.kind == ADDRLIST_GROUP_END ? -1
							  : 0;
		if (groups < 0 || groups > 1)
			abort();
		if (strlen(it.name) >= sizeof(it.name) ||
		    strlen(it.local) >= sizeof(it.local) ||
		    strlen(it.host) >= sizeof(it.host) ||
		    strlen(it.route) >= sizeof(it.route))
			abort();
		if (it.has_name != (it.name[0] != '\0') && it.kind != ADDRLIST_GROUP_END)
			abort();
		addrlist_format(&it, out, sizeof(out));
	}
	if (groups != 0)
		abort();
	return 0;
}
