/*
 * What fifectl(8) changes in the queue: retry, hold, release, remove, bounce, set.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "queued/change.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/qid.h"
#include "queued/walk.h"

/* --all alone means the queue itself: what comes later, too. */
static int
is_whole_queue(const struct select *s)
{
	return s->all && s->to == NULL && s->from == NULL && s->state == SELECT_ANY &&
	       s->older_s == 0 && s->newer_s == 0 && s->nids == 0;
}

static void
change_end(struct walk *w, const char *is, const char *are)
{
	unsigned long long n = w->count, rcpts = w->rcpts;

	/* What is said to be done is on the disk. */
	if (n > 0 && !w->sel.dry_run && journal_sync(spool_journal(queued.spool)) == -1)
		w->failed++;
	if (w->failed > 0)
		ctl_done(w->ctl, CTL_REFUSED,
		    "%llu done, and %llu that cannot be read or written: run fifectl "
		    "queue verify",
		    n, (unsigned long long)w->failed);
	else if (n == 0 && !w->sel.all && spool_held(queued.spool))
		ctl_done(w->ctl, CTL_REFUSED,
		    "no such message, or held with the whole queue: queue release --all");
	else if (n == 0 && !w->sel.all)
		ctl_done(w->ctl, CTL_REFUSED,
		    "no such message is in the queue, or nothing to do for it");
	else {
		if (w->sel.dry_run)
			ctl_text(w->ctl,
			    "%llu message%s with %llu recipient%s and %llu octets would "
			    "be "
			    "meant; nothing is changed",
			    n, n == 1 ? "" : "s", rcpts, rcpts == 1 ? "" : "s",
			    (unsigned long long)w->octets);
		else
			ctl_text(w->ctl, "%llu %s", n, n == 1 ? is : are);
		ctl_done(w->ctl, CTL_OK, NULL);
	}
}

/* Count it; 1: and leave it at that. */
static int
is_dry(struct walk *w, const struct qmsg *m, uint64_t rcpts)
{
	w->octets += m->size;
	w->rcpts += rcpts;
	return w->sel.dry_run;
}

static void
log_change(const struct qmsg *m, const char *event)
{
	char qid[QID_SIZE];

	qid_format(m->id, qid);
	log_fact(
	    LOG_DELIVERY, LOGL_INFO, event, KS("qid", qid), KS("by", "administrator"));
}

static void
start(struct ctl *c, int argc, char **argv,
    int (*each)(struct walk *, struct qmsg *, const struct spool_view *),
    void (*end)(struct walk *), int need_some)
{
	struct walk *w = walk_new(c, argc, argv, need_some);

	if (w == NULL)
		return;
	w->each = each;
	w->end = end;
}

/* queue retry */

static int
retry_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	(void)v;
	if (m->flags & QM_HELD)
		return 0;
	if (!is_dry(w, m, m->nlive))
		deliver_hurry(m);
	return 1;
}

static void
retry_end(struct walk *w)
{
	change_end(w, "message is tried now", "messages are tried now");
}

void
queue_retry(struct ctl *c, int argc, char **argv)
{
	start(c, argc, argv, retry_each, retry_end, 1);
}

/* queue hold, queue release */

static int
hold_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	(void)v;
	if (m->flags & QM_HELD)
		return 0;
	if (is_dry(w, m, m->nlive))
		return 1;
	m = spool_change(queued.spool, m, m->flags | QM_HELD, 0, NULL, 0);
	if (m == NULL) {
		w->failed++;
		return 0;
	}
	deliver_unschedule(m);
	log_change(m, "held");
	return 1;
}

static void
hold_end(struct walk *w)
{
	if (w->last_id == 0) {
		ctl_text(
		    w->ctl, "the whole queue is held; new messages are still accepted");
		ctl_done(w->ctl, CTL_OK, NULL);
		return;
	}
	change_end(w, "message is held", "messages are held");
}

void
queue_hold(struct ctl *c, int argc, char **argv)
{
	struct walk *w = walk_new(c, argc, argv, 1);

	if (w == NULL)
		return;
	w->each = hold_each;
	w->end = hold_end;
	if (is_whole_queue(&w->sel) && !w->sel.dry_run &&
	    spool_set_held(queued.spool, 1) == 0)
		w->last_id = 0; /* each message stays as it is */
	if (w->last_id == 0)
		log_info("the whole queue is held");
}

static int
release_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	(void)v;
	if (!(m->flags & QM_HELD))
		return 0;
	if (is_dry(w, m, m->nlive))
		return 1;
	m = spool_change(
	    queued.spool, m, m->flags & ~(uint32_t)(QM_HELD | QM_QUARANTINE), 0, NULL, 0);
	if (m == NULL) {
		w->failed++;
		return 0;
	}
	deliver_schedule(m);
	log_change(m, "released");
	return 1;
}

static void
release_end(struct walk *w)
{
	change_end(w, "message is released", "messages are released");
}

void
queue_release(struct ctl *c, int argc, char **argv)
{
	struct walk *w = walk_new(c, argc, argv, 1);

	if (w == NULL)
		return;
	w->each = release_each;
	w->end = release_end;
	if (is_whole_queue(&w->sel) && !w->sel.dry_run && spool_held(queued.spool) &&
	    spool_set_held(queued.spool, 0) == 0)
		log_info("the whole queue is released");
	deliver_wake();
}

