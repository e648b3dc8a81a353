/*
 * Records of the journal: any octets are decoded or refused, what is decoded is
 * encoded to the same, and the index takes it or leaves it.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "queued/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct index ix;
	struct rec_header h = { 0 };
	size_t off = 0;

	index_init(&ix, NULL, NULL);
	/* Pieces: type, id, two octets of length, body. */
	while (off + 4 <= size) {
		size_t len = (size_t)data[off + 2] | (size_t)data[off + 3] << 8;
		uint8_t *body;
		struct rec_message m;

		h.type = data[off] % 6;
		h.id = data[off + 1] % 4;
		off += 4;
		if (len > size - off)
			len = size - off;
		h.len = (uint32_t)(REC_HEADER + len);
		/* A copy of its own, so that reading beyond is seen. */
		body = malloc(len + 1);
		if (body == NULL)
			break;
		memcpy(body, data + off, len);
		body = realloc(body, len > 0 ? len : 1);
		if (rec_message_decode(body, len, &m) == 0) {
			struct bytes_out o = { 0 };
			size_t content = m.content != NULL ? (size_t)m.size : 0;
			uint8_t *again = malloc(len + 1);

			o.p = again;
			o.cap = len;
			rec_message_encode(&m, &o);
			if (o.bad || o.len + content != len ||
			    memcmp(again, body, o.len) != 0)
				abort();
			free(again);
		}
		index_apply(&ix, (struct loc){ 1, (uint32_t)off }, &h, body,
		    data[off - 4] & 0x80);
		(void)rec_check(body, len, 0, &h);
		free(body);
		off += len;
	}
	index_clear(&ix);
	return 0;
}
