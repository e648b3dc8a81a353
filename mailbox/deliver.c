/* SPDX-License-Identifier: ISC */
/* A session of deliverd-local: messages in descriptors, put into INBOX or Junk. */
#include <sys/queue.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/session.h"
#include "mailbox/store.h"

struct session {
	LIST_ENTRY(session) entry;
	struct channel *ch;
	struct store *store;
	void (*ended)(void *);
	void *arg;
};

static LIST_HEAD(, session) sessions = LIST_HEAD_INITIALIZER(sessions);

static void
outcome(struct store *store, enum store_error error, const struct msg_deliver *d,
    struct msg_delivered *out)
{
	uint64_t quota = store_quota(store);
	const char *enhanced = "4.3.0";

	out->status = MSG_TEMP;
	switch (error) {
	case STORE_OK:
		out->status = MSG_OK;
		enhanced = "2.0.0";
		break;
	case STORE_FULL:
		/* Waiting helps only where the message could ever fit. */
		out->status = MSG_FULL;
		enhanced = d->size + d->prefix_len > quota ? "5.2.2" : "4.2.2";
		break;
	case STORE_NO_SPACE:
		enhanced = "4.3.1";
		break;
	case STORE_LIMIT:
		enhanced = "4.2.4";
		break;
	default:
		break;
	}
	(void)strlcpy(out->enhanced, enhanced, sizeof(out->enhanced));
	if (error != STORE_OK)
		(void)strlcpy(out->text, store_error_text(error), sizeof(out->text));
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	struct session *s = arg;
	const struct msg_deliver *p = &m->p.deliver;
	struct msg_delivered out = { 0 };
	struct delivery d = { 0 };
	enum store_error error;
	int again = 0;

	if (m->type != MSG_LDELIVER_MAILBOX_DELIVER)
		return;
	d.queue_id = p->queue_id;
	d.rcpt = p->rcpt;
	d.size = p->size;
	d.crc = p->crc;
	d.oldest_live = p->oldest_live;
	error = store_deliver(s->store, p->junk ? "Junk" : "INBOX", &d, p->prefix,
	    p->prefix_len, m->fd, 0, &again);
	outcome(s->store, error, p, &out);
	out.again = (uint8_t)again;
	if (channel_send(ch, MSG_MAILBOX_LDELIVER_DELIVERED, m->id, &out, -1) == -1)
		channel_break(ch, "its queue is full");
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct session *s = arg;

	LIST_REMOVE(s, entry);
	s->ended(s->arg);
	free(s);
}

int
deliver_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	struct session *s = calloc(1, sizeof(*s));

	(void)label;
	if (s == NULL) {
		close(fd);
		return -1;
	}
	s->store = store;
	s->ended = ended;
	s->arg = arg;
	s->ch = channel_new(
	    base, fd, ROLE_MAILBOX, 0, ROLE_DELIVERD_LOCAL, on_message, on_lost, s);
	if (s->ch == NULL) {
		free(s);
		return -1;
	}
	LIST_INSERT_HEAD(&sessions, s, entry);
	return 0;
}

void
deliver_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session *s = LIST_FIRST(&sessions);
		struct channel *ch = s->ch;

		channel_flush(ch, 100);
		on_lost(ch, "stopping", s);
		channel_free(ch);
	}
}
