/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_POLICY_H
#define FIFE_SMTPD_POLICY_H

/* Who may send to whom: one table. */

#include "common/msg.h"
#include "smtpd/smtp_reply.h"

enum policy_client {
	POLICY_STRANGER = 1, /* no login */
	POLICY_LOGIN,        /* authenticated */
	POLICY_LOCAL         /* a user of this host, by sendmail(8) */
};

/* The reply to RCPT; SMTP_REPLY_RCPT_OK accepts. */
enum smtp_reply policy_rcpt(enum policy_client, enum rclass);

#endif
