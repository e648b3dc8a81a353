/* SPDX-License-Identifier: ISC */
/* A relay that challenges with anything, twice; it never proves itself by chance. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "LOGIN",
		"XOAUTH2", "OAUTHBEARER" };
	static struct sasl_client c;
	char out[SASL_CLIENT_OUT_MAX];
	const char *why, *name, *nl;
	size_t len, first;

	if (size < 1)
		return 0;
	name = names[data[0] % 5u];
	memset(&c, 0, sizeof(c));
	strcpy(c.user, "u");
	strcpy(c.secret, "s");
	if (sasl_client_init(&c, name, "n", "", NULL, 0) == -1 ||
	    sasl_client_first(&c, out, &len) == -1)
		abort();
	data++;
	size--;
	nl = memchr(data, '\n', size);
	first = nl != NULL ? (size_t)(nl - (const char *)data) : size;
	if (sasl_client_next(&c, (const char *)data, first, out, &len, &why) == 0) {
		if (len > sizeof(out))
			abort();
		if (nl != NULL)
			(void)sasl_client_next(
			    &c, nl + 1, size - first - 1, out, &len, &why);
		if (c.kind == SASL_CLIENT_SCRAM && c.proved)
			abort();
	}
	return 0;
}
