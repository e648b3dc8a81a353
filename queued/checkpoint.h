/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CHECKPOINT_H
#define FIFE_QUEUED_CHECKPOINT_H

/*
 * The index on the disk (lmdb), as of a place in the journal. A start loads it and
 * replays the journal from there. Each checkpoint is one synced transaction with
 * what has changed since the last. Losing it loses nothing: the journal alone is
 * enough, only slower.
 */

#include "queued/index.h"

struct checkpoint;

/* dir is below the spool, made if needed. NULL with errno. */
struct checkpoint *checkpoint_open(const char *dir, uint64_t generation);
void checkpoint_close(struct checkpoint *);
/* Fill an empty index. 1: done, *at is where the replay begins; 0: there is no (usable)
 * checkpoint, the index is to be thrown away; -1: error, errno. */
int checkpoint_load(struct checkpoint *, struct index *, struct loc *at);
/* What is there is not to be trusted: the next save replaces all of it. */
void checkpoint_set_stale(struct checkpoint *);
/*
 * Write what changed. All that the index says must be durable in the journal up to
 * `at`. 0; -1 with errno: the index stays as it was, the old checkpoint stands.
 */
int checkpoint_save(struct checkpoint *, struct index *, struct loc at);

#endif
