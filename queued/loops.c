/*
 * Addresses that a recipient stood for, against those that the message has already: each
 * gets it once, and what is sent round in a ring, by redirects of users to one another,
 * ends as a failure rather than never.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/msg.h"
#include "queued/job.h"
#include "queued/spool.h"

#define COMPARISONS_MAX (10 * 1000 * 1000)

/* It has nothing of the message itself: the words are deliverd-local's. */
static int
was_sent_on(const struct rec_rcpt *rc, const struct job_rcpt *jr)
{
	const char *words = rc->text != NULL ? rc->text : "";

	if (jr != NULL)
		return jr->status == JOB_DELIVERED && !jr->kept;
	return rc->state == RCPT_DONE && (strncmp(words, "redirected to ", 14) == 0 ||
					     strncmp(words, "forwarded to ", 13) == 0);
}

static void
check_one(struct job *j, struct job_expand *e, const struct spool_view *view)
{
	for (uint32_t i = 0; i < view->nrcpt; i++) {
		if (strcasecmp(view->rcpts[i].address, e->address) != 0)
			continue;
		e->skip = 1;
		e->loop |= was_sent_on(&view->rcpts[i], job_rcpt_find(j, i)) != 0;
	}
	for (const struct job_expand *b = j->expands; b < e && !e->skip; b++) {
		const struct job_rcpt *jr;

		if (b->skip || strcasecmp(b->address, e->address) != 0)
			continue;
		jr = job_rcpt_find(j, b->num);
		e->skip = jr != NULL && jr->status == JOB_DELIVERED;
	}
}

void
expands_check(struct job *j, const struct spool_view *view)
{
	if ((uint64_t)j->nexpands * (view->nrcpt + j->nexpands) > COMPARISONS_MAX)
		return;
	for (uint32_t i = 0; i < j->nexpands; i++) {
		j->expands[i].skip = j->expands[i].loop = 0;
		check_one(j, &j->expands[i], view);
	}
	/* A recipient all of whose addresses lead back, and that kept nothing. */
	for (uint32_t k = 0; k < j->nrcpt; k++) {
		struct job_rcpt *jr = &j->rcpts[k];
		const char *loop = NULL;
		uint32_t fresh = 0;
		char text[400];

		if (jr->status != JOB_DELIVERED || jr->kept)
			continue;
		for (uint32_t i = 0; i < j->nexpands; i++) {
			if (j->expands[i].num != jr->num)
				continue;
			fresh += !j->expands[i].skip;
			if (j->expands[i].loop)
				loop = j->expands[i].address;
		}
		if (loop == NULL || fresh > 0)
			continue;
		snprintf(text, sizeof(text),
		    "mail loop: it is sent on to %s, which sends it on as well", loop);
		job_result(jr, JOB_FAILED, "5.4.6", "", "", text);
	}
}
