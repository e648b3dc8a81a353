/* SPDX-License-Identifier: ISC */
/*
 * listd: mailing lists. It reads the messages of strangers to lists: whether they are
 * posted, held for the owners or refused, what a command asks, which member a bounce is
 * about; and it writes the header that the members get. It has no network and opens
 * nothing but the posts that it holds; members and settings are authd's, and what it
 * sends goes by deliverd-local to queued.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "listd/held.h"
#include "listd/take.h"

#define EXPIRE_EVERY_S 3600
#define ORDER_TIMEOUT_MS 60000

static struct event *ev_expire;

static void
on_expired(const struct held *h, void *arg)
{
	log_fact(LOG_DELIVERY, LOGL_INFO, "list-discarded", KS("list", h->list),
	    KS("from", h->author), KS("id", h->id), KS("why", "nobody has looked at it"));
}

static void
on_expire(evutil_socket_t fd, short what, void *arg)
{
	held_expire(wall_s(), on_expired, NULL);
}

static int
on_start(void)
{
	struct timeval tv = { EXPIRE_EVERY_S, 0 };

	if (held_open("") == -1)
		return -1;
	ev_expire = event_new(daemon_base(), -1, EV_PERSIST, on_expire, NULL);
	return ev_expire == NULL || event_add(ev_expire, &tv) == -1 ? -1 : 0;
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_LDELIVER_LISTD_TAKE)
		take_start(ch, m);
}

/* ---- fifectl ---- */

static void
cmd_status(struct ctl *c, int argc, char **argv)
{
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "held", held_count());
	ctl_u64(c, "in-work", take_stats.running);
	ctl_u64(c, "posted", take_stats.posted);
	ctl_u64(c, "held-since-start", take_stats.held);
	ctl_u64(c, "rejected", take_stats.rejected);
	ctl_u64(c, "dropped", take_stats.dropped);
	ctl_u64(c, "commands", take_stats.commands);
	ctl_u64(c, "bounces", take_stats.bounces);
	if (held_count() >= HELD_MAX)
		ctl_str(c, "degraded", "no more posts can be held");
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

struct listing {
	struct ctl *c;
	const char *list;
};

static int
held_row(const struct held *h, void *arg)
{
	const struct listing *g = arg;

	if (g->list != NULL && strcasecmp(g->list, h->list) != 0)
		return 0;
	ctl_row(g->c, CTL_TABLE);
	ctl_str(g->c, "id", h->id);
	ctl_str(g->c, "list", h->list);
	ctl_time(g->c, "since", h->time);
	ctl_str(g->c, "from", h->author);
	ctl_u64(g->c, "size", h->size);
	ctl_str(g->c, "subject", h->subject);
	ctl_str(g->c, "why", h->why);
	ctl_row_end(g->c);
	return 0;
}

static void
cmd_held(struct ctl *c, int argc, char **argv)
{
	struct listing g = { c, argc == 1 ? argv[0] : NULL };

	held_walk(held_row, &g);
	ctl_done(c, CTL_OK, NULL);
}

/* Orders at queued: each is a message to an address of the list, so that what becomes of
 * a held post happens in one place and once. */
struct order {
	struct ctl *ctl; /* NULL: fifectl has gone */
	int waits;
	int failed;
	char text[300];
};

static void
order_end(struct order *o)
{
	if (o->waits > 0)
		return;
	if (o->ctl != NULL && o->failed)
		ctl_done(o->ctl, CTL_TEMPFAIL, "%s", o->text);
	else if (o->ctl != NULL)
		ctl_done(o->ctl, CTL_OK, NULL);
	free(o);
}

static void
on_ordered(struct msg *m, void *arg)
{
	struct order *o = arg;

	if (m == NULL || m->p.status.status != MSG_OK) {
		o->failed = 1;
		strlcpy(o->text,
		    m != NULL && m->p.status.text[0] != '\0'
			? m->p.status.text
			: "the queue does not answer",
		    sizeof(o->text));
	}
	o->waits--;
	order_end(o);
}

static void
order_gone(struct ctl *c, void *arg)
{
	((struct order *)arg)->ctl = NULL;
}

static void
order_one(struct order *o, const char *verb, const struct held *h, const char *words)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_list_order m = { 0 };
	char what[64];

	snprintf(what, sizeof(what), "%s+%s", verb, h->id);
	if (listpost_plain(h->list, what, m.address, sizeof(m.address)) == -1 ||
	    ch == NULL) {
		o->failed = 1;
		strlcpy(o->text, "the queue is not there now", sizeof(o->text));
		return;
	}
	strlcpy(m.text, words, sizeof(m.text));
	if (channel_ask(ch, MSG_LISTD_QUEUED_ORDER, &m, -1, ORDER_TIMEOUT_MS, on_ordered,
		o) == 0) {
		o->failed = 1;
		strlcpy(o->text, "the queue cannot be asked now", sizeof(o->text));
	} else
		o->waits++;
}

/* Is it there? -1 after ctl_done(). */
static int
held_arg(struct ctl *c, const char *id, struct held *h)
{
	int fd = held_get(id, h);

	if (fd == -1) {
		ctl_done(c, errno == ENOENT ? CTL_REFUSED : CTL_TEMPFAIL,
		    "%s: no such held post", id);
		return -1;
	}
	close(fd);
	return 0;
}

static void
orders(struct ctl *c, const char *verb, int n, char **ids, const char *words)
{
	struct order *o = calloc(1, sizeof(*o));
	struct held h;
	int fd;

	if (o == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return;
	}
	for (int i = 0; i < n; i++)
		if (held_arg(c, ids[i], &h) == -1) {
			free(o);
			return;
		}
	o->ctl = c;
	ctl_on_gone(c, order_gone, o);
	o->waits = 1; /* ours, while they are sent */
	for (int i = 0; i < n; i++)
		if ((fd = held_get(ids[i], &h)) != -1) {
			close(fd);
			order_one(o, verb, &h, words);
		}
	o->waits--;
	order_end(o);
}

static void
cmd_approve(struct ctl *c, int argc, char **argv)
{
	orders(c, "approve", argc, argv, "");
}

static void
cmd_reject(struct ctl *c, int argc, char **argv)
{
	char words[900] = "";

	for (int i = 1; i < argc; i++) {
		if (i > 1)
			strlcat(words, " ", sizeof(words));
		if (strlcat(words, argv[i], sizeof(words)) >= sizeof(words)) {
			ctl_done(c, CTL_USAGE, "the reason is too long");
			return;
		}
	}
	orders(c, "reject", 1, argv, words);
}

static void
cmd_discard(struct ctl *c, int argc, char **argv)
{
	struct held h;

	for (int i = 0; i < argc; i++) {
		if (held_arg(c, argv[i], &h) == -1)
			return;
		if (held_discard(argv[i], NULL) == 0)
			log_fact(LOG_DELIVERY, LOGL_INFO, "list-discarded",
			    KS("list", h.list), KS("from", h.author), KS("id", h.id),
			    KS("why", "by the administrator"));
	}
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ "list held", 0, 1, cmd_held },
	{ "list approve", 1, -1, cmd_approve },
	{ "list reject", 1, -1, cmd_reject },
	{ "list discard", 1, -1, cmd_discard },
	{ NULL, 0, 0, NULL },
};

static const struct daemon listd = {
	.role = ROLE_LISTD,
	.start = on_start,
	.peer_message = on_peer_message,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&listd);
}
