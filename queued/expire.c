/*
 * Messages whose time is over while nobody answers where they go.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>

#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"

#define SWEEP_MAX 1000

void
expire_sweep(void)
{
	struct index *ix = spool_index(queued.spool);
	uint32_t expire = queued.conf.expire_s;
	int64_t now = queue_now();
	static uint64_t id; /* goes on where it stopped: the first ones may be held */
	struct qmsg *m;

	if (expire == 0)
		return;
	for (int n = 0; n < SWEEP_MAX; n++) {
		struct job *j = NULL;

		m = index_next(ix, id);
		if (m == NULL || (int64_t)m->created + expire > now) {
			id = 0;
			break;
		}
		id = m->id + 1;
		if (!job_may_run(m) || m->flags & QM_FROZEN)
			continue;
		for (uint32_t i = 0; i < m->nrcpt; i++) {
			const struct qrcpt *r = &m->rcpt[i];
			uint32_t item;

			if (r->state != RCPT_LIVE ||
			    sched_blocked_until(queued.sched, r->dest) == 0)
				continue;
			for (item = m->items;
			     item != 0 && sched_dest(queued.sched, item) != r->dest;)
				item = sched_next_of(queued.sched, item);
			if (item != 0 && sched_state(queued.sched, item) == ITEM_RUNNING)
				continue;
			if (j == NULL) {
				j = calloc(1, sizeof(*j));
				if (j == NULL)
					return;
				j->rcpts = calloc(m->nrcpt, sizeof(*j->rcpts));
				if (j->rcpts == NULL) {
					free(j);
					return;
				}
				j->msg = m->id;
			}
			j->rcpts[j->nrcpt].num = i;
			job_result(&j->rcpts[j->nrcpt++], JOB_DEFERRED, "4.4.7", "", "",
			    "No server of that domain answered for as long as the "
			    "message "
			    "was to be tried");
		}
		if (j == NULL)
			continue;
		deliver_unschedule(m);
		job_expired(j);
		m = index_find(ix, id - 1);
		if (m != NULL)
			deliver_schedule(m);
	}
}
