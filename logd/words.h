/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_WORDS_H
#define FIFE_LOGD_WORDS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Words of a line's text as line_mentions() bounds them: octets of addresses, domains
 * and ids, with single dots inside. Whatever line_mentions() finds has all of its own
 * words among those of the text; hence a filter of words can rule a text out.
 */

#define WORDS_MIN 3 /* shorter ones are left out */

/* 1 if the octet continues an address, a domain or an id; a dot does not. */
int words_octet(unsigned char);
/*
 * The next word at or after *pos; ASCII letters are hashed without case. 1 and its
 * hash, with *pos behind it; 0: there is none.
 */
int words_next(const char *text, size_t len, size_t *pos, uint64_t *hash);

#endif
