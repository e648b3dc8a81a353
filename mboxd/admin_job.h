/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_ADMIN_JOB_H
#define FIFE_MBOXD_ADMIN_JOB_H

/*
 * One command of root on its way to the process of the mailbox: found, asked in a session
 * of its own, and ended early by either side. A kind of command has this as its first
 * member. What ends a job answers fifectl and frees it.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/ctl.h"

struct admin_job {
	struct ctl *ctl; /* when it goes, so does the job */
	struct channel *ch;
	char address[321]; /* as root wrote it, for the answer */
	char name[512];    /* of the mailbox */
	uint32_t uid;
	int fd; /* goes with the question; -1: none */
	enum msg_type type;
	const void *question;
	channel_answer_cb answer;
	const char *closed; /* said when the session is lost */
};

/* size octets for that kind, zeroed behind this part. NULL: fifectl has been told. */
void *admin_job_new(size_t size, struct ctl *, const char *address);
/* With its session, and fd. */
void admin_job_free(struct admin_job *);
/* name and uid. -1: there is no such mailbox, and the job has ended. */
int admin_job_find(struct admin_job *, const char *address);
/*
 * Ask the process; question belongs to the job. answer() gets the job, and NULL when the
 * session is lost, which is answered here; after the last message it frees the job.
 */
void admin_job_ask(struct admin_job *, enum msg_type, const void *question,
    channel_answer_cb answer, const char *closed);

/* The process may have been taken over: nothing of its text steers a terminal. */
void admin_text_clean(char *);

#endif
