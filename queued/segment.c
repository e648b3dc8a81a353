/*
 * The files of the journal: %08x.seg by sequence number, free.%08x to be used
 * again. A file gets a number's name only when its header is durable.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/crc32c.h"
#include "queued/journal_private.h"
#include "queued/sys.h"

#define HEADER_MAGIC "FIFEJNL1"
#define HEADER_LEN 32
#define FREE_MAX 2
#define FDS_MAX 256
#define NAME_SIZE 24

static void
header_encode(uint8_t *h, uint64_t generation, uint64_t seq, uint32_t size)
{
	struct bytes_out o = { .p = h, .cap = HEADER_LEN };

	bytes_put(&o, HEADER_MAGIC, 8);
	bytes_put_int(&o, generation, 8);
	bytes_put_int(&o, seq, 8);
	bytes_put_int(&o, size, 4);
	bytes_put_int(&o, crc32c(0, h, 28), 4);
}

static int
header_decode(const uint8_t *h, uint64_t *generation, uint64_t *seq, uint32_t *size)
{
	struct bytes_in in = { .p = h + 8, .len = HEADER_LEN - 8 };

	if (memcmp(h, HEADER_MAGIC, 8) != 0)
		return -1;
	*generation = bytes_get_int(&in, 8);
	*seq = bytes_get_int(&in, 8);
	*size = (uint32_t)bytes_get_int(&in, 4);
	return bytes_get_int(&in, 4) == crc32c(0, h, 28) ? 0 : -1;
}

struct segment *
segment_find(const struct journal *j, uint32_t seq)
{
	size_t lo = 0, hi = j->nsegs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (j->segs[mid].seq == seq)
			return &j->segs[mid];
		if (j->segs[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static struct segment *
segment_insert(struct journal *j, uint32_t seq, uint32_t size)
{
	uint32_t active = j->active != NULL ? j->active->seq : 0;
	size_t i;

	if (j->nsegs == j->segs_cap) {
		size_t cap = j->segs_cap == 0 ? 16 : j->segs_cap * 2;
		struct segment *n = reallocarray(j->segs, cap, sizeof(*n));

		if (n == NULL)
			return NULL;
		j->segs = n;
		j->segs_cap = cap;
	}
	for (i = j->nsegs; i > 0 && j->segs[i - 1].seq > seq; i--)
		j->segs[i] = j->segs[i - 1];
	memset(&j->segs[i], 0, sizeof(j->segs[i]));
	j->segs[i].seq = seq;
	j->segs[i].size = size;
	j->segs[i].fd = -1;
	j->segs[i].end = JOURNAL_FIRST;
	j->nsegs++;
	j->active = active != 0 ? segment_find(j, active) : NULL;
	return segment_find(j, seq);
}

static void
name_format(
    char name[NAME_SIZE], const char *fmt_prefix, uint32_t seq, const char *suffix)
{
	snprintf(name, NAME_SIZE, "%s%08x%s", fmt_prefix, seq, suffix);
}

int
segment_fd(struct journal *j, struct segment *s)
{
	char name[NAME_SIZE];
	size_t nopen = 0;

	if (s->fd != -1)
		return s->fd;
	for (size_t i = 0; i < j->nsegs; i++)
		nopen += j->segs[i].fd != -1;
	for (size_t i = 0; nopen > FDS_MAX && i < j->nsegs && !j->syncing; i++) {
		struct segment *o = &j->segs[i];

		if (o->fd != -1 && o != j->active && o->seq != j->spare) {
			close(o->fd);
			o->fd = -1;
			nopen--;
		}
	}
	name_format(name, "", s->seq, ".seg");
	s->fd = openat(j->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return s->fd;
}

/* A free file's name, or 0. */
static int
free_find(struct journal *j, char name[NAME_SIZE])
{
	DIR *d;
	struct dirent *e;
	int fd, found = 0;

	fd = openat(j->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return 0;
	}
	while (!found && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "free.", 5) == 0 &&
		    strlen(e->d_name) < NAME_SIZE) {
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
			found = 1;
		}
	}
	closedir(d);
	return found;
}

