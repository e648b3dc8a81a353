/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_FUZZY_H
#define FIFE_IMAP_FUZZY_H

/*
 * Text that is nearly what was looked for (SEARCH=FUZZY, RFC 6203): its words in any
 * order, also as the beginning or a part of longer ones, or with one letter wrong (from
 * four letters on) or two (from eight).
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/mime.h"

struct imap_fuzzy;

/* text is folded (imap_search.h). NULL: no memory. */
struct imap_fuzzy *imap_fuzzy_new(const char *text, size_t len);
void imap_fuzzy_free(struct imap_fuzzy *);
/* How well it fits, 1 to 100; 0: not at all. As imap_header_find() and imap_text_find(),
 * what stands in the body counts less. */
unsigned int imap_fuzzy_header(
    struct imap_fuzzy *, const char *header, size_t len, const char *name);
unsigned int imap_fuzzy_text(struct imap_fuzzy *, const char *msg, size_t len,
    const struct mime_tree *, bool headers);

#endif
