/* SPDX-License-Identifier: ISC */
/*
 * Listeners: accept in bounded batches, so that a flood of connections does
 * not starve those that are there, and rest when descriptors have run out.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/log.h"

#define BATCH 32
#define BACKOFF_MS 200

struct acceptor {
	int fd;
	struct event *ev;
	struct event *ev_rest;
	void (*cb)(int, const struct sockaddr *, socklen_t, void *);
	void *arg;
	int busy;
	int freed;
	int resting; /* said so already */
};

static void
on_rest(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	event_add(a->ev, NULL);
}

static void
rest(struct acceptor *a)
{
	struct timeval tv = { BACKOFF_MS / 1000, BACKOFF_MS % 1000 * 1000 };

	if (!a->resting)
		log_warn("accept, resting a moment");
	a->resting = 1;
	event_del(a->ev);
	event_add(a->ev_rest, &tv);
}

static void
release(struct acceptor *a)
{
	if (a->ev != NULL)
		event_free(a->ev);
	if (a->ev_rest != NULL)
		event_free(a->ev_rest);
	close(a->fd);
	free(a);
}

static void
on_connection(evutil_socket_t listen_fd, short what, void *arg)
{
	struct acceptor *a = arg;

	a->busy = 1;
	for (int i = 0; i < BATCH && !a->freed; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		int fd = accept4(
		    a->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd != -1) {
			a->resting = 0;
			a->cb(fd, (struct sockaddr *)&ss, len, a->arg);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO ||
		    errno == EPERM)
			continue; /* one connection's bad luck */
		rest(a);          /* EMFILE, ENFILE, ENOBUFS, ENOMEM: for all of them */
		break;
	}
	a->busy = 0;
	if (a->freed)
		release(a);
}

struct acceptor *
acceptor_new(struct event_base *base, int listen_fd,
    void (*cb)(int fd, const struct sockaddr *, socklen_t, void *), void *arg)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	int on = 1;

	if (a == NULL) {
		close(listen_fd);
		return NULL;
	}
	a->fd = listen_fd;
	a->cb = cb;
	a->arg = arg;
	/* Shared with other processes perhaps: another may take the connection. */
	evutil_make_socket_nonblocking(listen_fd);
	/* For every connection that comes: conn.c gathers output. Fails on a Unix
	 * socket, which is fine. */
	(void)setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	a->ev = event_new(base, listen_fd, EV_READ | EV_PERSIST, on_connection, a);
	a->ev_rest = event_new(base, -1, 0, on_rest, a);
	if (a->ev == NULL || a->ev_rest == NULL || event_add(a->ev, NULL) == -1) {
		acceptor_free(a);
		return NULL;
	}
	return a;
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL || a->freed)
		return;
	a->freed = 1;
	if (a->ev != NULL)
		event_del(a->ev);
	if (a->ev_rest != NULL)
		event_del(a->ev_rest);
	if (!a->busy)
		release(a);
}
