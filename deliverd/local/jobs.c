/* SPDX-License-Identifier: ISC */
/*
 * Jobs and their recipients; see jobs.h.
 *
 *	JOB, RCPT... -> GO -> (recipients in work) -> DONE
 *	recipient: resolve -> deliver into each mailbox -> EXPAND... RESULT
 *
 * Of a recipient with several mailboxes: any temporary failure defers it, since
 * mailboxes know a delivery that is repeated; it fails only when all of them refuse.
 * queued takes EXPAND into account only with a delivery, so nothing is forwarded
 * twice when a mailbox made us defer.
 */
#include "deliverd/local/jobs.h"

#include <sys/queue.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/local/errands.h"
#include "deliverd/local/lists.h"
#include "deliverd/local/outlets.h"
#include "deliverd/local/prefix.h"
#include "deliverd/local/targets.h"

#define BUCKETS 512
#define MOMENT_MS 20

struct rcpt;

/* A mailbox, or a program, of a recipient in work. */
struct drop {
	struct rcpt *rcpt;
	size_t target;
	struct parcel *parcel;     /* all NULL: unused */
	struct errand *errand;     /* a program instead */
	struct handover *handover; /* of a list */
};

struct rcpt {
	struct job *job;
	uint32_t num;
	uint8_t filing;
	char *address;
	struct resolution *resolution;
	struct roll *roll;
	struct targets targets;
	size_t next; /* of the targets */
	struct drop drops[JOBS_TARGETS_AT_ONCE];
	size_t n_drops;
	size_t n_delivered;
	size_t n_failed;
	size_t n_forwards;
	struct outcome deferred; /* the first of its kind; status 0: none */
	struct outcome failed;
	size_t failed_target;
	size_t n_kept;   /* mailboxes that have it */
	char words[256]; /* what a script did, of the first mailbox */
	struct outlets outlets;
	TAILQ_ENTRY(rcpt) entry; /* in work */
};

struct job_address {
	uint32_t num;
	uint8_t filing; /* RCPT_FILING */
	char *address;
};

struct job {
	LIST_ENTRY(job) hash;
	TAILQ_ENTRY(job) entry; /* while queued counts it */
	int counted;
	uint64_t since;
	uint64_t id;
	uint64_t queued; /* serial of its channel */
	uint64_t queue_id;
	uint64_t size;
	uint64_t oldest_live;
	uint32_t crc;
	uint8_t junk;
	uint8_t bad; /* incomplete here: queued shall try again */
	uint8_t going;
	char qid[24];
	char sender[321];
	char login[321]; /* address, "": none */
	int is_post;     /* of a list: */
	struct listpost post;
	uint8_t *prefix;
	size_t prefix_len;
	int fd;
	struct delivered_to delivered_to;
	uint32_t n_expands;
	struct job_address *rcpts;
	uint32_t nrcpt, cap, next;
	TAILQ_HEAD(, rcpt) work;
	uint32_t n_work;
};

static mailboxes_peer peer;
static LIST_HEAD(, job) jobs[BUCKETS];
static struct jobs_stats stats;
/* Those that go on for less than a moment, the oldest first. Of others queued is told
 * that they wait, for a mailbox to open or for others to the same one, and counts them no
 * more. */
static TAILQ_HEAD(, job) counted = TAILQ_HEAD_INITIALIZER(counted);
static struct event *ev_moment;

static struct job *
job_find(uint64_t channel, uint64_t id)
{
	struct job *j;

	LIST_FOREACH (j, &jobs[id % BUCKETS], hash)
		if (j->id == id && j->queued == channel)
			return j;
	return NULL;
}

/* ---- a recipient ---- */

static void
rcpt_free(struct rcpt *r)
{
	targets_cancel(r->resolution);
	roll_cancel(r->roll);
	for (size_t i = 0; i < JOBS_TARGETS_AT_ONCE; i++)
		if (r->drops[i].parcel != NULL)
			mailboxes_cancel(r->drops[i].parcel);
		else if (r->drops[i].errand != NULL)
			errand_cancel(r->drops[i].errand);
		else
			handover_cancel(r->drops[i].handover);
	targets_clear(&r->targets);
	outlets_clear(&r->outlets);
	TAILQ_REMOVE(&r->job->work, r, entry);
	r->job->n_work--;
	stats.running--;
	free(r);
}

