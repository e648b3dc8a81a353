/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_NOTICE_H
#define FIFE_QUEUED_NOTICE_H

/* Mail that the host itself writes to the postmaster or a user, and news for authd. */

#include "common/msg.h"

/* What authd has noticed, as a message from nobody; it is logged when it cannot be. */
void notice_send(const struct msg_notice *);
/* A recipient of a login's message was refused for good; authd counts them. */
void notice_refused(const char *login_address, const char *client);

#endif
