/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_CELL_H
#define FIFE_MBOXD_CELL_H

/* The mailbox processes that run, each with its channel; what is to be done with them is
 * decided in cells.c. */

#include <sys/queue.h>

#include "mboxd/cells.h"
#include "mboxd/quotas.h"
#include "mboxd/sleepers.h"

/* A process that lets this much lie unread has stopped, or was taken over to make us
 * run out of descriptors. */
#define UNREAD_MAX 65536
/* With so much of it, what it asks is not heard: it would not read the answers either. */
#define DEAF_MAX (16 * UNREAD_MAX)

struct cell {
	TAILQ_ENTRY(cell) entry; /* least recently used first */
	LIST_ENTRY(cell) named;
	LIST_ENTRY(cell) by_id;
	struct sleeper_cell facts;
	uint64_t id;
	pid_t pid; /* 0: it is being forked */
	int to_kill;
	struct channel *ch; /* NULL once broken */
	int leaving;        /* was told to exit */
	int closed;         /* and what it gives back is not wanted */
	uint64_t leaving_since;
	uint64_t sessions_given;
	struct msg_mbox_used_by used; /* as it says */
	int has_used;
	int untold; /* authd does not know it yet */
	uint64_t told_ms;
	int logs; /* it has asked for a channel to logd */
	struct quotas_pace quotas;
};

/* conf is borrowed. */
void cells_begin(struct event_base *, const struct cells_conf *);
struct cell *cell_find(const char *mailbox);
/* NULL: it cannot be (logged). */
struct cell *cell_new(const struct msg_mbox_open *);
void cell_quota(struct cell *, const struct msg_mbox_open *);
/* From here on; the process is told. */
void cell_limits(struct cell *, const struct msg_mbox_limits *);
/* It was given something to do. */
void cell_used(struct cell *);
/* Told to exit. */
void cell_leave(struct cell *);
/* Perhaps only when it has begun. */
void cell_kill(struct cell *);
/* A session that rested goes on in that process (arg); for sleepers_give(). */
int cell_go_on(int fd, const uint8_t *state, size_t len, void *arg);

void cells_leave(void);
/* Ask n of those that have been quiet longest to go if they idle. */
void cells_yield(int n);
void cells_tick(uint64_t now);

/* What the user of this module is told: there is one less. */
void cells_process_ended(void);

#endif
