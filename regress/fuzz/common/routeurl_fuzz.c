/* SPDX-License-Identifier: ISC */
/* Route URLs: what is taken has a host and a port, and no controls. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/routeurl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
no_controls(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *url = malloc(len + 1);
	const char *why = NULL;
	struct routeurl r;

	if (url == NULL)
		return 0;
	memcpy(url, data, len);
	url[len] = '\0';
	if (routeurl_parse(url, &r, &why) == -1) {
		if (why == NULL || why[0] == '\0')
			abort();
	} else {
		if ((r.path[0] == '/') == (r.port != 0) ||
		    (r.path[0] == '/') == (r.host[0] != '\0') || r.scheme < ROUTE_SMTP ||
		    r.scheme > ROUTE_LMTP || (r.user[0] == '\0') != (r.secret[0] == '\0'))
			abort();
		if (strpbrk(r.host, " /@[]%") != NULL)
			abort();
		no_controls(r.host);
		no_controls(r.user);
		no_controls(r.secret);
	}
	free(url);
	return 0;
}