/* queue remove, queue bounce: with --to, for those recipients only. */

static uint32_t
count_meant(const struct walk *w, const struct spool_view *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->nrcpt; i++)
		n += (uint32_t)walk_means(&w->sel, &v->rcpts[i]);
	return n;
}

/* Some of its recipients: the others stay. NULL: it cannot be written. */
static struct qmsg *
remove_some(const struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	struct bytes_out o = { 0 };
	uint8_t *list = NULL;
	uint32_t n = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < v->nrcpt; i++) {
			struct rec_rcpt r = v->rcpts[i];

			if (!walk_means(&w->sel, &r))
				continue;
			r.state = RCPT_REMOVED;
			r.has = REC_R_RESULT;
			r.enhanced = r.mta = "";
			r.text = "removed by the administrator";
			rec_rcpt_encode(&r, &o);
			n += (uint32_t)pass;
		}
		if (pass == 0) {
			list = malloc(o.len);
			if (list == NULL)
				return NULL;
			o = (struct bytes_out){ .p = list, .cap = o.len };
		}
	}
	m = spool_change(queued.spool, m, m->flags, n, list, o.len);
	free(list);
	return m;
}

static int
remove_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	uint32_t n = v != NULL ? count_meant(w, v) : m->nlive;

	if (is_dry(w, m, n))
		return 1;
	deliver_cancel(m->id);
	deliver_unschedule(m);
	if (n < m->nlive) {
		struct qmsg *changed = remove_some(w, m, v);

		if (changed == NULL)
			w->failed++;
		else
			log_change(changed, "removed-recipients");
		deliver_schedule(changed != NULL ? changed : m);
		return changed != NULL;
	}
	if (spool_remove(queued.spool, m) == -1) {
		deliver_schedule(m);
		w->failed++;
		return 0;
	}
	log_change(m, "removed");
	return 1;
}

static void
remove_end(struct walk *w)
{
	change_end(w, "message is removed", "messages are removed");
}

void
queue_remove(struct ctl *c, int argc, char **argv)
{
	start(c, argc, argv, remove_each, remove_end, 1);
}

static int
bounce_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	const char *reason = w->sel.reason != NULL
				 ? w->sel.reason
				 : "The postmaster of this system has given it up";
	struct job *j;
	uint64_t id = m->id;

	if (is_dry(w, m, count_meant(w, v)))
		return 1;
	j = calloc(1, sizeof(*j));
	if (j == NULL || (j->rcpts = calloc(m->nrcpt, sizeof(*j->rcpts))) == NULL) {
		job_free(j);
		w->failed++;
		return 0;
	}
	j->msg = id;
	for (uint32_t i = 0; i < v->nrcpt; i++) {
		if (!walk_means(&w->sel, &v->rcpts[i]))
			continue;
		j->rcpts[j->nrcpt].num = i;
		job_result(&j->rcpts[j->nrcpt++], JOB_FAILED, "5.3.0", "", "", reason);
	}
	log_change(m, "given-up");
	deliver_cancel(id);
	deliver_unschedule(m);
	job_expired(j);
	m = index_find(spool_index(queued.spool), id);
	if (m != NULL && !(m->flags & QM_DEAD))
		deliver_schedule(m);
	return 1;
}

static void
bounce_end(struct walk *w)
{
	change_end(w, "message is bounced", "messages are bounced");
}

void
queue_bounce(struct ctl *c, int argc, char **argv)
{
	const struct index *ix;
	struct walk *w = walk_new(c, argc, argv, 1);

	if (w == NULL)
		return;
	w->each = bounce_each;
	w->end = bounce_end;
	w->need_view = 1;
	/* Not the bounces that it makes. */
	ix = spool_index(queued.spool);
	if (w->last_id == UINT64_MAX)
		w->last_id = ix->nslots > 0 ? ix->slots[ix->nslots - 1].id : 0;
}

/* queue set --priority */

static int
set_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	char qid[QID_SIZE], word[8];

	(void)v;
	if (m->priority == w->sel.priority)
		return 0;
	if (is_dry(w, m, m->nlive))
		return 1;
	m = spool_set_priority(queued.spool, m, w->sel.priority);
	if (m == NULL) {
		w->failed++;
		return 0;
	}
	for (uint32_t i = m->items; i != 0; i = sched_next_of(queued.sched, i))
		sched_prioritize(queued.sched, i, m->priority);
	qid_format(m->id, qid);
	snprintf(word, sizeof(word), "%d", m->priority);
	log_fact(LOG_DELIVERY, LOGL_INFO, "priority", KS("qid", qid),
	    KS("priority", word), KS("by", "administrator"));
	return 1;
}

static void
set_end(struct walk *w)
{
	deliver_wake();
	change_end(w, "message has that priority now", "messages have that priority now");
}

void
queue_set(struct ctl *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--priority") == 0) {
			start(c, argc, argv, set_each, set_end, WALK_SETS);
			return;
		}
	}
	ctl_done(c, CTL_USAGE, "say what to set: --priority N, from -9 to 9");
}