static void
job_free(struct job *j)
{
	struct rcpt *r;

	while ((r = TAILQ_FIRST(&j->work)) != NULL)
		rcpt_free(r);
	LIST_REMOVE(j, hash);
	if (j->counted)
		TAILQ_REMOVE(&counted, j, entry);
	stats.jobs--;
	for (uint32_t i = 0; i < j->nrcpt; i++)
		free(j->rcpts[i].address);
	free(j->rcpts);
	free(j->prefix);
	delivered_to_clear(&j->delivered_to);
	if (j->fd != -1)
		close(j->fd);
	free(j);
}

static void
send_result(struct job *j, uint32_t num, const char *address, const struct outcome *o,
    const char *detail)
{
	struct channel *ch = channel_find(j->queued);
	struct msg_job_result m = {
		.job = j->id, .rcpt = num, .status = (uint8_t)o->status
	};

	if (o->status == JOB_DELIVERED)
		stats.delivered++;
	else if (o->status == JOB_FAILED)
		stats.failed++;
	else
		stats.deferred++;
	strlcpy(m.enhanced, o->enhanced, sizeof(m.enhanced));
	strlcpy(m.mta, "local", sizeof(m.mta));
	strlcpy(m.detail, detail, sizeof(m.detail));
	strlcpy(m.text, o->text, sizeof(m.text));
	log_debug("%s: <%s>: %s %s", j->qid, address, o->enhanced, o->text);
	if (ch != NULL)
		(void)channel_send(ch, MSG_DELIVERD_QUEUED_RESULT, 0, &m, -1);
}

/* What queued reads of it: a mailbox has it; or none was so much as opened, and there is
 * nothing to sync. */
static const char *
detail_of(const struct rcpt *r)
{
	if (r->n_kept > 0)
		return "mailbox";
	return r->n_delivered == 0 && r->n_failed == 0 ? "forwarded" : "";
}

/* All or none: -1 leaves the recipient to another try. */
static int
send_expands(struct rcpt *r)
{
	struct channel *ch = channel_find(r->job->queued);
	struct msg_job_expand m = { .job = r->job->id, .rcpt = r->num };

	if (ch == NULL || r->n_forwards > JOBS_EXPANDS_MAX - r->job->n_expands)
		return -1;
	for (size_t i = 0; i < r->targets.n; i++) {
		if (r->targets.v[i].kind != TARGET_FORWARD)
			continue;
		strlcpy(m.address, r->targets.v[i].address, sizeof(m.address));
		if (channel_send(ch, MSG_LDELIVER_QUEUED_EXPAND, 0, &m, -1) == -1)
			return -1;
		r->job->n_expands++;
		stats.expanded++;
	}
	return 0;
}

/* The sentence for a recipient that is delivered. */
static void
say_delivered(const struct rcpt *r, struct outcome *o)
{
	int of_script = r->n_delivered == 1 && r->targets.n <= 1 + r->outlets.n_redirects;

	outcome_delivered(o, of_script ? r->words : "", r->n_delivered, r->n_forwards);
	if (r->n_failed > 0)
		outcome_add_failed(
		    o, r->targets.v[r->failed_target].address, r->n_failed, &r->failed);
}

/* Every target has its outcome. */
static void
rcpt_finish(struct rcpt *r)
{
	struct outcome o;

	if (r->deferred.status != 0)
		o = r->deferred;
	else if (r->n_delivered + r->n_forwards == 0)
		o = r->failed;
	else if (send_expands(r) == -1)
		outcome_set(&o, JOB_DEFERRED, "4.5.3",
		    "the address leads to too many others to take in now");
	else
		say_delivered(r, &o);
	if (o.status != JOB_DEFERRED &&
	    outlets_send(&r->outlets, channel_find(r->job->queued), r->job->id, r->num) ==
		-1)
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    "what a script sends cannot be handed to the queue now");
	send_result(r->job, r->num, r->address, &o, detail_of(r));
	rcpt_free(r);
}

static void
rcpt_outcome(struct rcpt *r, size_t target, const struct outcome *o)
{
	switch (o->status) {
	case JOB_DELIVERED:
		if (r->n_delivered++ == 0)
			strlcpy(r->words,
			    strncmp(o->text, "delivered", 9) == 0 ? "" : o->text,
			    sizeof(r->words));
		r->n_kept += o->kept != 0;
		break;
	case JOB_FAILED:
		if (r->n_failed++ == 0) {
			r->failed = *o;
			r->failed_target = target;
		}
		break;
	default:
		if (r->deferred.status == 0)
			r->deferred = *o;
		break;
	}
}

