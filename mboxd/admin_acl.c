/* SPDX-License-Identifier: ISC */
/* fifectl mailbox acl: the words become a question to the mailbox's process; see admin.h.
 */
#include <string.h>

#include "common/compat/compat.h"
#include "mboxd/admin.h"
#include "mboxd/admin_job.h"

struct job {
	struct admin_job c;
	struct msg_acl question;
};

static void
on_answer(struct msg *m, void *arg)
{
	struct job *j = arg;

	/* Without an answer the channel is lost too, which says so. */
	if (m == NULL)
		return;
	if (m->type == MSG_MAILBOX_MBOXD_ACL_ROW) {
		struct msg_acl_row *r = &m->p.acl_row;

		admin_text_clean(r->folder);
		admin_text_clean(r->identifier);
		admin_text_clean(r->rights);
		ctl_row(j->c.ctl, CTL_TABLE);
		ctl_str(j->c.ctl, "folder", r->folder);
		ctl_str(j->c.ctl, "identifier", r->identifier);
		ctl_str(j->c.ctl, "rights", r->rights);
		ctl_row_end(j->c.ctl);
		return;
	}
	admin_text_clean(m->p.acl_done.text);
	if (m->p.acl_done.status == MSG_OK)
		ctl_done(j->c.ctl, CTL_OK, NULL);
	else
		ctl_done(
		    j->c.ctl, CTL_REFUSED, "%s: %s", j->c.address, m->p.acl_done.text);
	admin_job_free(&j->c);
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
	struct job *j = admin_job_new(sizeof(*j), ctl, argv[0]);

	if (j == NULL)
		return;
	if (parse(&j->question, argc - 1, argv + 1) == -1) {
		ctl_done(ctl, CTL_USAGE,
		    "expected mailbox acl ADDRESS [list [FOLDER]], set FOLDER IDENTIFIER "
		    "RIGHTS or delete FOLDER IDENTIFIER");
		admin_job_free(&j->c);
		return;
	}
	if (admin_job_find(&j->c, argv[0]) == -1)
		return;
	/* Identifiers without a domain are of the mailbox's own. */
	strlcpy(j->question.domain, j->c.name, sizeof(j->question.domain));
	j->question.domain[strcspn(j->question.domain, "/")] = '\0';
	admin_job_ask(&j->c, MSG_MBOXD_MAILBOX_ACL, &j->question, on_answer,
	    "the mailbox was closed");
}
