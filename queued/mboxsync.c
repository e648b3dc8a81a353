/*
 * Local deliveries are recorded as done after a sync of the mailboxes that was asked
 * for after them: see deliver.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <event2/event.h>

#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"

#define SYNC_TIMEOUT_MS 60000
#define SYNC_FAILURES_MAX 3
/* Under load a sync begins so long after the one before, or when so many wait: nobody but
 * the queue waits for it, and each costs the disk and the processor the same. */
#define SYNC_SPACING_MS 10
#define SYNC_WAITING_MAX 64

static struct job_list sync_next = TAILQ_HEAD_INITIALIZER(sync_next);
static struct job_list sync_now = TAILQ_HEAD_INITIALIZER(sync_now);
static int syncing, sync_failures;
static uint64_t sync_retry_ms, sync_began_ms;
static unsigned int n_next;
static int sync_timer;

void
mbox_sync_start(void)
{
	syncing = sync_failures = sync_timer = 0;
}

void
mbox_sync_retry(void)
{
	sync_retry_ms = 0;
}

int
mbox_sync_fails(void)
{
	return sync_failures >= SYNC_FAILURES_MAX;
}

void
mbox_sync_add(struct job *j)
{
	TAILQ_INSERT_TAIL(&sync_next, j, entry);
	n_next++;
	job_aside(j);
	deliver_wake();
}

static void
on_mbox_synced(struct msg *m, void *arg)
{
	struct job *j;
	int ok = m != NULL && m->p.status.status == MSG_OK;

	(void)arg;
	syncing = 0;
	if (!ok) {
		sync_failures++;
		sync_retry_ms = now_ms() + 1000;
		if (m != NULL)
			log_warnx("mboxd cannot sync: %s", m->p.status.text);
		if (m != NULL && sync_failures >= SYNC_FAILURES_MAX) {
			/* Then these are not delivered; the mailbox knows them by id. */
			while ((j = TAILQ_FIRST(&sync_now)) != NULL) {
				TAILQ_REMOVE(&sync_now, j, entry);
				for (uint32_t i = 0; i < j->nrcpt; i++) {
					if (j->rcpts[i].status == JOB_DELIVERED)
						job_result(&j->rcpts[i], JOB_DEFERRED,
						    "4.3.0", "", "",
						    "the mailbox's disk cannot be "
						    "synced");
				}
				job_end(j);
			}
		}
		/* Ask again, for these and for what came since. */
		TAILQ_CONCAT(&sync_now, &sync_next, entry);
		TAILQ_CONCAT(&sync_next, &sync_now, entry);
		deliver_wake();
		return;
	}
	sync_failures = 0;
	while ((j = TAILQ_FIRST(&sync_now)) != NULL) {
		TAILQ_REMOVE(&sync_now, j, entry);
		job_end(j);
	}
	deliver_wake();
}

static void
on_spacing(evutil_socket_t fd, short what, void *arg)
{
	sync_timer = 0;
	deliver_wake();
}

/* 1: it is too early for the next one, and deliver_wake() comes when it is not. */
static int
sync_waits(uint64_t now)
{
	struct timeval tv = { 0, 0 };
	uint64_t since = now - sync_began_ms;

	/* Those that wait count as running: they must not be all that may. */
	if (since >= SYNC_SPACING_MS || n_next >= SYNC_WAITING_MAX ||
	    n_next >= queued.conf.jobs_max / 2)
		return 0;
	if (sync_timer)
		return 1;
	tv.tv_usec = (suseconds_t)(SYNC_SPACING_MS - since) * 1000;
	sync_timer =
	    event_base_once(daemon_base(), -1, EV_TIMEOUT, on_spacing, NULL, &tv) == 0;
	return sync_timer;
}

void
mbox_sync_pump(void)
{
	struct channel *ch;
	struct msg_none none = {};
	uint64_t now = now_ms();

	if (syncing || TAILQ_EMPTY(&sync_next) || now < sync_retry_ms || sync_waits(now))
		return;
	ch = daemon_peer(ROLE_MBOXD);
	if (ch == NULL || channel_ask(ch, MSG_QUEUED_MBOXD_SYNC, &none, -1,
			      SYNC_TIMEOUT_MS, on_mbox_synced, NULL) == 0) {
		sync_retry_ms = now_ms() + 1000;
		return;
	}
	syncing = 1;
	sync_began_ms = now;
	n_next = 0;
	TAILQ_CONCAT(&sync_now, &sync_next, entry);
}
