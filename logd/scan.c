/* SPDX-License-Identifier: ISC */
/* Reading a day of log files, all kinds merged by time, a buffer at a time. */
#include "logd/scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logd/files.h"
#include "logd/index.h"

#define SCAN_BUF 65536

struct source {
	int fd;
	char *buf;
	size_t start; /* of what is not consumed */
	size_t end;
	size_t used; /* length of the line handed out, with its newline */
	uint64_t off;
	uint64_t extent_end; /* of what is to be read at off */
	struct index_reader *index;
	int skip; /* inside a line that is too long, or cut at the start */
	int have;
	struct line line;
};

struct scan {
	struct source src[LOG_KIND_MAX];
	uint64_t octets;
};

struct scan *
scan_new(unsigned int kinds, int32_t day, size_t tail, const struct index_query *query)
{
	struct scan *s;
	char name[FILES_NAME_MAX];
	off_t size;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	for (int k = 0; k < LOG_KIND_MAX; k++) {
		struct source *src = &s->src[k];

		src->fd = -1;
		if (!(kinds & 1u << k))
			continue;
		files_name(name, (enum log_kind)k, day);
		if ((src->fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1)
			continue;
		if ((src->buf = malloc(SCAN_BUF)) == NULL) {
			scan_free(s);
			return NULL;
		}
		size = lseek(src->fd, 0, SEEK_END);
		if (tail != 0 && size > (off_t)tail) {
			src->off = (uint64_t)size - tail;
			src->skip = 1;
		}
		src->extent_end = UINT64_MAX;
		if (query != NULL && (src->index = index_reader_open(
					  (enum log_kind)k, day, query)) != NULL)
			src->extent_end = 0;
	}
	return s;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	for (int k = 0; k < LOG_KIND_MAX; k++) {
		if (s->src[k].fd != -1)
			close(s->src[k].fd);
		index_reader_close(s->src[k].index);
		free(s->src[k].buf);
	}
	free(s);
}

uint64_t
scan_octets(const struct scan *s)
{
	return s->octets;
}

/* To the next octets that the index does not rule out. 0; -1: not found yet. */
static int
next_extent(struct source *src)
{
	uint64_t from;

	if (index_reader_next(src->index, &from, &src->extent_end) == INDEX_NOT_YET) {
		src->extent_end = src->off;
		return -1;
	}
	if (from != src->off) {
		src->start = src->end = 0;
		src->skip = 0;
		src->off = from;
	}
	return 0;
}

/* 1 when octets were added; 0: there are none; -1: not yet. */
static int
fill(struct scan *s, struct source *src)
{
	size_t want;
	ssize_t n;

	if (src->off == src->extent_end && next_extent(src) == -1)
		return -1;
	memmove(src->buf, src->buf + src->start, src->end - src->start);
	src->end -= src->start;
	src->start = 0;
	if (src->end == SCAN_BUF) { /* no newline in all of it */
		src->end = 0;
		src->skip = 1;
	}
	want = SCAN_BUF - src->end;
	if (want > src->extent_end - src->off)
		want = (size_t)(src->extent_end - src->off);
	n = pread(src->fd, src->buf + src->end, want, (off_t)src->off);
	if (n <= 0)
		return 0;
	src->off += (uint64_t)n;
	src->end += (size_t)n;
	s->octets += (uint64_t)n;
	return 1;
}

/* -1: not yet. */
static int
advance(struct scan *s, struct source *src)
{
	char *nl;
	int r;

	src->start += src->used;
	src->used = 0;
	src->have = 0;
	for (;;) {
		nl = memchr(src->buf + src->start, '\n', src->end - src->start);
		if (nl == NULL) {
			if ((r = fill(s, src)) == 1)
				continue;
			return r;
		}
		src->used = (size_t)(nl - (src->buf + src->start)) + 1;
		if (!src->skip &&
		    line_parse(src->buf + src->start, src->used - 1, &src->line) == 0) {
			src->have = 1;
			return 0;
		}
		src->skip = 0;
		src->start += src->used;
		src->used = 0;
	}
}

int
scan_next(struct scan *s, struct line *l, enum log_kind *kind)
{
	struct source *best = NULL;

	for (int k = 0; k < LOG_KIND_MAX; k++) {
		struct source *src = &s->src[k];

		if (src->buf == NULL)
			continue;
		if (!src->have && advance(s, src) == -1)
			return -1;
		if (src->have &&
		    (best == NULL || src->line.time_us < best->line.time_us)) {
			best = src;
			*kind = (enum log_kind)k;
		}
	}
	if (best == NULL)
		return 0;
	*l = best->line;
	best->have = 0; /* consumed at the next call */
	return 1;
}
