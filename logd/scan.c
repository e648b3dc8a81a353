/* SPDX-License-Identifier: ISC */
/* Reading a day of log files, all kinds merged by time, a buffer at a time. */
#include "logd/scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logd/files.h"

#define SCAN_BUF 65536

struct source {
	int fd;
	char *buf;
	size_t start; /* of what is not consumed */
	size_t end;
	size_t used; /* length of the line handed out, with its newline */
	off_t off;
	int skip; /* inside a line that is too long, or cut at the start */
	int have;
	struct line line;
};

struct scan {
	struct source src[LOG_KIND_MAX];
	uint64_t octets;
};

struct scan *
scan_new(unsigned int kinds, int32_t day, size_t tail)
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
			src->off = size - (off_t)tail;
			src->skip = 1;
		}
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
		free(s->src[k].buf);
	}
	free(s);
}

uint64_t
scan_octets(const struct scan *s)
{
	return s->octets;
}

/* 1 when octets were added. */
static int
fill(struct scan *s, struct source *src)
{
	ssize_t n;

	memmove(src->buf, src->buf + src->start, src->end - src->start);
	src->end -= src->start;
	src->start = 0;
	if (src->end == SCAN_BUF) { /* no newline in all of it */
		src->end = 0;
		src->skip = 1;
	}
	n = pread(src->fd, src->buf + src->end, SCAN_BUF - src->end, src->off);
	if (n <= 0)
		return 0;
	src->off += n;
	src->end += (size_t)n;
	s->octets += (uint64_t)n;
	return 1;
}

static void
advance(struct scan *s, struct source *src)
{
	char *nl;

	src->start += src->used;
	src->used = 0;
	src->have = 0;
	for (;;) {
		nl = memchr(src->buf + src->start, '\n', src->end - src->start);
		if (nl == NULL) {
			if (fill(s, src))
				continue;
			return;
		}
		src->used = (size_t)(nl - (src->buf + src->start)) + 1;
		if (!src->skip &&
		    line_parse(src->buf + src->start, src->used - 1, &src->line) == 0) {
			src->have = 1;
			return;
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
		if (!src->have)
			advance(s, src);
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
