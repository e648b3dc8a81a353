/*
 * Giving jobs out: what the schedule says is read, checked, and sent to deliverd.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/checksum.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/language.h"
#include "queued/post.h"
#include "queued/qid.h"
#include "queued/submit.h"
#include "queued/txn.h"

#define STARTS_MAX 64           /* in one turn of the loop */
#define QUEUED_MAX (512 * 1024) /* octets that wait in a channel */

/*
 * New mail goes before what has been tried in vain: while it comes in, so many tries
 * again begin in a window of time at most. They may be a hundred thousand, and the
 * processors are the same.
 */
#define WINDOW_MS 100
#define WINDOW_RETRIES 60
#define WINDOW_BUSY 10 /* messages taken in the last window and this one */

static struct {
	uint64_t window;
	unsigned int taken, taken_before, retries;
} pace;

static void
pace_turn(void)
{
	uint64_t w = now_ms() / WINDOW_MS;

	if (w == pace.window)
		return;
	pace.taken_before = w == pace.window + 1 ? pace.taken : 0;
	pace.taken = pace.retries = 0;
	pace.window = w;
}

void
give_note_taken(void)
{
	pace_turn();
	pace.taken++;
}

/* No more tries again in this window. */
static int
pace_is_full(void)
{
	pace_turn();
	return pace.retries >= WINDOW_RETRIES &&
	       pace.taken + pace.taken_before >= WINDOW_BUSY;
}

static int
is_retry(const struct qmsg *m, uint32_t dest)
{
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpt[i].dest == dest && m->rcpt[i].state == RCPT_LIVE)
			return m->rcpt[i].attempts > 0;
	return 0;
}

int
job_urgency(const struct qmsg *m, uint32_t dest)
{
	return m->priority == 0 && is_retry(m, dest) ? -1 : m->priority;
}

/*
 * Below this id nothing will be delivered any more. A message gets its id when it
 * begins and may be overtaken by later ones until it is complete.
 */
static uint64_t
oldest_live(void)
{
	uint64_t oldest = index_oldest(spool_index(queued.spool));

	if (txn_oldest() < oldest)
		oldest = txn_oldest();
	if (post_oldest() < oldest)
		oldest = post_oldest();
	return submit_oldest() < oldest ? submit_oldest() : oldest;
}

static int
send_job(
    struct channel *ch, struct job *j, struct qmsg *m, const struct spool_view *v, int fd)
{
	struct index *ix = spool_index(queued.spool);
	uint32_t dest = sched_dest(queued.sched, j->items[0]);
	struct msg_job job = {
		.job = j->id, .queue_id = m->id, .size = m->size, .crc = m->crc
	};
	struct msg_job_go go = { j->id, j->nrcpt };
	const char *route =
	    j->route != NULL ? j->route : sched_group_key(queued.sched, dest);

	qid_format(m->id, job.qid);
	strlcpy(job.sender, j->sender != NULL ? j->sender : v->rec.sender,
	    sizeof(job.sender));
	job.body = v->rec.body;
	job.smtputf8 = (m->flags & QM_SMTPUTF8) != 0;
	strlcpy(job.domain, index_dest_name(ix, dest), sizeof(job.domain));
	/* The key of a group by MX is "mx:" and the domain, and settings if there are. */
	if (!j->local && strncmp(route, "mx:", 3) == 0) {
		const char *settings = strchr(route, ' ');

		if (settings != NULL)
			snprintf(job.route, sizeof(job.route), "mx%s", settings);
	} else if (!j->local)
		strlcpy(job.route, route, sizeof(job.route));
	job.oldest_live = oldest_live();
	job.junk = (m->flags & QM_JUNK) != 0;
	strlcpy(job.envid, v->rec.envid, sizeof(job.envid));
	job.ret = v->rec.ret;
	job.require_tls = v->rec.ext.tls == REC_TLS_REQUIRED;
	job.utf8_header = v->rec.ext.utf8_header;
	job.tls_optional = v->rec.ext.tls == REC_TLS_OPTIONAL;
	job.priority = (uint8_t)v->rec.ext.priority;
	job.by = v->rec.ext.by;
	job.by_mode = v->rec.ext.by_mode;
	job.by_trace = v->rec.ext.by_trace;
	job.attempts = UINT32_MAX;
	for (uint32_t i = 0; i < j->nrcpt; i++)
		if (v->rcpts[j->rcpts[i].num].attempts < job.attempts)
			job.attempts = v->rcpts[j->rcpts[i].num].attempts;
	if (j->local)
		strlcpy(job.login, v->rec.login_address, sizeof(job.login));
	if (v->rec.ext.list != NULL)
		strlcpy(job.list, v->rec.ext.list, sizeof(job.list));
	job.prefix = v->rec.prefix;
	job.prefix_len = v->rec.prefix_len;
	if (channel_send(ch, MSG_QUEUED_DELIVERD_JOB, 0, &job, fd) == -1)
		return -1;
	for (uint32_t i = 0; i < j->nrcpt; i++) {
		const struct rec_rcpt *rc = &v->rcpts[j->rcpts[i].num];
		struct msg_job_rcpt r = { .job = j->id,
			.rcpt = rc->num,
			.notify = rc->notify & (uint8_t)~NOTIFY_FORWARDED,
			.rrvs = rc->rrvs,
			.rrvs_action = rc->rrvs_action };

		strlcpy(r.address, rc->address, sizeof(r.address));
		strlcpy(r.orcpt, rc->orcpt, sizeof(r.orcpt));
		if (channel_send(ch, MSG_QUEUED_DELIVERD_RCPT, 0, &r, -1) == -1)
			return -1;
	}
	return channel_send(ch, MSG_QUEUED_DELIVERD_GO, 0, &go, -1);
}

