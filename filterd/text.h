/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FILTER_TEXT_H
#define FIFE_FILTER_TEXT_H

/* The text of a message as a reader sees it, for rules on the body. */

#include <stddef.h>

#define FILTER_TEXT_MAX ((size_t)1024 * 1024)

/*
 * Decodes the text parts (transfer encoding and charset) of a message into one
 * buffer of UTF-8 with a NUL, cut at max octets. NULL without memory. The caller
 * frees; *out_len is without the NUL.
 */
char *filter_text(const char *message, size_t len, size_t max, size_t *out_len);

#endif
