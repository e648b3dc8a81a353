/* SPDX-License-Identifier: ISC */
/*
 * Jobs whose host has not said a word yet: its name is looked up, its connection is
 * being made, its greeting is awaited. Thousands of dead hosts may take minutes each;
 * all that this costs is memory, so that such a job takes no place among those that run
 * once it has waited for more than a moment, and queued is told to count it no more
 * either. When there are very many the oldest do not get all the time that is set.
 *
 *	NONE -> NEW -> LONG     any -> NONE: it speaks, or the job is over
 */
#include <event2/event.h>

#include "common/daemon.h"
#include "deliverd/remote/remote.h"

#define MOMENT_MS 20
#define SWEEP_MS 10
/* So many may wait for a name at a time: dnsd has a bound of its own. */
#define RESOLVING_MAX 1000
/* With more than that those go that have waited for so long. */
#define MANY 3000
#define MANY_MS 10000
#define MANY_A_SWEEP 50

TAILQ_HEAD(patient_list, job);
static struct patient_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
static struct patient_list longer = TAILQ_HEAD_INITIALIZER(longer); /* the oldest first */
static unsigned int n_resolving;
static struct event *timer;

static void
becomes_long(struct job *j, uint64_t now)
{
	struct channel *ch = channel_find(j->channel);
	struct msg_job_id m = { .job = j->id };

	TAILQ_REMOVE(&fresh, j, patience.entry);
	TAILQ_INSERT_TAIL(&longer, j, patience.entry);
	j->patience.state = PATIENCE_LONG;
	j->patience.since = now;
	j->patience.resolving = j->session == NULL;
	n_resolving += j->patience.resolving;
	remote_stats.running--;
	remote_stats.patient++;
	if (ch != NULL)
		channel_send(ch, MSG_DELIVERD_QUEUED_WAITS, 0, &m, -1);
}

static void
let_go(uint64_t now)
{
	struct job *j, *next;
	int n = 0;

	for (j = TAILQ_FIRST(&longer);
	     j != NULL && remote_stats.patient > MANY && n < MANY_A_SWEEP; j = next) {
		next = TAILQ_NEXT(j, patience.entry);
		if (now - j->patience.since < MANY_MS)
			break;
		if (j->session == NULL)
			continue;
		n++;
		/* Its next host, if it has one, begins anew. */
		session_give_up(j->session);
		next = TAILQ_FIRST(&longer);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, SWEEP_MS * 1000 };
	uint64_t now = now_ms();
	struct job *j, *next;
	unsigned int before = remote_stats.patient;

	for (j = TAILQ_FIRST(&fresh); j != NULL; j = next) {
		next = TAILQ_NEXT(j, patience.entry);
		if (now - j->patience.since < MOMENT_MS)
			break;
		if (j->session != NULL || n_resolving < RESOLVING_MAX)
			becomes_long(j, now);
	}
	let_go(now);
	if (before != remote_stats.patient)
		jobs_pump();
	if (!TAILQ_EMPTY(&fresh) || remote_stats.patient > MANY)
		event_add(timer, &tv);
}

void
patience_begin(struct job *j)
{
	struct timeval tv = { 0, SWEEP_MS * 1000 };

	if (j->patience.state == PATIENCE_LONG) {
		/* Another host: its time begins now. */
		TAILQ_REMOVE(&longer, j, patience.entry);
		TAILQ_INSERT_TAIL(&longer, j, patience.entry);
		n_resolving -= j->patience.resolving;
		j->patience.resolving = false;
	} else if (j->patience.state == PATIENCE_NEW) {
		TAILQ_REMOVE(&fresh, j, patience.entry);
		TAILQ_INSERT_TAIL(&fresh, j, patience.entry);
	} else {
		j->patience.state = PATIENCE_NEW;
		TAILQ_INSERT_TAIL(&fresh, j, patience.entry);
	}
	j->patience.since = now_ms();
	if (timer == NULL)
		timer = event_new(daemon_base(), -1, 0, on_timer, NULL);
	if (timer != NULL && !event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &tv);
}

void
patience_end(struct job *j)
{
	switch (j->patience.state) {
	case PATIENCE_NONE:
		return;
	case PATIENCE_NEW:
		TAILQ_REMOVE(&fresh, j, patience.entry);
		break;
	case PATIENCE_LONG:
		TAILQ_REMOVE(&longer, j, patience.entry);
		n_resolving -= j->patience.resolving;
		j->patience.resolving = false;
		remote_stats.patient--;
		remote_stats.running++;
		break;
	}
	j->patience.state = PATIENCE_NONE;
}
