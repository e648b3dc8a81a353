/* SPDX-License-Identifier: ISC */
#ifndef FIFE_OUTCOME_H
#define FIFE_OUTCOME_H

/* What came of a delivery to one mailbox, as queued wants it for a recipient. */

#include "common/msg.h"

struct outcome {
	enum job_status status;
	char enhanced[16]; /* RFC 3463; its class fits the status */
	char text[512];
	int kept; /* a mailbox has it */
};

/* printf style. */
void outcome_set(struct outcome *, enum job_status, const char *enhanced, const char *,
    ...) __attribute__((format(printf, 4, 5)));
/* From a mailbox's answer; a code that contradicts its status is not believed. */
void outcome_from_mailbox(struct outcome *, const struct msg_delivered *);
/* From execd's. */
void outcome_from_program(struct outcome *, const struct msg_exec_ran *);
/* What listd says. */
void outcome_from_list(struct outcome *, const struct msg_list_taken *);
/* Of a recipient: into so many mailboxes and on to so many addresses. words: what a
 * script or a list says of it, "": nothing. */
void outcome_delivered(
    struct outcome *, const char *words, size_t mailboxes, size_t forwards);
/* But not to this one and perhaps others. */
void outcome_add_failed(
    struct outcome *, const char *address, size_t n, const struct outcome *failed);
/* From authd's word that an address leads nowhere; status is not MSG_OK. */
void outcome_from_authd(struct outcome *, enum answer_status, const char *text);

#endif
