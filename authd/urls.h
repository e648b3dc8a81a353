/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_URLS_H
#define FIFE_AUTHD_URLS_H

/*
 * Who asks for a part of a mailbox by a URL (RFC 4467, RFC 4468), and whose mailbox that
 * is. Whether the URL authorises it is the word of the owner's mailbox process alone.
 */

#include "common/channel.h"

/* MSG_SMTPD_AUTHD_URL of one who is logged in there, MSG_MBOXD_AUTHD_URL of a mailbox. */
void urls_message(struct channel *, struct msg *);

#endif
