/*
 * Writing the journal: records are collected in a buffer, written at the end of
 * a turn of the loop when no sync runs, and synced by the thread. All that was put
 * while a sync ran shares the next.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "queued/journal_private.h"
#include "queued/sys.h"

#define BUF_FLUSH (1024 * 1024) /* write without a sync from here on */
#define LAZY_US 200000
#define FILL_US 20000
#define FILL_STEP (1024 * 1024)
#define RETRY_S 5 /* after a failure to make a segment */

static void journal_pump(struct journal *);

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct journal *j = arg;

	(void)fd;
	(void)what;
	j->kick_set = 0;
	journal_pump(j);
}

static void
on_lazy(evutil_socket_t fd, short what, void *arg)
{
	struct journal *j = arg;

	(void)fd;
	(void)what;
	j->lazy_set = 0;
	journal_pump(j);
}

/* Zeros ahead of the records, and the next segment. */
static void
on_fill(evutil_socket_t fd, short what, void *arg)
{
	struct journal *j = arg;
	struct timeval tv = { 0, FILL_US };
	struct segment *s;

	(void)fd;
	(void)what;
	if (j->failed)
		return;
	if (j->spare == 0) {
		s = segment_make(j);
		if (s != NULL) {
			j->spare = s->seq;
			j->full = 0;
		} else {
			if (!j->full)
				log_warn("journal: cannot make the next segment");
			j->full = 1;
			tv.tv_sec = RETRY_S;
			event_add(j->fill, &tv);
			return;
		}
	}
	s = j->active;
	if (s->zeroed < s->end)
		s->zeroed = s->end;
	if (s->zeroed >= s->size)
		s = segment_find(j, j->spare);
	if (s == NULL || s->zeroed >= s->size)
		return;
	segment_zero(j, s, s->zeroed,
	    s->size - s->zeroed < FILL_STEP ? s->size - s->zeroed : FILL_STEP);
	s->zeroed = s->size - s->zeroed < FILL_STEP ? s->size : s->zeroed + FILL_STEP;
	event_add(j->fill, &tv);
}

struct journal *
journal_open(
    struct event_base *base, int dirfd, uint64_t generation, uint32_t segment_size)
{
	struct journal *j;

	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return NULL;
	j->base = base;
	j->dirfd = dirfd;
	j->generation = generation;
	j->segment_size = segment_size;
	j->next_seq = 1;
	if (segment_scan(j) == -1)
		goto fail;
	return j;
fail:
	journal_close(j);
	return NULL;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	syncer_free(j->syncer);
	if (j->kick != NULL)
		event_free(j->kick);
	if (j->lazy != NULL)
		event_free(j->lazy);
	if (j->fill != NULL)
		event_free(j->fill);
	for (size_t i = 0; i < j->nsegs; i++) {
		if (j->segs[i].fd != -1)
			close(j->segs[i].fd);
	}
	free(j->segs);
	free(j->buf);
	free(j->waiters);
	free(j);
}

void
journal_on_failure(struct journal *j, void (*cb)(const char *, void *), void *arg)
{
	j->on_failure = cb;
	j->on_failure_arg = arg;
}

void
journal_set_global(struct journal *j, uint64_t reserved, int hold)
{
	j->reserved = reserved;
	j->hold = hold;
}

static void
put_global(struct journal *j, enum rec_type type, uint64_t prev_seq, uint32_t prev_end)
{
	struct rec_global g = { j->reserved, (uint8_t)j->hold, prev_seq, prev_end };
	struct bytes_out o = { 0 };

	rec_global_encode(&g, &o);
	o.p = journal_body(j, type, 0, 0, (uint32_t)o.len);
	if (o.p == NULL)
		return;
	o.cap = o.len;
	o.len = 0;
	rec_global_encode(&g, &o);
	journal_put(j);
}

void
journal_set_rules(struct journal *j, const uint8_t *p, size_t len)
{
	j->rules = p;
	j->rules_len = (uint32_t)len;
}

