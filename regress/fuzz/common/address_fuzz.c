/* SPDX-License-Identifier: ISC */
/* What is accepted must print, and the printed form must read back as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct address *a)
{
	char printed[ADDRESS_MAX + 1], key[ADDRESS_MAX + 1];
	struct address again;
	const char *detail;
	int n;

	if ((n = address_format(a, printed, sizeof(printed))) == -1)
		abort();
	if (address_parse_flags(printed, (size_t)n, ADDRESS_NO_DOMAIN, &again) == -1 ||
	    strcmp(a->local, again.local) != 0 || strcmp(a->domain, again.domain) != 0)
		abort();
	if (address_fold_key(a, key, sizeof(key)) == -1)
		abort();
	address_split_detail(a, '+', &again, &detail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a;
	size_t used;
	unsigned int flags;
	char out[ADDRESS_DOMAIN_MAX + 1];

	if (size == 0 || size > 2000)
		return 0;
	flags = data[0] & 15;
	if (address_parse_flags((const char *)data + 1, size - 1, flags, &a) == 0)
		check(&a);
	if (path_parse((const char *)data + 1, size - 1, flags, &a, &used) == 0) {
		if (used > size - 1)
			abort();
		if (!address_is_null(&a))
			check(&a);
	}
	if (size <= ADDRESS_DOMAIN_MAX && memchr(data + 1, 0, size - 1) == NULL) {
		char domain[ADDRESS_DOMAIN_MAX + 1];

		memcpy(domain, data + 1, size - 1);
		domain[size - 1] = '\0';
		address_domain_ascii(domain, out, sizeof(out));
		address_domain_unicode(domain, out, sizeof(out));
	}
	return 0;
}
