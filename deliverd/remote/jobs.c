/* SPDX-License-Identifier: ISC */
/* The jobs that queued gives, and what it hears of them; see remote.h. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/remote/remote.h"

#define BUCKETS 1024

static TAILQ_HEAD(, job) jobs = TAILQ_HEAD_INITIALIZER(jobs);
static LIST_HEAD(, job) by_id[BUCKETS];
static TAILQ_HEAD(, job) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static size_t n_jobs;
static struct event *pump_event;
static bool stopping;

static struct job *
job_find(struct channel *ch, uint64_t id)
{
	struct job *j;

	LIST_FOREACH (j, &by_id[id % BUCKETS], hash)
		if (j->id == id && j->channel == channel_serial(ch))
			return j;
	return NULL;
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	jobs_pump();
}

static void
pump_later(void)
{
	if (pump_event == NULL)
		pump_event = event_new(daemon_base(), -1, 0, on_pump, NULL);
	if (pump_event != NULL)
		event_active(pump_event, EV_TIMEOUT, 0);
}

static void
job_free(struct job *j)
{
	walk_stop(j);
	if (j->session != NULL)
		session_abort(j->session);
	patience_end(j);
	if (j->state == JOB_WAITING) {
		TAILQ_REMOVE(&waiting, j, waiting);
		remote_stats.waiting--;
	} else if (j->state > JOB_WAITING)
		remote_stats.running--;
	TAILQ_REMOVE(&jobs, j, entry);
	LIST_REMOVE(j, hash);
	n_jobs--;
	for (size_t i = 0; i < j->n_rcpts; i++) {
		free((char *)j->rcpts[i].address);
		free((char *)j->rcpts[i].orcpt);
	}
	free(j->rcpts);
	free(j->settled);
	free(j->prefix);
	free(j->sts_mx);
	free(j->hosts);
	if (j->fd != -1)
		close(j->fd);
	free(j);
	pump_later();
}

void
job_end(struct job *j)
{
	struct channel *ch = channel_find(j->channel);
	struct msg_job_id m = { .job = j->id };

	if (ch != NULL)
		channel_send(ch, MSG_DELIVERD_QUEUED_DONE, 0, &m, -1);
	job_free(j);
}

void
job_result(struct job *j, size_t i, enum job_status status, const char *enhanced,
    const char *mta, const char *reply, const char *text, const char *detail)
{
	struct msg_job_result r = {
		.job = j->id, .rcpt = j->rcpts[i].number, .status = (uint8_t)status
	};
	struct channel *ch = channel_find(j->channel);

	if (j->settled[i])
		return;
	j->settled[i] = true;
	if (status == JOB_DELIVERED)
		remote_stats.delivered++;
	else if (status == JOB_DEFERRED)
		remote_stats.deferred++;
	else
		remote_stats.failed++;
	strlcpy(r.enhanced, enhanced, sizeof(r.enhanced));
	strlcpy(r.mta, mta, sizeof(r.mta));
	strlcpy(r.reply, reply, sizeof(r.reply));
	strlcpy(r.text, text, sizeof(r.text));
	if (status == JOB_DELIVERED)
		strlcpy(r.detail, detail, sizeof(r.detail));
	if (ch != NULL)
		channel_send(ch, MSG_DELIVERD_QUEUED_RESULT, 0, &r, -1);
}

void
job_result_rest(struct job *j, enum job_status status, const char *enhanced,
    const char *mta, const char *reply, const char *text)
{
	for (size_t i = 0; i < j->n_rcpts; i++)
		job_result(j, i, status, enhanced, mta, reply, text, "");
}

void
job_compact(struct job *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_rcpts; i++) {
		if (j->settled[i]) {
			free((char *)j->rcpts[i].address);
			free((char *)j->rcpts[i].orcpt);
		} else
			j->rcpts[n++] = j->rcpts[i];
	}
	j->n_rcpts = n;
	for (size_t i = 0; i < n; i++) {
		j->rcpts[i].index = i;
		j->settled[i] = false;
	}
}

/* ---- from queued ---- */

static void
take_job(struct channel *ch, struct msg *m)
{
	const struct msg_job *p = &m->p.job;
	struct job *j;

	if (job_find(ch, p->job) != NULL || n_jobs >= JOBS_MAX) {
		channel_break(
		    ch, n_jobs >= JOBS_MAX ? "too many jobs" : "a job number twice");
		return;
	}
	if ((j = calloc(1, sizeof(*j))) == NULL ||
	    (p->prefix_len > 0 && (j->prefix = malloc(p->prefix_len)) == NULL)) {
		free(j);
		channel_break(ch, "out of memory");
		return;
	}
	j->channel = channel_serial(ch);
	j->id = p->job;
	j->size = p->size;
	j->body = (enum body_type)p->body;
	j->smtputf8 = p->smtputf8 != 0;
	j->utf8_header = p->utf8_header != 0;
	j->ret = p->ret;
	j->require_tls = p->require_tls != 0;
	j->tls_optional = p->tls_optional != 0;
	j->priority = (int8_t)p->priority;
	j->by = p->by;
	j->by_mode = p->by_mode;
	j->by_trace = p->by_trace != 0;
	strlcpy(j->qid, p->qid, sizeof(j->qid));
	strlcpy(j->sender, p->sender, sizeof(j->sender));
	strlcpy(j->domain, p->domain, sizeof(j->domain));
	strlcpy(j->route_text, p->route, sizeof(j->route_text));
	j->attempts = p->attempts;
	strlcpy(j->envid, p->envid, sizeof(j->envid));
	if (p->list[0] != '\0') {
		j->is_post = listpost_parse(p->list, &j->post) == 0;
		if (!j->is_post) {
			free(j->prefix);
			free(j);
			channel_break(ch, "a post of a list that is malformed");
			return;
		}
	}
	if (p->prefix_len > 0)
		memcpy(j->prefix, p->prefix, p->prefix_len);
	j->prefix_len = p->prefix_len;
	j->fd = msg_take_fd(m);
	TAILQ_INSERT_TAIL(&jobs, j, entry);
	LIST_INSERT_HEAD(&by_id[j->id % BUCKETS], j, hash);
	n_jobs++;
	remote_stats.jobs++;
}

