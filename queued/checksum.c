/*
 * Checksums in slices, see checksum.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/queue.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "queued/checksum.h"
#include "common/crc32c.h"
#include "queued/sys.h"

struct checksum {
	TAILQ_ENTRY(checksum) entry;
	int fd;
	uint64_t size, off;
	uint32_t crc;
	checksum_cb cb;
	void *arg;
};

static TAILQ_HEAD(, checksum) under_way = TAILQ_HEAD_INITIALIZER(under_way);
static struct event *ev;
static uint8_t *buf;
static uint64_t slices;

static void
go_on(void)
{
	/* A timer, not an active event: sockets are looked at between two slices. */
	struct timeval now = { 0, 0 };

	if (ev != NULL && !TAILQ_EMPTY(&under_way))
		(void)event_add(ev, &now);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct checksum *c = TAILQ_FIRST(&under_way);
	size_t n;
	int error = 0;

	(void)fd;
	(void)what;
	(void)arg;
	if (c == NULL)
		return;
	TAILQ_REMOVE(&under_way, c, entry);
	n = c->size - c->off < CHECKSUM_SLICE ? (size_t)(c->size - c->off)
					      : CHECKSUM_SLICE;
	slices++;
	if (n > 0 && sys_pread(c->fd, buf, n, (off_t)c->off) == -1)
		error = errno != 0 ? errno : EIO;
	else {
		c->crc = crc32c(c->crc, buf, n);
		c->off += n;
	}
	if (error != 0 || c->off == c->size) {
		c->cb(error, c->crc, c->arg);
		free(c);
	} else
		TAILQ_INSERT_TAIL(&under_way, c, entry);
	go_on();
}

int
checksum_init(struct event_base *base)
{
	buf = malloc(CHECKSUM_SLICE);
	ev = event_new(base, -1, 0, on_turn, NULL);
	return buf == NULL || ev == NULL ? -1 : 0;
}

void
checksum_stop(void)
{
	struct checksum *c;

	while ((c = TAILQ_FIRST(&under_way)) != NULL)
		checksum_cancel(c);
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	free(buf);
	buf = NULL;
}

struct checksum *
checksum_start(int fd, uint64_t size, checksum_cb cb, void *arg)
{
	struct checksum *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fd = fd;
	c->size = size;
	c->cb = cb;
	c->arg = arg;
	TAILQ_INSERT_TAIL(&under_way, c, entry);
	go_on();
	return c;
}

void
checksum_cancel(struct checksum *c)
{
	if (c == NULL)
		return;
	TAILQ_REMOVE(&under_way, c, entry);
	free(c);
}

uint64_t
checksum_slices(void)
{
	return slices;
}
