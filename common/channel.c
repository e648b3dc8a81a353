/* SPDX-License-Identifier: ISC */
/*
 * Channels: catalogue messages over imsg. Everything that arrives is checked
 * here against the catalogue (is this type known, may it go this way, does the
 * payload decode exactly, is there a descriptor just where one belongs) before a
 * handler sees it, so that a taken-over neighbour gets no further than this file.
 *
 * Life: a channel is live until something breaks it; then it is dead, its
 * waiters are told, its owner is told, and it is freed, always from its own event
 * (never below a caller of ours), so that no handler runs on freed memory.
 */
#include "common/channel.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define WAITERS_MAX 65536
#define QUEUE_BYTES_MAX (64u * 1024 * 1024)
#define LAZY_OCTETS (8 * 1024) /* a lazy channel writes at once from here on */

struct waiter {
	TAILQ_ENTRY(waiter) chain;   /* same bucket */
	TAILQ_ENTRY(waiter) by_time; /* same deadline list */
	uint64_t id;
	enum msg_type type; /* of the question */
	uint64_t deadline;
	channel_answer_cb cb;
	void *arg;
};
TAILQ_HEAD(waiter_list, waiter);
#define BUCKETS 1024

struct channel {
	LIST_ENTRY(channel) by_serial;
	struct event_base *base;
	struct imsgbuf imsgbuf;
	int fd;
	struct event *ev_read;
	struct event *ev_write;
	struct event *ev_tick; /* deadlines, and death */
	struct event *ev_lazy; /* of a lazy channel: when to write at last */
	struct timeval lazy;
	enum role self;
	enum role peer;
	uint32_t instance;
	uint64_t serial;
	int hello_seen;
	int dead;
	int busy; /* inside a dispatch: do not free */
	int freed;
	char why[128];
	size_t queued; /* octets, about */
	uint64_t next_id;
	size_t n_waiters;
	struct waiter_list *buckets; /* made by the first question */
	struct waiter_list by_time;  /* in order of deadline */
	channel_message_cb message;
	channel_lost_cb lost;
	void *arg;
	/* channel_ask_wait() */
	uint64_t wait_id;
	enum msg_type wait_type;
	struct msg *wait_msg;
	int wait_done;
	struct imsg wait_imsg;
};

#define SERIALS 256
static LIST_HEAD(, channel) channels[SERIALS]; /* by serial */
static uint64_t last_serial;

uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void on_read(evutil_socket_t, short, void *);
static void on_write(evutil_socket_t, short, void *);
static void on_tick(evutil_socket_t, short, void *);
static void on_lazy(evutil_socket_t, short, void *);
static int enqueue(struct channel *, enum msg_type, uint64_t, const void *, int);
static void kick_write(struct channel *);

struct channel *
channel_new(struct event_base *base, int fd, enum role self, uint32_t instance,
    enum role peer, channel_message_cb message, channel_lost_cb lost, void *arg)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	struct msg_hello hello = { MSG_VERSION, (uint8_t)self, instance };

	if (ch == NULL) {
		close(fd);
		return NULL;
	}
	ch->fd = fd;
	ch->base = base;
	ch->self = self;
	ch->peer = peer;
	ch->message = message;
	ch->lost = lost;
	ch->arg = arg;
	ch->serial = ++last_serial;
	ch->wait_imsg.hdr.len = 0;
	TAILQ_INIT(&ch->by_time);
	evutil_make_socket_nonblocking(fd);
	if (imsgbuf_init(&ch->imsgbuf, fd) == -1) {
		close(fd);
		free(ch);
		return NULL;
	}
	imsgbuf_allow_fdpass(&ch->imsgbuf);
	LIST_INSERT_HEAD(&channels[ch->serial % SERIALS], ch, by_serial);
	ch->ev_read = event_new(base, fd, EV_READ | EV_PERSIST, on_read, ch);
	ch->ev_write = event_new(base, fd, EV_WRITE, on_write, ch);
	ch->ev_tick = event_new(base, -1, 0, on_tick, ch);
	if (ch->ev_read == NULL || ch->ev_write == NULL || ch->ev_tick == NULL ||
	    event_add(ch->ev_read, NULL) == -1 ||
	    enqueue(ch, MSG_ANY_HELLO, 0, &hello, -1) == -1) {
		channel_free(ch);
		return NULL;
	}
	/* There are many mailbox processes, all alike: nobody is woken until one has more
	 * to say than that. */
	if (self != ROLE_MAILBOX)
		kick_write(ch);
	return ch;
}

