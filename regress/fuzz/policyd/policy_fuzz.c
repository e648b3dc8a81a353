/* SPDX-License-Identifier: ISC */
/* Any octets as a policy, and as the answer of a web server in any pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policyd/http.h"
#include "policyd/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http whole, pieces;
	struct policy p;
	const char *why = NULL;
	int rc, rc2 = 0;

	if (policy_parse((const char *)data, size, &p, &why) == 0) {
		if (p.mode > STS_ENFORCE || p.max_age_s > POLICY_AGE_MAX ||
		    (p.mode != STS_NONE && p.mx[0] == '\0'))
			abort();
	} else if (why == NULL)
		abort();
	if (size < 1)
		return 0;
	http_init(&whole, 0);
	rc = http_push(&whole, data + 1, size - 1);
	http_init(&pieces, 0);
	for (size_t at = 1; at < size && rc2 == 0;) {
		size_t n = 1 + data[0] % 16u;

		if (n > size - at)
			n = size - at;
		rc2 = http_push(&pieces, data + at, n);
		at += n;
	}
	if (rc != rc2 || whole.body_len > HTTP_BODY_MAX ||
	    (rc == 1 && (whole.body_len != pieces.body_len ||
			    memcmp(whole.body, pieces.body, whole.body_len) != 0)))
		abort();
	if (rc == 0 && http_eof(&whole) != http_eof(&pieces))
		abort();
	return 0;
}