/* authd has to be asked: the sender may turn the route, or a forward needs another
 * sender. */
static int
must_ask(const struct qmsg *m, uint32_t item)
{
	uint32_t dest = sched_dest(queued.sched, item);

	if (sched_class(queued.sched, dest) != SCHED_REMOTE)
		return 0;
	if (sched_by_sender(queued.sched, dest))
		return 1;
	if (m->flags & QM_BOUNCE)
		return 0;
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpt[i].dest == dest && m->rcpt[i].state == RCPT_LIVE &&
		    m->rcpt[i].notify & NOTIFY_FORWARDED)
			return 1;
	return 0;
}

/* Other ready items of the same message that go the same way. */
static void
job_join(struct job *j, struct qmsg *m)
{
	for (uint32_t i = m->items; i != 0 && j->nitems < JOB_ITEMS_MAX;
	     i = sched_next_of(queued.sched, i)) {
		/* Of one group they may have another route all the same. */
		if (i != j->items[0] && must_ask(m, i) == (j->route != NULL) &&
		    sched_join(queued.sched, i, j->items[0]) == 0)
			j->items[j->nitems++] = i;
	}
}

static int
job_has_dest(const struct job *j, uint32_t dest)
{
	for (uint32_t i = 0; i < j->nitems; i++) {
		if (sched_dest(queued.sched, j->items[i]) == dest)
			return 1;
	}
	return 0;
}

/* The message cannot be read: it is held for the postmaster to look at. */
static void
job_unreadable(struct qmsg *m, const char *what)
{
	char qid[QID_SIZE], text[160];

	qid_format(m->id, qid);
	log_fact(LOG_DELIVERY, LOGL_ERROR, "held", KS("qid", qid), KS("why", what));
	snprintf(text, sizeof(text), "message %s is held: %s", qid, what);
	spool_set_degraded(queued.spool, text);
	m = spool_change(queued.spool, m, m->flags | QM_HELD, 0, NULL, 0);
	if (m != NULL)
		deliver_unschedule(m);
}

/* Nobody's time has come after all: the clock went back. */
static void
job_not_due(struct job *j, struct qmsg *m, int64_t now)
{
	for (uint32_t i = 0; i < j->nitems; i++) {
		int64_t due;

		sched_job_end(queued.sched, j->items[i], SCHED_NOTHING, now);
		if (job_live_for(m, sched_dest(queued.sched, j->items[i]), &due) == 0)
			sched_remove(queued.sched, j->items[i], &m->items);
		else
			sched_requeue(
			    queued.sched, j->items[i], due > now ? due : now + 1, now);
	}
	job_free(j);
}

/* It was popped, and cannot be given out: its items go, or wait for that long. */
static void
job_back(struct job *j, struct qmsg *m, int64_t wait_s)
{
	int64_t now = queue_now();
	uint32_t none = 0;

	for (uint32_t i = 0; i < j->nitems; i++) {
		sched_job_end(queued.sched, j->items[i], SCHED_NOTHING, now);
		if (m != NULL && job_may_run(m))
			sched_requeue(queued.sched, j->items[i], now + wait_s, now);
		else
			sched_remove(
			    queued.sched, j->items[i], m != NULL ? &m->items : &none);
	}
	job_free(j);
}

/* Whom it is for, as far as they are due and nothing keeps them back. */
static int
job_rcpts(struct job *j, const struct qmsg *m, const struct spool_view *v, int64_t now)
{
	int frozen = 0;

	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state != RCPT_LIVE || m->rcpt[i].next > now ||
		    !job_has_dest(j, m->rcpt[i].dest))
			continue;
		if (job_frozen_by(v, i, now) != NULL)
			frozen = 1;
		else
			j->rcpts[j->nrcpt++].num = i;
	}
	return frozen;
}

