/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SCHEDULE_PRIVATE_H
#define FIFE_QUEUED_SCHEDULE_PRIVATE_H

/* Shared by schedule.c (items) and schedule_group.c (groups and routes). */

#include "queued/concurrency.h"
#include "queued/schedule.h"

#define NBUCKETS 32
#define NBANDS 7 /* of priorities, the most urgent first */
#define BAND_NORMAL 4
#define BAND_TURNS 8 /* one in so many goes to a less urgent band */
#define NONE UINT32_MAX
#define BACKOFF_AFTER 2 /* failures in a row */
#define BACKOFF_FIRST_S 60
#define BACKOFF_MAX_S 3600
#define HASH_SIZE 4096
#define ASIDE_MAX 6000 /* jobs of a class that only wait */

struct item {
	uint64_t id;
	uint32_t dest;
	uint32_t due;
	uint32_t prev; /* ready list; waiting: place in the heap */
	uint32_t next; /* ready list; free list; running: its group */
	uint32_t of_msg;
	uint8_t state;
	uint8_t bucket;
	uint8_t joined : 1; /* runs in another's place */
	uint8_t aside : 1;  /* it only waits: it takes no place */
	uint8_t epoch : 6;  /* of its group's concurrency, at the start */
	uint8_t band;
};

/* Items of a destination in one band, by bucket of senders; while any is ready. */
struct buckets {
	struct buckets *more; /* of other bands */
	uint8_t band;
	uint32_t mask;   /* those that are not empty */
	uint32_t linked; /* those whose ring in the group it is in */
	uint32_t head[NBUCKETS];
	uint32_t tail[NBUCKETS];
	uint32_t prev[NBUCKETS], next[NBUCKETS]; /* destinations of the group */
};

/* Destinations of a group, by band and bucket; while any has something ready. */
struct rings {
	struct rings *more;
	uint8_t band;
	uint32_t mask;
	uint32_t linked;
	uint32_t first[NBUCKETS];
	uint32_t prev[NBUCKETS], next[NBUCKETS]; /* groups of the class */
};

struct dest {
	uint32_t name_hash;
	uint8_t class;
	uint8_t asked; /* in the list of routes to find, or being found */
	uint8_t by_sender;
	uint32_t group;
	uint32_t nready;
	int64_t ask_at;
	struct buckets *b;
};

struct group {
	char *key; /* NULL: free */
	uint8_t class;
	uint8_t failures;
	uint8_t throttled; /* blocked_until is for the rate's sake */
	uint32_t running;
	uint32_t ndests;
	uint32_t running_max; /* of the route; 0: as all */
	struct concurrency concurrency;
	uint32_t rate;    /* jobs a minute; 0: any */
	uint32_t started; /* in the minute since */
	int64_t minute;
	struct rings *r;
	uint32_t hash_next;    /* free ones: of the free list */
	int64_t blocked_until; /* 0: not */
};

/* Groups that may run something, by band and bucket. */
struct band {
	uint32_t mask;
	uint32_t turn;
	uint32_t first[NBUCKETS];
};
struct class {
	struct band bands[NBANDS];
	uint32_t turns;
	uint32_t other; /* band that had the last turn of those that are for the others */
	uint32_t running;
	uint32_t aside;               /* besides those */
	uint32_t of_bucket[NBUCKETS]; /* running */
};

struct sched {
	uint32_t jobs_max, jobs_per_group;
	struct item *items;
	uint32_t nitems, items_cap, free;
	uint32_t *heap;
	uint32_t nheap, heap_cap;
	struct dest *dests;
	uint32_t ndests;
	struct group *groups;
	uint32_t ngroups, groups_cap;
	uint32_t group_hash[HASH_SIZE];
	uint32_t group_free;
	uint32_t nblocked;
	int64_t unblock_at; /* not before that */
	int64_t now;        /* as sched_wake() was told */
	struct class class[SCHED_CLASSES];
	uint32_t *ask; /* ring of destinations, in order of ask_at */
	uint32_t ask_head, ask_len, ask_cap;
	uint64_t nready, nrunning;
};

/* NULL: nothing is ready in that band. */
struct buckets *sched_buckets(const struct dest *, uint8_t band);
struct rings *sched_rings(const struct group *, uint8_t band);
/* In the rings or out of them, as it must be now. */
void sched_group_place(struct sched *, uint32_t group);
void sched_dest_place(struct sched *, uint32_t dest);
/* Room for that slot in the table: 0 or -1. */
int sched_dest_room(struct sched *, uint32_t dest);
void sched_group_drop(struct sched *, uint32_t group);
/* Something of it is ready and waits for its turn. */
int sched_group_has_more(const struct group *);
/* What the concurrency may grow to. */
uint32_t sched_group_ceiling(const struct sched *, const struct group *);

#endif
