/*
 * What fifectl(8) asks of the queue. A walk over many messages goes on from turn
 * to turn of the loop, so that it holds nobody up.
 *
 * SPDX-License-Identifier: ISC
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "queued/change.h"
#include "queued/control.h"
#include "queued/deliver.h"
#include "queued/freeze_control.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/qid.h"
#include "queued/select.h"
#include "queued/walk.h"
#include "queued/txn.h"
#include "queued/verify.h"

#define STEP 200 /* messages in one turn */
#define DESTINATIONS_MAX 500

static void
walk_free(struct walk *w)
{
	if (w->ev != NULL)
		event_free(w->ev);
	for (int i = 0; i < w->nwords; i++)
		free(w->words[i]);
	free(w->words);
	free(w);
}

static int
is_running(const struct qmsg *m)
{
	for (uint32_t i = m->items; i != 0; i = sched_next_of(queued.sched, i)) {
		if (sched_state(queued.sched, i) == ITEM_RUNNING)
			return 1;
	}
	return 0;
}

/* As people see it: a hold of the whole queue holds each message in it. */
static uint32_t
flags_now(const struct qmsg *m)
{
	return m->flags |
	       (spool_held(queued.spool) || m->flags & QM_FROZEN ? QM_HELD : 0);
}

static int
is_deferred(const struct qmsg *m)
{
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == RCPT_LIVE && m->rcpt[i].attempts > 0)
			return 1;
	}
	return 0;
}

int
walk_means(const struct select *s, const struct rec_rcpt *r)
{
	return r->state == RCPT_LIVE &&
	       (s->to == NULL || select_address(s->to, r->address));
}

/* It waits for its time of release, and nobody has let it go before. */
static int
is_scheduled(const struct qmsg *m)
{
	int64_t now = queue_now();

	if (!(m->ext & QX_RELEASE) || (int64_t)m->created <= now)
		return 0;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == RCPT_LIVE &&
		    (m->rcpt[i].next <= now || m->rcpt[i].attempts > 0))
			return 0;
	}
	return 1;
}

static int
view_matches(const struct select *s, const struct spool_view *v)
{
	if (s->from != NULL && !select_address(s->from, v->rec.sender))
		return 0;
	if (s->to == NULL)
		return 1;
	for (uint32_t i = 0; i < v->nrcpt; i++) {
		if (walk_means(s, &v->rcpts[i]))
			return 1;
	}
	return 0;
}

static const struct freeze_rule *
frozen_by(const struct spool_view *v)
{
	for (uint32_t i = 0; queued.freeze.n > 0 && i < v->nrcpt; i++) {
		const struct freeze_rule *r;

		if (v->rcpts[i].state != RCPT_LIVE)
			continue;
		r = freeze_match(
		    &queued.freeze, v->rec.sender, v->rcpts[i].address, queue_now());
		if (r != NULL)
			return r;
	}
	return NULL;
}

static void
walk_one(struct walk *w, struct qmsg *m)
{
	struct spool_view v;
	int have = 0, need = w->need_view || w->sel.to != NULL || w->sel.from != NULL ||
			     w->sel.state == SELECT_FROZEN;

	if (m->flags & (QM_DEAD | QM_PENDING) ||
	    !select_quick(&w->sel, m->id, flags_now(m), is_deferred(m), is_running(m),
		is_scheduled(m), queue_now() - (int64_t)m->created))
		return;
	if (need) {
		if (spool_view(queued.spool, m, &v) == -1) {
			w->failed++;
			return;
		}
		have = 1;
		if (!view_matches(&w->sel, &v) ||
		    (w->sel.state == SELECT_FROZEN &&
			(m->flags & QM_HELD || frozen_by(&v) == NULL))) {
			spool_view_clear(&v);
			return;
		}
	}
	w->count += (uint64_t)w->each(w, m, have ? &v : NULL);
	if (have)
		spool_view_clear(&v);
}

static void
on_room(struct ctl *c, void *arg)
{
	struct walk *w = arg;

	(void)c;
	event_active(w->ev, EV_TIMEOUT, 0);
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct walk *w = arg;
	struct timeval now = { 0, 0 };
	struct qmsg *m = NULL;

	(void)fd;
	(void)what;
	if (w->ctl == NULL || queued.spool == NULL) {
		walk_free(w);
		return;
	}
	for (int n = 0; n < STEP; n++) {
		if (ctl_full(w->ctl)) {
			ctl_on_room(w->ctl, on_room, w);
			return;
		}
		m = index_next(spool_index(queued.spool), w->next_id);
		if (m == NULL || m->id > w->last_id) {
			m = NULL;
			break;
		}
		w->next_id = m->id + 1;
		walk_one(w, m);
	}
	if (m != NULL) {
		event_add(w->ev, &now);
		return;
	}
	w->end(w);
	walk_free(w);
}

