/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYWORD_FILE_H
#define FIFE_KEYWORD_FILE_H

/*
 * The file fife-keywords in a folder's directory: which of its messages have which
 * keywords beyond the letters in file names, so that these too outlive the index. It is
 * only ever appended to, until it has grown to several times what is needed and is
 * written anew. Numbers in network order:
 *
 *	"FIFEKW01", UIDVALIDITY (4), length when it was last written anew (4), checksum of
 *	all that (4); then records: length (4) and checksum (4) of a payload of
 *	UID (4), how many (2), as many numbers of keywords (2 each, 26 and above,
 *	ascending)
 *
 * The last word about a UID counts. Checksums are CRC-32C; what stands behind a record
 * that is not whole was never written, and is cut off.
 */

#include <stddef.h>
#include <stdint.h>

struct folder;
struct map;

#define KEYWORD_FILE "fife-keywords"
#define KEYWORD_FILE_HEAD 20

/*
 * list: n numbers as they stand in the file. 0, or -1 to stop. *good: how much of it is
 * whole; *base: of the head. -1: the head is not that of this UIDVALIDITY, or cb stopped.
 */
int keyword_file_parse(const uint8_t *, size_t len, uint32_t uidvalidity,
    int (*cb)(void *arg, uint32_t uid, const uint8_t *list, size_t n), void *arg,
    size_t *good, uint32_t *base);

/* The message of an open folder has, or had, such keywords, and what the file says of it
 * is to be looked at with the next flush. */
void keyword_file_mark(struct folder *, uint32_t uid);
/* All of them, when the folder has such keywords and no such file. */
void keyword_file_start(struct folder *);
/* The machine may have stopped before the file was on the disk: what the folder has
 * counts, and is written anew. */
void keyword_file_doubt(struct folder *);
/* What was marked is appended, once the folder agrees with its files. After a failure,
 * which is logged once, all is written at a later flush. */
void keyword_file_flush(struct folder *);
/* The folder is not in memory any more: if something is still marked, all is written when
 * it is again. */
void keyword_file_leave(struct folder *);
/* UID: its list, as it stands in the file, of those UIDs, which are in order. What cannot
 * be read is not there. */
void keyword_file_read(struct folder *, const uint32_t *uids, size_t n, struct map *);
/* A message's keywords with those of that map. -1: no room for them. */
int keyword_file_apply(struct folder *, const struct map *, uint32_t uid, uint64_t *set);

#endif
