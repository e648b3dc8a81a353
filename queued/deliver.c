/*
 * Jobs for deliverd, see deliver.h.
 *
 *	popped from the schedule -> running -> (local: waits for a sync) -> recorded
 *
 * A job is recorded when deliverd says that it is done, or when its channel is lost
 * (then with the results that had come). What cannot be recorded now, since the
 * disk is full to the last segment, is kept and tried again.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/post.h"
#include "queued/qid.h"

#define HASH 1024
/* Longer than any timeout of deliverd's for all the recipients of a job. */
#define LOCAL_MAX_MS (UINT64_C(3600) * 1000)
#define REMOTE_MAX_MS (UINT64_C(24) * 3600 * 1000)

/* Of contents in memory that jobs hold which only wait. */
#define ASIDE_OCTETS_MAX (UINT64_C(128) * 1024 * 1024)

static LIST_HEAD(, job) jobs[HASH];
static uint64_t aside_octets;
static uint32_t njobs;
static struct job_list stuck = TAILQ_HEAD_INITIALIZER(stuck);
static struct event *pump_ev, *timer_ev;
static int pump_set, no_new;
static char degraded[128];

static struct job *
job_find(uint64_t id)
{
	struct job *j;

	LIST_FOREACH (j, &jobs[id % HASH], hash) {
		if (j->id == id)
			return j;
	}
	return NULL;
}

/* The host wants less at a time: it hangs up, or says so (RFC 3463, 3.4 and 3.5). */
static int
is_pressed(const struct job_rcpt *r)
{
	static const char *const codes[] = { "4.3.2", "4.4.1", "4.4.2", "4.4.5" };

	if (r->status != JOB_DEFERRED)
		return 0;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(r->enhanced, codes[i]) == 0)
			return 1;
	return r->mta != NULL && r->words != NULL && strncmp(r->words, "421", 3) == 0;
}

static enum sched_outcome
outcome_of(const struct job *j)
{
	int away = 0, reached = 0, pressed = 0;

	for (uint32_t i = 0; i < j->nrcpt; i++) {
		const struct job_rcpt *r = &j->rcpts[i];

		if (r->status == JOB_DELIVERED || (r->mta != NULL && r->mta[0] != '\0'))
			reached = 1;
		else if (r->status == JOB_DEFERRED &&
			 strncmp(r->enhanced, "4.4.", 4) == 0)
			away = 1;
		pressed |= is_pressed(r);
	}
	return reached ? pressed ? SCHED_PRESSED : SCHED_REACHED
	       : away  ? SCHED_AWAY
		       : SCHED_NOTHING;
}

uint32_t
job_live_for(const struct qmsg *m, uint32_t dest, int64_t *due)
{
	uint32_t n = 0;

	*due = INT64_MAX;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct qrcpt *r = &m->rcpt[i];

		if (r->state != RCPT_LIVE || r->dest != dest)
			continue;
		n++;
		if (r->next < *due)
			*due = r->next;
	}
	return n;
}

int
job_may_run(const struct qmsg *m)
{
	return (m->flags & (QM_HELD | QM_PENDING | QM_DEAD)) == 0;
}

void
deliver_schedule(struct qmsg *m)
{
	struct index *ix = spool_index(queued.spool);

	if (!job_may_run(m))
		return;
	deadline_watch(m);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct qrcpt *r = &m->rcpt[i];
		uint32_t item;
		int64_t due;

		if (r->state != RCPT_LIVE)
			continue;
		for (item = m->items; item != 0;
		     item = sched_next_of(queued.sched, item)) {
			if (sched_dest(queued.sched, item) == r->dest)
				break;
		}
		if (item != 0)
			continue;
		job_live_for(m, r->dest, &due);
		sched_bind(queued.sched, r->dest, index_dest_name(ix, r->dest));
		item = sched_add(queued.sched, m->id, r->dest, QM_SENDER(m->flags), due,
		    queue_now(), &m->items);
		if (item == 0)
			log_warnx("no memory to schedule a message");
		else
			sched_prioritize(queued.sched, item, job_urgency(m, r->dest));
	}
	deliver_wake();
}

void
deliver_unschedule(struct qmsg *m)
{
	uint32_t item = m->items;

	while (item != 0) {
		uint32_t next = sched_next_of(queued.sched, item);

		if (sched_state(queued.sched, item) != ITEM_RUNNING)
			sched_remove(queued.sched, item, &m->items);
		item = next;
	}
}

