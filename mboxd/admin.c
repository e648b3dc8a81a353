/* SPDX-License-Identifier: ISC */
/* Commands of fifectl on one mailbox; see admin.h. */
#include "mboxd/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mailbox/store.h"
#include "mboxd/admin_job.h"
#include "mboxd/admin_words.h"
#include "mboxd/dirs.h"

struct job {
	struct admin_job c;
	struct msg_mbox_admin request;
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
report(struct job *j, struct msg_mbox_admin_done *d)
{
	struct ctl *ctl = j->c.ctl;

	admin_text_clean(d->text);
	ctl_row(ctl, CTL_FACTS);
	ctl_str(ctl, "address", j->c.address);
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
		    "%s: %s", j->c.address, d->text);
}

static void
on_done(struct msg *m, void *arg)
{
	struct job *j = arg;

	/* Without an answer the channel is lost too, which says so. */
	if (m == NULL)
		return;
	report(j, &m->p.mbox_admin_done);
	admin_job_free(&j->c);
}

static void
start(struct ctl *ctl, int verb, int argc, char **argv)
{
	struct job *j = admin_job_new(sizeof(*j), ctl, argv[0]);
	char why[256];

	if (j == NULL)
		return;
	j->c.fd = ctl_take_fd(ctl);
	if (admin_parse(verb, argc - 1, argv + 1, (int64_t)time(NULL), &j->request, why,
		sizeof(why)) == -1) {
		ctl_done(ctl, CTL_USAGE, "%s", why);
		admin_job_free(&j->c);
		return;
	}
	if ((verb == MBOX_EXPORT || verb == MBOX_IMPORT) && j->c.fd == -1) {
		ctl_done(ctl, CTL_USAGE, "the data's descriptor is missing");
		admin_job_free(&j->c);
		return;
	}
	if (admin_job_find(&j->c, argv[0]) == 0)
		admin_job_ask(&j->c, MSG_MBOXD_MAILBOX_ADMIN, &j->request, on_done,
		    "the mailbox was closed before the work was done");
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
