/* SPDX-License-Identifier: ISC */
/* SORT and THREAD: headers to records and these to threads, records as they may come out
 * of the index, and URLs of CATENATE. The input is split at NULs into messages. */
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/imap_sortkey.h"
#include "mailbox/imap_thread.h"
#include "mailbox/imap_url.h"

#define MESSAGES 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each number once. */
static void
check(struct evbuffer *b, size_t n)
{
	bool seen[MESSAGES + 1] = { false };
	size_t found = 0;
	char *s;

	evbuffer_add(b, "", 1);
	for (s = (char *)evbuffer_pullup(b, -1); *s != '\0';) {
		if (*s >= '0' && *s <= '9') {
			unsigned long v = strtoul(s, &s, 10);

			if (v == 0 || v > n || seen[v])
				abort();
			seen[v] = true;
			found++;
		} else
			s++;
	}
	if (found != n)
		abort();
	evbuffer_drain(b, evbuffer_get_length(b));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evbuffer *b = evbuffer_new();
	struct imap_thread_message m[MESSAGES];
	struct imap_sortkey key[MESSAGES], any;
	uint8_t *raw[MESSAGES];
	struct imap_url url;
	size_t n = 0, at = 0;

	(void)imap_sortkey_read(data, size, &any);
	(void)imap_url_parse((const char *)data, size, &url);
	while (at < size && n < MESSAGES) {
		const uint8_t *nul = memchr(data + at, '\0', size - at);
		size_t len = nul == NULL ? size - at : (size_t)(nul - data) - at;

		imap_sortkey_make((const char *)data + at, len, b);
		at += len + 1;
		len = evbuffer_get_length(b);
		if (len > IMAP_SORT_RECORD_MAX || (raw[n] = malloc(len)) == NULL)
			abort();
		evbuffer_remove(b, raw[n], len);
		if (imap_sortkey_read(raw[n], len, &key[n]) == -1)
			abort();
		m[n] = (struct imap_thread_message){ (uint32_t)n + 1, key[n].date,
			(int64_t)n, &key[n] };
		n++;
	}
	for (int a = IMAP_THREAD_ORDEREDSUBJECT; a <= IMAP_THREAD_REFS; a++) {
		if (imap_thread_print((enum imap_thread_algorithm)a, m, n, b) == -1)
			abort();
		check(b, n);
	}
	for (size_t i = 0; i < n; i++)
		free(raw[i]);
	evbuffer_free(b);
	return 0;
}