static void
put_rules(struct journal *j)
{
	uint8_t *p;

	if (j->rules == NULL)
		return;
	p = journal_body(j, REC_RULES, 0, 0, j->rules_len);
	if (p == NULL)
		return;
	memcpy(p, j->rules, j->rules_len);
	journal_put(j);
}

/* Begin to write in the segment seq. */
static void
activate(struct journal *j, struct segment *s)
{
	uint32_t prev_seq = 0, prev_end = 0;

	if (j->active != NULL) {
		prev_seq = j->active->seq;
		prev_end = j->active->end;
	}
	j->active = s;
	s->open = 1;
	s->end = JOURNAL_FIRST;
	j->synced_off = JOURNAL_FIRST;
	put_global(j, REC_OPEN, prev_seq, prev_end);
	put_rules(j);
}

int
journal_start(struct journal *j, uint64_t reserved, int hold)
{
	struct segment *spare = NULL;

	j->reserved = reserved;
	j->hold = hold;
	j->epoch++;
	j->buf_cap = BUF_FLUSH;
	j->buf = malloc(j->buf_cap);
	if (j->buf == NULL)
		return -1;
	for (size_t i = 0; i < j->nsegs; i++) {
		if (j->segs[i].open)
			j->active = &j->segs[i];
	}
	for (size_t i = 0; i < j->nsegs; i++) {
		struct segment *s = &j->segs[i];

		if (!s->open && (j->active == NULL || s->seq > j->active->seq) &&
		    spare == NULL)
			spare = s;
	}
	if (spare != NULL) {
		j->spare = spare->seq;
		spare->end = JOURNAL_FIRST;
	}
	j->syncer = syncer_new(j->base);
	if (j->syncer == NULL)
		return -1;
	if (j->base != NULL) {
		j->kick = event_new(j->base, -1, 0, on_kick, j);
		j->lazy = event_new(j->base, -1, 0, on_lazy, j);
		j->fill = event_new(j->base, -1, 0, on_fill, j);
		if (j->kick == NULL || j->lazy == NULL || j->fill == NULL)
			return -1;
	}
	if (j->active == NULL) {
		struct segment *s = spare != NULL ? spare : segment_make(j);

		if (s == NULL)
			return -1;
		j->spare = 0;
		activate(j, s);
	} else {
		if (j->active->end < JOURNAL_FIRST)
			j->active->end = JOURNAL_FIRST;
		/* What the last run wrote is read as durable from now on: make it so. It
		 * may have died before it synced a segment that it had filled. */
		for (size_t i = 0; i < j->nsegs; i++) {
			struct segment *s = &j->segs[i];

			if (!s->open ||
			    (segment_fd(j, s) != -1 && sys_fdatasync(s->fd) != -1))
				continue;
			if (s == j->active)
				return -1;
			/* A condemned one perhaps: what it has can still be read. */
			log_warn("journal: segment %08x cannot be synced", s->seq);
		}
		j->synced_off = j->active->end;
		if (journal_room(j, 128, 1) == -1)
			return -1;
		put_global(j, REC_GLOBAL, 0, 0);
	}
	if (j->fill != NULL)
		event_active(j->fill, EV_TIMEOUT, 0);
	return journal_sync(j);
}

static int
next_segment(struct journal *j, int privileged)
{
	struct segment *s;

	if (j->spare == 0) {
		s = segment_make(j);
		if (s == NULL) {
			j->full = 1;
			return -1;
		}
		j->spare = s->seq;
	}
	s = segment_find(j, j->spare);
	if (!privileged && j->base == NULL) {
		/* Without a loop nobody else makes the next one. */
		struct segment *n = segment_make(j);

		if (n == NULL) {
			j->full = 1;
			return -1;
		}
		s = segment_find(j, j->spare);
		j->spare = n->seq;
	} else
		j->spare = 0;
	activate(j, s);
	if (j->fill != NULL)
		event_active(j->fill, EV_TIMEOUT, 0);
	return 0;
}

