/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_JOURNAL_PRIVATE_H
#define FIFE_QUEUED_JOURNAL_PRIVATE_H

/* Shared by journal.c (writing), segment.c (files) and replay.c (reading). */

#include "queued/journal.h"
#include "queued/syncer.h"

struct segment {
	uint32_t seq;
	uint32_t size;
	uint32_t end;
	uint32_t refs;
	uint64_t live;
	int fd; /* -1: not open now */
	int open;
	int damaged;
	uint32_t zeroed; /* written up to here at least, so a sync changes no metadata */
};

struct waiter {
	uint64_t lsn;
	journal_cb cb;
	void *arg;
};

struct journal {
	struct event_base *base;
	int dirfd;
	uint64_t generation;
	uint32_t segment_size;
	struct segment *segs; /* by seq */
	size_t nsegs, segs_cap;
	size_t nfree; /* free.* files */
	struct segment *active;
	uint32_t spare; /* seq of the next one, ready; 0: none */
	uint32_t next_seq;
	int failed;
	int full;
	void (*on_failure)(const char *, void *);
	void *on_failure_arg;

	uint32_t epoch;
	uint64_t damaged;
	uint64_t reserved;
	int hold;
	const uint8_t *rules; /* the spool's */
	uint32_t rules_len;

	/* Records not written yet belong at active->end - buf_len. */
	uint8_t *buf;
	size_t buf_len, buf_cap;
	struct rec_header cur; /* of journal_body() */
	int cur_open;
	uint64_t lsn;         /* octets put */
	uint64_t flushed_lsn; /* written */
	uint64_t synced_lsn;
	uint32_t synced_off; /* of the active segment */

	struct syncer *syncer;
	int syncing;
	uint64_t syncing_lsn;
	uint32_t syncing_seg, syncing_off;
	struct waiter *waiters; /* ring */
	size_t w_head, w_len, w_cap;
	struct event *kick; /* end of this turn of the loop */
	struct event *lazy; /* later */
	struct event *fill; /* zeros, spare segments */
	int kick_set, lazy_set;
};

struct segment *segment_find(const struct journal *, uint32_t seq);
/* The open descriptor, or -1. */
int segment_fd(struct journal *, struct segment *);
/* Make a new file with header, durable; NULL with errno. */
struct segment *segment_make(struct journal *);
int segment_scan(struct journal *);
void segment_zero(struct journal *, struct segment *, uint32_t from, uint32_t len);

int journal_flush(struct journal *);
void journal_fail(struct journal *, const char *what);

#endif
