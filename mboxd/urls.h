/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_URLS_H
#define FIFE_MBOXD_URLS_H

/*
 * URLs that authorise (RFC 4467): a mailbox process' question goes on to authd, and
 * authd's goes to the owner's process in a session of its own. mboxd looks at
 * neither URL nor descriptor.
 */

#include "common/channel.h"

/* MSG_MAILBOX_MBOXD_URL of the process of that mailbox. */
void urls_ask(struct channel *, const char *mailbox, struct msg *);
/* MSG_AUTHD_MBOXD_FETCH. */
void urls_fetch(struct channel *authd, struct msg *);

#endif