uint32_t
deliver_hurry(struct qmsg *m)
{
	uint32_t n = 0;
	int64_t now = queue_now();

	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state != RCPT_LIVE)
			continue;
		/* Not written: after a restart the old time holds again. */
		if (m->rcpt[i].next > now)
			m->rcpt[i].next = (uint32_t)now;
		n++;
	}
	for (uint32_t item = m->items; item != 0;
	     item = sched_next_of(queued.sched, item))
		sched_hurry(queued.sched, item, now);
	deliver_wake();
	return n;
}

/* The items of an ended job wait again, or go. */
static void
items_end(struct job *j)
{
	struct qmsg *m = index_find(spool_index(queued.spool), j->msg);
	int64_t now = queue_now(), due;
	enum sched_outcome outcome = outcome_of(j);

	/* With another way to go the dead host keeps nobody waiting; nor does a dead
	 * relay of one sender's keep the others. */
	if (outcome == SCHED_AWAY && j->nitems > 0 &&
	    ((j->route != NULL &&
		 sched_by_sender(queued.sched, sched_dest(queued.sched, j->items[0]))) ||
		strstr(
		    sched_group_key(queued.sched, sched_dest(queued.sched, j->items[0])),
		    " fallback=") != NULL))
		outcome = SCHED_NOTHING;

	for (uint32_t i = 0; i < j->nitems; i++) {
		uint32_t item = j->items[i], none = 0;

		sched_job_end(queued.sched, item, outcome, now);
		if (m == NULL)
			sched_remove(queued.sched, item, &none);
		else if (!job_may_run(m) ||
			 job_live_for(m, sched_dest(queued.sched, item), &due) == 0)
			sched_remove(queued.sched, item, &m->items);
		else {
			sched_prioritize(queued.sched, item,
			    job_urgency(m, sched_dest(queued.sched, item)));
			sched_requeue(queued.sched, item, due, now);
		}
	}
	if (m != NULL && j->nexpands > 0)
		deliver_schedule(m);
}

void
job_end(struct job *j)
{
	if (result_record(j) == -1) {
		log_warnx("a result cannot be recorded now, it is kept");
		TAILQ_INSERT_TAIL(&stuck, j, entry);
		return;
	}
	items_end(j);
	aside_octets -= j->aside_octets;
	njobs--;
	job_free(j);
	deliver_wake();
}

void
job_aside(struct job *j)
{
	const struct qmsg *m = index_find(spool_index(queued.spool), j->msg);
	uint64_t octets = m != NULL && !(m->flags & QM_FILE) ? m->size : 0;

	if (j->aside || j->nitems == 0 || aside_octets + octets > ASIDE_OCTETS_MAX ||
	    sched_aside(queued.sched, j->items[0]) == -1)
		return;
	j->aside = 1;
	j->aside_octets = octets;
	aside_octets += octets;
	deliver_wake();
}

void
job_enter(struct job *j)
{
	static uint64_t last;

	j->id = ++last;
	j->started_ms = now_ms();
	LIST_INSERT_HEAD(&jobs[j->id % HASH], j, hash);
	njobs++;
}

void
job_expired(struct job *j)
{
	njobs++;
	job_end(j);
}

static void job_close(struct job *);

/* A post of it is durable, or cannot be. */
static void
on_post(struct job *j)
{
	if (j->over && !post_waits(j))
		job_close(j);
}

/* A job has no more to come. */
static void
job_close(struct job *j)
{
	int delivered = 0;

	if (!j->over)
		LIST_REMOVE(j, hash);
	j->over = 1;
	if (post_waits(j))
		return;
	result_count_loss(j);
	outlet_refuse(j);
	for (uint32_t i = 0; i < j->nrcpt; i++)
		delivered |=
		    j->rcpts[i].status == JOB_DELIVERED && !j->rcpts[i].elsewhere;
	if (j->local && delivered) {
		mbox_sync_add(j);
	} else
		job_end(j);
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	pump_set = 0;
	mbox_sync_pump();
	if (no_new || spool_held(queued.spool))
		return;
	sched_wake(queued.sched, queue_now());
	route_pump();
	give_pump(SCHED_LOCAL, ROLE_DELIVERD_LOCAL);
	give_pump(SCHED_REMOTE, ROLE_DELIVERD_REMOTE);
}

void
deliver_wake(void)
{
	if (pump_set || pump_ev == NULL)
		return;
	pump_set = 1;
	event_active(pump_ev, EV_TIMEOUT, 0);
}

