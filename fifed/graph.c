/* SPDX-License-Identifier: ISC */
/*
 * Channels between daemons: a pair for each edge of common/graph.def and each two
 * instances, made here and handed to both ends. A daemon that returns gets all of
 * its channels anew. When a neighbour is reported as broken, the two get
 * a fresh channel; a daemon that several complain about is replaced.
 */
#include "fifed/internal.h"

#include <sys/socket.h>

#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"

#define BLAME_WINDOW_MS 60000
#define SAID_MAX 100
#define BLAME_MAX 3
/* What an accuser may leave unread: each new channel is a descriptor of ours. */
#define UNREAD_MAX 4096

static int
connected(enum role a, enum role b)
{
	/* All daemons hold a channel to logd. */
	if ((a == ROLE_LOGD) != (b == ROLE_LOGD))
		return 1;
	return graph_connected(a, b);
}

static void
connect_pair(struct child *a, struct child *b)
{
	struct msg_channel to_a = { .role = (uint8_t)b->role, .instance = b->instance };
	struct msg_channel to_b = { .role = (uint8_t)a->role, .instance = a->instance };
	int p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1) {
		log_warn("socketpair for %s and %s", a->name, b->name);
		return;
	}
	/* If one cannot be told, the other sees the end of the channel. */
	(void)channel_send(a->ch, MSG_FIFED_ANY_CHANNEL, 0, &to_a, p[0]);
	(void)channel_send(b->ch, MSG_FIFED_ANY_CHANNEL, 0, &to_b, p[1]);
}

void
graph_connect(struct suite *s, struct child *c)
{
	for (size_t i = 0; i < s->n_children; i++) {
		struct child *o = &s->children[i];

		if (o != c && o->ch != NULL && c->ch != NULL &&
		    connected(c->role, o->role))
			connect_pair(c, o);
	}
}

/*
 * The word of one daemon against another. A lie must not become a weapon: one
 * accuser gets a new channel at most, and nobody is killed twice a minute.
 */
void
graph_peer_broken(struct suite *s, struct child *from, const struct msg_peer_broken *m)
{
	struct child *c = child_find(s, (enum role)m->role, m->instance);
	uint64_t now = now_ms();

	if (now - from->said_ms > BLAME_WINDOW_MS) {
		from->said_ms = now;
		from->said = 0;
	}
	/* No flood of lines out of one that was taken over. */
	if (++from->said > SAID_MAX)
		return;
	if (c == NULL || c == from || !connected(from->role, c->role)) {
		log_warnx(
		    "%s complains about a neighbour that it does not have", from->name);
		return;
	}
	log_warnx("%s says that %s has broken their channel: %s", from->name, c->name,
	    m->reason);
	if (s->stopping || c->ch == NULL || from->ch == NULL ||
	    channel_queued(from->ch) > UNREAD_MAX || channel_queued(c->ch) > UNREAD_MAX)
		return;
	if (now - c->blamed_ms > BLAME_WINDOW_MS) {
		c->blamed_ms = now;
		c->blamed = 0;
		c->blamed_by = 0;
	}
	c->blamed++;
	c->blamed_by |= 1u << (from - s->children);
	/* Two who say the same, and not just once. */
	if (c->blamed >= BLAME_MAX && (c->blamed_by & (c->blamed_by - 1)) != 0 &&
	    (c->killed_ms == 0 || now - c->killed_ms > BLAME_WINDOW_MS)) {
		log_warnx(
		    "%s: %u complaints in a minute, started again", c->name, c->blamed);
		c->killed_ms = now;
		c->blamed = 0;
		child_kill(c);
		return;
	}
	if (c->blamed <= 10 * BLAME_MAX)
		connect_pair(from, c);
}