static struct waiter *
waiter_find(struct channel *ch, uint64_t id)
{
	struct waiter *w;

	if (ch->buckets == NULL)
		return NULL;
	TAILQ_FOREACH (w, &ch->buckets[id % BUCKETS], chain)
		if (w->id == id)
			return w;
	return NULL;
}

static void
waiter_remove(struct channel *ch, struct waiter *w)
{
	TAILQ_REMOVE(&ch->buckets[w->id % BUCKETS], w, chain);
	TAILQ_REMOVE(&ch->by_time, w, by_time);
	ch->n_waiters--;
}

static void
really_free(struct channel *ch)
{
	if (ch->wait_imsg.hdr.len != 0)
		imsg_free(&ch->wait_imsg);
	free(ch->buckets);
	free(ch);
}

void
channel_free(struct channel *ch)
{
	struct waiter *w;

	if (ch == NULL || ch->freed)
		return;
	ch->freed = 1;
	ch->dead = 1;
	LIST_REMOVE(ch, by_serial);
	while ((w = TAILQ_FIRST(&ch->by_time)) != NULL) {
		waiter_remove(ch, w);
		free(w);
	}
	if (ch->ev_read != NULL)
		event_free(ch->ev_read);
	if (ch->ev_write != NULL)
		event_free(ch->ev_write);
	if (ch->ev_tick != NULL)
		event_free(ch->ev_tick);
	if (ch->ev_lazy != NULL)
		event_free(ch->ev_lazy);
	imsgbuf_clear(&ch->imsgbuf);
	close(ch->fd);
	if (!ch->busy)
		really_free(ch);
}

/* The end comes from the channel's own event; until then it is just dumb. */
void
channel_break(struct channel *ch, const char *why)
{
	if (ch->dead)
		return;
	ch->dead = 1;
	strlcpy(ch->why, why, sizeof(ch->why));
	event_del(ch->ev_read);
	event_del(ch->ev_write);
	if (ch->ev_lazy != NULL)
		event_del(ch->ev_lazy);
	event_active(ch->ev_tick, EV_TIMEOUT, 0);
}

static void
die(struct channel *ch)
{
	struct waiter *w;

	ch->busy++;
	while (!ch->freed && (w = TAILQ_FIRST(&ch->by_time)) != NULL) {
		waiter_remove(ch, w);
		w->cb(NULL, w->arg);
		free(w);
	}
	if (!ch->freed && ch->lost != NULL)
		ch->lost(ch, ch->why, ch->arg);
	ch->busy--;
	if (ch->freed)
		really_free(ch);
	else
		channel_free(ch);
}

static void
arm(struct channel *ch)
{
	struct waiter *w = TAILQ_FIRST(&ch->by_time);
	struct timeval tv;
	uint64_t now = now_ms(), ms;

	if (w == NULL || ch->dead)
		return;
	if (event_pending(ch->ev_tick, EV_TIMEOUT, NULL))
		return; /* an earlier tick arms the next */
	ms = w->deadline > now ? w->deadline - now : 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000 + 999;
	event_add(ch->ev_tick, &tv);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;
	struct waiter *w;
	uint64_t now = now_ms();

	if (ch->dead) {
		die(ch);
		return;
	}
	ch->busy++;
	while (
	    !ch->freed && (w = TAILQ_FIRST(&ch->by_time)) != NULL && w->deadline <= now) {
		waiter_remove(ch, w);
		w->cb(NULL, w->arg);
		free(w);
	}
	ch->busy--;
	if (ch->freed)
		really_free(ch);
	else
		arm(ch);
}

/* Written from the loop, so that what one turn says goes out together. The kernel is
 * not asked to watch unless the socket turns out to be full. */
