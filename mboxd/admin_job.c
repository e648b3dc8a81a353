/* SPDX-License-Identifier: ISC */
/* The way of root's commands to a mailbox's process; see admin_job.h. */
#include "mboxd/admin_job.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mboxd/admin.h"
#include "mboxd/cells.h"

void *
admin_job_new(size_t size, struct ctl *ctl, const char *address)
{
	struct admin_job *j = calloc(1, size);

	if (j == NULL) {
		ctl_done(ctl, CTL_TEMPFAIL, "no memory");
		return NULL;
	}
	j->ctl = ctl;
	j->fd = -1;
	strlcpy(j->address, address, sizeof(j->address));
	return j;
}

void
admin_job_free(struct admin_job *j)
{
	channel_free(j->ch);
	if (j->fd != -1)
		close(j->fd);
	free(j);
}

int
admin_job_find(struct admin_job *j, const char *address)
{
	if (admin_find(address, j->name, sizeof(j->name), &j->uid) == 0)
		return 0;
	ctl_done(j->ctl, CTL_REFUSED, "%s: there is no such mailbox", address);
	admin_job_free(j);
	return -1;
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	channel_break(ch, "unexpected message");
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct admin_job *j = arg;

	ctl_done(j->ctl, CTL_TEMPFAIL, "%s: %s", j->address, j->closed);
	j->ch = NULL;
	admin_job_free(j);
}

static void
on_gone(struct ctl *ctl, void *arg)
{
	struct admin_job *j = arg;

	cells_admin_forget(j);
	admin_job_free(j); /* which ends the work */
}

static void
on_given(int fd, const char *why, void *arg)
{
	struct admin_job *j = arg;
	int data = j->fd;

	if (fd == -1) {
		ctl_done(j->ctl, CTL_TEMPFAIL, "%s: %s", j->address, why);
		admin_job_free(j);
		return;
	}
	j->ch = channel_new(
	    daemon_base(), fd, ROLE_MBOXD, 0, ROLE_MAILBOX, on_message, on_lost, j);
	if (j->ch != NULL) {
		j->fd = -1;
		if (channel_ask(
			j->ch, j->type, j->question, data, UINT32_MAX, j->answer, j) != 0)
			return;
	}
	ctl_done(j->ctl, CTL_TEMPFAIL, "%s: no memory", j->address);
	admin_job_free(j);
}

void
admin_job_ask(struct admin_job *j, enum msg_type type, const void *question,
    channel_answer_cb answer, const char *closed)
{
	j->type = type;
	j->question = question;
	j->answer = answer;
	j->closed = closed;
	ctl_on_gone(j->ctl, on_gone, j);
	cells_admin(j->name, j->address, j->uid, on_given, j);
}

void
admin_text_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}
