/* SPDX-License-Identifier: ISC */
/* Commands of fifectl on one mailbox; see admin.h. */
#include "mboxd/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mailbox/store.h"
#include "mboxd/admin_words.h"
#include "mboxd/cells.h"
#include "mboxd/dirs.h"

struct job {
	struct ctl *ctl; /* NULL: fifectl has gone */
	struct channel *ch;
	struct msg_mbox_admin request;
	char address[321];
	int fd;
};

static int
is_mailbox(const char *name, struct stat *st)
{
	return mailbox_name_valid(name) && lstat(name, st) == 0 && S_ISDIR(st->st_mode);
}

int
admin_find(const char *address, char *name, size_t cap, uint32_t *uid)
{
	const char *at = strrchr(address, '@');
	struct stat st;
	int n;

	if (at != NULL)
		n = snprintf(name, cap, "%s/%.*s", at + 1, (int)(at - address), address);
	else
		n = snprintf(name, cap, "%s", address);
	if (n < 0 || (size_t)n >= cap)
		return -1;
	/* Domains and names of mailboxes are in lower case. */
	for (char *p = name; *p != '\0' && !is_mailbox(name, &st); p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (!is_mailbox(name, &st))
		return -1;
	*uid = st.st_uid;
	return 0;
}

static void
job_free(struct job *j)
{
	if (j->fd != -1)
		close(j->fd);
	free(j);
}

/* The process may have been taken over: nothing of its text steers a terminal. */
static void
clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

static void
report(struct job *j, struct msg_mbox_admin_done *d)
{
	struct ctl *ctl = j->ctl;

	clean(d->text);
	ctl_row(ctl, CTL_FACTS);
	ctl_str(ctl, "address", j->address);
	ctl_u64(ctl, "messages", d->messages);
	ctl_u64(ctl, "octets", d->octets);
	ctl_u64(ctl, "folders", d->folders);
	if (j->request.verb == MBOX_IMPORT)
		ctl_u64(ctl, "skipped", d->skipped);
	if (j->request.options & MBOX_ADMIN_DOVECOT)
		ctl_u64(ctl, "renumbered", d->renumbered);
	if (j->request.verb == MBOX_PURGE)
		ctl_bool(ctl, "dry-run", j->request.options & MBOX_ADMIN_DRY_RUN);
	ctl_row_end(ctl);
	if (d->status == MSG_OK)
		ctl_done(ctl, CTL_OK, NULL);
	else
		ctl_done(ctl, d->status == MSG_TEMP ? CTL_TEMPFAIL : CTL_REFUSED,
		    "%s: %s", j->address, d->text);
}

static void
on_done(struct msg *m, void *arg)
{
	struct job *j = arg;

	/* Without an answer the channel is lost too, which says so. */
	if (m == NULL)
		return;
	if (j->ctl != NULL) {
		struct msg_mbox_admin_done d = m->p.mbox_admin_done;

		report(j, &d);
	}
	channel_free(j->ch);
	job_free(j);
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	channel_break(ch, "unexpected message");
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct job *j = arg;

	if (j->ctl != NULL)
		ctl_done(j->ctl, CTL_TEMPFAIL,
		    "%s: the mailbox was closed before the work was done", j->address);
	job_free(j);
}

static void
on_gone(struct ctl *ctl, void *arg)
{
	struct job *j = arg;

	j->ctl = NULL;
	cells_admin_forget(j);
	if (j->ch != NULL)
		channel_free(j->ch); /* which ends the work */
	job_free(j);
}

static void
on_given(int fd, const char *why, void *arg)
{
	struct job *j = arg;
	int data = j->fd;

	if (fd == -1) {
		ctl_done(j->ctl, CTL_TEMPFAIL, "%s: %s", j->address, why);
		job_free(j);
		return;
	}
	j->fd = -1;
	j->ch = channel_new(
	    daemon_base(), fd, ROLE_MBOXD, 0, ROLE_MAILBOX, on_message, on_lost, j);
	if (j->ch == NULL) {
		if (data != -1)
			close(data);
	} else if (channel_ask(j->ch, MSG_MBOXD_MAILBOX_ADMIN, &j->request, data,
		       UINT32_MAX, on_done, j) != 0)
		return;
	ctl_done(j->ctl, CTL_TEMPFAIL, "%s: no memory", j->address);
	channel_free(j->ch);
	job_free(j);
}

static void
start(struct ctl *ctl, int verb, int argc, char **argv)
{
	struct job *j = calloc(1, sizeof(*j));
	char name[512], why[256];
	uint32_t uid;

	if (j == NULL) {
		ctl_done(ctl, CTL_TEMPFAIL, "no memory");
		return;
	}
	j->fd = ctl_take_fd(ctl);
	j->ctl = ctl;
	strlcpy(j->address, argv[0], sizeof(j->address));
	if (admin_parse(verb, argc - 1, argv + 1, (int64_t)time(NULL), &j->request, why,
		sizeof(why)) == -1) {
		ctl_done(ctl, CTL_USAGE, "%s", why);
		job_free(j);
		return;
	}
	if ((verb == MBOX_EXPORT || verb == MBOX_IMPORT) && j->fd == -1) {
		ctl_done(ctl, CTL_USAGE, "the data's descriptor is missing");
		job_free(j);
		return;
	}
	if (admin_find(argv[0], name, sizeof(name), &uid) == -1) {
		ctl_done(ctl, CTL_REFUSED, "%s: there is no such mailbox", argv[0]);
		job_free(j);
		return;
	}
	ctl_on_gone(ctl, on_gone, j);
	cells_admin(name, j->address, uid, on_given, j);
}

void
admin_purge(struct ctl *ctl, int argc, char **argv)
{
	start(ctl, MBOX_PURGE, argc, argv);
}

void
admin_reindex(struct ctl *ctl, int argc, char **argv)
{
	start(ctl, MBOX_REINDEX, argc, argv);
}

void
admin_export(struct ctl *ctl, int argc, char **argv)
{
	start(ctl, MBOX_EXPORT, argc, argv);
}

void
admin_import(struct ctl *ctl, int argc, char **argv)
{
	start(ctl, MBOX_IMPORT, argc, argv);
}
