/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_CONVERT_H
#define FIFE_DELIVERD_CONVERT_H

/*
 * A message for a server that takes 7-bit content only (RFC 6152, 3): each leaf of
 * its MIME tree that has 8-bit or binary content is encoded as quoted-printable
 * (text) or base64, with its Content-Transfer-Encoding changed; the composite parts,
 * multipart and message/rfc822, become 7bit, and what is within them is done likewise
 * (RFC 2045, 6.4). Signatures over the body (DKIM, S/MIME) do not survive that.
 *
 * Two passes over the message, in any pieces: convert_scan() finds the leaves that
 * need it, convert_push() writes. Pure but for the callback, bounded: leaves beyond
 * CONVERT_LEAVES_MAX are encoded when their header says 8bit or binary.
 */

#include <stdbool.h>
#include <stddef.h>

#define CONVERT_LEAVES_MAX 8192
#define CONVERT_DEPTH_MAX 50
#define CONVERT_HEADER_MAX (256 * 1024)

struct convert;

/* 0, or -1 to stop. */
typedef int (*convert_put)(void *arg, const void *, size_t);

struct convert *convert_new(convert_put, void *arg); /* NULL: no memory */
void convert_free(struct convert *);
/* 0, or -1 without memory. */
int convert_scan(struct convert *, const void *, size_t);
/* The end of the scan: is there anything to be done? The writing pass begins. */
bool convert_scanned(struct convert *);
/* Both: 0, or -1 when the callback or memory failed. */
int convert_push(struct convert *, const void *, size_t);
int convert_end(struct convert *);

#endif
