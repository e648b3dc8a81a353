/* SPDX-License-Identifier: ISC */
/* Two lines of a client: its first and its final message. The first octet is the
 * connection. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authd/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[32] = { 1 };
	static const char *const types[] = { "", "tls-exporter", "tls-server-end-point",
		"x" };
	struct scram_keys keys;
	struct scram s;
	const uint8_t *end;
	const char *why;
	uint8_t bits;

	if (size == 0)
		return 0;
	bits = *data++;
	size--;
	end = memchr(data, '\n', size);
	scram_init(&s, bits & 1 ? SCRAM_SHA256 : SCRAM_SHA1, bits & 2, bits & 4);
	if (scram_first(&s, data, end == NULL ? size : (size_t)(end - data),
		types[bits >> 3 & 3], secret, sizeof(secret), &why) == -1)
		return 0;
	if (scram_keys_nobody(secret, s.name, s.hash, 4096, &keys) == -1 ||
	    scram_challenge(&s, &keys, "nonce") == -1)
		abort();
	/* Nobody knows a password for these keys. */
	if (end != NULL &&
	    scram_final(&s, end + 1, size - (size_t)(end + 1 - data), &why) == 1)
		abort();
	return 0;
}
