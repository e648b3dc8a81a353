/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_DEFLATE_H
#define FIFE_IMAP_DEFLATE_H

/* The layer of COMPRESS=DEFLATE (RFC 4978): raw deflate both ways, in pieces. */

#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct imap_deflate;

#define IMAP_INFLATE_MAX 65536 /* octets that one call makes at most */

struct imap_deflate *imap_deflate_new(void);
void imap_deflate_free(struct imap_deflate *);
/* Moves all of in to out, compressed and complete to its last octet. -1: no memory. */
int imap_deflate_out(struct imap_deflate *, struct evbuffer *in, struct evbuffer *out);
/* Takes octets of the client; returns how many, or -1: this is no deflate stream.
 * With len 0 it only makes what is left from before. */
long imap_deflate_in(
    struct imap_deflate *, const uint8_t *, size_t len, struct evbuffer *out);
/* There may be more to make without input. */
int imap_deflate_pending(const struct imap_deflate *);
/* The end of the stream. */
int imap_deflate_end(struct imap_deflate *, struct evbuffer *out);

#endif
