/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_LIMIT_H
#define FIFE_IMAP_LIMIT_H

/*
 * How many messages one command works on (MESSAGELIMIT, SAVELIMIT; RFC 9738): those with
 * the highest UIDs, and the reply says which was the last; or none, where a part would be
 * wrong.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap.h"

struct imap_search;

#define IMAP_LIMIT_CODE_MAX 40

/* Leaves the highest of ascending UIDs; the reply will say so. */
void imap_limit_cut(struct imap *, uint32_t *uids, size_t *n);
/* More than all of them may be copied or appended: NO was said. */
bool imap_limit_refuses(struct imap *, const uint32_t *uids, size_t n);
/* NO, not knowing how far it would have come. */
void imap_limit_no(struct imap *, uint32_t limit);
/* "[MESSAGELIMIT 1000 23] " */
void imap_limit_code(const struct imap *, char code[IMAP_LIMIT_CODE_MAX]);
/*
 * Of the messages with those ascending UIDs, numbered from 1 on, a search looks at what
 * its outermost sets name. Where the highest `limit` of them begin; 0 and *n: how many
 * there are, if there are not more.
 */
size_t imap_limit_search(const struct imap_search *, uint32_t (*uid)(void *, size_t),
    void *arg, size_t count, uint32_t limit, size_t *n);

#endif
