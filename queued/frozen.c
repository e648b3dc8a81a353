/*
 * Deliveries that a freeze rule keeps back: they wait until the rule ends or goes.
 *
 * SPDX-License-Identifier: ISC
 */
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/qid.h"

#define FROZEN_AGAIN_S (7 * 86400)

const struct freeze_rule *
job_frozen_by(const struct spool_view *v, uint32_t rcpt, int64_t now)
{
	if (queued.freeze.n == 0)
		return NULL;
	return freeze_match(&queued.freeze, v->rec.sender, v->rcpts[rcpt].address, now);
}

void
job_frozen(struct job *j, struct qmsg *m, const struct spool_view *v, int64_t now)
{
	char qid[QID_SIZE];

	qid_format(m->id, qid);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct freeze_rule *r = job_frozen_by(v, i, now);

		if (m->rcpt[i].state == RCPT_LIVE && r != NULL && !(m->flags & QM_FROZEN))
			log_fact(LOG_DELIVERY, LOGL_INFO, "frozen", KS("qid", qid),
			    KS("to", v->rcpts[i].address), KU("rule", r->num),
			    KS("why", r->reason), KS("by", r->owner),
			    KU("until", (uint64_t)r->until));
	}
	m->flags |= QM_FROZEN;
	for (uint32_t k = 0; k < j->nitems; k++) {
		uint32_t dest = sched_dest(queued.sched, j->items[k]);
		int64_t due = now + FROZEN_AGAIN_S;

		for (uint32_t i = 0; i < m->nrcpt; i++) {
			const struct qrcpt *q = &m->rcpt[i];
			const struct freeze_rule *r;
			int64_t at = q->next;

			if (q->state != RCPT_LIVE || q->dest != dest)
				continue;
			r = job_frozen_by(v, i, now);
			if (r != NULL && at <= now)
				at = r->until != 0 ? r->until : due;
			due = at < due ? at : due;
		}
		sched_job_end(queued.sched, j->items[k], SCHED_NOTHING, now);
		sched_requeue(queued.sched, j->items[k], due > now ? due : now + 1, now);
	}
	job_free(j);
}

uint32_t
deliver_thaw(void)
{
	struct index *ix = spool_index(queued.spool);
	struct qmsg *m;
	uint32_t n = 0;

	for (uint64_t id = 0; (m = index_next(ix, id)) != NULL; id = m->id + 1) {
		if (!(m->flags & QM_FROZEN))
			continue;
		m->flags &= ~(uint32_t)QM_FROZEN;
		for (uint32_t item = m->items; item != 0;
		     item = sched_next_of(queued.sched, item)) {
			int64_t due;

			job_live_for(m, sched_dest(queued.sched, item), &due);
			sched_advance(queued.sched, item, due, queue_now());
		}
		n++;
	}
	deliver_wake();
	return n;
}
