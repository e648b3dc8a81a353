/* SPDX-License-Identifier: ISC */
/*
 * The search for loops finds the same in a buffer and in a descriptor, and what final
 * delivery writes is found again and has no line too many.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "deliverd/local/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static uint8_t out[PREFIX_MAX];
	struct delivered_to a, b;
	struct address parsed;
	char text[ADDRESS_MAX + 1], address[ADDRESS_MAX + 1];
	size_t n = size < ADDRESS_MAX ? size : ADDRESS_MAX, cap, len;

	if (fd == -1 && (fd = compat_memfd_create("fuzz")) == -1)
		abort();
	if (ftruncate(fd, 0) == -1 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (delivered_to_parse(&a, (const char *)data, size) == -1 ||
	    delivered_to_read(&b, fd, size) == -1)
		abort();
	if (a.n != b.n || a.too_many != b.too_many || a.n > PREFIX_DELIVERED_TO_MAX)
		abort();
	for (size_t i = 0; i < a.n; i++)
		if (strcmp(a.keys[i], b.keys[i]) != 0)
			abort();
	delivered_to_clear(&a);
	delivered_to_clear(&b);

	/* The first line as an address, all of it as the rest. */
	memcpy(text, data, n);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	prefix_address(text, address, sizeof(address));
	for (int i = 0; i < 3; i++) {
		cap = i == 0 ? sizeof(out) : i == 1 ? size % 800 : 700 + size % 100;
		len = prefix_build(out, cap, text, address, data, size);
		if (len > cap)
			abort();
		if (len == 0)
			continue;
		if (address_parse(address, strlen(address), &parsed) == 0) {
			if (delivered_to_parse(&a, (const char *)out, len) == -1 ||
			    !delivered_to_has(&a, address))
				abort();
			delivered_to_clear(&a);
		}
	}
	return 0;
}
