/* SPDX-License-Identifier: ISC */
/* Questions about limits on their way; see quotas.h. */
#include "mboxd/quotas.h"

#include <sys/queue.h>

#include <stdlib.h>

#include "common/compat/compat.h"
#include "common/daemon.h"

#define JOBS_MAX 256    /* of all */
#define JOBS_CELL_MAX 4 /* that one mailbox process asks */
#define TIMEOUT_MS 20000

struct job {
	LIST_ENTRY(job) entry;
	uint64_t channel; /* of the asker */
	uint64_t id;
};

static LIST_HEAD(, job) jobs = LIST_HEAD_INITIALIZER(jobs);
static size_t n_jobs;

static void
answer(struct channel *ch, uint64_t id, const struct msg_quota_is *r)
{
	static const struct msg_quota_is failed = { .status = MSG_TEMP };

	if (ch != NULL)
		channel_send(
		    ch, MSG_MBOXD_MAILBOX_QUOTA_IS, id, r == NULL ? &failed : r, -1);
}

static void
on_authd(struct msg *m, void *arg)
{
	struct job *j = arg;

	answer(channel_find(j->channel), j->id, m == NULL ? NULL : &m->p.quota_is);
	LIST_REMOVE(j, entry);
	n_jobs--;
	free(j);
}

static int
too_fast(struct quotas_pace *p)
{
	uint64_t now = now_ms();

	if (now - p->since_ms >= 1000)
		*p = (struct quotas_pace){ .since_ms = now };
	return ++p->asked > QUOTAS_PER_S;
}

void
quotas_ask(
    struct channel *ch, const char *mailbox, struct quotas_pace *pace, struct msg *m)
{
	static const struct msg_quota_is full = { .status = MSG_FULL };
	struct channel *authd = daemon_peer(ROLE_AUTHD);
	struct msg_quota_ask q = m->p.quota_ask;
	struct job *j;
	size_t n = 0;

	if (too_fast(pace)) {
		answer(ch, m->id, &full);
		return;
	}
	LIST_FOREACH (j, &jobs, entry)
		n += j->channel == channel_serial(ch);
	strlcpy(q.mailbox, mailbox, sizeof(q.mailbox));
	if (authd == NULL || n >= JOBS_CELL_MAX || n_jobs >= JOBS_MAX ||
	    (j = calloc(1, sizeof(*j))) == NULL) {
		answer(ch, m->id, NULL);
		return;
	}
	j->channel = channel_serial(ch);
	j->id = m->id;
	if (channel_ask(authd, MSG_MBOXD_AUTHD_QUOTA, &q, -1, TIMEOUT_MS, on_authd, j) ==
	    0) {
		free(j);
		answer(ch, m->id, NULL);
		return;
	}
	LIST_INSERT_HEAD(&jobs, j, entry);
	n_jobs++;
}