/* Of a list's post each member has a reverse-path of its own. */
static const char *
sender_for(const struct rcpt *r, char buf[ADDRESS_MAX + 1])
{
	if (!r->job->is_post)
		return r->job->sender;
	listpost_sender(&r->job->post, r->address, buf);
	return buf;
}

/* What goes before the message for that target. */
static size_t
prefix_of(const struct rcpt *r, size_t target, uint8_t buf[PREFIX_MAX])
{
	char address[321], sender[ADDRESS_MAX + 1];

	prefix_address(r->targets.v[target].address, address, sizeof(address));
	return post_prefix(r->job->is_post ? &r->job->post : NULL, r->address,
	    sender_for(r, sender), address, r->job->prefix, r->job->prefix_len, buf);
}

/* It is the turn of a delivery. */
static int
fill(struct msg_deliver *d, void *arg)
{
	static uint8_t prefix[PREFIX_MAX]; /* encoded before the next call */
	const struct drop *drop = arg;
	const struct rcpt *r = drop->rcpt;
	const struct job *j = r->job;
	char sender[ADDRESS_MAX + 1];

	d->prefix = prefix;
	d->prefix_len = prefix_of(r, drop->target, prefix);
	strlcpy(d->sender, sender_for(r, sender), sizeof(d->sender));
	d->queue_id = j->queue_id;
	d->rcpt = r->num;
	d->oldest_live = j->oldest_live;
	d->size = j->size;
	d->crc = j->crc;
	d->junk = r->filing & RCPT_TO_JUNK      ? 1
		  : r->filing & RCPT_NEVER_JUNK ? 0
						: j->junk;
	strlcpy(d->recipient, r->address, sizeof(d->recipient));
	if (r->targets.v[drop->target].rules != NULL)
		strlcpy(d->rules, r->targets.v[drop->target].rules, sizeof(d->rules));
	return fcntl(j->fd, F_DUPFD_CLOEXEC, 0);
}

/* A script sends something: the message itself joins the addresses elsewhere. */
static void
on_outlet(struct msg *m, void *arg)
{
	struct rcpt *r = ((struct drop *)arg)->rcpt;
	const struct msg_outlet *o = &m->p.outlet;

	if (!outlets_allowed(&r->outlets, o, r->job->sender))
		log_warnx("%s: <%s>: a script wants to send to %s, which it may not",
		    r->job->qid, r->address, o->address);
	else if (m->fd == -1) {
		if (o->kind != OUTLET_REDIRECT ||
		    targets_add_forward(&r->targets, o->address) == -1)
			log_warnx("%s: <%s>: a redirect to %s is left out", r->job->qid,
			    r->address, o->address);
	} else
		outlets_add(&r->outlets, o, msg_take_fd(m));
}

static void job_advance(struct job *);
static int rcpt_advance(struct rcpt *);

static void
on_done(const struct outcome *o, void *arg)
{
	struct drop *drop = arg;
	struct rcpt *r = drop->rcpt;
	struct job *j = r->job;

	drop->parcel = NULL;
	drop->errand = NULL;
	r->n_drops--;
	rcpt_outcome(r, drop->target, o);
	if (rcpt_advance(r))
		job_advance(j);
}

static void
start_program(struct drop *drop)
{
	const struct rcpt *r = drop->rcpt;
	const struct target *t = &r->targets.v[drop->target];
	struct channel *execd = peer(ROLE_EXECD);
	static uint8_t prefix[PREFIX_MAX];
	struct msg_exec_run q = { .size = r->job->size };
	int fd;

	if (execd == NULL || (fd = fcntl(r->job->fd, F_DUPFD_CLOEXEC, 0)) == -1)
		return;
	q.prefix = prefix;
	q.prefix_len = prefix_of(r, drop->target, prefix);
	strlcpy(q.command, t->command, sizeof(q.command));
	strlcpy(q.owner, t->mailbox, sizeof(q.owner));
	strlcpy(q.sender, r->job->sender, sizeof(q.sender));
	strlcpy(q.recipient, r->address, sizeof(q.recipient));
	strlcpy(q.qid, r->job->qid, sizeof(q.qid));
	drop->errand = errand_run(execd, &q, fd, on_done, drop);
}

