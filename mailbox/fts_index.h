/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FTS_INDEX_H
#define FIFE_FTS_INDEX_H

/*
 * The signatures of a folder's messages in one file: a head, then records with checksums,
 * each with the entries of some messages. The file only grows, but for
 * fts_index_compact(). What does not check ends the file: the messages from there on are
 * unknown and get their entries anew. An entry is of one UID and size; of several for a
 * UID the last counts. For one process at a time, which holds the mailbox's lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/fts_grams.h"

#define FTS_ID_LEN 32

struct fts_index;

/* Opens dirfd/name, creating it when create is set, for the folder of that id
 * (FTS_ID_LEN octets) and UIDVALIDITY; a file of another is begun anew. -1 with errno
 * (ENOENT without create). dirfd is borrowed for as long as the index is open. */
int fts_index_open(int dirfd, const char *name, const char *id, uint32_t uidvalidity,
    bool create, struct fts_index **);
/* Writes what is pending. */
void fts_index_close(struct fts_index *);

size_t fts_index_count(const struct fts_index *);
uint32_t fts_index_uid(const struct fts_index *, size_t i); /* ascending */
bool fts_index_has(struct fts_index *, uint32_t uid, uint32_t size);
/* The message is known, and it does not hold what is looked for. */
bool fts_index_rules_out(
    struct fts_index *, uint32_t uid, uint32_t size, const struct fts_query *);
/* n words, at most FTS_WORDS_MAX; 0: a message without a signature. Kept in memory and
 * written when there is enough. -1: memory or disk; it is not there then. */
int fts_index_add(
    struct fts_index *, uint32_t uid, uint32_t size, const uint64_t *words, size_t n);
int fts_index_write(struct fts_index *);
bool fts_index_pending(const struct fts_index *);

/* The entries of the next record of the file, as read. -1: they are none, or no memory;
 * some may be taken. (Also for tests: there is no such record then.) */
int fts_index_take(struct fts_index *, const uint8_t *payload, size_t len);

/* Entries of messages that are gone are half of the file or more: live says which are
 * there. */
bool fts_index_wasteful(
    struct fts_index *, bool (*live)(uint32_t uid, void *), void *arg);
/* Writes the file anew with the live ones. */
int fts_index_compact(struct fts_index *, bool (*live)(uint32_t uid, void *), void *arg);

#endif
