/* SPDX-License-Identifier: ISC */
/* Questions about limits of mailboxes; see quota_asks.h. */
#include "mailbox/quota_asks.h"

#include <sys/queue.h>

#include <stdlib.h>

#include "common/compat/compat.h"

#define ASK_MS 25000

static struct channel *mboxd;

struct ask {
	LIST_ENTRY(ask) entry;
	uint64_t id;
	void (*done)(const struct msg_quota_is *, void *);
	void *arg;
};
static LIST_HEAD(, ask) asks = LIST_HEAD_INITIALIZER(asks);

void
quota_asks_init(struct channel *ch)
{
	mboxd = ch;
}

static void
on_answer(struct msg *m, void *arg)
{
	struct ask *a = arg;

	LIST_REMOVE(a, entry);
	a->done(m == NULL ? NULL : &m->p.quota_is, a->arg);
	free(a);
}

uint64_t
quota_ask(const struct quota_wanted *w, void (*done)(const struct msg_quota_is *, void *),
    void *arg)
{
	struct msg_quota_ask q = { .login = w->login,
		.set = w->set,
		.octets = w->octets,
		.messages = w->messages };
	struct ask *a;

	if (mboxd == NULL ||
	    strlcpy(q.address, w->address, sizeof(q.address)) >= sizeof(q.address) ||
	    (a = calloc(1, sizeof(*a))) == NULL)
		return 0;
	a->done = done;
	a->arg = arg;
	a->id = channel_ask(mboxd, MSG_MAILBOX_MBOXD_QUOTA, &q, -1, ASK_MS, on_answer, a);
	if (a->id == 0) {
		free(a);
		return 0;
	}
	LIST_INSERT_HEAD(&asks, a, entry);
	return a->id;
}

void
quota_ask_forget(uint64_t id)
{
	struct ask *a;

	LIST_FOREACH (a, &asks, entry)
		if (a->id == id)
			break;
	if (a == NULL)
		return;
	channel_forget(mboxd, id);
	LIST_REMOVE(a, entry);
	free(a);
}
