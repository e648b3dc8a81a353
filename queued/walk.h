/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_WALK_H
#define FIFE_QUEUED_WALK_H

/*
 * A walk over the messages that a command of fifectl(8) means. It goes on from turn to
 * turn of the loop, so that it holds nobody up.
 */

#include "common/ctl.h"
#include "queued/select.h"
#include "queued/spool.h"

struct event;

struct walk {
	struct ctl *ctl; /* NULL: fifectl has gone */
	struct select sel;
	char **words; /* the strings that sel borrows */
	int nwords;
	/* Called for each message that is meant; returns 1 when it counts. */
	int (*each)(struct walk *, struct qmsg *, const struct spool_view *);
	void (*end)(struct walk *);
	int need_view;
	uint64_t next_id;
	uint64_t last_id; /* nothing that comes later */
	uint64_t count, failed;
	uint64_t rcpts, octets; /* of those that count */
	struct event *ev;
};

/* need_some: 1, a choice of messages has to be made; WALK_SETS: and it may say what to
 * set.
 */
#define WALK_SETS 2

/* Takes over the command; NULL: it has been answered. The caller sets each and end. */
struct walk *walk_new(struct ctl *, int argc, char **argv, int need_some);
/* Is that one of the recipients that are meant: live, and as --to says. */
int walk_means(const struct select *, const struct rec_rcpt *);

#endif
