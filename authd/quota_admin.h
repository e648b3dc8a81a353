/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_QUOTA_ADMIN_H
#define FIFE_AUTHD_QUOTA_ADMIN_H

/*
 * Limits of mailboxes over IMAP (SETQUOTA, RFC 9208). The administrator's mailbox process
 * asks, through mboxd, and like any other it may have been taken over by mail that it
 * read; so the mailbox must be closed to others, and what it says is only what is wanted.
 * Who wants it is told by the login record
 * here, which the asking mailbox must be that of. It has the right if imapd brought it
 * and everything in quota_admin_grants() held then; it loses it with the session, with
 * the account's flag, and some time after the login.
 */

#include "authd/directory.h"
#include "common/channel.h"

struct login;

#define QUOTA_ADMIN_LIFE_MS (3600 * 1000) /* from the login on */

/* Is the right to go with that login, of that user? */
int quota_admin_grants(const struct login *, const struct user *);
/* Has the session of that mailbox the right now? Its record, or NULL with why not. */
const struct login *quota_admin_may(
    uint64_t login, const char *mailbox, uint64_t now, const char **why);
/* MSG_MBOXD_AUTHD_QUOTA; it is answered. */
void quota_admin_message(struct channel *, struct msg *);

#endif
