/*
 * Local deliveries are recorded as done after a sync of the mailboxes that was asked
 * for after them: see deliver.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"

#define SYNC_TIMEOUT_MS 60000
#define SYNC_FAILURES_MAX 3

static struct job_list sync_next = TAILQ_HEAD_INITIALIZER(sync_next);
static struct job_list sync_now = TAILQ_HEAD_INITIALIZER(sync_now);
static int syncing, sync_failures;
static uint64_t sync_retry_ms;

void
mbox_sync_start(void)
{
	syncing = sync_failures = 0;
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

void
mbox_sync_pump(void)
{
	struct channel *ch;
	struct msg_none none = {};

	if (syncing || TAILQ_EMPTY(&sync_next) || now_ms() < sync_retry_ms)
		return;
	ch = daemon_peer(ROLE_MBOXD);
	if (ch == NULL || channel_ask(ch, MSG_QUEUED_MBOXD_SYNC, &none, -1,
			      SYNC_TIMEOUT_MS, on_mbox_synced, NULL) == 0) {
		sync_retry_ms = now_ms() + 1000;
		return;
	}
	syncing = 1;
	TAILQ_CONCAT(&sync_now, &sync_next, entry);
}
