/* SPDX-License-Identifier: ISC */
/* zlib between the machine and its socket; see imap_deflate.h. */
#include "mailbox/imap_deflate.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <zlib.h>

/* 64 KB for each direction that is in use: an idle connection should be cheap. The
 * client may use all of the window, but zlib takes it only when it is needed. */
#define OUT_WINDOW 13
#define OUT_MEMORY 6
#define PIECE 16384

struct imap_deflate {
	z_stream in, out;
	int pending;
	int ended; /* the client's stream has its end mark */
};

struct imap_deflate *
imap_deflate_new(void)
{
	struct imap_deflate *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	if (inflateInit2(&d->in, -MAX_WBITS) != Z_OK) {
		free(d);
		return NULL;
	}
	if (deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -OUT_WINDOW,
		OUT_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		inflateEnd(&d->in);
		free(d);
		return NULL;
	}
	return d;
}

void
imap_deflate_free(struct imap_deflate *d)
{
	if (d == NULL)
		return;
	inflateEnd(&d->in);
	deflateEnd(&d->out);
	free(d);
}

static int
deflate_piece(struct imap_deflate *d, struct evbuffer *out, int flush)
{
	struct evbuffer_iovec v;

	do {
		if (evbuffer_reserve_space(out, PIECE, &v, 1) != 1)
			return -1;
		if (v.iov_len > PIECE * 4)
			v.iov_len = PIECE * 4;
		d->out.next_out = v.iov_base;
		d->out.avail_out = (uInt)v.iov_len;
		/* Z_BUF_ERROR only says that there was nothing to do. */
		(void)deflate(&d->out, flush);
		v.iov_len -= d->out.avail_out;
		if (evbuffer_commit_space(out, &v, 1) == -1)
			return -1;
	} while (d->out.avail_out == 0);
	return 0;
}

int
imap_deflate_out(struct imap_deflate *d, struct evbuffer *in, struct evbuffer *out)
{
	struct evbuffer_iovec v;

	if (evbuffer_get_length(in) == 0)
		return 0;
	while (evbuffer_peek(in, -1, NULL, &v, 1) >= 1 && v.iov_len > 0) {
		size_t n = v.iov_len > PIECE * 4 ? PIECE * 4 : v.iov_len;

		d->out.next_in = v.iov_base;
		d->out.avail_in = (uInt)n;
		if (deflate_piece(d, out, Z_NO_FLUSH) == -1)
			return -1;
		evbuffer_drain(in, n);
	}
	return deflate_piece(d, out, Z_SYNC_FLUSH);
}

int
imap_deflate_end(struct imap_deflate *d, struct evbuffer *out)
{
	d->out.avail_in = 0;
	return deflate_piece(d, out, Z_FINISH);
}

long
imap_deflate_in(
    struct imap_deflate *d, const uint8_t *data, size_t len, struct evbuffer *out)
{
	struct evbuffer_iovec v;
	size_t made = 0;
	int rc = Z_OK;

	if (len > IMAP_INFLATE_MAX)
		len = IMAP_INFLATE_MAX;
	/* Behind the end of the stream nothing can follow. */
	if (d->ended)
		return len == 0 ? 0 : -1;
	d->in.next_in = (Bytef *)(uintptr_t)data;
	d->in.avail_in = (uInt)len;
	do {
		if (evbuffer_reserve_space(out, PIECE, &v, 1) != 1)
			return -1;
		if (v.iov_len > PIECE)
			v.iov_len = PIECE;
		d->in.next_out = v.iov_base;
		d->in.avail_out = (uInt)v.iov_len;
		rc = inflate(&d->in, Z_SYNC_FLUSH);
		v.iov_len -= d->in.avail_out;
		made += v.iov_len;
		if (evbuffer_commit_space(out, &v, 1) == -1)
			return -1;
		if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END)
			return -1;
	} while (rc == Z_OK && d->in.avail_out == 0 && made < IMAP_INFLATE_MAX);
	d->pending = d->in.avail_out == 0 && rc != Z_STREAM_END;
	d->ended = rc == Z_STREAM_END;
	return (long)(len - d->in.avail_in);
}

int
imap_deflate_pending(const struct imap_deflate *d)
{
	return d->pending;
}
