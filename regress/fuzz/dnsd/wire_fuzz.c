/* SPDX-License-Identifier: ISC */
/* Any packet: what comes out walks cleanly; then the hosts of its MX records. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dnsd/hosts.h"
#include "dnsd/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
half(uint32_t bound)
{
	return bound / 2;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_answer a;
	struct dnshost hosts[DNSHOSTS_MAX];
	struct dnsrr rr;
	size_t off = 0, n = 0;
	uint16_t type;
	int null_mx, loop, rc;

	if (size < 2)
		return 0;
	type = (uint16_t)(data[0] << 8 | data[1]);
	if (wire_decode(data + 2, size - 2, "x.test", type, &a) == -1)
		return 0;
	while ((rc = dnsrr_next(a.records, a.len, &off, &rr)) == 1) {
		char text[300];

		if (rr.type != type)
			abort();
		dnsrr_text(&rr, text, sizeof(text));
		n++;
	}
	if (rc != 0 || n != a.count || strlen(a.canonical) > DNSRR_NAME_MAX)
		abort();
	if (hosts_from_mx(&a, "me.test", half, hosts, &null_mx, &loop) > DNSHOSTS_MAX)
		abort();
	return 0;
}