struct segment *
segment_make(struct journal *j)
{
	char from[NAME_SIZE] = "new.tmp", to[NAME_SIZE];
	uint8_t header[JOURNAL_FIRST] = { 0 };
	struct segment *s;
	struct stat st;
	uint32_t size = j->segment_size;
	int fd = -1, reused = 0, saved;

	if (j->nfree > 0 && free_find(j, from)) {
		fd = openat(j->dirfd, from, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd != -1 && fstat(fd, &st) == 0 &&
		    st.st_size >= (off_t)j->segment_size &&
		    st.st_size <= JOURNAL_SEGMENT_MAX) {
			size = (uint32_t)st.st_size;
			reused = 1;
		} else if (fd != -1) {
			close(fd);
			fd = -1;
			sys_unlink(j->dirfd, from);
			j->nfree--;
			memcpy(from, "new.tmp", 8);
		}
	}
	if (fd == -1) {
		fd = openat(j->dirfd, from,
		    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd == -1)
			return NULL;
		if (sys_allocate(fd, size) == -1)
			goto fail;
	}
	header_encode(header, j->generation, j->next_seq, size);
	if (sys_pwrite(fd, header, sizeof(header), 0) == -1 || sys_fsync(fd) == -1)
		goto fail;
	name_format(to, "", j->next_seq, ".seg");
	if (sys_rename(j->dirfd, from, to) == -1 || sys_fsync(j->dirfd) == -1)
		goto fail;
	s = segment_insert(j, j->next_seq, size);
	if (s == NULL)
		goto fail;
	if (reused)
		j->nfree--;
	s->fd = fd;
	s->zeroed = reused ? size : JOURNAL_FIRST;
	j->next_seq++;
	return s;
fail:
	saved = errno;
	close(fd);
	if (!reused)
		(void)unlinkat(j->dirfd, "new.tmp", 0);
	errno = saved;
	return NULL;
}

/* The first record of a segment tells where the one before ends. */
static void
segment_peek(struct journal *j, struct segment *s)
{
	uint8_t rec[256];
	struct rec_header h;
	struct rec_global g;
	struct segment *prev;

	if (segment_fd(j, s) == -1 ||
	    sys_pread(s->fd, rec, sizeof(rec), JOURNAL_FIRST) == -1 ||
	    rec_check(rec, sizeof(rec), rec_seed(j->generation, s->seq, JOURNAL_FIRST),
		&h) != 1 ||
	    h.type != REC_OPEN ||
	    rec_global_decode(rec + REC_HEADER, h.len - REC_HEADER, &g) == -1)
		return;
	s->open = 1;
	prev = segment_find(j, (uint32_t)g.prev_seq);
	if (prev != NULL)
		prev->end = g.prev_end;
}

