/*
 * A job's results as they come, and jobs that are lost with their deliverd.
 *
 * SPDX-License-Identifier: ISC
 */
#include "queued/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/msg.h"
#include "queued/qid.h"

#define LOSSES 256
#define LOST_MAX 8

/* How often the jobs of a message were lost with their deliverd; by id modulo. */
static struct {
	uint64_t msg;
	unsigned int n;
} losses[LOSSES];

void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	for (uint32_t i = 0; i < j->nrcpt; i++) {
		free(j->rcpts[i].mta);
		free(j->rcpts[i].words);
	}
	for (uint32_t i = 0; i < j->nexpands; i++)
		free(j->expands[i].address);
	outlet_free(j);
	free(j->rcpts);
	free(j->expands);
	free(j->route);
	free(j->sender);
	free(j);
}

struct job_rcpt *
job_rcpt_find(struct job *j, uint32_t num)
{
	uint32_t lo = 0, hi = j->nrcpt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (j->rcpts[mid].num == num)
			return &j->rcpts[mid];
		if (j->rcpts[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void
job_result(struct job_rcpt *r, uint8_t status, const char *enhanced, const char *mta,
    const char *reply, const char *text)
{
	r->status = status;
	strlcpy(r->enhanced, enhanced, sizeof(r->enhanced));
	free(r->mta);
	free(r->words);
	r->mta = r->words = NULL;
	if (reply[0] != '\0') {
		r->mta = strdup(mta[0] != '\0' ? mta : "the other system");
		r->words = strdup(reply);
	} else {
		r->mta = strdup("");
		r->words = strdup(text);
	}
}

/*
 * A message that ends deliverd each time would go back at once for ever, and keep the
 * others from their turn: after some times it waits like one that was deferred.
 */
void
result_count_loss(struct job *j)
{
	char qid[QID_SIZE];
	size_t i = j->msg % LOSSES;

	if (losses[i].msg != j->msg) {
		losses[i].msg = j->msg;
		losses[i].n = 0;
	}
	if (!j->lost) {
		losses[i].n = 0;
		return;
	}
	if (++losses[i].n < LOST_MAX)
		return;
	qid_format(j->msg, qid);
	log_fact(
	    LOG_DELIVERY, LOGL_WARN, "lost", KS("qid", qid), KU("times", losses[i].n));
	for (uint32_t k = 0; k < j->nrcpt; k++) {
		if (j->rcpts[k].status == 0)
			job_result(&j->rcpts[k], JOB_DEFERRED, "4.3.0", "", "",
			    "the delivery process ended each time that it had this "
			    "message");
	}
}
