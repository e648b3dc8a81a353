/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_PROGRAMS_H
#define FIFE_AUTHD_PROGRAMS_H

/*
 * The commands of fife.conf as targets of aliases and forwards, written "|NAME". Which
 * program that is, execd knows; here is only who may have it run, and as whom.
 */

#include "authd/resolve.h"
#include "common/channel.h"

/* A round of configuration. */
void programs_conf_begin(void);
void programs_conf_add(const struct msg_conf_command *);
void programs_conf_end(void);

/* Is that "|NAME" of a command? *has_user: it runs as a user that fife.conf names. */
int programs_has(const char *target, int *has_user);
/* NULL, or why "|NAME" cannot be a target of an alias. */
const char *programs_check(const char *target, int owner_has_mailbox);

/* MSG_EXECD_AUTHD_WHO. */
void programs_answer(struct channel *, struct msg *);

#endif
