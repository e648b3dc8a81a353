/* SPDX-License-Identifier: ISC */
/* Probes of the servers; see health.h. */
#include "dnsd/health.h"

#include <sys/socket.h>

#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/dnshosts.h"

#define ROWS_MAX (RESOLVE_SERVERS_MAX + RESOLVE_STUBS_MAX)
#define EVERY_S 30
#define ANSWER_MS 5000
#define FAILURES 2 /* a lost packet is no dead server */
#define TYPE_NS 2
#define TYPE_SOA 6

struct row {
	char zone[256];
	char address[64];
	uint16_t port;
	enum health health;
	unsigned int failures;
	uint32_t took_ms;
	int64_t since;
	uint16_t id;
	uint64_t asked; /* monotonic ms; 0: nothing is under way */
	int fd;
	struct event *ev;
};

static struct row *rows;
static size_t n_rows;
static struct event *timer;

static void
stop_asking(struct row *r)
{
	if (r->ev != NULL)
		event_free(r->ev);
	if (r->fd != -1)
		close(r->fd);
	r->ev = NULL;
	r->fd = -1;
	r->asked = 0;
}

static void
becomes(struct row *r, enum health h)
{
	if (r->health == h)
		return;
	if (h == HEALTH_DOWN || r->health == HEALTH_DOWN)
		log_fact(LOG_HOST, h == HEALTH_DOWN ? LOGL_WARN : LOGL_INFO,
		    h == HEALTH_DOWN ? "name-server-down" : "name-server-up",
		    KS("server", r->address), KU("port", r->port), KS("zone", r->zone));
	r->health = h;
	r->since = wall_s();
}

static void
failed(struct row *r)
{
	stop_asking(r);
	if (r->failures < FAILURES)
		r->failures++;
	if (r->failures == FAILURES)
		becomes(r, HEALTH_DOWN);
}

/* Any answer will do, also one that refuses: somebody is there. */
static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct row *r = arg;
	uint8_t buf[512];
	ssize_t n;

	if (what & EV_TIMEOUT) {
		failed(r);
		return;
	}
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n == -1) {
		failed(r); /* refused by its host */
		return;
	}
	if (n < 12 || (buf[0] << 8 | buf[1]) != r->id || !(buf[2] & 0x80))
		return;
	r->took_ms = (uint32_t)(now_ms() - r->asked);
	r->failures = 0;
	stop_asking(r);
	becomes(r, HEALTH_UP);
}

static size_t
question(const struct row *r, uint8_t *q, size_t cap)
{
	const char *p = strcmp(r->zone, ".") == 0 ? "" : r->zone;
	size_t n = 12;

	memset(q, 0, 12);
	q[0] = (uint8_t)(r->id >> 8);
	q[1] = (uint8_t)r->id;
	q[2] = 1; /* recursion desired */
	q[5] = 1;
	while (*p != '\0') {
		size_t len = strcspn(p, ".");

		if (len == 0 || len > 63 || n + len + 6 > cap)
			return 0;
		q[n++] = (uint8_t)len;
		memcpy(q + n, p, len);
		n += len;
		p += len + (p[len] == '.');
	}
	q[n++] = 0;
	q[n++] = 0;
	q[n++] = strcmp(r->zone, ".") == 0 ? TYPE_NS : TYPE_SOA;
	q[n++] = 0;
	q[n++] = 1;
	return n;
}

static void
ask(struct row *r)
{
	struct timeval tv = { ANSWER_MS / 1000, 0 };
	struct sockaddr_storage ss;
	struct dnsaddr a;
	uint8_t q[300];
	socklen_t len;
	size_t n;

	if (r->asked != 0 || dnsaddr_parse(r->address, &a) == -1)
		return;
	r->id = (uint16_t)arc4random();
	if ((n = question(r, q, sizeof(q))) == 0)
		return;
	len = dnsaddr_sockaddr(&a, r->port, &ss);
	r->fd = socket(a.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r->asked = now_ms();
	if (r->fd == -1 || connect(r->fd, (struct sockaddr *)&ss, len) == -1 ||
	    send(r->fd, q, n, 0) == -1 ||
	    (r->ev = event_new(
		 daemon_base(), r->fd, EV_READ | EV_PERSIST, on_answer, r)) == NULL ||
	    event_add(r->ev, &tv) == -1)
		failed(r);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { EVERY_S, 0 };

	for (size_t i = 0; i < n_rows; i++)
		ask(&rows[i]);
	(void)event_add(timer, &tv);
}

static void
add(const char *zone, const char *address, uint16_t port)
{
	struct row *r = &rows[n_rows++];

	strlcpy(r->zone, zone, sizeof(r->zone));
	strlcpy(r->address, address, sizeof(r->address));
	r->port = port;
	r->fd = -1;
	r->since = wall_s();
}

void
health_start(const struct resolve_conf *rc)
{
	struct timeval tv = { 0, 0 };

	for (size_t i = 0; i < n_rows; i++)
		stop_asking(&rows[i]);
	n_rows = 0;
	if (rows == NULL && (rows = calloc(ROWS_MAX, sizeof(*rows))) == NULL)
		return;
	memset(rows, 0, ROWS_MAX * sizeof(*rows));
	for (size_t i = 0; i < rc->n_servers; i++)
		add(".", rc->servers[i].address, rc->servers[i].port);
	for (size_t i = 0; i < rc->n_stubs; i++)
		add(rc->stubs[i].zone, rc->stubs[i].address, rc->stubs[i].port);
	if (timer == NULL)
		timer = event_new(daemon_base(), -1, 0, on_timer, NULL);
	if (timer != NULL)
		(void)event_add(timer, &tv);
}

int
health_at(size_t i, struct health_row *out)
{
	const struct row *r = &rows[i];

	if (i >= n_rows)
		return 0;
	*out = (struct health_row){ .zone = r->zone,
		.address = r->address,
		.port = r->port,
		.health = r->health,
		.took_ms = r->took_ms,
		.since = r->since };
	return 1;
}

size_t
health_down(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_rows; i++)
		n += rows[i].health == HEALTH_DOWN;
	return n;
}
