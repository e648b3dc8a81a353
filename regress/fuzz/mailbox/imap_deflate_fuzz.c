/* SPDX-License-Identifier: ISC */
/* A client's compressed stream: any octets, in two pieces; and text there and back. */
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/imap_deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take(struct imap_deflate *d, const uint8_t *data, size_t len, struct evbuffer *out)
{
	size_t at = 0, rounds = 0;
	long used;

	while (at < len || imap_deflate_pending(d)) {
		if ((used = imap_deflate_in(d, data + at, len - at, out)) == -1)
			return;
		if ((size_t)used > len - at || ++rounds > 100000)
			abort();
		at += (size_t)used;
		if (used == 0 && !imap_deflate_pending(d))
			return;
		/* what is made of a small input may be much */
		if (evbuffer_get_length(out) > 4 * 1024 * 1024)
			return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_deflate *d = imap_deflate_new(), *e = imap_deflate_new();
	struct evbuffer *out = evbuffer_new(), *in = evbuffer_new(),
			*mid = evbuffer_new();
	size_t half = size / 2;

	take(d, data, half, out);
	take(d, data + half, size - half, out);
	evbuffer_drain(out, evbuffer_get_length(out));
	imap_deflate_free(d);
	d = imap_deflate_new();
	evbuffer_add(in, data, size);
	if (imap_deflate_out(d, in, mid) == -1)
		abort();
	take(e, evbuffer_pullup(mid, -1), evbuffer_get_length(mid), out);
	if (evbuffer_get_length(out) != size ||
	    (size > 0 && memcmp(evbuffer_pullup(out, -1), data, size) != 0))
		abort();
	imap_deflate_free(d);
	imap_deflate_free(e);
	evbuffer_free(out);
	evbuffer_free(in);
	evbuffer_free(mid);
	return 0;
}
