/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_INTERNAL_H
#define FIFE_QUEUED_INTERNAL_H

/* What the modules of the running daemon share. */

#include "common/channel.h"
#include "common/daemon.h"
#include "queued/class.h"
#include "queued/freeze.h"
#include "queued/schedule.h"
#include "queued/spool.h"

struct queued {
	struct spool *spool; /* NULL until start() */
	struct sched *sched;
	struct msg_conf_queued conf;
	struct classes classes;
	struct freeze freeze;
	const char
	    *root; /* of the spool; NULL: the root directory, which is the chroot */
	int stopping;
};
extern struct queued queued;

/*
 * Seconds since 1970 as the queue sees them: they follow the wall clock, but a jump
 * of it only makes them run faster or slower for a while.
 */
int64_t queue_now(void);
void queue_clock_tick(void);

#endif
