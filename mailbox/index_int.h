/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_INDEX_INT_H
#define FIFE_MAILBOX_INDEX_INT_H

/*
 * The records of the index, for the two files that know them: index.c reads them,
 * index_checkpoint.c writes them. Keys, numbers in network order:
 *
 * - "M": version and layout, generation, next folder id, last UIDVALIDITY
 * - "F" folder: a folder, see folder_put()
 * - "B" folder block: its messages with UIDs block*48 to block*48+47, struct message
 * - "S" folder: how many messages each block has, unseen and recent (index_blocks.c)
 * - "N" folder uid: name of the message's file in cur/
 * - "C" folder uid kind: cached value
 * - "X" folder uid: file that is expunged and still to be unlinked
 * - "E" folder number: expunged UIDs with their modseq, oldest first
 * - "D" queue-id rcpt: a delivery that the queue may ask for again
 */

#include <stddef.h>

#include "mailbox/store_int.h"

#define INDEX_VERSION 3u
#define INDEX_VERSION_UNCOUNTED 2u /* without "S" */
/* Changes when struct message or the byte order does. */
#define INDEX_LAYOUT                                             \
	(0x01020304u ^ ((uint32_t)sizeof(struct message) << 8) ^ \
	    (uint32_t)offsetof(struct message, flags))

#define KEY_MAX 16
#define KEY_FOLDER 5
#define KEY_MESSAGE 9
#define KEY_CACHE 10

struct key {
	uint8_t b[KEY_MAX];
	MDB_val v;
};

/* kind, a (4), b (4), c (1); len octets of it. Returns &k->v. */
MDB_val *key_make(
    struct key *k, char kind, uint32_t a, uint32_t b, uint8_t c, size_t len);

#define EXPUNGED_LEN 12 /* modseq, UID */

/* n octets, n up to 8. */
void put_be(uint8_t *, uint64_t, size_t n);
uint64_t get_be(const uint8_t *, size_t n);

/* A code of lmdb, said to the log, as an error of ours; damage is marked. */
enum store_error index_failed(const char *what, int rc);
/* The value is valid until the reader is reset. A code of lmdb. */
int index_get(struct store *, MDB_val *key, MDB_val *value);
/* Before a write: the next reading sees what was written. */
void index_reader_reset(struct store *);

#endif