static void
kick_write(struct channel *ch)
{
	if (event_pending(ch->ev_write, EV_WRITE, NULL))
		return;
	if (ch->ev_lazy == NULL || ch->queued >= LAZY_OCTETS)
		event_active(ch->ev_write, EV_WRITE, 0);
	else if (!event_pending(ch->ev_lazy, EV_TIMEOUT, NULL))
		event_add(ch->ev_lazy, &ch->lazy);
}

static void
on_lazy(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;

	if (!event_pending(ch->ev_write, EV_WRITE, NULL))
		event_active(ch->ev_write, EV_WRITE, 0);
}

static int
enqueue(struct channel *ch, enum msg_type type, uint64_t id, const void *payload, int fd)
{
	const struct msg_info *info = msg_info(type);
	struct ibuf *b = NULL;
	size_t len;

	if (ch->dead || info == NULL || ch->queued > QUEUE_BYTES_MAX)
		goto fail;
	if ((info->from & ROLE_BIT(ch->self)) == 0 ||
	    (info->to & ROLE_BIT(ch->peer)) == 0 ||
	    ((info->flags & MSG_F_FD) && fd == -1) ||
	    (!(info->flags & (MSG_F_FD | MSG_F_FDOPT)) && fd != -1)) {
		log_warnx("channel: %s does not go from %s to %s", info->name,
		    role_name(ch->self), role_name(ch->peer));
		goto fail;
	}
	if ((b = imsg_create(&ch->imsgbuf, type, 0, 0, 512)) == NULL)
		goto fail;
	if (msg_encode(type, id, payload, b) == -1)
		goto fail;
	len = ibuf_size(b);
	if (fd != -1)
		ibuf_fd_set(b, fd);
	fd = -1;
	imsg_close(&ch->imsgbuf, b);
	ch->queued += len;
	return 0;
fail:
	if (b != NULL)
		ibuf_free(b);
	if (fd != -1)
		close(fd);
	return -1;
}

int
channel_send(
    struct channel *ch, enum msg_type type, uint64_t id, const void *payload, int fd)
{
	if (enqueue(ch, type, id, payload, fd) == -1)
		return -1;
	kick_write(ch);
	return 0;
}

static int
buckets_make(struct channel *ch)
{
	if (ch->buckets != NULL)
		return 0;
	if ((ch->buckets = reallocarray(NULL, BUCKETS, sizeof(*ch->buckets))) == NULL)
		return -1;
	for (size_t i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&ch->buckets[i]);
	return 0;
}

uint64_t
channel_ask(struct channel *ch, enum msg_type type, const void *payload, int fd,
    uint32_t timeout_ms, channel_answer_cb cb, void *arg)
{
	struct waiter *w, *at;

	if (ch->n_waiters >= WAITERS_MAX || buckets_make(ch) == -1 ||
	    (w = malloc(sizeof(*w))) == NULL) {
		if (fd != -1)
			close(fd);
		return 0;
	}
	w->id = ++ch->next_id;
	w->type = type;
	w->deadline = now_ms() + timeout_ms;
	w->cb = cb;
	w->arg = arg;
	if (channel_send(ch, type, w->id, payload, fd) == -1) {
		free(w);
		return 0;
	}
	TAILQ_INSERT_TAIL(&ch->buckets[w->id % BUCKETS], w, chain);
	/* Most questions of a channel have one deadline: the search is short. */
	TAILQ_FOREACH_REVERSE(at, &ch->by_time, waiter_list, by_time)
	if (at->deadline <= w->deadline)
		break;
	if (at == NULL)
		TAILQ_INSERT_HEAD(&ch->by_time, w, by_time);
	else
		TAILQ_INSERT_AFTER(&ch->by_time, at, w, by_time);
	ch->n_waiters++;
	if (TAILQ_FIRST(&ch->by_time) == w) {
		event_del(ch->ev_tick);
		arm(ch);
	}
	return w->id;
}

void
channel_forget(struct channel *ch, uint64_t id)
{
	struct waiter *w;

	if (ch == NULL || id == 0 || (w = waiter_find(ch, id)) == NULL)
		return;
	waiter_remove(ch, w);
	free(w);
}

/*
 * The asker reads the payload that belongs to its question, so another kind of
 * answer, whose octets it would take for pointers, must not reach it.
 */
