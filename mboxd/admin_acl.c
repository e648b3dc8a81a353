/* SPDX-License-Identifier: ISC */
/* fifectl mailbox acl: the words become a question to the mailbox's process; see admin.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "mboxd/admin.h"
#include "mboxd/cells.h"

struct job {
	struct ctl *ctl; /* NULL: fifectl has gone */
	struct channel *ch;
	struct msg_acl question;
	char address[321];
};

/* The process may have been taken over: nothing of its text steers a terminal. */
static void
clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

static void
on_answer(struct msg *m, void *arg)
{
	struct job *j = arg;

	/* Without an answer the channel is lost too, which says so. */
	if (m == NULL)
		return;
	if (m->type == MSG_MAILBOX_MBOXD_ACL_ROW) {
		struct msg_acl_row *r = &m->p.acl_row;

		if (j->ctl == NULL)
			return;
		clean(r->folder);
		clean(r->identifier);
		clean(r->rights);
		ctl_row(j->ctl, CTL_TABLE);
		ctl_str(j->ctl, "folder", r->folder);
		ctl_str(j->ctl, "identifier", r->identifier);
		ctl_str(j->ctl, "rights", r->rights);
		ctl_row_end(j->ctl);
		return;
	}
	if (j->ctl != NULL) {
		clean(m->p.acl_done.text);
		if (m->p.acl_done.status == MSG_OK)
			ctl_done(j->ctl, CTL_OK, NULL);
		else
			ctl_done(j->ctl, CTL_REFUSED, "%s: %s", j->address,
			    m->p.acl_done.text);
	}
	channel_free(j->ch);
	free(j);
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
		ctl_done(j->ctl, CTL_TEMPFAIL, "%s: the mailbox was closed", j->address);
	free(j);
}

static void
on_gone(struct ctl *ctl, void *arg)
{
	struct job *j = arg;

	j->ctl = NULL;
	cells_admin_forget(j);
	if (j->ch != NULL)
		channel_free(j->ch);
	free(j);
}

static void
on_given(int fd, const char *why, void *arg)
{
	struct job *j = arg;

	if (fd == -1) {
		ctl_done(j->ctl, CTL_TEMPFAIL, "%s: %s", j->address, why);
		free(j);
		return;
	}
	j->ch = channel_new(
	    daemon_base(), fd, ROLE_MBOXD, 0, ROLE_MAILBOX, on_message, on_lost, j);
	if (j->ch != NULL && channel_ask(j->ch, MSG_MBOXD_MAILBOX_ACL, &j->question, -1,
				 UINT32_MAX, on_answer, j) != 0)
		return;
	ctl_done(j->ctl, CTL_TEMPFAIL, "%s: no memory", j->address);
	channel_free(j->ch);
	free(j);
}

/* 0, or -1: wrong words. */
static int
parse(struct msg_acl *q, int argc, char **argv)
{
	q->verb = ACL_VERB_LIST;
	if (argc == 0)
		return 0;
	if (strcmp(argv[0], "list") == 0 && argc <= 2)
		return argc == 2 && (argv[1][0] == '\0' ||
					strlcpy(q->folder, argv[1], sizeof(q->folder)) >=
					    sizeof(q->folder))
			   ? -1
			   : 0;
	if (strcmp(argv[0], "set") == 0 && argc == 4)
		q->verb = ACL_VERB_SET;
	else if (strcmp(argv[0], "delete") == 0 && argc == 3)
		q->verb = ACL_VERB_DELETE;
	else
		return -1;
	if (strlcpy(q->folder, argv[1], sizeof(q->folder)) >= sizeof(q->folder) ||
	    strlcpy(q->identifier, argv[2], sizeof(q->identifier)) >=
		sizeof(q->identifier) ||
	    (argc == 4 &&
		strlcpy(q->rights, argv[3], sizeof(q->rights)) >= sizeof(q->rights)))
		return -1;
	return 0;
}

void
admin_acl(struct ctl *ctl, int argc, char **argv)
{
	struct job *j = calloc(1, sizeof(*j));
	char name[512];
	uint32_t uid;

	if (j == NULL) {
		ctl_done(ctl, CTL_TEMPFAIL, "no memory");
		return;
	}
	j->ctl = ctl;
	strlcpy(j->address, argv[0], sizeof(j->address));
	if (parse(&j->question, argc - 1, argv + 1) == -1) {
		ctl_done(ctl, CTL_USAGE,
		    "expected mailbox acl ADDRESS [list [FOLDER]], set FOLDER IDENTIFIER "
		    "RIGHTS or delete FOLDER IDENTIFIER");
		free(j);
		return;
	}
	if (admin_find(argv[0], name, sizeof(name), &uid) == -1) {
		ctl_done(ctl, CTL_REFUSED, "%s: there is no such mailbox", argv[0]);
		free(j);
		return;
	}
	/* Identifiers without a domain are of the mailbox's own. */
	strlcpy(j->question.domain, name, sizeof(j->question.domain));
	j->question.domain[strcspn(j->question.domain, "/")] = '\0';
	ctl_on_gone(ctl, on_gone, j);
	cells_admin(name, j->address, uid, on_given, j);
}