/* A job that deliverd has forgotten would hold its place for ever. */
static void
jobs_sweep(void)
{
	uint64_t now = now_ms();

	for (int i = 0; i < HASH; i++) {
		struct job *j;

		LIST_FOREACH (j, &jobs[i], hash) {
			struct channel *ch;

			if (now - j->started_ms >
				(j->local ? LOCAL_MAX_MS : REMOTE_MAX_MS) &&
			    (ch = channel_find(j->serial)) != NULL)
				channel_break(ch, "a job without an end");
		}
	}
}

/* In seconds: each minute, more often for mail that is given up within minutes. */
static int
sweep_period(void)
{
	uint32_t tenth = queued.classes.expire_min_s / 10;

	return tenth < 1 ? 1 : tenth > 60 ? 60 : (int)tenth;
}

void
deliver_tick(void)
{
	static int ticks;
	struct job_list again = TAILQ_HEAD_INITIALIZER(again);
	struct job *j;

	TAILQ_CONCAT(&again, &stuck, entry);
	while ((j = TAILQ_FIRST(&again)) != NULL) {
		TAILQ_REMOVE(&again, j, entry);
		job_end(j);
	}
	if (!no_new)
		deadline_tick();
	ticks++;
	/* What is kept already would be kept twice. */
	if (ticks % sweep_period() == 0 && !no_new && TAILQ_EMPTY(&stuck))
		expire_sweep();
	if (ticks % 60 == 0 && !no_new)
		jobs_sweep();
	deliver_wake();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 1, 0 };

	(void)fd;
	(void)what;
	(void)arg;
	queue_clock_tick();
	deliver_tick();
	event_add(timer_ev, &tv);
}

int
deliver_start(void)
{
	struct index *ix = spool_index(queued.spool);
	struct timeval tv = { 1, 0 };
	struct qmsg *m;

	pump_set = no_new = 0;
	mbox_sync_start();
	deadline_start();
	route_start();
	pump_ev = event_new(daemon_base(), -1, 0, on_pump, NULL);
	timer_ev = event_new(daemon_base(), -1, 0, on_timer, NULL);
	if (pump_ev == NULL || timer_ev == NULL || event_add(timer_ev, &tv) == -1)
		return -1;
	for (uint64_t id = 0; (m = index_next(ix, id)) != NULL; id = m->id + 1)
		deliver_schedule(m);
	return 0;
}

void
deliver_stop(void)
{
	no_new = 1;
	give_stop();
	if (pump_ev != NULL)
		event_free(pump_ev);
	if (timer_ev != NULL)
		event_free(timer_ev);
	pump_ev = timer_ev = NULL;
}

void
deliver_admit(uint64_t id)
{
	struct qmsg *m = index_find(spool_index(queued.spool), id);

	if (m == NULL || m->flags & QM_DEAD)
		return;
	m->flags &= ~(uint32_t)QM_PENDING;
	deliver_schedule(m);
}

void
deliver_cancel(uint64_t id)
{
	for (int i = 0; i < HASH; i++) {
		struct job *j;

		LIST_FOREACH (j, &jobs[i], hash) {
			struct channel *ch = channel_find(j->serial);
			struct msg_job_id p = { j->id };

			if (j->msg == id && ch != NULL)
				channel_send(ch, MSG_QUEUED_DELIVERD_CANCEL, 0, &p, -1);
		}
	}
}

/* Peers. */

void
deliver_peer_new(struct channel *ch)
{
	enum role role = channel_role(ch);

	if (role == ROLE_MBOXD)
		mbox_sync_retry();
	if (role == ROLE_AUTHD)
		route_peer_lost();
	deliver_wake();
}

void
deliver_peer_lost(struct channel *ch)
{
	uint64_t serial = channel_serial(ch);

	if (channel_role(ch) == ROLE_AUTHD)
		route_peer_lost();
	for (int i = 0; i < HASH; i++) {
		struct job *j, *next;

		for (j = LIST_FIRST(&jobs[i]); j != NULL; j = next) {
			next = LIST_NEXT(j, hash);
			if (j->serial != serial)
				continue;
			j->lost = 1;
			job_close(j);
		}
	}
	deliver_wake();
}

/* A job that this very channel has; anything else is answered late, or a lie. */
static struct job *
job_of(struct channel *ch, uint64_t id)
{
	struct job *j = job_find(id);

	return j != NULL && j->serial == channel_serial(ch) ? j : NULL;
}

