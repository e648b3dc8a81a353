/*
 * The text of a queue id, as people see it in replies, logs and commands.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stddef.h>
#include <string.h>

#include "queued/qid.h"

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void
qid_format(uint64_t id, char out[QID_SIZE])
{
	char tmp[QID_SIZE];
	size_t n = 0;

	do {
		tmp[n++] = digits[id & 31];
		id >>= 5;
	} while (id != 0);
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	out[n] = '\0';
}

int
qid_parse(const char *s, uint64_t *id)
{
	uint64_t v = 0;
	size_t len = strlen(s);

	if (len == 0 || len > QID_SIZE - 1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		const char *d;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		d = strchr(digits, c);
		if (d == NULL || *d == '\0' || v >> 59 != 0)
			return -1;
		v = v << 5 | (uint64_t)(d - digits);
	}
	*id = v;
	return 0;
}