/* Give it out with its content; fd is taken. */
static void
job_give(struct job *j, struct qmsg *m, const struct spool_view *v, int fd)
{
	enum role role = j->local ? ROLE_DELIVERD_LOCAL : ROLE_DELIVERD_REMOTE;
	struct channel *ch = daemon_peer(role);
	int64_t now = queue_now();
	int frozen;

	job_join(j, m);
	j->rcpts = ch != NULL ? calloc(m->nrcpt, sizeof(*j->rcpts)) : NULL;
	if (j->rcpts == NULL) {
		close(fd);
		job_back(j, m, 1);
		return;
	}
	frozen = job_rcpts(j, m, v, now);
	if (j->nrcpt == 0) {
		if (frozen)
			job_frozen(j, m, v, now);
		else
			job_not_due(j, m, now);
		close(fd);
		return;
	}
	if (!frozen)
		m->flags &= ~(uint32_t)QM_FROZEN;
	/* Known by the time that a bounce has to be written. */
	if (!j->local || v->rec.login != 0)
		language_want(v->rec.sender);
	j->serial = channel_serial(ch);
	job_enter(j);
	if (send_job(ch, j, m, v, fd) == -1)
		channel_break(ch, "its queue is full");
}

/* Large contents are read before they are given out, slice by slice. */
struct check {
	TAILQ_ENTRY(check) entry;
	struct job *job;
	int fd;
	struct checksum *sum;
};
static TAILQ_HEAD(, check) checks = TAILQ_HEAD_INITIALIZER(checks);

static void
on_checked(int error, uint32_t crc, void *arg)
{
	struct check *c = arg;
	struct job *j = c->job;
	struct qmsg *m = index_find(spool_index(queued.spool), j->msg);
	struct spool_view v;
	int fd = c->fd;

	TAILQ_REMOVE(&checks, c, entry);
	free(c);
	if (m == NULL || !job_may_run(m)) {
		close(fd);
		job_back(j, m, 0);
		return;
	}
	if (error != 0 || crc != m->crc) {
		close(fd);
		job_back(j, m, 10);
		job_unreadable(m, "its content is damaged");
		return;
	}
	if (spool_view(queued.spool, m, &v) == -1) {
		close(fd);
		job_back(j, m, 10);
		return;
	}
	job_give(j, m, &v, fd);
	spool_view_clear(&v);
}

/* Takes both. 0, or -1: the job is the caller's still. */
static int
job_check(struct job *j, const struct qmsg *m, int fd)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -1;
	c->job = j;
	c->fd = fd;
	c->sum = checksum_start(fd, m->size, on_checked, c);
	if (c->sum == NULL) {
		free(c);
		return -1;
	}
	TAILQ_INSERT_TAIL(&checks, c, entry);
	return 0;
}

void
give_stop(void)
{
	struct check *c;

	while ((c = TAILQ_FIRST(&checks)) != NULL) {
		TAILQ_REMOVE(&checks, c, entry);
		checksum_cancel(c->sum);
		close(c->fd);
		job_free(c->job);
		free(c);
	}
}

void
job_start(uint32_t item, int local, char *route, char *sender)
{
	struct qmsg *m =
	    index_find(spool_index(queued.spool), sched_id(queued.sched, item));
	int64_t now = queue_now();
	struct spool_view v;
	struct job *j;
	uint32_t none = 0;
	int fd, unreadable;

	if (m == NULL || !job_may_run(m)) {
		sched_job_end(queued.sched, item, SCHED_NOTHING, now);
		sched_remove(queued.sched, item, m != NULL ? &m->items : &none);
		free(route);
		free(sender);
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j == NULL) {
		free(route);
		free(sender);
		sched_job_end(queued.sched, item, SCHED_NOTHING, now);
		sched_requeue(queued.sched, item, now + 10, now);
		return;
	}
	j->route = route;
	j->sender = sender;
	j->items[j->nitems++] = item;
	j->local = (uint8_t)local;
	j->msg = m->id;
	memset(&v, 0, sizeof(v));
	if (spool_view(queued.spool, m, &v) == -1 ||
	    (fd = spool_content(queued.spool, m, &v)) == -1) {
		unreadable = errno == EBADMSG || errno == ENOENT || errno == EIO;
		if (!unreadable)
			log_warn("a job cannot be started now");
		spool_view_clear(&v);
		job_back(j, m, 10);
		if (unreadable)
			job_unreadable(m, "its record or content is damaged");
		return;
	}
	if (!(m->flags & QM_FILE))
		job_give(j, m, &v, fd);
	else if (job_check(j, m, fd) == -1) {
		close(fd);
		job_back(j, m, 10);
	}
	spool_view_clear(&v);
}

void
give_pump(enum sched_class class, enum role role)
{
	for (int n = 0; n < STARTS_MAX; n++) {
		struct channel *ch = daemon_peer(role);
		struct qmsg *m;
		uint32_t item;

		/* What comes in wakes us again, and so does each second. */
		if (ch == NULL || channel_queued(ch) > QUEUED_MAX ||
		    (class == SCHED_REMOTE && pace_is_full()))
			return;
		item = sched_pop(queued.sched, class);
		if (item == 0)
			return;
		m = index_find(spool_index(queued.spool), sched_id(queued.sched, item));
		if (m != NULL && is_retry(m, sched_dest(queued.sched, item)))
			pace.retries++;
		if (m != NULL && must_ask(m, item) && route_ask_sender(item) == 0)
			continue;
		job_start(item, class == SCHED_LOCAL, NULL, NULL);
	}
	deliver_wake();
}
