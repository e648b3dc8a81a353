/* SPDX-License-Identifier: ISC */
/* Sessions of one mailbox process at another's; see shares.h. */
#include "mboxd/shares.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "mboxd/cells.h"

#define ASKED_MAX 512     /* by all */
#define ASKED_CELL_MAX 16 /* by one */
#define GRANTS_MS 200     /* between two words of one about its own mailbox */
#define TIMEOUT_MS 20000

struct ask {
	LIST_ENTRY(ask) entry;
	uint64_t channel; /* of the asker */
	uint64_t id;
	enum msg_type type;
	char mailbox[512];
};

static LIST_HEAD(, ask) asks = LIST_HEAD_INITIALIZER(asks);
static size_t n_asks;

/* When each mailbox spoke of its grants last; a few of them suffice. */
static struct {
	char mailbox[512];
	uint64_t ms;
} spoken[64];

static void
ask_free(struct ask *a)
{
	LIST_REMOVE(a, entry);
	n_asks--;
	free(a);
}

static void
answer_owners(struct channel *ch, uint64_t id, const struct msg_share_owners *o)
{
	struct msg_share_owners none = { .status = MSG_TEMP };

	if (ch != NULL)
		channel_send(
		    ch, MSG_MBOXD_MAILBOX_SHARES_ARE, id, o == NULL ? &none : o, -1);
}

static void
answer_status(struct channel *ch, enum msg_type type, uint64_t id, uint8_t status, int fd)
{
	struct msg_status s = { .status = status };

	if (ch != NULL)
		channel_send(ch, type, id, &s, fd);
	else if (fd != -1)
		close(fd);
}

static void
refuse(struct channel *ch, enum msg_type type, uint64_t id, uint8_t status)
{
	if (type == MSG_MAILBOX_MBOXD_SHARES)
		answer_owners(ch, id, NULL);
	else
		answer_status(ch,
		    type == MSG_MAILBOX_MBOXD_SHARE ? MSG_MBOXD_MAILBOX_SHARE_IS
						    : MSG_MBOXD_MAILBOX_GRANTED,
		    id, status, -1);
}

/* ---- authd's word ---- */

static void
on_given(int fd, const char *why, void *arg)
{
	struct ask *a = arg;

	answer_status(channel_find(a->channel), MSG_MBOXD_MAILBOX_SHARE_IS, a->id,
	    fd == -1 ? MSG_TEMP : MSG_OK, fd);
	ask_free(a);
}

static void
on_share_is(struct ask *a, const struct msg_share_is *s)
{
	struct msg_mbox_open o = { .purpose = MBOX_SHARED,
		.uid = s->uid,
		.quota = s->quota,
		.quota_messages = s->quota_messages,
		.quota_hard = s->quota_hard };

	strlcpy(o.mailbox, s->mailbox, sizeof(o.mailbox));
	strlcpy(o.address, s->address, sizeof(o.address));
	/* To itself it has another way. */
	if (s->status != MSG_OK || strcmp(s->mailbox, a->mailbox) == 0 ||
	    channel_find(a->channel) == NULL) {
		refuse(channel_find(a->channel), a->type, a->id,
		    s->status == MSG_OK ? MSG_DENIED : s->status);
		ask_free(a);
		return;
	}
	log_fact(LOG_LOGIN, LOGL_INFO, "mailbox-shared", KS("mailbox", s->mailbox),
	    KS("with", a->mailbox));
	if (cells_share(&o, s->guest, on_given, a) == -1) {
		refuse(channel_find(a->channel), a->type, a->id, MSG_TEMP);
		ask_free(a);
	}
}

static void
on_answer(struct msg *m, void *arg)
{
	struct ask *a = arg;
	struct channel *ch = channel_find(a->channel);

	if (m == NULL)
		refuse(ch, a->type, a->id, MSG_TEMP);
	else if (m->type == MSG_AUTHD_MBOXD_SHARE_IS) {
		on_share_is(a, &m->p.share_is);
		return;
	} else if (m->type == MSG_AUTHD_MBOXD_SHARES_ARE)
		answer_owners(ch, a->id, &m->p.share_owners);
	else
		answer_status(
		    ch, MSG_MBOXD_MAILBOX_GRANTED, a->id, m->p.status.status, -1);
	ask_free(a);
}

/* ---- questions ---- */

/* Each change is a sync of authd's. */
static int
too_fast(const char *mailbox)
{
	size_t oldest = 0;
	uint64_t now = now_ms();

	for (size_t i = 0; i < sizeof(spoken) / sizeof(spoken[0]); i++) {
		if (strcmp(spoken[i].mailbox, mailbox) == 0) {
			if (now - spoken[i].ms < GRANTS_MS)
				return 1;
			spoken[i].ms = now;
			return 0;
		}
		if (spoken[i].ms < spoken[oldest].ms)
			oldest = i;
	}
	strlcpy(spoken[oldest].mailbox, mailbox, sizeof(spoken[oldest].mailbox));
	spoken[oldest].ms = now;
	return 0;
}

static int
ask_authd(struct ask *a, struct msg *m)
{
	struct channel *authd = daemon_peer(ROLE_AUTHD);
	struct msg_share_grants g = { .mailbox = "" };
	struct msg_share_ask q = { .mailbox = "" };

	if (authd == NULL)
		return -1;
	strlcpy(q.mailbox, a->mailbox, sizeof(q.mailbox));
	strlcpy(g.mailbox, a->mailbox, sizeof(g.mailbox));
	switch (m->type) {
	case MSG_MAILBOX_MBOXD_SHARE:
		strlcpy(q.owner, m->p.share_ask.owner, sizeof(q.owner));
		return channel_ask(authd, MSG_MBOXD_AUTHD_SHARE, &q, -1, TIMEOUT_MS,
			   on_answer, a) == 0
			   ? -1
			   : 0;
	case MSG_MAILBOX_MBOXD_SHARES:
		return channel_ask(authd, MSG_MBOXD_AUTHD_SHARES, &q, -1, TIMEOUT_MS,
			   on_answer, a) == 0
			   ? -1
			   : 0;
	default:
		g.identifiers = m->p.share_grants.identifiers;
		g.identifiers_len = m->p.share_grants.identifiers_len;
		return channel_ask(authd, MSG_MBOXD_AUTHD_GRANTS, &g, -1, TIMEOUT_MS,
			   on_answer, a) == 0
			   ? -1
			   : 0;
	}
}

void
shares_message(struct channel *ch, const char *mailbox, struct msg *m)
{
	uint64_t serial = channel_serial(ch);
	struct ask *a;
	size_t n = 0;

	LIST_FOREACH (a, &asks, entry)
		n += a->channel == serial;
	if (n >= ASKED_CELL_MAX || n_asks >= ASKED_MAX ||
	    (m->type == MSG_MAILBOX_MBOXD_GRANTS && too_fast(mailbox)) ||
	    (a = calloc(1, sizeof(*a))) == NULL) {
		refuse(ch, m->type, m->id, MSG_TEMP);
		return;
	}
	a->channel = serial;
	a->id = m->id;
	a->type = m->type;
	strlcpy(a->mailbox, mailbox, sizeof(a->mailbox));
	LIST_INSERT_HEAD(&asks, a, entry);
	n_asks++;
	if (ask_authd(a, m) == -1) {
		refuse(ch, a->type, a->id, MSG_TEMP);
		ask_free(a);
	}
}