static const char *
answer(struct channel *ch, const struct msg_info *info, struct msg *m)
{
	struct waiter *w;

	if (ch->wait_msg != NULL && m->id == ch->wait_id) {
		if (ch->wait_done || !msg_answers(ch->wait_type, m->type))
			return "answer to another question";
		*ch->wait_msg = *m;
		m->fd = -1;
		ch->wait_done = 1;
		return NULL;
	}
	if ((w = waiter_find(ch, m->id)) == NULL)
		return NULL; /* too late: the asker has gone */
	if (!msg_answers(w->type, m->type))
		return "answer to another question";
	if (info->flags & MSG_F_PART) {
		w->cb(m, w->arg);
		return NULL;
	}
	waiter_remove(ch, w);
	w->cb(m, w->arg);
	free(w);
	return NULL;
}

/* One message. Returns NULL, or what is wrong with it. */
static const char *
dispatch(struct channel *ch, struct imsg *imsg, struct msg *m)
{
	const struct msg_info *info = msg_info(imsg_get_type(imsg));
	struct ibuf body;

	if (info == NULL)
		return "message of unknown type";
	if ((info->from & ROLE_BIT(ch->peer)) == 0 ||
	    (info->to & ROLE_BIT(ch->self)) == 0)
		return "message not meant for this channel";
	if (!!(info->flags & MSG_F_HELLO) == ch->hello_seen)
		return ch->hello_seen ? "second HELLO" : "no HELLO first";
	m->fd = imsg_get_fd(imsg);
	if (m->fd == -1 && (info->flags & MSG_F_FD))
		return "descriptor missing";
	if (m->fd != -1 && !(info->flags & (MSG_F_FD | MSG_F_FDOPT)))
		return "surplus descriptor";
	if (imsg_get_ibuf(imsg, &body) == -1 || msg_decode(info->type, &body, m) == -1)
		return "payload that does not decode";
	if (info->flags & MSG_F_HELLO) {
		if (m->p.hello.version != MSG_VERSION)
			return "another version of fife";
		if (m->p.hello.role != (uint8_t)ch->peer)
			return "another role than expected";
		ch->instance = m->p.hello.instance;
		ch->hello_seen = 1;
	} else if (info->flags & MSG_F_ANSWER)
		return answer(ch, info, m);
	else
		ch->message(ch, m, ch->arg);
	return NULL;
}

/* Handles what has been read; returns 0 once the channel is dead or freed. */
static int
drain(struct channel *ch)
{
	struct imsg imsg;
	struct msg m;

	while (!ch->dead) {
		const char *bad;
		int waiting = ch->wait_msg != NULL && !ch->wait_done;
		ssize_t n = imsg_get(&ch->imsgbuf, &imsg);

		if (n == -1) {
			channel_break(ch, "malformed message");
			break;
		}
		if (n == 0)
			return 1;
		m.fd = -1;
		bad = dispatch(ch, &imsg, &m);
		if (bad != NULL && !ch->dead) {
			log_warnx("channel to %s: %s (%s)", role_name(ch->peer), bad,
			    msg_name(imsg_get_type(&imsg)));
			channel_break(ch, bad);
		}
		if (m.fd != -1)
			close(m.fd);
		if (waiting && ch->wait_done) {
			ch->wait_imsg = imsg; /* keep what the answer borrows */
			return 1;
		}
		imsg_free(&imsg);
	}
	return 0;
}

static int
read_some(struct channel *ch)
{
	int n = imsgbuf_read(&ch->imsgbuf);

	if (n == 1)
		return 1;
	/* A reset is an end that left something of ours unread: no fault of the peer's.
	 */
	channel_break(ch, n == 0 || errno == ECONNRESET ? "closed" : strerror(errno));
	return 0;
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;

	ch->busy++;
	if (read_some(ch))
		drain(ch);
	ch->busy--;
	if (ch->freed)
		really_free(ch);
}

/* Send what goes; a peer that is never quite up to date must not look ever slower.
 * Each message with a descriptor begins a write of its own. */