static void
rcpt_deliver(struct rcpt *r, size_t target)
{
	const struct target *t = &r->targets.v[target];
	struct drop *drop = r->drops;
	struct outcome o;

	if (delivered_to_loop(
		&r->job->delivered_to, r->job->fd, r->job->size, t->address, &o)) {
		rcpt_outcome(r, target, &o);
		return;
	}
	while (drop->parcel != NULL || drop->errand != NULL || drop->handover != NULL)
		drop++;
	drop->rcpt = r;
	drop->target = target;
	if (t->kind == TARGET_COMMAND)
		start_program(drop);
	else
		drop->parcel =
		    mailboxes_deliver(t->mailbox, fill, on_outlet, on_done, drop);
	if (drop->parcel == NULL && drop->errand == NULL) {
		outcome_set(&o, JOB_DEFERRED, "4.3.0", "%s",
		    t->kind == TARGET_COMMAND ? "programs cannot be started now"
					      : "no memory for a delivery");
		rcpt_outcome(r, target, &o);
		return;
	}
	r->n_drops++;
}

static void
on_handed(const struct outcome *o, void *arg)
{
	struct drop *drop = arg;
	struct rcpt *r = drop->rcpt;
	struct job *j = r->job;

	drop->handover = NULL;
	r->n_drops--;
	rcpt_outcome(r, drop->target, o);
	if (rcpt_advance(r))
		job_advance(j);
}

/* An address of a mailing list. */
static void
rcpt_hand_over(struct rcpt *r, size_t target)
{
	const struct target *t = &r->targets.v[target];
	const struct job *j = r->job;
	struct channel *listd = peer(ROLE_LISTD);
	struct msg_list_take m = { .queue_id = j->queue_id,
		.rcpt = r->num,
		.oldest_live = j->oldest_live,
		.size = j->size,
		.junk = j->junk,
		.prefix = j->prefix,
		.prefix_len = j->prefix_len };
	char sender[ADDRESS_MAX + 1];
	struct drop *drop = r->drops;
	struct outcome o;
	int fd;

	while (drop->parcel != NULL || drop->errand != NULL || drop->handover != NULL)
		drop++;
	strlcpy(m.sender, sender_for(r, sender), sizeof(m.sender));
	strlcpy(m.login, j->login, sizeof(m.login));
	strlcpy(m.qid, j->qid, sizeof(m.qid));
	strlcpy(m.list, t->address, sizeof(m.list));
	strlcpy(m.part, t->mailbox, sizeof(m.part));
	drop->rcpt = r;
	drop->target = target;
	if (listd != NULL && (fd = fcntl(j->fd, F_DUPFD_CLOEXEC, 0)) != -1)
		drop->handover =
		    handover_start(listd, &m, fd, t->rules, &r->outlets, on_handed, drop);
	if (drop->handover == NULL) {
		outcome_set(
		    &o, JOB_DEFERRED, "4.3.0", "the mailing lists cannot be served now");
		rcpt_outcome(r, target, &o);
		return;
	}
	r->n_drops++;
}

/* Start what may be started. 1: the recipient has its result and is freed. */
static int
rcpt_advance(struct rcpt *r)
{
	for (; r->next < r->targets.n && r->n_drops < JOBS_TARGETS_AT_ONCE; r->next++) {
		if (r->targets.v[r->next].kind == TARGET_FORWARD)
			r->n_forwards++;
		else if (r->targets.v[r->next].kind == TARGET_LIST)
			rcpt_hand_over(r, r->next);
		else
			rcpt_deliver(r, r->next);
	}
	if (r->n_drops > 0)
		return 0;
	rcpt_finish(r);
	return 1;
}

static void
on_resolved(struct targets *t, const struct outcome *o, void *arg)
{
	struct rcpt *r = arg;
	struct job *j = r->job;
	struct outcome loop;

	r->resolution = NULL;
	r->targets = *t;
	/* A loop through an address of ours that also forwards ends here as well. */
	if (o->status == JOB_DELIVERED &&
	    delivered_to_loop(&j->delivered_to, j->fd, j->size, r->address, &loop)) {
		targets_clear(&r->targets);
		rcpt_outcome(r, 0, &loop);
	} else if (o->status != JOB_DELIVERED)
		rcpt_outcome(r, 0, o);
	if (rcpt_advance(r))
		job_advance(j);
}

