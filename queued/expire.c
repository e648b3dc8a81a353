/*
 * Messages whose time is over while nobody answers where they go.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"

/* In one sweep: messages looked at, and messages read. */
#define LOOK_MAX 50000
#define READ_MAX 1000

/* Its host is left alone, and no job of ours has it now. */
static int
is_stuck(const struct qmsg *m, const struct qrcpt *r)
{
	uint32_t item;

	if (r->state != RCPT_LIVE || sched_blocked_until(queued.sched, r->dest) == 0)
		return 0;
	for (item = m->items; item != 0 && sched_dest(queued.sched, item) != r->dest;)
		item = sched_next_of(queued.sched, item);
	return item == 0 || sched_state(queued.sched, item) != ITEM_RUNNING;
}

static int
has_stuck(const struct qmsg *m)
{
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (is_stuck(m, &m->rcpt[i]))
			return 1;
	}
	return 0;
}

/* What the last try gave; others may have tried that host in its stead. */
static void
last_words(struct job_rcpt *r, const struct rec_rcpt *last)
{
	if (last->text[0] == '\0')
		job_result(r, JOB_DEFERRED, "4.4.1", "", "",
		    "No server of that domain answered for as long as the message was to "
		    "be tried");
	else
		job_result(r, JOB_DEFERRED, last->enhanced, last->mta,
		    last->mta[0] != '\0' ? last->text : "", last->text);
}

/* Those whose class says that it is over; NULL: none. */
static struct job *
over(const struct qmsg *m, int64_t now)
{
	struct spool_view v;
	struct job *j;

	if (spool_view(queued.spool, m, &v) == -1)
		return NULL; /* whoever tries it finds out */
	j = calloc(1, sizeof(*j));
	if (j == NULL || (j->rcpts = calloc(m->nrcpt, sizeof(*j->rcpts))) == NULL)
		goto none;
	j->msg = m->id;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (!is_stuck(m, &m->rcpt[i]) ||
		    (int64_t)m->created + job_class(&v, i)->expire_s > now)
			continue;
		j->rcpts[j->nrcpt].num = i;
		last_words(&j->rcpts[j->nrcpt++], &v.rcpts[i]);
	}
	if (j->nrcpt == 0)
		goto none;
	spool_view_clear(&v);
	return j;
none:
	spool_view_clear(&v);
	job_free(j);
	return NULL;
}

int
job_is_running(const struct qmsg *m, uint32_t dest)
{
	uint32_t item = m->items;

	while (item != 0 && sched_dest(queued.sched, item) != dest)
		item = sched_next_of(queued.sched, item);
	return item != 0 && sched_state(queued.sched, item) == ITEM_RUNNING;
}

void
expire_sweep(void)
{
	struct index *ix = spool_index(queued.spool);
	uint32_t expire = queued.classes.expire_min_s;
	int64_t now = queue_now();
	static uint64_t id; /* goes on where it stopped */
	struct qmsg *m;
	int read = 0;

	for (int n = 0; n < LOOK_MAX && read < READ_MAX; n++) {
		struct job *j;

		m = index_next(ix, id);
		if (m == NULL) {
			id = 0;
			break;
		}
		id = m->id + 1;
		if ((int64_t)m->created + expire > now || !job_may_run(m) ||
		    m->flags & QM_FROZEN || !has_stuck(m))
			continue;
		read++;
		j = over(m, now);
		if (j == NULL)
			continue;
		deliver_unschedule(m);
		job_expired(j);
		m = index_find(ix, id - 1);
		if (m != NULL)
			deliver_schedule(m);
	}
}