static void
on_result(struct channel *ch, const struct msg_job_result *p)
{
	struct job *j = job_of(ch, p->job);
	struct job_rcpt *r = j != NULL ? job_rcpt_find(j, p->rcpt) : NULL;

	if (j == NULL)
		return;
	if (r == NULL || p->status < JOB_DELIVERED || p->status > JOB_FAILED) {
		channel_break(ch, "a result for a recipient that it did not get");
		return;
	}
	if (r->status != 0)
		return;
	job_result(r, p->status, p->enhanced, p->mta, p->reply, p->text);
	r->handed = !j->local && strstr(p->detail, "dsn") != NULL;
	r->by_known = !j->local && strstr(p->detail, "deliverby") != NULL;
	r->kept = j->local && strstr(p->detail, "mailbox") != NULL;
	r->elsewhere = j->local && strcmp(p->detail, "forwarded") == 0;
}

static void
on_expand(struct channel *ch, const struct msg_job_expand *p)
{
	struct job *j = job_of(ch, p->job);
	struct job_expand *n;

	if (j == NULL)
		return;
	if (job_rcpt_find(j, p->rcpt) == NULL || p->address[0] == '\0' ||
	    j->nexpands >= JOB_EXPANDS_MAX) {
		channel_break(
		    ch, "an expansion of a recipient that it did not get, or too many");
		return;
	}
	if (j->nexpands == j->expands_cap) {
		uint32_t cap = j->expands_cap == 0 ? 8 : j->expands_cap * 2;

		n = reallocarray(j->expands, cap, sizeof(*n));
		if (n == NULL) {
			/* All or none: the whole job again. */
			channel_break(ch, "no memory");
			return;
		}
		j->expands = n;
		j->expands_cap = cap;
	}
	n = &j->expands[j->nexpands];
	/* Too many are not compared with each other: none is skipped then. */
	memset(n, 0, sizeof(*n));
	n->num = p->rcpt;
	n->address = strdup(p->address);
	if (n->address == NULL) {
		channel_break(ch, "no memory");
		return;
	}
	j->nexpands++;
}

void
deliver_message(struct channel *ch, struct msg *m)
{
	struct job *j;

	switch (m->type) {
	case MSG_DELIVERD_QUEUED_RESULT:
		on_result(ch, &m->p.job_result);
		break;
	case MSG_LDELIVER_QUEUED_EXPAND:
		on_expand(ch, &m->p.job_expand);
		break;
	case MSG_LDELIVER_QUEUED_OUTLET:
		j = job_of(ch, m->p.job_outlet.job);
		if (j != NULL &&
		    (!j->local || job_rcpt_find(j, m->p.job_outlet.rcpt) == NULL ||
			outlet_take(j, &m->p.job_outlet, m->fd, on_post) == -1))
			channel_break(ch, "a message of a script that is malformed");
		break;
	case MSG_DELIVERD_QUEUED_WAITS:
		if ((j = job_of(ch, m->p.job_id.job)) != NULL)
			job_aside(j);
		break;
	case MSG_DELIVERD_QUEUED_DONE:
		j = job_of(ch, m->p.job_id.job);
		if (j == NULL)
			break;
		for (uint32_t i = 0; i < j->nrcpt; i++) {
			if (j->rcpts[i].status == 0)
				job_result(&j->rcpts[i], JOB_DEFERRED, "4.3.0", "", "",
				    "the delivery ended without a result");
		}
		job_close(j);
		break;
	default:
		break;
	}
}

uint32_t
deliver_jobs(void)
{
	return njobs;
}

const char *
deliver_degraded(void)
{
	struct sched_stats st;

	degraded[0] = '\0';
	sched_stats(queued.sched, &st);
	if (!TAILQ_EMPTY(&stuck))
		strlcpy(degraded, "results of deliveries cannot be written to the spool",
		    sizeof(degraded));
	else if (mbox_sync_fails())
		strlcpy(degraded, "mboxd cannot sync the mailboxes", sizeof(degraded));
	/* The host of a stranger's domain may be down without concern to anybody. */
	else if (st.routes_down > 0)
		snprintf(degraded, sizeof(degraded),
		    "%u route%s of fifectl route list do%s not answer and wait%s for the "
		    "next probe",
		    st.routes_down, st.routes_down == 1 ? "" : "s",
		    st.routes_down == 1 ? "es" : "", st.routes_down == 1 ? "s" : "");
	return degraded;
}
