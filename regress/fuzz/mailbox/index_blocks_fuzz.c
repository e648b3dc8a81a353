/* SPDX-License-Identifier: ISC */
/* The index's record of a folder's blocks: what is taken stands in order, within its
 * bounds, and is the same once written and read again. */
#include <stdlib.h>
#include <string.h>

#include "mailbox/index_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_table a = { 0 }, b = { 0 };
	uint64_t start = 0, next = 0;
	uint8_t *octets;
	size_t len;

	if (blocks_decode(&a, data, size) == -1) {
		blocks_clear(&a);
		return 0;
	}
	for (size_t i = 0; i < a.n; i++) {
		const struct block *k = &a.v[i];

		if (k->number < next || k->start != start || k->n == 0 ||
		    k->unseen > k->n || k->recent > k->n || k->read)
			abort();
		next = (uint64_t)k->number + 1;
		start += k->n;
	}
	if (blocks_encode(&a, &octets, &len) == -1 || len > size ||
	    blocks_decode(&b, octets, len) == -1 || a.n != b.n ||
	    (a.n > 0 && memcmp(a.v, b.v, a.n * sizeof(*a.v)) != 0))
		abort();
	free(octets);
	blocks_clear(&a);
	blocks_clear(&b);
	return 0;
}
