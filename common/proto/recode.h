/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RECODE_H
#define FIFE_RECODE_H

/*
 * A message with other content transfer encodings (RFC 2045, 6), for those who cannot
 * take the ones it has:
 *
 *	RECODE_7BIT	7-bit content only (RFC 6152, 3): each leaf of the MIME tree that
 *			has 8-bit or binary content is encoded as quoted-printable (text)
 *			or base64. What no encoding can hold becomes '?'.
 *	RECODE_8BIT	no binary content (RFC 3516, 6; RFC 2045, 2.9): each leaf that
 *says so or has NULs is encoded as base64, octet for octet; nothing else is touched. NULs
 *elsewhere: see recode_impossible().
 *
 * The Content-Transfer-Encoding of such a leaf is changed where it stands; composite
 * parts, multipart and message/rfc822, become 7bit or 8bit, and what is within them is
 * done likewise (RFC 2045, 6.4). Signatures over the body (DKIM, S/MIME) do not survive.
 *
 * Two passes over the message, in any pieces: recode_scan() finds the leaves that need
 * it, recode_push() writes. Pure but for the callback, bounded: leaves beyond
 * RECODE_LEAVES_MAX are encoded when their header says 8bit or binary.
 */

#include <stdbool.h>
#include <stddef.h>

#define RECODE_LEAVES_MAX 8192
#define RECODE_DEPTH_MAX 50
#define RECODE_HEADER_MAX (256 * 1024)

enum recode_to {
	RECODE_7BIT,
	RECODE_8BIT
};

struct recode;

/* 0, or -1 to stop. */
typedef int (*recode_put)(void *arg, const void *, size_t);

struct recode *recode_new(enum recode_to, recode_put, void *arg); /* NULL: no memory */
void recode_free(struct recode *);
/* 0, or -1 without memory. */
int recode_scan(struct recode *, const void *, size_t);
/* The end of the scan: is there anything to be done? The writing pass begins. */
bool recode_scanned(struct recode *);
/* RECODE_8BIT, after the scan: NULs where no encoding can hold them, in a header, between
 * parts, or in a part that is encoded already. Such a message is to be refused. */
bool recode_impossible(const struct recode *);
/* Both: 0, or -1 when the callback or memory failed. */
int recode_push(struct recode *, const void *, size_t);
int recode_end(struct recode *);

#endif
