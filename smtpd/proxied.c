/* SPDX-License-Identifier: ISC */
/* Waiting for the header of the PROXY protocol; see proxied.h. */
#include "smtpd/proxied.h"

#include <sys/queue.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "smtpd/proxy.h"

#define WAIT_S 10
#define WAITING_MAX 1000

struct proxied {
	TAILQ_ENTRY(proxied) entry;
	int fd;
	struct event *ev;
	struct session_listener listener;
	struct sockaddr_storage peer;
	proxied_cb cb;
	size_t len;
	uint8_t buf[PROXY_MAX];
};

static TAILQ_HEAD(, proxied) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned int n_waiting;

static void
proxied_free(struct proxied *w)
{
	TAILQ_REMOVE(&waiting, w, entry);
	n_waiting--;
	if (w->ev != NULL)
		event_free(w->ev);
	if (w->fd != -1)
		close(w->fd);
	free(w);
}

void
proxied_stop(void)
{
	struct proxied *w;

	while ((w = TAILQ_FIRST(&waiting)) != NULL)
		proxied_free(w);
}

static void
give_up(struct proxied *w, const char *why)
{
	smtpd_stats.refused_connections++;
	log_fact(LOG_SMTP, LOGL_WARN, "connection-refused", KS("client", "proxy"),
	    KS("reason", why));
	proxied_free(w);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct proxied *w = arg;
	struct proxy p;
	size_t used = 0, take;
	ssize_t n;
	int r;

	if (what & EV_TIMEOUT) {
		give_up(w, "a proxy that does not say whose connection it is");
		return;
	}
	n = recv(w->fd, w->buf + w->len, sizeof(w->buf) - w->len, MSG_PEEK);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		proxied_free(w);
		return;
	}
	r = proxy_parse(w->buf, w->len + (size_t)n, &p, &used);
	if (r == -1 || (r == 0 && w->len + (size_t)n == sizeof(w->buf))) {
		give_up(w, "a proxy without a valid PROXY header");
		return;
	}
	/* Only now it is known how much of it is the header's. */
	take = r == 1 ? used - w->len : (size_t)n;
	if (recv(w->fd, w->buf + w->len, take, 0) != (ssize_t)take) {
		proxied_free(w);
		return;
	}
	w->len += take;
	if (r == 0)
		return;
	fd = w->fd;
	w->fd = -1;
	w->cb(fd, &w->listener,
	    (const struct sockaddr *)(p.client.ss_family != AF_UNSPEC ? &p.client
								      : &w->peer));
	proxied_free(w);
}

void
proxied_wait(
    int fd, const struct session_listener *l, const struct sockaddr *proxy, proxied_cb cb)
{
	struct timeval tv = { .tv_sec = WAIT_S };
	struct proxied *w;

	if (n_waiting >= WAITING_MAX || (w = calloc(1, sizeof(*w))) == NULL) {
		close(fd);
		return;
	}
	TAILQ_INSERT_TAIL(&waiting, w, entry);
	n_waiting++;
	w->fd = fd;
	w->listener = *l;
	w->cb = cb;
	memcpy(&w->peer, proxy,
	    proxy->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					 : sizeof(struct sockaddr_in));
	w->ev = event_new(daemon_base(), fd, EV_READ | EV_PERSIST, on_input, w);
	if (w->ev == NULL || event_add(w->ev, &tv) == -1)
		proxied_free(w);
}
