/* SPDX-License-Identifier: ISC */
/* A client's certificate as a front passes it on; names and passwords as people send
 * them. */
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authd/external.h"
#include "authd/saslprep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
certificate(const uint8_t *data, size_t size)
{
	X509 *x = external_parse(data, size);
	char print[FINGERPRINT_SIZE], address[330];

	if (x == NULL)
		return;
	(void)external_is_current(x, 1800000000);
	if (external_fingerprint(x, print) == 0) {
		char again[FINGERPRINT_SIZE];

		if (external_fingerprint_parse(print, again) == -1 ||
		    strcmp(print, again) != 0)
			abort();
	}
	for (int i = 0; external_address(x, i, address, sizeof(address)); i++)
		if (strlen(address) >= sizeof(address))
			abort();
	X509_free(x);
}

static void
text(const uint8_t *data, size_t size)
{
	char in[600], out[513], again[513], print[FINGERPRINT_SIZE];

	if (size >= sizeof(in))
		size = sizeof(in) - 1;
	memcpy(in, data, size);
	in[size] = '\0';
	(void)external_fingerprint_parse(in, print);
	if (saslprep(in, out, sizeof(out)) == -1)
		return;
	if (out[0] == '\0' || strlen(out) >= sizeof(out))
		abort();
	(void)saslprep(out, again, sizeof(again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	certificate(data, size);
	text(data, size);
	return 0;
}
