/* SPDX-License-Identifier: ISC */
/* Fields tile the section, whatever the pieces; decoding gives valid UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "common/proto/rfc2047.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[40000], back[40000];
	const char *buf = (const char *)data;
	struct header_scan whole, parts;
	struct header_field a, b;
	enum header_result ra, rb;
	size_t n, m = 0, off = 0, cap = size % 100 + 1;
	int len;

	if (size > 4096)
		return 0;
	header_scan_init(&whole, buf, size, true);
	header_scan_init(&parts, buf, 0, size == 0);
	do {
		ra = header_next(&whole, &a);
		while ((rb = header_next(&parts, &b)) == HEADER_MORE) {
			m = m + 7 < size ? m + 7 : size;
			header_scan_extend(&parts, buf, m, m == size);
		}
		if (ra != rb || whole.pos != parts.pos)
			abort();
		if (ra != HEADER_FIELD)
			break;
		if (memcmp(&a, &b, offsetof(struct header_field, malformed)) != 0 ||
		    a.offset != off || a.length == 0)
			abort();
		off += a.length;
		n = header_unfold(a.value, a.value_len, out, cap);
		if (n >= cap || memchr(out, '\n', n) != NULL)
			abort();
		n = header_decode(a.value, a.value_len, out, cap);
		if (n >= cap || !utf8_valid(out, n) || memchr(out, '\n', n) != NULL)
			abort();
	} while (ra == HEADER_FIELD);
	if (ra == HEADER_END && header_section_len(buf, size) != whole.pos)
		abort();
	n = rfc2047_decode(buf, size, out, sizeof(out));
	if (!utf8_valid(out, n))
		abort();
	/* Text that needs no encoding is copied: white space at its ends is not kept
	 * then. */
	len = rfc2047_encode(out, n, size % 80, back, sizeof(back));
	if (len > 0 && n < 19000 && memmem(back, (size_t)len, "=?UTF-8?", 8) != NULL &&
	    (header_decode(back, (size_t)len, out + 20000, sizeof(out) - 20000) != n ||
		memcmp(out, out + 20000, n) != 0))
		abort();
	return 0;
}
