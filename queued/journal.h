/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_JOURNAL_H
#define FIFE_QUEUED_JOURNAL_H

/*
 * The journal: records (queued/record.h) appended to preallocated segments, made
 * durable by group commit. A place in it is a segment's sequence number and an
 * offset. Segments to which nothing refers are recycled under a new number.
 *
 * A sync that fails leaves it unknown what is on the disk: the segment is condemned
 * at its last durable place, and the owner is told by the failed callback; it must
 * end the process, so that a new one starts from what is durable.
 */

#include <stddef.h>
#include <stdint.h>

#include "queued/record.h"

#define JOURNAL_DIR "journal"
#define JOURNAL_SEGMENT (16U * 1024 * 1024)
#define JOURNAL_SEGMENT_MAX (64U * 1024 * 1024)
#define JOURNAL_SEGMENT_MIN (4U * 1024 * 1024)
#define JOURNAL_FIRST 4096U /* where the records of a segment begin */

struct event_base;
struct journal;

struct loc {
	uint32_t seg;
	uint32_t off;
};

/* error: 0, or an errno: nothing that was not reported before is safe. */
typedef void (*journal_cb)(int error, void *arg);
/* A record of a replay. Return -1 to end it. */
typedef int (*journal_replay_cb)(
    struct loc, const struct rec_header *, const uint8_t *body, void *arg);

struct journal_segment {
	uint32_t seq;
	uint32_t size;
	uint32_t end;  /* where its records end; of the active one: so far */
	uint32_t refs; /* what lives there */
	uint64_t live; /* octets of it, about */
	uint8_t open;  /* has records */
	uint8_t damaged;
};

/*
 * Open the journal in the directory dirfd (kept by the caller). base NULL:
 * everything is synchronous, for tests and offline use. segment_size is for new
 * ones. NULL with errno.
 */
struct journal *journal_open(
    struct event_base *base, int dirfd, uint64_t generation, uint32_t segment_size);
/* Unsynced records are lost. */
void journal_close(struct journal *);
/*
 * Read everything from that place on (seg 0: from the first). Damage in a part that
 * was durable is counted, and what follows it is still read.
 */
int journal_replay(
    struct journal *, uint32_t seg, uint32_t off, journal_replay_cb, void *arg);
/* Walk a closed segment from *off for about budget octets; damaged places are passed
 * over. The callback may append. 1 at the end, 0 when there is more, -1. */
int journal_scan(struct journal *, uint32_t seg, uint32_t *off, uint32_t budget,
    journal_replay_cb, void *arg);
/* The epoch of this run; before the replay: of what comes before its beginning, so that
 * no run has a lower one than the run before. */
uint32_t journal_epoch(const struct journal *);
void journal_set_epoch(struct journal *, uint32_t);
uint64_t journal_damaged(const struct journal *);
/* Nothing refers to the damaged places any more. */
void journal_forgive(struct journal *);
/* After the replay: get ready to write. The values go into each new segment. */
int journal_start(struct journal *, uint64_t reserved, int hold);
void journal_set_global(struct journal *, uint64_t reserved, int hold);
/* A REC_RULES that each new segment begins with; borrowed. NULL: none. */
void journal_set_rules(struct journal *, const uint8_t *, size_t);

/*
 * Make room for records of len octets in all (headers and padding included; at most
 * a segment), one after another in one segment. privileged: may use the last
 * segment, which is kept for results and bounces when the disk is full. -1 with
 * errno ENOSPC, or EIO when the journal is broken.
 */
int journal_room(struct journal *, uint32_t len, int privileged);
/* After journal_room(): the body of the next record, to be filled at once; then
 * journal_put(), which seals it. */
uint8_t *journal_body(
    struct journal *, enum rec_type, int flags, uint64_t id, uint32_t body_len);
struct loc journal_put(struct journal *);

/* Call cb when all that was put is durable; NULL is fine. Not urgent: with the next
 * sync that something else wants, or soon. */
void journal_commit(struct journal *, int urgent, journal_cb, void *arg);
/* Now, waiting. 0 or -1. */
int journal_sync(struct journal *);
/* Called once on the first failure. */
void journal_on_failure(struct journal *, void (*)(const char *why, void *), void *arg);

/* Read a record whole, verified. *buf is malloc'd; 0 or -1. */
int journal_read(struct journal *, struct loc, struct rec_header *, uint8_t **buf);

struct loc journal_position(const struct journal *); /* where the next record goes */
int journal_exists(const struct journal *, uint32_t seg);
void journal_ref(struct journal *, uint32_t seg, uint32_t octets);
void journal_unref(struct journal *, uint32_t seg, uint32_t octets);
void journal_forget_refs(struct journal *);
/* i-th segment in order of age, 0 at the end. */
int journal_segment_at(const struct journal *, size_t i, struct journal_segment *);
/* Forget a segment that nothing refers to, not even a checkpoint. */
int journal_recycle(struct journal *, uint32_t seg);
/* No segment can be made: new messages are refused. */
int journal_is_full(const struct journal *);
uint64_t journal_octets(const struct journal *); /* of all segments on the disk */

#endif
