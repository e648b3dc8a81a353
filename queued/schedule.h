/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SCHEDULE_H
#define FIFE_QUEUED_SCHEDULE_H

/*
 * What is tried when. Pure: time comes in, nothing is read or written.
 *
 * An item is one message for one destination (a recipient domain). Destinations with
 * the same route form a group: all local ones, those behind one relay, or one domain by
 * its MX. There are two classes, local and remote, with a bound of running
 * jobs each, so that neither waits for the other. Seven out of eight turns go to the most
 * urgent band of priorities that has something, the eighth to one of the others,
 * each in its turn. Within a band turns go round buckets of
 * senders, within a bucket round the groups, within a group round the destinations: a
 * hundred thousand messages for one dead host, or of one sender to as many places, cost
 * the others nothing. One bucket has at most three quarters of the running jobs. A job
 * that waits for a silent host or another's turn takes no place among them. How many
 * jobs a remote group has at a time is found out (concurrency.h), up to the bound. A
 * group whose hosts do not answer is left alone for a growing time, then probed with one
 * job.
 */

#include <stddef.h>
#include <stdint.h>

struct sched;

enum sched_class {
	SCHED_UNKNOWN,
	SCHED_LOCAL,
	SCHED_REMOTE,
	SCHED_CLASSES
};
enum sched_state {
	ITEM_FREE,
	ITEM_WAITING,
	ITEM_READY,
	ITEM_RUNNING
};

struct sched *sched_new(uint32_t jobs_max, uint32_t jobs_per_group);
void sched_free(struct sched *);
void sched_set_limits(struct sched *, uint32_t jobs_max, uint32_t jobs_per_group);

/* The slot of a destination now means that name: another name forgets its route. */
void sched_bind(struct sched *, uint32_t dest, const char *name);
/*
 * A new item, chained into *list (of the message's items). due <= now: ready at once.
 * sender: any hash of the sender. Returns the item, never 0; 0 without memory.
 */
uint32_t sched_add(struct sched *, uint64_t id, uint32_t dest, uint32_t sender,
    int64_t due, int64_t now, uint32_t *list);
/* From -9 to 9 (RFC 6710), 0 at first: the more urgent are popped first, mostly. */
void sched_prioritize(struct sched *, uint32_t item, int priority);
/* Not a running one. Unchained from *list. */
void sched_remove(struct sched *, uint32_t item, uint32_t *list);
uint64_t sched_id(const struct sched *, uint32_t item);
uint32_t sched_dest(const struct sched *, uint32_t item);
enum sched_state sched_state(const struct sched *, uint32_t item);
int64_t sched_due(const struct sched *, uint32_t item);
/* The next of the same message, 0 at the end. */
uint32_t sched_next_of(const struct sched *, uint32_t item);

/* What is due becomes ready, groups whose time is over may be probed. */
void sched_wake(struct sched *, int64_t now);
/* When sched_wake() has something to do; INT64_MAX: never. */
int64_t sched_next_due(const struct sched *);

/* A destination whose route is to be found out, UINT32_MAX when there is none now. */
uint32_t sched_need_route(struct sched *, int64_t now);
/* The answer. key names the group. */
int sched_set_route(struct sched *, uint32_t dest, enum sched_class, const char *key);
/* What the route says of its group: running at a time, started a minute; 0: nothing. */
void sched_set_group(struct sched *, uint32_t dest, uint32_t running, uint32_t rate);
/* Another sender may have another route there. */
void sched_set_by_sender(struct sched *, uint32_t dest, int);
int sched_by_sender(const struct sched *, uint32_t dest);
/* No answer: ask again then. */
void sched_no_route(struct sched *, uint32_t dest, int64_t at);
/* Routes have changed: of one destination, or UINT32_MAX: all. */
void sched_forget_route(struct sched *, uint32_t dest);
/* "" when not known. */
const char *sched_group_key(const struct sched *, uint32_t dest);
enum sched_class sched_class(const struct sched *, uint32_t dest);

/* The next item to run (now ITEM_RUNNING), 0 when there is none. */
uint32_t sched_pop(struct sched *, enum sched_class);
/* Run a ready item of the same group along with one that was popped: takes no place of
 * its own. 0, or -1 when it is not ready or elsewhere. */
int sched_join(struct sched *, uint32_t item, uint32_t with);
/* A running job only waits: it makes room for another, as long as there are not
 * thousands. 0, or -1: it keeps its place. */
int sched_aside(struct sched *, uint32_t item);
enum sched_outcome {
	SCHED_NOTHING, /* says nothing about the hosts */
	SCHED_REACHED,
	SCHED_PRESSED, /* somebody was reached, who wants less */
	SCHED_AWAY     /* nobody was reached */
};
/* A job ended. */
void sched_job_end(struct sched *, uint32_t item, enum sched_outcome, int64_t now);
/* An item that ran waits again. */
void sched_requeue(struct sched *, uint32_t item, int64_t due, int64_t now);
/* Try at once, whatever the schedule says; the group's back-off ends. */
void sched_hurry(struct sched *, uint32_t item, int64_t now);
/* A waiting item is due at that time, if it was to be later. */
void sched_advance(struct sched *, uint32_t item, int64_t due, int64_t now);
/* Nonzero while the group of that destination is left alone; until then. */
int64_t sched_blocked_until(const struct sched *, uint32_t dest);

struct sched_stats {
	uint64_t waiting, ready, running;
	uint32_t groups, blocked;
	uint32_t pressed; /* have fewer jobs at a time than they might */
	/* Of the blocked ones: URLs that an administrator has set, which fail. */
	uint32_t routes_down;
};
void sched_stats(const struct sched *, struct sched_stats *);

/* A group that runs something, is left alone, or has been pressed. */
struct sched_group {
	const char *key; /* borrowed until anything changes */
	uint32_t running, limit, ceiling;
	int64_t blocked_until; /* 0: not */
};
/* The next one from *at = 0: 1, or 0 at the end. Remote ones only. */
int sched_group_next(const struct sched *, uint32_t *at, struct sched_group *);

#endif