int
journal_room(struct journal *j, uint32_t len, int privileged)
{
	struct segment *s = j->active;

	if (j->failed) {
		errno = EIO;
		return -1;
	}
	if (!privileged && j->full && j->spare == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (len <= s->size - s->end)
		return 0;
	if (len > j->segment_size - JOURNAL_FIRST - 256 - j->rules_len) {
		errno = EMSGSIZE;
		return -1;
	}
	/*
	 * The next one tells where this one ends: that must be durable first, or power
	 * loss leaves a gap in the middle, with later records that count behind it.
	 */
	for (int i = 0; i < 4; i++) {
		if (journal_sync(j) == -1)
			return -1;
		/* Those who waited for the sync may have written. */
		if (len <= j->active->size - j->active->end)
			return 0;
		/* One that was made for a smaller file system may be too small. */
		if (next_segment(j, privileged) == -1)
			return -1;
		if (len <= j->active->size - j->active->end)
			return 0;
	}
	errno = EMSGSIZE;
	return -1;
}

uint8_t *
journal_body(
    struct journal *j, enum rec_type type, int flags, uint64_t id, uint32_t body_len)
{
	uint32_t len = REC_HEADER + body_len;

	if (j->buf_len + REC_PAD(len) > j->buf_cap) {
		size_t cap = j->buf_len + REC_PAD(len) + BUF_FLUSH;
		uint8_t *n = realloc(j->buf, cap);

		if (n == NULL)
			return NULL;
		j->buf = n;
		j->buf_cap = cap;
	}
	memset(&j->cur, 0, sizeof(j->cur));
	j->cur.len = len;
	j->cur.type = (uint8_t)type;
	j->cur.flags = (uint8_t)flags;
	j->cur.epoch = j->epoch;
	j->cur.synced = j->synced_off;
	j->cur.id = id;
	j->cur_open = 1;
	return j->buf + j->buf_len + REC_HEADER;
}

struct loc
journal_put(struct journal *j)
{
	struct loc at = { j->active->seq, j->active->end };
	uint32_t len = REC_PAD(j->cur.len);

	rec_seal(j->buf + j->buf_len, &j->cur, rec_seed(j->generation, at.seg, at.off));
	j->cur_open = 0;
	j->buf_len += len;
	j->active->end += len;
	j->lsn += len;
	if (j->buf_len >= BUF_FLUSH)
		(void)journal_flush(j); /* a failure is told to the waiters */
	return at;
}

int
journal_flush(struct journal *j)
{
	struct segment *s = j->active;

	if (j->failed) {
		errno = EIO;
		return -1;
	}
	if (j->buf_len == 0)
		return 0;
	if (segment_fd(j, s) == -1 ||
	    sys_pwrite(s->fd, j->buf, j->buf_len, s->end - (uint32_t)j->buf_len) == -1) {
		journal_fail(j, "cannot write");
		return -1;
	}
	j->buf_len = 0;
	j->flushed_lsn = j->lsn;
	/* One huge record must not keep its memory. */
	if (j->buf_cap > 4 * BUF_FLUSH) {
		uint8_t *n = realloc(j->buf, 2 * BUF_FLUSH);

		if (n != NULL) {
			j->buf = n;
			j->buf_cap = 2 * BUF_FLUSH;
		}
	}
	return 0;
}

static void
run_waiters(struct journal *j, int error)
{
	while (j->w_len > 0) {
		struct waiter w = j->waiters[j->w_head];

		if (!error && w.lsn > j->synced_lsn)
			break;
		j->w_head = (j->w_head + 1) % j->w_cap;
		j->w_len--;
		if (w.cb != NULL)
			w.cb(error, w.arg);
	}
}

/*
 * The active segment holds something else than we believe. A new one is opened
 * whose first record says where the durable part ended, so that nothing behind it
 * comes back to life.
 */
void
journal_fail(struct journal *j, const char *what)
{
	char why[128];
	struct segment *s;
	uint32_t seq;
	int error = errno != 0 ? errno : EIO;

	if (j->failed)
		return;
	snprintf(why, sizeof(why), "journal: %s: %s", what, strerror(error));
	log_warnx("%s", why);
	seq = j->active->seq;
	s = j->spare != 0 ? segment_find(j, j->spare) : segment_make(j);
	if (s != NULL) {
		j->active = segment_find(j, seq);
		j->active->end = j->synced_off;
		j->buf_len = 0;
		j->flushed_lsn = j->synced_lsn;
		activate(j, s);
		if (sys_pwrite(s->fd, j->buf, j->buf_len, JOURNAL_FIRST) == -1 ||
		    sys_fdatasync(s->fd) == -1)
			log_warn("journal: the next segment fails too");
	}
	j->buf_len = 0;
	j->failed = 1;
	run_waiters(j, error);
	if (j->on_failure != NULL)
		j->on_failure(why, j->on_failure_arg);
}

static void
on_synced(int error, void *arg)
{
	struct journal *j = arg;

	j->syncing = 0;
	if (j->failed)
		return;
	if (error != 0) {
		errno = error;
		journal_fail(j, "cannot sync");
		return;
	}
	j->synced_lsn = j->syncing_lsn;
	if (j->active->seq == j->syncing_seg)
		j->synced_off = j->syncing_off;
	run_waiters(j, 0);
	if (j->w_len > 0 && !j->kick_set && !j->lazy_set && j->base != NULL)
		journal_pump(j);
}

/* Write what there is and begin a sync, unless one runs. */
static void
journal_pump(struct journal *j)
{
	if (j->syncing || j->failed || (j->w_len == 0 && j->buf_len == 0) ||
	    journal_flush(j) == -1)
		return;
	if (j->synced_lsn == j->lsn) {
		run_waiters(j, 0);
		return;
	}
	j->syncing = 1;
	j->syncing_lsn = j->lsn;
	j->syncing_seg = j->active->seq;
	j->syncing_off = j->active->end;
	if (syncer_submit(j->syncer, &j->active->fd, 1, 0, on_synced, j) == -1) {
		j->syncing = 0;
		journal_fail(j, "cannot begin a sync");
	}
}

void
journal_commit(struct journal *j, int urgent, journal_cb cb, void *arg)
{
	if (j->w_len == j->w_cap) {
		size_t cap = j->w_cap == 0 ? 256 : j->w_cap * 2;
		struct waiter *n = reallocarray(NULL, cap, sizeof(*n));

		if (n == NULL) {
			/* No room to wait: do it now. */
			int rv = journal_sync(j);

			if (cb != NULL)
				cb(rv == -1 ? EIO : 0, arg);
			return;
		}
		for (size_t i = 0; i < j->w_len; i++)
			n[i] = j->waiters[(j->w_head + i) % j->w_cap];
		free(j->waiters);
		j->waiters = n;
		j->w_head = 0;
		j->w_cap = cap;
	}
	j->waiters[(j->w_head + j->w_len++) % j->w_cap] =
	    (struct waiter){ j->lsn, cb, arg };
	if (j->failed) {
		run_waiters(j, EIO);
		return;
	}
	if (j->base == NULL) {
		journal_pump(j);
		return;
	}
	if (urgent && !j->kick_set) {
		j->kick_set = 1;
		event_active(j->kick, EV_TIMEOUT, 0);
	} else if (!urgent && !j->lazy_set && !j->kick_set) {
		struct timeval tv = { 0, LAZY_US };

		j->lazy_set = 1;
		event_add(j->lazy, &tv);
	}
}

int
journal_sync(struct journal *j)
{
	/* An error of the running sync is told to that one only: wait for it. */
	while (j->syncing)
		syncer_drain(j->syncer);
	if (journal_flush(j) == -1)
		return -1;
	if (j->synced_lsn != j->lsn && sys_fdatasync(j->active->fd) == -1) {
		journal_fail(j, "cannot sync");
		return -1;
	}
	j->synced_lsn = j->lsn;
	j->synced_off = j->active->end;
	run_waiters(j, 0);
	return 0;
}

struct loc
journal_position(const struct journal *j)
{
	return (struct loc){ j->active->seq, j->active->end };
}

int
journal_is_full(const struct journal *j)
{
	return j->full && j->spare == 0;
}
