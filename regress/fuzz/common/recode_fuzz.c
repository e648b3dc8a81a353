/* SPDX-License-Identifier: ISC */
/* Any message, whole and in pieces: the same comes out, and it has no NUL where it need
 * not. The first octet: the size of the pieces, and what is made. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/recode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct buffer {
	size_t len, nuls;
	uint64_t hash;
};

static int
put(void *arg, const void *p, size_t len)
{
	struct buffer *b = arg;
	const uint8_t *o = p;

	b->len += len;
	for (size_t i = 0; i < len; i++) {
		b->nuls += o[i] == '\0';
		b->hash = (b->hash ^ o[i]) * 1099511628211ull;
	}
	return 0;
}

static bool
run(enum recode_to to, const uint8_t *data, size_t size, size_t step, struct buffer *b)
{
	struct recode *c = recode_new(to, put, b);
	bool any;

	if (c == NULL)
		abort();
	memset(b, 0, sizeof(*b));
	for (size_t at = 0; at < size; at += step)
		if (recode_scan(c, data + at, size - at < step ? size - at : step) == -1)
			abort();
	if (b->len != 0)
		abort();
	any = recode_scanned(c);
	for (size_t at = 0; at < size; at += step)
		if (recode_push(c, data + at, size - at < step ? size - at : step) == -1)
			abort();
	if (recode_end(c) == -1)
		abort();
	if (to == RECODE_8BIT && !recode_impossible(c) && b->nuls > 0)
		abort();
	recode_free(c);
	return any;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, pieces;
	enum recode_to to;
	bool any;

	if (size < 1)
		return 0;
	to = data[0] & 0x80 ? RECODE_8BIT : RECODE_7BIT;
	any = run(to, data + 1, size - 1, size, &whole);
	if (run(to, data + 1, size - 1, 1 + data[0] % 64u, &pieces) != any ||
	    whole.len != pieces.len || whole.hash != pieces.hash)
		abort();
	if (!any && whole.len != size - 1)
		abort();
	return 0;
}
