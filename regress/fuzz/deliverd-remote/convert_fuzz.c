/* SPDX-License-Identifier: ISC */
/* Any message, whole and in pieces: the same comes out; bodies have 7 bits then. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deliverd/remote/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct buffer {
	size_t len;
	uint64_t hash;
};

static int
put(void *arg, const void *p, size_t len)
{
	struct buffer *b = arg;
	const uint8_t *o = p;

	b->len += len;
	for (size_t i = 0; i < len; i++)
		b->hash = (b->hash ^ o[i]) * 1099511628211ull;
	return 0;
}

static bool
run(const uint8_t *data, size_t size, size_t step, struct buffer *b)
{
	struct convert *c = convert_new(put, b);
	bool any;

	if (c == NULL)
		abort();
	memset(b, 0, sizeof(*b));
	for (size_t at = 0; at < size; at += step)
		if (convert_scan(c, data + at, size - at < step ? size - at : step) == -1)
			abort();
	if (b->len != 0)
		abort();
	any = convert_scanned(c);
	for (size_t at = 0; at < size; at += step)
		if (convert_push(c, data + at, size - at < step ? size - at : step) == -1)
			abort();
	if (convert_end(c) == -1)
		abort();
	convert_free(c);
	return any;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole, pieces;
	bool any;

	if (size < 1)
		return 0;
	any = run(data + 1, size - 1, size, &whole);
	if (run(data + 1, size - 1, 1 + data[0] % 64u, &pieces) != any ||
	    whole.len != pieces.len || whole.hash != pieces.hash)
		abort();
	if (!any && whole.len != size - 1)
		abort();
	return 0;
}
