/*
 * Messages that have to be delivered by a certain time (RFC 2852): when it comes, those
 * of mode R are given up, and the senders of those of mode N are told of the delay.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"

#define AGAIN_S 60

struct deadline {
	uint32_t by;
	uint64_t id;
};

/* A heap, the earliest first. */
static struct deadline *heap;
static size_t nheap, heap_cap;
static uint64_t at_work; /* the message whose time is over just now */

static void
up(size_t i)
{
	struct deadline d = heap[i];

	for (; i > 0 && heap[(i - 1) / 2].by > d.by; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = d;
}

static void
pop(void)
{
	struct deadline d = heap[--nheap];
	size_t i = 0, kid;

	while ((kid = 2 * i + 1) < nheap) {
		if (kid + 1 < nheap && heap[kid + 1].by < heap[kid].by)
			kid++;
		if (heap[kid].by >= d.by)
			break;
		heap[i] = heap[kid];
		i = kid;
	}
	heap[i] = d;
}

static void
watch(struct qmsg *m, uint32_t by)
{
	if (nheap == heap_cap) {
		size_t cap = heap_cap == 0 ? 64 : heap_cap * 2;
		struct deadline *n = reallocarray(heap, cap, sizeof(*n));

		if (n == NULL) {
			log_warnx("no memory to watch the time of a message");
			return;
		}
		heap = n;
		heap_cap = cap;
	}
	heap[nheap] = (struct deadline){ by, m->id };
	up(nheap++);
	m->flags |= QM_BY_WATCHED;
}

void
deadline_watch(struct qmsg *m)
{
	/* A result that cannot be written is kept and comes later: watched again at once,
	 * it would be over again at once. */
	if (m->by != 0 && m->id != at_work &&
	    (m->flags & (QM_BY_WATCHED | QM_BY_TOLD)) == 0)
		watch(m, m->by);
}

/* Recipients that no deliverd has in hand are given up; the others' results will be. */
static int
give_up(struct job *j, const struct qmsg *m)
{
	j->rcpts = calloc(m->nrcpt, sizeof(*j->rcpts));
	if (j->rcpts == NULL)
		return -1;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state != RCPT_LIVE || job_is_running(m, m->rcpt[i].dest))
			continue;
		j->rcpts[j->nrcpt].num = i;
		job_result(&j->rcpts[j->nrcpt++], JOB_FAILED, "5.4.7", "", "",
		    "It could not be delivered in the time that was set for it");
	}
	return j->nrcpt > 0 ? 0 : -1;
}

/* Nothing can be recorded about a message that cannot be read. */
static int
is_readable(const struct qmsg *m)
{
	struct spool_view v;

	if (spool_view(queued.spool, m, &v) == -1)
		return 0;
	spool_view_clear(&v);
	return 1;
}

static void
is_over(struct qmsg *m)
{
	struct job *j = is_readable(m) ? calloc(1, sizeof(*j)) : NULL;
	uint64_t id = m->id;

	if (j == NULL) {
		watch(m, (uint32_t)queue_now() + AGAIN_S);
		return;
	}
	j->msg = id;
	/* Of mode N: a job without results, for the notice. */
	if (m->ext & QX_BY_RETURN && give_up(j, m) == -1) {
		job_free(j);
		return;
	}
	at_work = id;
	deliver_unschedule(m);
	job_expired(j);
	m = index_find(spool_index(queued.spool), id);
	if (m != NULL)
		deliver_schedule(m);
	at_work = 0;
}

void
deadline_tick(void)
{
	int64_t now = queue_now();

	while (nheap > 0 && heap[0].by <= now) {
		struct qmsg *m = index_find(spool_index(queued.spool), heap[0].id);

		pop();
		if (m == NULL)
			continue;
		m->flags &= ~(uint32_t)QM_BY_WATCHED;
		/* Who is held is watched again when he is released. */
		if (!job_may_run(m))
			continue;
		if (m->flags & QM_FROZEN)
			watch(m, (uint32_t)now + AGAIN_S);
		else
			is_over(m);
	}
}

void
deadline_start(void)
{
	free(heap);
	heap = NULL;
	nheap = heap_cap = 0;
}
