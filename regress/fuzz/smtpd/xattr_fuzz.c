/* SPDX-License-Identifier: ISC */
/* XCLIENT and XFORWARD: what is taken has no controls and fits into a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/xattr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *s)
{
	if (strlen(s) > XATTR_TEXT_MAX)
		abort();
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 32 || *s == 127)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xattr x, was;

	if (size > 4096)
		return 0;
	memset(&x, 0, sizeof(x));
	was = x;
	if (xattr_parse((const char *)data, size, XATTR_XFORWARD, &x) == -1) {
		if (memcmp(&x, &was, sizeof(x)) != 0)
			abort();
		return 0;
	}
	if (x.seen == 0 || (x.seen & ~(unsigned int)XATTR_XFORWARD) != 0)
		abort();
	check(x.name);
	check(x.helo);
	check(x.proto);
	check(x.ident);
	check(x.source);
	return 0;
}
