/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_CONTEXT_H
#define FIFE_IMAP_CONTEXT_H

/* Searches whose result is kept up to date (CONTEXT=SEARCH, CONTEXT=SORT, RFC 5267): what
 * comes and goes is told with ADDTO and REMOVEFROM until the client cancels it or leaves
 * the mailbox. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct imap;
struct imap_search;
struct imap_order;

#define IMAP_CONTEXTS_MAX 10

/* The tag is not used by another one, and there is room. */
bool imap_context_room(const struct imap *);
/* Takes the keys on success; uids are the result now, ascending, or by order where that
 * is not NULL. -1: no memory. */
int imap_context_add(struct imap *, struct imap_search *, const struct imap_order *order,
    bool uid, const uint32_t *uids, size_t n);
/* What is to be fetched of messages that come in (RFC 5465, 7), by the context's number;
 * or NULL. */
const char *imap_context_attributes(const struct imap *, unsigned int number);
void imap_contexts_clear(struct imap *);
/* Changes of messages that the client knows; with expunge set also those that are gone,
 * of which EXPUNGE is told right after. */
void imap_contexts_changed(struct imap *, bool expunge);
/* Messages that EXISTS was told of just now. */
void imap_contexts_new(struct imap *);

#endif
