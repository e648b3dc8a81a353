/*
 * Reading the journal: one record by its place, or all from a place on.
 *
 * The end of a segment that has a successor is written in the successor. In the last
 * one records end at the first place that holds none. Behind a torn write
 * there may be valid records that were never acknowledged: they do not count,
 * unless one of them says that the torn place had been durable, which makes it damage
 * and not the end. What a later run writes has a higher epoch, so that a leftover
 * behind it never counts either.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "queued/journal_private.h"
#include "queued/sys.h"

int
journal_read(struct journal *j, struct loc at, struct rec_header *h, uint8_t **buf)
{
	struct segment *s = segment_find(j, at.seg);
	uint8_t head[REC_HEADER], *p;
	struct bytes_in in = { .p = head + 8, .len = 4 };
	uint32_t len;

	*buf = NULL;
	if (s == NULL || at.off > s->size - REC_HEADER || segment_fd(j, s) == -1)
		goto bad;
	/* What is still in the buffer is read from there, through the file. */
	if (s == j->active && at.off >= s->end - j->buf_len && journal_flush(j) == -1)
		return -1;
	if (sys_pread(s->fd, head, sizeof(head), at.off) == -1)
		return -1;
	len = (uint32_t)bytes_get_int(&in, 4);
	if (len < REC_HEADER || len > REC_LEN_MAX || REC_PAD(len) > s->size - at.off)
		goto bad;
	p = malloc(REC_PAD(len));
	if (p == NULL)
		return -1;
	if (sys_pread(s->fd, p, REC_PAD(len), at.off) == -1 ||
	    rec_check(p, REC_PAD(len), rec_seed(j->generation, at.seg, at.off), h) != 1) {
		free(p);
		goto bad;
	}
	*buf = p;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}

struct walk {
	struct journal *j;
	struct segment *s;
	const uint8_t *map;
	journal_replay_cb cb;
	void *arg;
	uint32_t group[16]; /* offsets of records that wait for the rest of their group */
	size_t ngroup;
};

static int
walk_check(const struct walk *w, uint32_t off, struct rec_header *h)
{
	int rv = rec_check(w->map + off, w->s->size - off,
	    rec_seed(w->j->generation, w->s->seq, off), h);

	if (rv == 1 && h->epoch < w->j->epoch)
		return -1;
	return rv;
}

/*
 * The next valid record behind a place that holds none, 0 if there is none that
 * counts. limit: the known end of the segment, or 0.
 */
static uint32_t
walk_resync(struct walk *w, uint32_t off, uint32_t limit, uint32_t *epoch_seen)
{
	uint32_t end = limit != 0 ? limit : w->s->size;
	uint32_t found = 0;
	struct rec_header h;

	for (uint32_t o = off + REC_ALIGN; o + REC_HEADER <= end; o += REC_ALIGN) {
		static const uint8_t magic[4] = { 0x51, 0x46, 0x4a, 0x31 };

		if (memcmp(w->map + o, magic, 4) != 0 || walk_check(w, o, &h) != 1)
			continue;
		if (h.epoch > *epoch_seen)
			*epoch_seen = h.epoch;
		if (found == 0 && (limit != 0 || h.synced > off))
			found = o;
		if (found != 0 && limit != 0)
			break;
	}
	return found;
}

static int
walk_emit(struct walk *w, uint32_t off)
{
	struct rec_header h;

	if (walk_check(w, off, &h) != 1)
		return 0;
	return w->cb(
	    (struct loc){ w->s->seq, off }, &h, w->map + off + REC_HEADER, w->arg);
}

