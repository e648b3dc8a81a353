/* SPDX-License-Identifier: ISC */
/* The first octet chooses the charset: output is valid UTF-8 and the same in pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
convert(const char *name, const char *in, size_t len, size_t step, char *out, size_t cap)
{
	struct charset_conv c;
	size_t n = 0, m = 0, used, made, take;

	charset_conv_init(&c, name, strlen(name));
	do {
		take = len - n < step ? len - n : step;
		charset_conv_feed(
		    &c, in + n, take, n + take == len, out + m, cap - m, &used, &made);
		if (used > take || made > cap - m || (len > n && used == 0 && made == 0))
			abort();
		n += used;
		m += made;
	} while (n < len);
	return m;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char whole[65536], parts[65536];
	const char *in = (const char *)data + 1, *name;
	size_t count = 0, n, m;

	if (size == 0 || size > 2000)
		return 0;
	while (charset_name(count) != NULL)
		count++;
	name = charset_name(data[0] % count);
	n = convert(name, in, size - 1, size, whole, sizeof(whole));
	m = convert(name, in, size - 1, 1 + data[0] / count, parts, sizeof(parts));
	if (!utf8_valid(whole, n) || !utf8_valid(parts, m))
		abort();
	if (n != m || memcmp(whole, parts, n) != 0)
		abort();
	charset_to_utf8(name, strlen(name), in, size - 1, whole, 1 + size / 2, &n);
	if (!utf8_valid(whole, n) || n > size / 2)
		abort();
	charset_known(in, size - 1);
	return 0;
}