static void
on_gone(struct ctl *c, void *arg)
{
	struct walk *w = arg;

	(void)c;
	/* What was asked to be done is done to the end only by asking again. */
	w->ctl = NULL;
	event_active(w->ev, EV_TIMEOUT, 0);
}

struct walk *
walk_new(struct ctl *c, int argc, char **argv, int need_some)
{
	struct walk *w;
	char why[256];

	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL || (w->words = calloc((size_t)argc + 1, sizeof(*w->words))) == NULL)
		goto no_memory;
	for (; w->nwords < argc; w->nwords++) {
		w->words[w->nwords] = strdup(argv[w->nwords]);
		if (w->words[w->nwords] == NULL)
			goto no_memory;
	}
	if (select_parse(argc, w->words, &w->sel, why, sizeof(why)) == -1) {
		ctl_done(c, CTL_USAGE, "%s", why);
		walk_free(w);
		return NULL;
	}
	/* No choice of messages: all would be meant that the rest chooses. */
	if (w->sel.has_priority && need_some != WALK_SETS) {
		ctl_done(c, CTL_USAGE, "--priority belongs to queue set");
		walk_free(w);
		return NULL;
	}
	if (need_some && select_is_empty(&w->sel)) {
		ctl_done(c, CTL_USAGE,
		    "say which messages: ids, --to, --from, --state, --older, "
		    "--newer or --all");
		walk_free(w);
		return NULL;
	}
	w->ev = event_new(daemon_base(), -1, 0, on_step, w);
	if (w->ev == NULL)
		goto no_memory;
	w->ctl = c;
	w->last_id = UINT64_MAX;
	/* A few ids need no walk over all. */
	if (w->sel.nids > 0) {
		uint64_t lo = UINT64_MAX, hi = 0;

		for (int i = 0; i < w->sel.nids; i++) {
			lo = w->sel.ids[i] < lo ? w->sel.ids[i] : lo;
			hi = w->sel.ids[i] > hi ? w->sel.ids[i] : hi;
		}
		w->next_id = lo;
		w->last_id = hi;
	}
	ctl_on_gone(c, on_gone, w);
	event_active(w->ev, EV_TIMEOUT, 0);
	return w;
no_memory:
	ctl_done(c, CTL_TEMPFAIL, "no memory");
	if (w != NULL)
		walk_free(w);
	return NULL;
}

/* The rule that keeps one of its recipients back. */
static const char *
state_word(const struct qmsg *m, const struct freeze_rule *frozen)
{
	if (frozen != NULL && !(m->flags & QM_HELD))
		return "frozen";
	return select_state_word(
	    flags_now(m), is_deferred(m), is_running(m), is_scheduled(m));
}

/* queue list */

static int
list_each(struct walk *w, struct qmsg *m, const struct spool_view *v)
{
	char qid[QID_SIZE];
	const struct rec_rcpt *first = NULL;
	const struct freeze_rule *frozen = frozen_by(v);
	int64_t next = 0;
	char to[800];

	for (uint32_t i = 0; i < v->nrcpt; i++) {
		const struct rec_rcpt *r = &v->rcpts[i];

		if (r->state != RCPT_LIVE)
			continue;
		if (first == NULL || r->attempts > first->attempts)
			first = r;
		if (next == 0 || r->next < next)
			next = r->next;
	}
	qid_format(m->id, qid);
	if (first == NULL)
		to[0] = '\0';
	else if (m->nlive > 1)
		snprintf(to, sizeof(to), "%s +%u", first->address, m->nlive - 1);
	else
		snprintf(to, sizeof(to), "%s", first->address);
	ctl_row(w->ctl, CTL_TABLE);
	ctl_str(w->ctl, "qid", qid);
	ctl_str(w->ctl, "state", state_word(m, frozen));
	ctl_u64(w->ctl, "size", m->size);
	ctl_time(w->ctl, "arrived", v->rec.created);
	ctl_str(w->ctl, "from", v->rec.sender[0] != '\0' ? v->rec.sender : "<>");
	ctl_str(w->ctl, "to", to);
	ctl_u64(w->ctl, "attempts", first != NULL ? first->attempts : 0);
	ctl_time(w->ctl, "next", next > queue_now() ? next : queue_now());
	if (frozen != NULL)
		freeze_describe(frozen, to, sizeof(to));
	ctl_str(w->ctl, "reason",
	    m->flags & QM_HELD && m->flags & QM_QUARANTINE ? v->rec.reason
	    : frozen != NULL                               ? to
	    : first != NULL                                ? first->text
							   : "");
	ctl_row_end(w->ctl);
	return 1;
}

