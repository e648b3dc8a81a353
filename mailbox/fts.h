/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FTS_H
#define FIFE_FTS_H

/*
 * Full text search in the store: each folder that was searched has a search index
 * (fts_index.h), which tells of most messages that they do not hold a text. What it does
 * not rule out must be read: answers are those of reading all messages.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/mime.h"
#include "mailbox/store.h"

struct fts_query;

/* text is folded (imap_fold()). NULL: no memory. The caller frees with free(). */
struct fts_query *fts_query_new(const char *text, size_t len);
/* No field and no part of this message has the text. */
bool fts_rules_out(struct folder *, const struct message *, const struct fts_query *);
/* The message is read anyhow: its text goes into the index, when it is not there. Returns
 * the octets that this cost. */
size_t fts_learn(struct folder *, const struct message *, const char *msg, size_t len,
    const struct mime_tree *);

/*
 * By a timer, about every second: brings indexes of folders that are searched up to date,
 * one short slice of it, while nothing else happens in the folder; writes what is
 * pending, and lets go what was not used for long. Nonzero: there is more to do soon.
 */
int fts_work(struct store *);
/* The folder is let go. */
void fts_close(struct folder *);
/* The folder is deleted. */
void fts_remove(struct folder *);

#endif
