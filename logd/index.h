/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_INDEX_H
#define FIFE_LOGD_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/log.h"

/*
 * Beside each day file KIND-YYYY-MM-DD.log an index KIND-YYYY-MM-DD.idx: for every
 * block of about INDEX_BLOCK octets of whole lines a filter of the words in it (a Bloom
 * filter: it may say yes wrongly, never no). A search for words reads only the blocks
 * that may have them. The index runs behind the file and is made again from it
 * when it is lost or damaged; what it does not cover yet is read in full.
 *
 * A file has a head of INDEX_HEAD octets and entries of INDEX_ENTRY octets: offset of
 * the block (64 bits), its length (32), a checksum of the entry (32), all little-endian,
 * and the filter. Entries follow one another without a gap.
 */

#define INDEX_BLOCK 65536
#define INDEX_FILTER 2048
#define INDEX_HEAD 16
#define INDEX_ENTRY (16 + INDEX_FILTER)

/* ---- what is asked ---- */

struct index_query;

/* NULL: no memory. */
struct index_query *index_query_new(void);
void index_query_free(struct index_query *);
/*
 * Blocks that may mention this text (see line_mentions) are wanted besides those wanted
 * already. A text without any word of length wants all blocks. 0, -1: no memory.
 */
int index_query_add(struct index_query *, const char *text);
/* 1 if a block with this filter is wanted. */
int index_query_wants(const struct index_query *, const uint8_t filter[INDEX_FILTER]);
/* Adds the words of a block of lines to the filter. */
void index_fill(uint8_t filter[INDEX_FILTER], const char *lines, size_t len);

/* ---- reading ---- */

struct index_reader;

enum index_answer {
	INDEX_WANTED,  /* [*from, *to) is to be read next */
	INDEX_REST,    /* no entry covers what is from *from on: read all of it */
	INDEX_NOT_YET, /* looked at many entries in vain: ask again */
};

/* NULL: there is no index that can be used, or no memory. The query is borrowed. */
struct index_reader *index_reader_open(
    enum log_kind, int32_t day, const struct index_query *);
void index_reader_close(struct index_reader *);
enum index_answer index_reader_next(struct index_reader *, uint64_t *from, uint64_t *to);

/* ---- building ---- */

struct event_base;

/* Bring the indexes of all files up to date, a piece each turn of the loop. */
int index_start(struct event_base *);
void index_stop(void);
/* The file of that day has so many octets now: index it once there is enough to. */
void index_grown(enum log_kind, int32_t day, uint64_t size);
/*
 * Indexes one more block of a file: 1 done, 0 nothing (left) to do, -1 failed (errno).
 * whole: the file will not grow, a shorter last block counts as well.
 */
int index_build(enum log_kind, int32_t day, int whole);

#endif
