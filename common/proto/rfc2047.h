/* SPDX-License-Identifier: ISC */
/* Encoded words in header fields: RFC 2047, with the language tag of RFC 2231, 5. */
#ifndef FIFE_RFC2047_H
#define FIFE_RFC2047_H

#include <stddef.h>

/*
 * Decodes the encoded words of an unfolded value.  Adjacent words of one charset are
 * joined before conversion (a character may be split between them); white space between
 * words is dropped.  Raw octets that are not UTF-8 are taken as windows-1252.  What looks
 * like a word but is none is kept as it is.  The result is valid UTF-8 with a NUL, cut at
 * a character's edge when cap is too small; returns its length.
 */
size_t rfc2047_decode(const char *in, size_t len, char *out, size_t cap);

/*
 * UTF-8 to encoded words (B or Q, the shorter), folded with CRLF SP between words of at
 * most 75 characters; pure ASCII text that needs none is copied.  column is where on the
 * line the text will begin.  Returns the length, or -1 when cap is too small.
 */
int rfc2047_encode(const char *in, size_t len, size_t column, char *out, size_t cap);

#endif
