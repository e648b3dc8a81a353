/* SPDX-License-Identifier: ISC */
/* Programs of the site; see errands.h. */
#include "deliverd/local/errands.h"

#include <stdlib.h>
#include <unistd.h>

/* Longer than a program may wait for its turn and run; queued waits for an hour. */
#define RUN_TIMEOUT_MS (30u * 60 * 1000)

struct errand {
	uint64_t channel;
	uint64_t id;
	errand_done done; /* NULL: cancelled */
	void *arg;
};

static void
on_ran(struct msg *m, void *arg)
{
	struct errand *e = arg;
	struct outcome o;

	if (m == NULL)
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    "it is not known what became of the program");
	else
		outcome_from_program(&o, &m->p.exec_ran);
	if (e->done != NULL)
		e->done(&o, e->arg);
	free(e);
}

struct errand *
errand_run(struct channel *execd, const struct msg_exec_run *q, int fd, errand_done done,
    void *arg)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		close(fd);
		return NULL;
	}
	e->done = done;
	e->arg = arg;
	e->channel = channel_serial(execd);
	e->id =
	    channel_ask(execd, MSG_LDELIVER_EXECD_RUN, q, fd, RUN_TIMEOUT_MS, on_ran, e);
	if (e->id == 0) {
		free(e);
		return NULL;
	}
	return e;
}

void
errand_cancel(struct errand *e)
{
	struct channel *ch = channel_find(e->channel);

	/* A channel that is dying still has its waiters: then on_ran() comes. */
	if (ch == NULL) {
		e->done = NULL;
		return;
	}
	channel_forget(ch, e->id);
	free(e);
}
