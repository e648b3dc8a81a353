/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_CONTROL_H
#define FIFE_SIEVE_CONTROL_H

/* fifectl sieve: asks the mailbox that an address leads to about its scripts. */

#include "common/ctl.h"
#include "deliverd/local/mailboxes.h"

void sieve_control_init(mailboxes_peer);

/* list ADDRESS */
void sieve_control_list(struct ctl *, int argc, char **argv);
/* get ADDRESS NAME */
void sieve_control_get(struct ctl *, int argc, char **argv);
/* put ADDRESS NAME, the text on the descriptor */
void sieve_control_put(struct ctl *, int argc, char **argv);
/* check ADDRESS, the same */
void sieve_control_check(struct ctl *, int argc, char **argv);
/* del ADDRESS NAME */
void sieve_control_del(struct ctl *, int argc, char **argv);
/* rename ADDRESS NAME NEW-NAME */
void sieve_control_rename(struct ctl *, int argc, char **argv);
/* activate ADDRESS [NAME] */
void sieve_control_activate(struct ctl *, int argc, char **argv);

#endif
