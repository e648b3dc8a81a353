/* SPDX-License-Identifier: ISC */
/* Replies: whole and octet by octet must be the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "deliverd/remote/explain.h"
#include "deliverd/remote/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply whole, parts;
	size_t used = 0, at = 0, n;
	int a, b = 0;
	char text[512], words[300];

	reply_init(&whole);
	reply_init(&parts);
	a = reply_push(&whole, data, size, &used);
	while (at < size && b == 0) {
		b = reply_push(&parts, data + at, 1, &n);
		at += n;
	}
	if (a != b || (a == 1 && used != at))
		abort();
	if (a != 1)
		return 0;
	if (strcmp(whole.text, parts.text) != 0 || whole.code != parts.code ||
	    strcmp(whole.enhanced, parts.enhanced) != 0)
		abort();
	reply_format(&whole, words, sizeof(words));
	if (!utf8_valid(words, strlen(words)) || strchr(words, '\n') != NULL)
		abort();
	explain_reply(whole.enhanced[0] != '\0' ? whole.enhanced
						: explain_code(whole.code, STAGE_RCPT),
	    words, text, sizeof(text));
	return 0;
}