static int
walk_segment(struct walk *w, uint32_t off, int last)
{
	struct segment *s = w->s;
	uint32_t limit = last ? 0 : s->end, epoch_seen = w->j->epoch;
	struct rec_header h;

	w->ngroup = 0;
	for (;;) {
		uint32_t end = limit != 0 ? limit : s->size;
		int rv = off + REC_HEADER > end ? 0 : walk_check(w, off, &h);

		if (rv == 1 && (uint64_t)off + REC_PAD(h.len) > end)
			rv = -1;
		if (rv != 1) {
			uint32_t next;

			if (limit != 0 && off >= limit)
				break;
			next = walk_resync(w, off, limit, &epoch_seen);
			if (next == 0 && limit == 0)
				break;
			w->j->damaged++;
			s->damaged = 1;
			w->ngroup = 0;
			log_warnx("journal: segment %08x is damaged at %u", s->seq, off);
			if (next == 0)
				break;
			off = next;
			continue;
		}
		w->j->epoch = h.epoch;
		if (w->ngroup < sizeof(w->group) / sizeof(w->group[0]))
			w->group[w->ngroup++] = off;
		off += REC_PAD(h.len);
		if (h.flags & REC_F_MORE)
			continue;
		for (size_t i = 0; i < w->ngroup; i++) {
			if (walk_emit(w, w->group[i]) == -1)
				return -1;
		}
		w->ngroup = 0;
	}
	/* A group without its end counts as not written. */
	if (last) {
		s->end = w->ngroup > 0 ? w->group[0] : off;
		if (epoch_seen > w->j->epoch)
			w->j->epoch = epoch_seen;
	}
	return 0;
}

int
journal_replay(
    struct journal *j, uint32_t seg, uint32_t off, journal_replay_cb cb, void *arg)
{
	for (size_t i = 0; i < j->nsegs; i++) {
		struct walk w = { .j = j, .s = &j->segs[i], .cb = cb, .arg = arg };
		int last = 1, rv;
		void *map;

		if (w.s->seq < seg || !w.s->open)
			continue;
		for (size_t k = i + 1; k < j->nsegs; k++)
			last &= !j->segs[k].open;
		/* Its successor is lost, so that its end is not written anywhere. */
		if (w.s->end == 0 && !last)
			w.s->end = w.s->size;
		if (segment_fd(j, w.s) == -1)
			return -1;
		map = mmap(NULL, w.s->size, PROT_READ, MAP_SHARED, w.s->fd, 0);
		if (map == MAP_FAILED)
			return -1;
		w.map = map;
		rv = walk_segment(
		    &w, w.s->seq == seg && off != 0 ? off : JOURNAL_FIRST, last);
		munmap(map, w.s->size);
		if (rv == -1)
			return -1;
	}
	return 0;
}

int
journal_scan(struct journal *j, uint32_t seg, uint32_t *off, uint32_t budget,
    journal_replay_cb cb, void *arg)
{
	struct segment *s = segment_find(j, seg);
	struct walk w = { .j = j, .s = s, .cb = cb, .arg = arg };
	uint32_t stop, seq = seg;
	void *map;
	int rv = 1;

	if (s == NULL || s == j->active || segment_fd(j, s) == -1)
		return -1;
	map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return -1;
	w.map = map;
	stop = *off < UINT32_MAX - budget ? *off + budget : UINT32_MAX;
	while (*off + REC_HEADER <= s->end) {
		uint32_t size = s->size;
		struct rec_header h;

		if (*off >= stop) {
			rv = 0;
			break;
		}
		if (rec_check(w.map + *off, size - *off,
			rec_seed(j->generation, seq, *off), &h) != 1) {
			*off += REC_ALIGN;
			continue;
		}
		if (cb((struct loc){ seq, *off }, &h, w.map + *off + REC_HEADER, arg) ==
		    -1) {
			rv = -1;
			break;
		}
		*off += REC_PAD(h.len);
		/* The callback may have appended, and the table may have moved. */
		s = segment_find(j, seq);
	}
	munmap(map, s->size);
	return rv;
}

uint32_t
journal_epoch(const struct journal *j)
{
	return j->epoch;
}

void
journal_set_epoch(struct journal *j, uint32_t epoch)
{
	j->epoch = epoch;
}

uint64_t
journal_damaged(const struct journal *j)
{
	return j->damaged;
}

void
journal_forgive(struct journal *j)
{
	j->damaged = 0;
	for (size_t i = 0; i < j->nsegs; i++)
		j->segs[i].damaged = 0;
}
