/* SPDX-License-Identifier: ISC */
#ifndef FIFE_JOBS_H
#define FIFE_JOBS_H

/*
 * Jobs of queued: one message for recipients of ours. Each recipient is resolved by
 * authd, delivered into the mailboxes that it leads to, and answered by one RESULT;
 * addresses elsewhere go back to queued by EXPAND, just before. mailboxes_init()
 * comes first.
 */

#include "common/channel.h"
#include "deliverd/local/mailboxes.h"

#define JOBS_MAX 20000          /* beyond: DONE without results, so queued tries again */
#define JOBS_RCPTS_MAX 100000   /* of one job */
#define JOBS_RCPTS_AT_ONCE 8    /* recipients of one job that are in work */
#define JOBS_TARGETS_AT_ONCE 32 /* mailboxes of one recipient that are in work */
#define JOBS_EXPANDS_MAX 100000 /* of one job, as queued takes them */

void jobs_init(struct event_base *, mailboxes_peer);
void jobs_clear(void); /* when there are none; for tests */
/* A message of queued; others are ignored. */
void jobs_message(struct channel *queued, struct msg *);
/* Forget its jobs: queued does not count them as tries. */
void jobs_channel_lost(struct channel *queued);

struct jobs_stats {
	size_t jobs;
	size_t running; /* recipients in work */
	uint64_t delivered;
	uint64_t deferred;
	uint64_t failed;
	uint64_t expanded; /* addresses given back to queued */
	uint64_t refused;  /* jobs beyond the bounds */
};
void jobs_get_stats(struct jobs_stats *);

#endif