int
segment_scan(struct journal *j)
{
	DIR *d;
	struct dirent *e;
	int fd, rv = -1;

	fd = openat(j->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return -1;
	}
	while ((e = readdir(d)) != NULL) {
		uint8_t header[HEADER_LEN];
		uint64_t generation, seq;
		uint32_t size, name_seq;
		char *end;
		struct segment *s;
		int sfd;

		if (strcmp(e->d_name, "new.tmp") == 0) {
			(void)unlinkat(j->dirfd, e->d_name, 0);
			continue;
		}
		if (strncmp(e->d_name, "free.", 5) == 0) {
			j->nfree++;
			continue;
		}
		name_seq = (uint32_t)strtoul(e->d_name, &end, 16);
		if (end != e->d_name + 8 || strcmp(end, ".seg") != 0)
			continue;
		sfd = openat(j->dirfd, e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (sfd == -1)
			goto out;
		if (sys_pread(sfd, header, sizeof(header), 0) == -1 ||
		    header_decode(header, &generation, &seq, &size) == -1 ||
		    seq != name_seq || size < JOURNAL_FIRST ||
		    size > JOURNAL_SEGMENT_MAX || generation != j->generation) {
			log_warnx("journal: %s is no segment of this spool, left alone",
			    e->d_name);
			j->damaged++;
			close(sfd);
			if (name_seq >= j->next_seq)
				j->next_seq = name_seq + 1;
			continue;
		}
		s = segment_insert(j, name_seq, size);
		if (s == NULL) {
			close(sfd);
			goto out;
		}
		s->fd = sfd;
		s->end = 0;
		s->zeroed = size;
		if (name_seq >= j->next_seq)
			j->next_seq = name_seq + 1;
	}
	for (size_t i = 0; i < j->nsegs; i++)
		segment_peek(j, &j->segs[i]);
	rv = 0;
out:
	closedir(d);
	return rv;
}

void
segment_zero(struct journal *j, struct segment *s, uint32_t from, uint32_t len)
{
	static const uint8_t zeros[64 * 1024];

	if (segment_fd(j, s) == -1)
		return;
	while (len > 0) {
		uint32_t n = len < sizeof(zeros) ? len : (uint32_t)sizeof(zeros);

		if (pwrite(s->fd, zeros, n, from) != (ssize_t)n)
			break; /* only a matter of speed */
		from += n;
		len -= n;
	}
}

int
journal_recycle(struct journal *j, uint32_t seq)
{
	struct segment *s = segment_find(j, seq);
	char from[NAME_SIZE], to[NAME_SIZE];
	uint32_t active = j->active != NULL ? j->active->seq : 0;

	if (s == NULL || s == j->active || seq == j->spare || s->refs != 0) {
		errno = EBUSY;
		return -1;
	}
	name_format(from, "", seq, ".seg");
	name_format(to, "free.", seq, "");
	if (j->nfree < FREE_MAX) {
		if (sys_rename(j->dirfd, from, to) == -1)
			return -1;
		j->nfree++;
	} else if (sys_unlink(j->dirfd, from) == -1)
		return -1;
	if (s->fd != -1)
		close(s->fd);
	memmove(s, s + 1, (size_t)(&j->segs[j->nsegs] - (s + 1)) * sizeof(*s));
	j->nsegs--;
	j->active = active != 0 ? segment_find(j, active) : NULL;
	j->full = 0;
	return sys_fsync(j->dirfd);
}

int
journal_exists(const struct journal *j, uint32_t seg)
{
	return segment_find(j, seg) != NULL;
}

void
journal_ref(struct journal *j, uint32_t seg, uint32_t octets)
{
	struct segment *s = segment_find(j, seg);

	if (s != NULL) {
		s->refs++;
		s->live += octets;
	}
}

void
journal_unref(struct journal *j, uint32_t seg, uint32_t octets)
{
	struct segment *s = segment_find(j, seg);

	if (s != NULL && s->refs > 0) {
		s->refs--;
		s->live -= octets < s->live ? octets : s->live;
	}
}

void
journal_forget_refs(struct journal *j)
{
	for (size_t i = 0; i < j->nsegs; i++) {
		j->segs[i].refs = 0;
		j->segs[i].live = 0;
	}
}

int
journal_segment_at(const struct journal *j, size_t i, struct journal_segment *out)
{
	const struct segment *s;

	if (i >= j->nsegs)
		return 0;
	s = &j->segs[i];
	out->seq = s->seq;
	out->size = s->size;
	out->end = s->end;
	out->refs = s->refs;
	out->live = s->live;
	out->open = (uint8_t)s->open;
	out->damaged = (uint8_t)s->damaged;
	return 1;
}

uint64_t
journal_octets(const struct journal *j)
{
	uint64_t n = (uint64_t)j->nfree * j->segment_size;

	for (size_t i = 0; i < j->nsegs; i++)
		n += j->segs[i].size;
	return n;
}
