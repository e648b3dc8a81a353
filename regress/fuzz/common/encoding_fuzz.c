/* SPDX-License-Identifier: ISC */
/* Round trips; streaming decoders give the same in one piece and in small ones. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
decode(enum cte cte, const char *in, size_t len, size_t step, char *out, size_t cap)
{
	struct cte_decoder d;
	size_t n = 0, used, made;

	cte_init(&d, cte);
	for (size_t i = 0; i < len; i += used) {
		cte_feed(&d, in + i, len - i < step ? len - i : step, out + n, cap - n,
		    &used, &made);
		if (used == 0)
			abort();
		n += made;
	}
	return n + cte_finish(&d, out + n, cap - n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char a[65536], b[65536];
	const char *in = (const char *)data;
	size_t x, y;
	int n, m;

	if (size > 4096)
		return 0;
	for (enum cte cte = CTE_7BIT; cte <= CTE_UNKNOWN; cte++) {
		x = decode(cte, in, size, size, a, sizeof(a));
		y = decode(cte, in, size, 1 + size % 3, b, sizeof(b));
		if (x != y || memcmp(a, b, x) != 0)
			abort();
	}
	if ((n = base64_decode(in, size, a, sizeof(a))) >= 0 &&
	    ((m = base64_encode(a, (size_t)n, b, sizeof(b))) != (int)size ||
		memcmp(b, in, size) != 0))
		abort();
	if ((n = utf7_to_utf8(in, size, a, sizeof(a))) >= 0) {
		if (!utf8_valid(a, (size_t)n))
			abort();
		if ((m = utf7_from_utf8(a, (size_t)n, b, sizeof(b))) == (int)size &&
		    memcmp(b, in, size) != 0)
			abort();
	}
	if ((n = utf7_from_utf8(in, size, a, sizeof(a))) >= 0 &&
	    ((m = utf7_to_utf8(a, (size_t)n, b, sizeof(b))) != (int)size ||
		memcmp(b, in, size) != 0))
		abort();
	if ((n = xtext_decode(in, size, a, sizeof(a))) >= 0)
		xtext_encode(a, (size_t)n, b, sizeof(b));
	if ((n = xtext_encode(in, size, a, sizeof(a))) >= 0 &&
	    memchr(in, 0, size) == NULL &&
	    (xtext_decode(a, (size_t)n, b, sizeof(b)) != (int)size ||
		memcmp(b, in, size) != 0))
		abort();
	n = qp_encode(in, size, a, sizeof(a));
	if (n < 0)
		abort();
	qp_decode_word(in, size, a, sizeof(a));
	hex_decode(in, size, a, sizeof(a));
	utf8_cut(in, size, size / 2);
	return 0;
}
