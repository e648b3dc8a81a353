/* SPDX-License-Identifier: ISC */
/* Sessions on a channel; see session_channel.h. */
#include "mailbox/session_channel.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "mailbox/session.h"

static LIST_HEAD(, session_channel) sessions = LIST_HEAD_INITIALIZER(sessions);

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct session_channel *s = arg;

	LIST_REMOVE(s, entry);
	if (s->clear != NULL)
		s->clear(s);
	s->ended(s->arg);
	free(s);
}

void *
session_channel_new(size_t size, struct event_base *base, int fd, enum role peer,
    struct store *store, const struct msg_mbox_label *label,
    channel_message_cb on_message, void (*clear)(void *), void (*ended)(void *),
    void *arg)
{
	struct session_channel *s = calloc(1, size);

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	s->store = store;
	s->clear = clear;
	s->ended = ended;
	s->arg = arg;
	strlcpy(s->address, label->address, sizeof(s->address));
	s->ch = channel_new(base, fd, ROLE_MAILBOX, 0, peer, on_message, on_lost, s);
	if (s->ch == NULL) {
		free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(&sessions, s, entry);
	return s;
}

void
channel_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session_channel *s = LIST_FIRST(&sessions);
		struct channel *ch = s->ch;

		channel_flush(ch, 100);
		on_lost(ch, "stopping", s);
		channel_free(ch);
	}
}