static int
write_some(struct channel *ch)
{
	uint32_t before, after;
	int rc;

	do {
		before = imsgbuf_queuelen(&ch->imsgbuf);
		rc = imsgbuf_write(&ch->imsgbuf);
		after = imsgbuf_queuelen(&ch->imsgbuf);
		if (before > after)
			ch->queued = ch->queued / before * after;
	} while (rc == 0 && after > 0 && after < before);
	return rc;
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;

	if (ch->dead)
		return;
	if (write_some(ch) == -1) {
		/* The reader sees the end, after what the peer said before it. */
		if (errno == EPIPE || errno == ECONNRESET)
			return;
		channel_break(ch, strerror(errno));
		return;
	}
	if (imsgbuf_queuelen(&ch->imsgbuf) == 0)
		ch->queued = 0;
	else
		event_add(ch->ev_write, NULL);
}

int
channel_set_lazy(struct channel *ch, uint32_t ms)
{
	if (ch->ev_lazy == NULL &&
	    (ch->ev_lazy = event_new(ch->base, -1, 0, on_lazy, ch)) == NULL)
		return -1;
	ch->lazy.tv_sec = (time_t)(ms / 1000);
	ch->lazy.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	return 0;
}

void
channel_hurry(struct channel *ch)
{
	if (!ch->dead && imsgbuf_queuelen(&ch->imsgbuf) > 0 &&
	    !event_pending(ch->ev_write, EV_WRITE, NULL))
		event_active(ch->ev_write, EV_WRITE, 0);
}

int
channel_ask_wait(struct channel *ch, enum msg_type type, const void *payload,
    uint32_t timeout_ms, struct msg *m)
{
	uint64_t end = now_ms() + timeout_ms;
	int rc = -1;

	if (ch->dead || ch->wait_msg != NULL)
		return -1;
	if (ch->wait_imsg.hdr.len != 0) {
		imsg_free(&ch->wait_imsg);
		ch->wait_imsg.hdr.len = 0;
	}
	ch->wait_id = ++ch->next_id;
	ch->wait_type = type;
	if (channel_send(ch, type, ch->wait_id, payload, -1) == -1)
		return -1;
	ch->wait_msg = m;
	ch->wait_done = 0;
	ch->busy++;
	while (!ch->dead && !ch->wait_done) {
		struct pollfd p = { .fd = ch->fd, .events = POLLIN };
		uint64_t now = now_ms();

		if (now >= end)
			break;
		if (imsgbuf_queuelen(&ch->imsgbuf) > 0) {
			if (write_some(ch) == -1) {
				channel_break(ch, strerror(errno));
				break;
			}
			if (imsgbuf_queuelen(&ch->imsgbuf) > 0)
				p.events |= POLLOUT;
		}
		if (poll(&p, 1, (int)(end - now)) == -1 && errno != EINTR)
			break;
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			read_some(ch);
			drain(ch);
		}
	}
	if (ch->wait_done)
		rc = 0;
	ch->wait_msg = NULL;
	ch->wait_done = 0;
	ch->busy--;
	if (ch->freed)
		really_free(ch);
	return rc;
}

void
channel_flush(struct channel *ch, uint32_t timeout_ms)
{
	uint64_t end = now_ms() + timeout_ms;

	while (!ch->dead && imsgbuf_queuelen(&ch->imsgbuf) > 0) {
		struct pollfd p = { .fd = ch->fd, .events = POLLOUT };
		uint64_t now = now_ms();

		if (write_some(ch) == -1 || now >= end)
			return;
		if (imsgbuf_queuelen(&ch->imsgbuf) > 0)
			poll(&p, 1, (int)(end - now));
	}
}

enum role
channel_role(const struct channel *ch)
{
	return ch->peer;
}

uint32_t
channel_instance(const struct channel *ch)
{
	return ch->instance;
}

uint64_t
channel_serial(const struct channel *ch)
{
	return ch->serial;
}

struct channel *
channel_find(uint64_t serial)
{
	struct channel *ch;

	LIST_FOREACH (ch, &channels[serial % SERIALS], by_serial)
		if (ch->serial == serial)
			return ch->dead ? NULL : ch;
	return NULL;
}

size_t
channel_queued(const struct channel *ch)
{
	return imsgbuf_queuelen((struct imsgbuf *)&ch->imsgbuf) == 0 ? 0 : ch->queued;
}

void
channel_set_arg(struct channel *ch, void *arg)
{
	ch->arg = arg;
}

void *
channel_arg(const struct channel *ch)
{
	return ch->arg;
}
