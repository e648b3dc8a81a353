/*
 * Drop files.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queued/drop.h"
#include "queued/retry.h"
#include "queued/qid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct drop_envelope e;
	const char *why = NULL;
	struct retry r;
	uint64_t id;
	char *text;

	if (drop_parse((const char *)data, size, &e, &why) == 0) {
		if (e.nrcpt == 0 || e.nrcpt > DROP_RCPTS_MAX || e.content_off > size)
			abort();
		for (size_t i = 0; i < e.nrcpt; i++) {
			if (e.rcpt[i].len == 0 ||
			    memchr(e.rcpt[i].p, '\n', e.rcpt[i].len) != NULL)
				abort();
		}
	} else if (why == NULL)
		abort();
	text = malloc(size + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)retry_parse(text, &r);
	(void)qid_parse(text, &id);
	free(text);
	return 0;
}
