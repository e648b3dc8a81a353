/* SPDX-License-Identifier: ISC */
/* Every decoder of the catalogue: two octets choose the message, the rest is its body.
 * What decodes must encode again to the same octets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ibuf in, *out;
	struct msg *m;
	uint32_t type;

	if (len < 2)
		return 0;
	type = (uint32_t)data[0] << 8 | data[1];
	ibuf_from_buffer(&in, (void *)(uintptr_t)(data + 2), len - 2);
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return 0;
	if (msg_decode(type, &in, m) == 0) {
		out = ibuf_dynamic(64, 1 << 20);
		if (msg_encode(m->type, m->id, &m->p, out) == -1 ||
		    ibuf_size(out) != len - 2 ||
		    memcmp(ibuf_data(out), data + 2, len - 2) != 0)
			abort();
		ibuf_free(out);
	}
	free(m);
	return 0;
}
