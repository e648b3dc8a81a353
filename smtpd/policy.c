/* SPDX-License-Identifier: ISC */
/* The decision at RCPT; see policy.h. */
#include "smtpd/policy.h"

#include <stddef.h>

#define ANYBODY 0

static const struct {
	enum rclass rclass;
	enum policy_client client;
	enum smtp_reply reply;
} rows[] = {
	{ RCLASS_LOCAL, ANYBODY, SMTP_REPLY_RCPT_OK },
	{ RCLASS_REMOTE, POLICY_STRANGER, SMTP_REPLY_RELAY_DENIED },
	{ RCLASS_REMOTE, POLICY_LOGIN, SMTP_REPLY_RCPT_OK },
	{ RCLASS_REMOTE, POLICY_LOCAL, SMTP_REPLY_RCPT_OK },
	{ RCLASS_UNKNOWN, ANYBODY, SMTP_REPLY_RCPT_UNKNOWN },
	{ RCLASS_DISABLED, ANYBODY, SMTP_REPLY_RCPT_DISABLED },
	/* A program of this host has nobody to tell: its message waits in the queue. */
	{ RCLASS_FULL, POLICY_LOCAL, SMTP_REPLY_RCPT_OK },
	{ RCLASS_FULL, ANYBODY, SMTP_REPLY_RCPT_FULL },
	{ RCLASS_FULL_HARD, POLICY_LOCAL, SMTP_REPLY_RCPT_OK },
	{ RCLASS_FULL_HARD, ANYBODY, SMTP_REPLY_RCPT_FULL_HARD },
	{ RCLASS_DENIED, POLICY_LOGIN, SMTP_REPLY_SENDER_DENIED },
	{ RCLASS_BLOCKED, ANYBODY, SMTP_REPLY_RCPT_BLOCKED },
	{ RCLASS_LIMIT, ANYBODY, SMTP_REPLY_RCPT_LIMIT },
	{ RCLASS_MANY, ANYBODY, SMTP_REPLY_TOO_MANY_RCPTS },
	{ RCLASS_SIZE, ANYBODY, SMTP_REPLY_MESSAGE_SIZE },
	{ RCLASS_DENIED, ANYBODY, SMTP_REPLY_RCPT_DENIED },
	{ RCLASS_GREY, ANYBODY, SMTP_REPLY_GREYLISTED },
	{ RCLASS_OTHER_OWNER, ANYBODY, SMTP_REPLY_RCPT_OTHER_OWNER },
	{ RCLASS_NO_OWNER, ANYBODY, SMTP_REPLY_RCPT_NO_OWNER },
	{ RCLASS_NULL_MX, POLICY_STRANGER, SMTP_REPLY_RELAY_DENIED },
	{ RCLASS_NULL_MX, ANYBODY, SMTP_REPLY_RCPT_NULL_MX },
};

enum smtp_reply
policy_rcpt(enum policy_client client, enum rclass rclass)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].rclass == rclass &&
		    (rows[i].client == ANYBODY || rows[i].client == client))
			return rows[i].reply;
	return SMTP_REPLY_RCPT_TEMP;
}
