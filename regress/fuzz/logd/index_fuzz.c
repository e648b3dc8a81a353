/* SPDX-License-Identifier: ISC */
/* A text and a word of it: a mention is never ruled out; then the octets as an entry. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "logd/index_file.h"
#include "logd/line.h"

#define STAMP "2024-10-04T00:00:00.000000Z smtpd[1] "

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The first line is the word. */
static void
mention(const char *data, size_t len)
{
	const char *nl = memchr(data, '\n', len);
	size_t word_len = nl == NULL ? 0 : (size_t)(nl - data);
	uint8_t filter[INDEX_FILTER] = { 0 };
	struct index_query *q;
	char *word, *line;
	struct line l;

	if (word_len == 0 || memchr(data, '\0', word_len) != NULL ||
	    memchr(nl + 1, '\n', len - word_len - 1) != NULL)
		return;
	word = strndup(data, word_len);
	line = malloc(sizeof(STAMP) + len);
	q = index_query_new();
	if (word == NULL || line == NULL || q == NULL || index_query_add(q, word) == -1)
		abort();
	len -= word_len + 1;
	memcpy(line, STAMP, sizeof(STAMP) - 1);
	memcpy(line + sizeof(STAMP) - 1, nl + 1, len);
	len += sizeof(STAMP) - 1;
	index_fill(filter, line, len);
	if (line_parse(line, len, &l) == 0 && line_mentions(&l, word) &&
	    !index_query_wants(q, filter))
		abort();
	index_query_free(q);
	free(line);
	free(word);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t entry[INDEX_ENTRY] = { 0 }, again[INDEX_ENTRY];
	struct index_entry e;

	mention((const char *)data, len);
	memcpy(entry, data, len < sizeof(entry) ? len : sizeof(entry));
	if (index_entry_decode(entry, 0, &e) == 0) {
		index_entry_encode(again, &e);
		if (memcmp(entry, again, sizeof(entry)) != 0)
			abort();
	}
	return 0;
}
