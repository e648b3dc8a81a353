/* SPDX-License-Identifier: ISC */
/* Questions about URLs on their way; see urls.h. */
#include "mboxd/urls.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mboxd/cells.h"

#define JOBS_MAX 256    /* of all */
#define JOBS_CELL_MAX 4 /* that one mailbox process asks */
#define TIMEOUT_MS 25000

struct job {
	LIST_ENTRY(job) entry;
	uint64_t channel; /* of the asker */
	uint64_t id;
	enum msg_type answer;
	struct channel *ch; /* the session at the owner's process */
	struct msg_url_fetch *fetch;
};

static LIST_HEAD(, job) jobs = LIST_HEAD_INITIALIZER(jobs);
static size_t n_jobs;

static void
answer(struct channel *ch, enum msg_type type, uint64_t id, const struct msg_url_is *r,
    int fd)
{
	static const struct msg_url_is failed = { .status = MSG_TEMP };

	if (ch != NULL)
		channel_send(ch, type, id, r == NULL ? &failed : r, fd);
	else if (fd != -1)
		close(fd);
}

static struct job *
job_new(struct channel *ch, struct msg *m, enum msg_type type)
{
	struct job *j = n_jobs < JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;

	if (j == NULL) {
		answer(ch, type, m->id, NULL, -1);
		return NULL;
	}
	j->channel = channel_serial(ch);
	j->id = m->id;
	j->answer = type;
	LIST_INSERT_HEAD(&jobs, j, entry);
	n_jobs++;
	return j;
}

/* With its answer. */
static void
job_done(struct job *j, const struct msg_url_is *r, int fd)
{
	answer(channel_find(j->channel), j->answer, j->id, r, fd);
	LIST_REMOVE(j, entry);
	n_jobs--;
	free(j->fetch);
	free(j);
}

static void
pass_on(struct msg *m, struct job *j)
{
	struct msg_url_is r = { .status = MSG_TEMP };
	int fd = -1;

	if (m != NULL) {
		r = m->p.url_is;
		fd = msg_take_fd(m);
		if (r.status == MSG_OK && fd == -1)
			r.status = MSG_TEMP;
	}
	job_done(j, &r, fd);
}

/* ---- from a mailbox process to authd ---- */

static void
on_authd(struct msg *m, void *arg)
{
	pass_on(m, arg);
}

void
urls_ask(struct channel *ch, const char *mailbox, struct msg *m)
{
	struct channel *authd = daemon_peer(ROLE_AUTHD);
	struct msg_url_ask q = m->p.url_ask;
	struct job *j;
	size_t n = 0;

	LIST_FOREACH (j, &jobs, entry)
		n += j->channel == channel_serial(ch);
	q.login = 0;
	strlcpy(q.mailbox, mailbox, sizeof(q.mailbox));
	if (authd == NULL || n >= JOBS_CELL_MAX) {
		answer(ch, MSG_MBOXD_MAILBOX_URL_IS, m->id, NULL, -1);
		return;
	}
	if ((j = job_new(ch, m, MSG_MBOXD_MAILBOX_URL_IS)) == NULL)
		return;
	if (channel_ask(authd, MSG_MBOXD_AUTHD_URL, &q, -1, TIMEOUT_MS, on_authd, j) == 0)
		job_done(j, NULL, -1);
}

/* ---- from authd to the owner's process ---- */

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	channel_break(ch, "unexpected message");
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct job *j = arg;

	j->ch = NULL;
	job_done(j, NULL, -1);
}

static void
on_fetched(struct msg *m, void *arg)
{
	struct job *j = arg;
	struct channel *ch = j->ch;

	pass_on(m, j);
	channel_free(ch); /* a lost one is not told of any more */
}

static void
on_given(int fd, const char *why, void *arg)
{
	struct job *j = arg;

	if (fd == -1) {
		job_done(j, NULL, -1);
		return;
	}
	j->ch = channel_new(
	    daemon_base(), fd, ROLE_MBOXD, 0, ROLE_MAILBOX, on_message, on_lost, j);
	if (j->ch == NULL || channel_ask(j->ch, MSG_MBOXD_MAILBOX_FETCH, j->fetch, -1,
				 TIMEOUT_MS, on_fetched, j) == 0) {
		channel_free(j->ch);
		job_done(j, NULL, -1);
	}
}

void
urls_fetch(struct channel *authd, struct msg *m)
{
	const struct msg_url_fetch *q = &m->p.url_fetch;
	struct msg_mbox_open o = { .purpose = MBOX_URLAUTH,
		.uid = q->uid,
		.quota = q->quota,
		.quota_messages = q->quota_messages,
		.quota_hard = q->quota_hard };
	struct job *j = job_new(authd, m, MSG_MBOXD_AUTHD_FETCHED);

	if (j == NULL)
		return;
	strlcpy(o.mailbox, q->mailbox, sizeof(o.mailbox));
	strlcpy(o.address, q->address, sizeof(o.address));
	if ((j->fetch = malloc(sizeof(*j->fetch))) == NULL) {
		job_done(j, NULL, -1);
		return;
	}
	*j->fetch = *q;
	if (cells_share(&o, "", on_given, j) == -1)
		job_done(j, NULL, -1);
}
