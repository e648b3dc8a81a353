/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CASEMAP_H
#define FIFE_CASEMAP_H

/* Case folding of Unicode for i;unicode-casemap (RFC 5051). */

#include <stddef.h>
#include <stdint.h>

/* A character's simple title case; itself when it has none. */
uint32_t casemap_title(uint32_t c);
/* Title case, then taken apart as far as it goes; returns how many (1 to 4), to out. */
#define CASEMAP_MAX 4
size_t casemap_fold(uint32_t c, uint32_t out[CASEMAP_MAX]);

#endif