/* queued counts them with the result of the list's address only. */
static int
on_member(const char *address, void *arg)
{
	struct rcpt *r = arg;
	struct channel *ch = channel_find(r->job->queued);
	struct msg_job_expand m = { .job = r->job->id, .rcpt = r->num };

	if (ch == NULL || r->job->n_expands == JOBS_EXPANDS_MAX)
		return -1;
	strlcpy(m.address, address, sizeof(m.address));
	if (channel_send(ch, MSG_LDELIVER_QUEUED_EXPAND, 0, &m, -1) == -1)
		return -1;
	r->job->n_expands++;
	stats.expanded++;
	return 0;
}

static void
on_roll(const struct outcome *o, void *arg)
{
	struct rcpt *r = arg;
	struct job *j = r->job;

	r->roll = NULL;
	send_result(j, r->num, r->address, o, "forwarded");
	rcpt_free(r);
	job_advance(j);
}

static void
rcpt_start(struct job *j, const struct job_address *a)
{
	struct channel *authd = peer(ROLE_AUTHD);
	struct rcpt *r = calloc(1, sizeof(*r));
	struct outcome o;

	if (r == NULL) {
		outcome_set(&o, JOB_DEFERRED, "4.3.0", "no memory for a delivery");
		send_result(j, a->num, a->address, &o, "");
		return;
	}
	r->job = j;
	r->num = a->num;
	r->filing = a->filing;
	r->address = a->address;
	TAILQ_INSERT_TAIL(&j->work, r, entry);
	j->n_work++;
	stats.running++;
	if (authd != NULL && j->is_post && post_is_for_all(&j->post, r->address))
		r->roll = roll_start(authd, j->post.list, on_member, on_roll, r);
	else if (authd != NULL)
		r->resolution = targets_resolve(authd, r->address, on_resolved, r);
	if (r->resolution == NULL && r->roll == NULL) {
		outcome_set(&r->deferred, JOB_DEFERRED, "4.3.5",
		    "the directory of users is not there now");
		rcpt_finish(r);
	}
}

/* ---- a job ---- */

static void
job_end(struct job *j)
{
	struct channel *ch = channel_find(j->queued);
	struct msg_job_id m = { j->id };

	if (ch != NULL)
		(void)channel_send(ch, MSG_DELIVERD_QUEUED_DONE, 0, &m, -1);
	job_free(j);
}

/* Start recipients up to the bound; end the job when none is left. */
static void
job_advance(struct job *j)
{
	while (j->n_work < JOBS_RCPTS_AT_ONCE && j->next < j->nrcpt)
		rcpt_start(j, &j->rcpts[j->next++]);
	if (j->n_work == 0)
		job_end(j);
}

static void
job_new(struct channel *ch, struct msg *m)
{
	const struct msg_job *mj = &m->p.job;
	struct job *j;

	if (job_find(channel_serial(ch), mj->job) != NULL) {
		channel_break(ch, "a job that is there already");
		return;
	}
	/* Without a record here its GO is answered by DONE. */
	if (stats.jobs >= JOBS_MAX || (j = calloc(1, sizeof(*j))) == NULL) {
		stats.refused++;
		return;
	}
	j->id = mj->job;
	j->queued = channel_serial(ch);
	j->queue_id = mj->queue_id;
	j->size = mj->size;
	j->oldest_live = mj->oldest_live;
	j->crc = mj->crc;
	j->junk = mj->junk;
	strlcpy(j->qid, mj->qid, sizeof(j->qid));
	strlcpy(j->sender, mj->sender, sizeof(j->sender));
	strlcpy(j->login, mj->login, sizeof(j->login));
	if (mj->list[0] != '\0') {
		j->is_post = listpost_parse(mj->list, &j->post) == 0;
		j->bad = !j->is_post;
	}
	if (mj->prefix_len > 0) {
		if ((j->prefix = malloc(mj->prefix_len)) == NULL)
			j->bad = 1;
		else {
			memcpy(j->prefix, mj->prefix, mj->prefix_len);
			j->prefix_len = mj->prefix_len;
		}
	}
	j->fd = msg_take_fd(m);
	TAILQ_INIT(&j->work);
	LIST_INSERT_HEAD(&jobs[j->id % BUCKETS], j, hash);
	stats.jobs++;
}

