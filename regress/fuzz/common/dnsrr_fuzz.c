/* SPDX-License-Identifier: ISC */
/* Blobs of records and of hosts: what decodes encodes to the same octets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/dnshosts.h"
#include "common/proto/dnsrr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[70000];
	struct dnsrr rr;
	struct dnshost h;
	size_t off = 0, len = 0;
	char text[100], name[DNSRR_NAME_MAX + 1];

	if (size > 65000)
		return 0;
	while (dnsrr_next(data, size, &off, &rr) == 1) {
		uint16_t nums[3];

		dnsrr_text(&rr, text, sizeof(text));
		(void)dnsrr_name(&rr, name, nums);
		if (dnsrr_add(out, sizeof(out), &len, &rr) == -1)
			abort();
	}
	if (len != off || memcmp(out, data, len) != 0)
		abort();
	off = len = 0;
	while (dnshosts_next(data, size, &off, &h) == 1)
		if (dnshosts_add(out, sizeof(out), &len, &h) == -1)
			abort();
	if (len != off || memcmp(out, data, len) != 0)
		abort();
	return 0;
}
