/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_JOB_H
#define FIFE_QUEUED_JOB_H

/* A job and its results: shared by deliver.c (giving out) and result.c (taking in). */

#include <sys/queue.h>

#include <stdint.h>

#include "common/channel.h"
#include "queued/schedule.h"

#define JOB_ITEMS_MAX 64
#define JOB_EXPANDS_MAX 100000

struct job_rcpt {
	uint32_t num;
	uint8_t status;    /* enum job_status; 0: none yet */
	uint8_t handed;    /* remote: the next system reports success itself (RFC 3461) */
	uint8_t by_known;  /* remote: it knows until when (RFC 2852) */
	uint8_t kept;      /* local: a mailbox has it, whatever else it stood for */
	uint8_t elsewhere; /* local: it only stood for others, no mailbox was opened */
	uint8_t no_outlet; /* local: a message that goes with it could not be taken */
	char enhanced[16];
	char *mta;   /* NULL: "" */
	char *words; /* of the remote when mta is set, ours otherwise */
};

struct job_expand {
	uint32_t num; /* of the recipient that stands for it */
	char *address;
	uint8_t skip; /* the message has that recipient already */
	uint8_t loop; /* and it has sent the message on */
};

/* A message that a script of the recipient sends; see outlet.c. */
struct job_outlet {
	uint32_t num;
	uint8_t kind; /* enum outlet_kind */
	char *address;
	char *text;
	size_t len;
	char *list;        /* of OUTLET_POST: post.h has its content */
	struct post *post; /* NULL: none */
};

struct job {
	uint64_t id;
	uint64_t msg;
	uint64_t serial; /* of the channel */
	uint64_t started_ms;
	uint8_t local;
	uint8_t lost;  /* ended without DONE */
	uint8_t aside; /* it makes room for others */
	uint8_t over;  /* it waits for its posts to be durable, then it is closed */
	uint64_t aside_octets;
	struct job_rcpt *rcpts; /* by num, ascending */
	uint32_t nrcpt;
	struct job_expand *expands;
	uint32_t nexpands, expands_cap;
	struct job_outlet *outlets;
	uint32_t noutlets;
	uint32_t items[JOB_ITEMS_MAX]; /* of the schedule */
	uint32_t nitems;
	char *route;  /* of its sender; NULL: the group's */
	char *sender; /* of a forward (SRS); NULL: the message's */
	LIST_ENTRY(job) hash;
	TAILQ_ENTRY(job) entry; /* in one of the lists of what waits */
};
TAILQ_HEAD(job_list, job);

void job_free(struct job *);
struct job_rcpt *job_rcpt_find(struct job *, uint32_t num);
void job_result(struct job_rcpt *, uint8_t status, const char *enhanced, const char *mta,
    const char *reply, const char *text);

/*
 * Record what came of a job, with its bounce, in one commit; log it. 0; -1: cannot be
 * written now, try again later. The schedule is the caller's.
 */
int result_record(struct job *);
/* A job is over: with its deliverd perhaps. */
void result_count_loss(struct job *);

/*
 * outlet.c: take one, from a descriptor that stays the caller's. 0, also when its content
 * cannot be taken: then its recipient is deferred. -1: it is malformed.
 */
struct msg_job_outlet;
/* done: of one that takes longer (post.h). */
int outlet_take(
    struct job *, const struct msg_job_outlet *, int fd, void (*done)(struct job *));
/* Before the end of a job: results with which something goes that could not be taken. */
void outlet_refuse(struct job *);
void outlet_free(struct job *);
/* outlet.c: its content with a Received field, in CRLF; free()d by the caller. */
char *outlet_text(const struct job_outlet *, uint64_t id, int64_t now, size_t *len);

/* loops.c: which addresses are not added, and which recipients fail for it. */
struct spool_view;
void expands_check(struct job *, const struct spool_view *);

/* deliver.c: live recipients for that destination: how many, and when the first is due.
 */
struct qmsg;
uint32_t job_live_for(const struct qmsg *, uint32_t dest, int64_t *due);

/* frozen.c: the rule that keeps a recipient back, NULL: none. */
struct freeze_rule;
struct spool_view;
struct class_times;
const struct freeze_rule *job_frozen_by(
    const struct spool_view *, uint32_t rcpt, int64_t now);
/* All of its recipients that are due are kept back: its items wait; it is freed. */
void job_frozen(struct job *, struct qmsg *, const struct spool_view *, int64_t now);

/* The class of one of its recipients. */
const struct class_times *job_class(const struct spool_view *, uint32_t rcpt);
/* give.c: start an item that was popped. route: of its sender, taken; NULL: the
 * group's. sender: for a forward, taken; NULL: the message's. */
void job_start(uint32_t item, int local, char *route, char *sender);

/* deliver.c */
/* Nothing speaks against trying it now. */
int job_may_run(const struct qmsg *);
/* It is given out: it gets its id. */
void job_enter(struct job *);
/* It only waits now: others may run meanwhile, while not too many do. */
void job_aside(struct job *);
/* Record it, its items wait again or go, and free it. */
void job_end(struct job *);
/* The same for one that was never given out: its message is given up. */
void job_expired(struct job *);

/* give.c */
void give_pump(enum sched_class, enum role);
/* A message was taken: what has been tried in vain waits for new mail, a little. */
void give_note_taken(void);
/* The priority of its item for that destination: behind new mail once it was tried. */
int job_urgency(const struct qmsg *, uint32_t dest);
void give_stop(void);

/* expire.c: what is over behind a host that does not answer is given up with the reason
 * that the last probe had. */
void expire_sweep(void);
/* The item of that destination has been given to a deliverd. */
int job_is_running(const struct qmsg *, uint32_t dest);

/* deadline.c: the time of a message that may run is watched; what is due at the tick. */
void deadline_start(void);
void deadline_watch(struct qmsg *);
void deadline_tick(void);

/* mboxsync.c: end it when the mailboxes are synced. */
void mbox_sync_add(struct job *);
void mbox_sync_pump(void);
void mbox_sync_retry(void);
void mbox_sync_start(void);
int mbox_sync_fails(void);

#endif