static int
rcpts_grow(struct job *j)
{
	size_t cap = j->cap_rcpts == 0 ? 4 : j->cap_rcpts * 2;
	struct smtp_out_rcpt *r;
	bool *s;

	if ((r = reallocarray(j->rcpts, cap, sizeof(*r))) == NULL)
		return -1;
	j->rcpts = r;
	if ((s = reallocarray(j->settled, cap, sizeof(*s))) == NULL)
		return -1;
	j->settled = s;
	j->cap_rcpts = cap;
	return 0;
}

static void
take_rcpt(struct channel *ch, const struct msg_job_rcpt *p)
{
	struct job *j = job_find(ch, p->job);
	struct smtp_out_rcpt *r;
	char *address, *orcpt;

	if (j == NULL || j->state != JOB_COLLECTING || j->n_rcpts >= JOB_RCPTS_MAX) {
		channel_break(ch, "a recipient for no job, or too many");
		return;
	}
	address = strdup(p->address);
	orcpt = strdup(p->orcpt);
	if (address == NULL || orcpt == NULL ||
	    (j->n_rcpts == j->cap_rcpts && rcpts_grow(j) == -1)) {
		free(address);
		free(orcpt);
		channel_break(ch, "out of memory");
		return;
	}
	r = &j->rcpts[j->n_rcpts];
	r->number = p->rcpt;
	r->index = j->n_rcpts;
	r->address = address;
	r->orcpt = orcpt;
	r->notify = p->notify;
	r->rrvs = p->rrvs;
	r->rrvs_action = p->rrvs_action;
	j->settled[j->n_rcpts++] = false;
}

static void
take_go(struct channel *ch, const struct msg_job_go *p)
{
	struct job *j = job_find(ch, p->job);

	if (j == NULL || j->state != JOB_COLLECTING || j->n_rcpts != p->count ||
	    p->count == 0) {
		channel_break(ch, "a job that is not complete");
		return;
	}
	j->message = (struct smtp_out_message){ .sender = j->sender,
		.size = j->size + j->prefix_len,
		.body = j->body,
		.smtputf8 = j->smtputf8,
		.utf8_header = j->utf8_header,
		.envid = j->envid,
		.ret = j->ret,
		.require_tls = j->require_tls,
		.priority = j->priority,
		.by = j->by,
		.by_mode = j->by_mode,
		.by_trace = j->by_trace };
	j->state = JOB_WAITING;
	TAILQ_INSERT_TAIL(&waiting, j, waiting);
	remote_stats.waiting++;
	pump_later();
}

static void
take_cancel(struct channel *ch, uint64_t id)
{
	struct job *j = job_find(ch, id);

	/* What has been sent as a whole gets its result; it may be delivered. */
	if (j == NULL || (j->session != NULL && session_past_end(j->session)))
		return;
	job_end(j);
}

bool
job_message(struct job *j, bool first)
{
	struct smtp_out_message *m = &j->message;

	m->rcpts = j->rcpts;
	m->n_rcpts = j->n_rcpts;
	if (!j->is_post)
		return first;
	j->post_at = first ? 0 : j->post_at + 1;
	if (j->post_at >= j->n_rcpts)
		return false;
	m->rcpts = &j->rcpts[j->post_at];
	m->n_rcpts = 1;
	listpost_sender(&j->post, m->rcpts->address, j->sender);
	j->fields_len =
	    listpost_fields(&j->post, m->rcpts->address, j->fields, sizeof(j->fields));
	m->size = j->fields_len + j->prefix_len + j->size;
	return true;
}

void
jobs_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_QUEUED_DELIVERD_JOB:
		take_job(ch, m);
		break;
	case MSG_QUEUED_DELIVERD_RCPT:
		take_rcpt(ch, &m->p.job_rcpt);
		break;
	case MSG_QUEUED_DELIVERD_GO:
		take_go(ch, &m->p.job_go);
		break;
	case MSG_QUEUED_DELIVERD_CANCEL:
		take_cancel(ch, m->p.job_id.job);
		break;
	default:
		break;
	}
}

void
jobs_channel_lost(struct channel *ch)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, entry);
		if (j->channel == channel_serial(ch))
			job_free(j);
	}
}

void
jobs_pump(void)
{
	struct job *j;

	if (stopping) {
		if (n_jobs == 0)
			daemon_stopped();
		return;
	}
	while (remote_stats.running < remote_conf.connections_max &&
	       (j = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, j, waiting);
		remote_stats.waiting--;
		remote_stats.running++;
		j->state = JOB_RESOLVING;
		patience_begin(j);
		walk_start(j);
	}
}

bool
jobs_stop(void)
{
	struct job *j, *next;

	stopping = true;
	for (j = TAILQ_FIRST(&jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, entry);
		/* Without a word: queued gives it again to our successor. */
		if (j->session == NULL || !session_past_end(j->session))
			job_free(j);
	}
	return n_jobs == 0;
}
