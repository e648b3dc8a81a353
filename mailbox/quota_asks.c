/* SPDX-License-Identifier: ISC */
/* Questions about limits of mailboxes; see quota_asks.h. */
#include "mailbox/quota_asks.h"

#include "common/compat/compat.h"

#define ASK_MS 25000

static struct channel *mboxd;

void
quota_asks_init(struct channel *ch)
{
	mboxd = ch;
}

uint64_t
quota_ask(const struct quota_wanted *w, channel_answer_cb done, void *arg)
{
	struct msg_quota_ask q = { .login = w->login,
		.set = w->set,
		.octets = w->octets,
		.messages = w->messages };

	if (mboxd == NULL ||
	    strlcpy(q.address, w->address, sizeof(q.address)) >= sizeof(q.address))
		return 0;
	return channel_ask(mboxd, MSG_MAILBOX_MBOXD_QUOTA, &q, -1, ASK_MS, done, arg);
}

void
quota_ask_forget(uint64_t id)
{
	channel_forget(mboxd, id);
}
