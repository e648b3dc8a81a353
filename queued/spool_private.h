/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SPOOL_PRIVATE_H
#define FIFE_QUEUED_SPOOL_PRIVATE_H

/* Shared by spool.c (open, write), content.c (read) and clean.c (space). */

#include "queued/checkpoint.h"
#include "queued/spool.h"
#include "queued/syncer.h"

#define KEEP_MAX 256
#define KEEP_OCTETS_MAX (16U * 1024 * 1024)

struct tomb {
	uint32_t seg;    /* holds REC_REMOVED */
	uint32_t target; /* of a message there */
};

struct keep {
	uint64_t id;
	int fd;
	uint64_t size;
};

struct spool {
	struct event_base *base;
	int dirfd, journal_fd, body_fd, lock_fd;
	struct journal *j;
	struct checkpoint *ckpt;
	struct syncer *bodies;
	struct index ix;
	uint64_t generation;
	uint64_t next_id;
	uint64_t first_id; /* of this run */
	uint64_t reserved_durable;
	uint64_t reserve;
	uint64_t disk_free, disk_checked_ms;
	char degraded[256];
	char low[128];

	uint64_t *dead; /* ids whose removal is not durable yet, in order */
	size_t dead_head, ndead, dead_cap;

	struct loc ckpt_at;
	uint64_t ckpt_ms;
	uint64_t ckpt_retry_ms; /* after a failure */
	int ckpt_bad;
	uint32_t clean_seg; /* being copied forward; 0: none */
	uint32_t clean_off;
	uint64_t clean_ms;
	int clean_bad;
	uint32_t tombs_known; /* of segments from this on the tombs are complete */
	struct tomb *tombs;
	size_t ntombs, tombs_cap;

	struct keep keep[KEEP_MAX]; /* by id modulo */
	uint64_t keep_octets;
};

void spool_drop_kept(struct spool *, uint64_t id);
void spool_note_tomb(struct spool *, uint32_t target);
void body_path(uint64_t id, char *out, size_t cap);
/* Write all of a message (or of its places in one segment) anew. 0 or -1. */
int spool_rewrite(struct spool *, struct qmsg *);

#endif