static void
job_add_rcpt(struct channel *ch, const struct msg_job_rcpt *m)
{
	struct job *j = job_find(channel_serial(ch), m->job);
	struct job_address *a;

	if (j == NULL || j->bad)
		return;
	if (j->going) {
		channel_break(ch, "a recipient after GO");
		return;
	}
	if (j->nrcpt == JOBS_RCPTS_MAX) {
		j->bad = 1;
		return;
	}
	if (j->nrcpt == j->cap) {
		uint32_t cap = j->cap == 0 ? 1 : j->cap * 2;

		if ((a = reallocarray(j->rcpts, cap, sizeof(*a))) == NULL) {
			j->bad = 1;
			return;
		}
		j->rcpts = a;
		j->cap = cap;
	}
	a = &j->rcpts[j->nrcpt];
	a->num = m->rcpt;
	a->filing = m->notify & RCPT_FILING;
	if ((a->address = strdup(m->address)) == NULL) {
		j->bad = 1;
		return;
	}
	j->nrcpt++;
}

static void
on_moment(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, MOMENT_MS * 1000 };
	uint64_t now = now_ms();
	struct job *j;

	while ((j = TAILQ_FIRST(&counted)) != NULL && now - j->since >= MOMENT_MS) {
		struct channel *ch = channel_find(j->queued);
		struct msg_job_id m = { j->id };

		TAILQ_REMOVE(&counted, j, entry);
		j->counted = 0;
		if (ch != NULL)
			(void)channel_send(ch, MSG_DELIVERD_QUEUED_WAITS, 0, &m, -1);
	}
	if (j != NULL)
		event_add(ev_moment, &tv);
}

static void
count_moment(struct job *j)
{
	struct timeval tv = { 0, MOMENT_MS * 1000 };

	if (ev_moment == NULL)
		return;
	j->since = now_ms();
	j->counted = 1;
	TAILQ_INSERT_TAIL(&counted, j, entry);
	if (!event_pending(ev_moment, EV_TIMEOUT, NULL))
		event_add(ev_moment, &tv);
}

static void
job_go(struct channel *ch, const struct msg_job_go *m)
{
	struct job *j = job_find(channel_serial(ch), m->job);
	struct msg_job_id done = { m->job };

	if (j == NULL) {
		(void)channel_send(ch, MSG_DELIVERD_QUEUED_DONE, 0, &done, -1);
		return;
	}
	if (j->going) {
		channel_break(ch, "a second GO");
		return;
	}
	if (!j->bad && m->count != j->nrcpt) {
		channel_break(ch, "GO with another number of recipients");
		return;
	}
	j->going = 1;
	if (j->bad) {
		stats.refused++;
		job_end(j);
		return;
	}
	log_debug("%s: job for %u recipients", j->qid, j->nrcpt);
	count_moment(j);
	job_advance(j);
}

void
jobs_message(struct channel *ch, struct msg *m)
{
	struct job *j;

	switch (m->type) {
	case MSG_QUEUED_DELIVERD_JOB:
		job_new(ch, m);
		break;
	case MSG_QUEUED_DELIVERD_RCPT:
		job_add_rcpt(ch, &m->p.job_rcpt);
		break;
	case MSG_QUEUED_DELIVERD_GO:
		job_go(ch, &m->p.job_go);
		break;
	case MSG_QUEUED_DELIVERD_CANCEL:
		/* DONE, so that queued can forget it too. */
		if ((j = job_find(channel_serial(ch), m->p.job_id.job)) != NULL)
			job_end(j);
		break;
	default:
		break;
	}
}

void
jobs_channel_lost(struct channel *ch)
{
	uint64_t serial = channel_serial(ch);
	struct job *j, *next;

	for (size_t i = 0; i < BUCKETS; i++)
		for (j = LIST_FIRST(&jobs[i]); j != NULL; j = next) {
			next = LIST_NEXT(j, hash);
			if (j->queued == serial)
				job_free(j);
		}
}

void
jobs_init(struct event_base *base, mailboxes_peer by_role)
{
	peer = by_role;
	memset(&stats, 0, sizeof(stats));
	ev_moment = event_new(base, -1, 0, on_moment, NULL);
}

void
jobs_clear(void)
{
	if (ev_moment != NULL)
		event_free(ev_moment);
	ev_moment = NULL;
}

void
jobs_get_stats(struct jobs_stats *st)
{
	*st = stats;
}