static void
list_end(struct walk *w)
{
	if (w->failed > 0)
		ctl_done(w->ctl, CTL_REFUSED,
		    "%llu messages cannot be read: run fifectl queue verify",
		    (unsigned long long)w->failed);
	else if (w->sel.nids > 0 && w->count == 0)
		ctl_done(w->ctl, CTL_REFUSED, "there is no such message in the queue");
	else
		ctl_done(w->ctl, CTL_OK, NULL);
}

static void
queue_list(struct ctl *c, int argc, char **argv)
{
	struct walk *w = walk_new(c, argc, argv, 0);

	if (w == NULL)
		return;
	w->need_view = 1;
	w->each = list_each;
	w->end = list_end;
}

/* queue show */

/* What the extensions of SMTP ask for. */
static void
show_ext(struct ctl *c, const struct rec_ext *x)
{
	char priority[8];

	if (x->priority != 0) {
		snprintf(priority, sizeof(priority), "%d", x->priority);
		ctl_str(c, "priority", priority);
	}
	if (x->tls != 0)
		ctl_str(c, "tls", x->tls == REC_TLS_REQUIRED ? "required" : "optional");
	if (x->release != 0)
		ctl_time(c, "release", x->release);
	if (x->by_mode != 0) {
		ctl_time(c, "deliver-by", x->by);
		ctl_str(c, "deliver-by-or",
		    x->by_mode == REC_BY_RETURN ? "return" : "notify");
		ctl_bool(c, "trace", x->by_trace);
	}
}

static void
queue_show(struct ctl *c, int argc, char **argv)
{
	static const char *const states[] = { "", "live", "done", "failed", "removed" };
	static const char *const bodies[] = { "7bit", "8bitmime", "binarymime" };
	struct spool_view v;
	struct qmsg *m = NULL;
	uint64_t id;
	const struct freeze_rule *frozen;
	const struct class_times *times;
	char qid[QID_SIZE], why[800];

	(void)argc;
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	if (qid_parse(argv[0], &id) == 0)
		m = index_find(spool_index(queued.spool), id);
	if (m == NULL || m->flags & (QM_DEAD | QM_PENDING)) {
		ctl_done(c, CTL_REFUSED, "%s is not in the queue", argv[0]);
		return;
	}
	if (spool_view(queued.spool, m, &v) == -1) {
		ctl_done(c, CTL_REFUSED, "%s cannot be read: run fifectl queue verify",
		    argv[0]);
		return;
	}
	frozen = frozen_by(&v);
	qid_format(m->id, qid);
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "qid", qid);
	ctl_str(c, "state", state_word(m, frozen));
	ctl_str(c, "from", v.rec.sender[0] != '\0' ? v.rec.sender : "<>");
	ctl_u64(c, "size", m->size);
	ctl_time(c, "arrived", v.rec.created);
	times = job_class(&v, 0);
	ctl_time(c, "expires", (int64_t)m->created + times->expire_s);
	ctl_str(c, "class", times->name);
	ctl_str(c, "body", v.rec.body < 3 ? bodies[v.rec.body] : "");
	ctl_str(c, "client", v.rec.client);
	ctl_str(c, "helo", v.rec.helo);
	ctl_str(c, "login", v.rec.login_address);
	ctl_bool(c, "junk", (m->flags & QM_JUNK) != 0);
	ctl_bool(c, "bounce", (m->flags & QM_BOUNCE) != 0);
	show_ext(c, &v.rec.ext);
	if (v.rec.reason[0] != '\0')
		ctl_str(c, "reason", v.rec.reason);
	if (frozen != NULL) {
		freeze_describe(frozen, why, sizeof(why));
		ctl_str(c, "freeze", why);
		if (frozen->until != 0)
			ctl_time(c, "frozen-until", frozen->until);
	}
	ctl_row_end(c);
	for (uint32_t i = 0; i < v.nrcpt; i++) {
		const struct rec_rcpt *r = &v.rcpts[i];

		ctl_row(c, CTL_TABLE);
		ctl_str(c, "to", r->address);
		ctl_str(c, "state", r->state <= RCPT_REMOVED ? states[r->state] : "");
		ctl_u64(c, "attempts", r->attempts);
		ctl_time(c, "next", r->state == RCPT_LIVE ? r->next : 0);
		ctl_str(c, "code", r->enhanced);
		ctl_str(c, "mta", r->mta);
		ctl_str(c, "reply", r->text);
		ctl_str(c, "route", sched_group_key(queued.sched, m->rcpt[i].dest));
		ctl_time(c, "valid-since", r->rrvs_action != 0 ? r->rrvs : 0);
		ctl_row_end(c);
	}
	spool_view_clear(&v);
	ctl_done(c, CTL_OK, NULL);
}

