/* SPDX-License-Identifier: ISC */
/* Any text as a route. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024];
	struct route r;
	const char *why = NULL;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (route_parse(text, &r, &why) == -1) {
		if (why == NULL)
			abort();
		return 0;
	}
	if (strlen(text) > ROUTE_MAX || r.n_on > ROUTE_ON_MAX ||
	    (r.n_on > 0 && r.fallback[0] == '\0') || r.after < 1)
		abort();
	(void)route_falls_back_on(&r, 550, "5.7.1");
	return 0;
}