/* queue stats, status */

static void
facts(struct ctl *c)
{
	struct index *ix = spool_index(queued.spool);
	struct qmsg *oldest = index_next(ix, 0);

	ctl_u64(c, "messages", ix->nmsgs);
	ctl_u64(c, "recipients", ix->nlive_rcpts);
	ctl_u64(c, "deferred", ix->ndeferred);
	ctl_u64(c, "held", ix->nheld);
	ctl_bool(c, "queue-held", spool_held(queued.spool));
	ctl_time(c, "oldest", oldest != NULL ? (int64_t)oldest->created : 0);
	ctl_u64(c, "disk-free", spool_disk_free(queued.spool));
	if (spool_disk_free(queued.spool) < queued.conf.disk_reserve)
		ctl_str(c, "degraded",
		    "less than disk-reserve is free on the disk: new mail is answered "
		    "with 452");
}

static void
queue_stats(struct ctl *c, int argc, char **argv)
{
	struct index *ix;
	struct journal_segment s;
	struct sched_stats st;
	size_t segments = 0;

	(void)argc;
	(void)argv;
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	ix = spool_index(queued.spool);
	sched_stats(queued.sched, &st);
	while (journal_segment_at(spool_journal(queued.spool), segments, &s))
		segments++;
	ctl_row(c, CTL_FACTS);
	facts(c);
	ctl_u64(c, "octets", ix->octets);
	ctl_u64(c, "destinations", ix->ndests);
	ctl_u64(c, "routes", st.groups);
	ctl_u64(c, "routes-waiting", st.blocked);
	ctl_u64(c, "routes-pressed", st.pressed);
	ctl_u64(c, "ready", st.ready);
	ctl_u64(c, "waiting", st.waiting);
	ctl_u64(c, "jobs", deliver_jobs());
	ctl_u64(c, "transactions", txn_count());
	ctl_u64(c, "segments", segments);
	ctl_u64(c, "journal-octets", journal_octets(spool_journal(queued.spool)));
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

/* Where mail goes at present, and how much of it at a time. */
static void
queue_destinations(struct ctl *c, int argc, char **argv)
{
	struct sched_group g;
	uint32_t at = 0, rows = 0;

	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	while (sched_group_next(queued.sched, &at, &g)) {
		if (argc > 0 && strstr(g.key, argv[0]) == NULL)
			continue;
		if (rows++ == DESTINATIONS_MAX) {
			ctl_done(c, CTL_OK, NULL);
			return;
		}
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "destination", g.key);
		ctl_u64(c, "running", g.running);
		ctl_u64(c, "limit", g.limit);
		ctl_u64(c, "ceiling", g.ceiling);
		if (g.blocked_until != 0)
			ctl_time(c, "waits-until", g.blocked_until);
		else
			ctl_str(c, "waits-until", "");
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

static void
status(struct ctl *c, int argc, char **argv)
{
	const char *text;

	(void)argc;
	(void)argv;
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	ctl_row(c, CTL_FACTS);
	facts(c);
	text = spool_low(queued.spool, 0);
	if (text == NULL)
		text = spool_degraded(queued.spool);
	if (text == NULL && spool_held(queued.spool))
		text = "the whole queue is held";
	if (text == NULL)
		text = deliver_degraded();
	if (text[0] != '\0')
		ctl_str(c, "degraded", text);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

const struct ctl_command queued_commands[] = {
	{ "queue list", 0, -1, queue_list },
	{ "queue show", 1, 1, queue_show },
	{ "queue retry", 0, -1, queue_retry },
	{ "queue hold", 0, -1, queue_hold },
	{ "queue release", 0, -1, queue_release },
	{ "queue remove", 0, -1, queue_remove },
	{ "queue bounce", 0, -1, queue_bounce },
	{ "queue set", 0, -1, queue_set },
	{ "queue freeze", 0, -1, queue_freeze },
	{ "queue stats", 0, 0, queue_stats },
	{ "queue destinations", 0, 1, queue_destinations },
	{ "queue verify", 0, 1, queue_verify },
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};
