/* SPDX-License-Identifier: ISC */
/* Index files: their form, and reading them for a search. */
#include "logd/index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logd/files.h"

#define MAGIC "fife-idx"
#define VERSION 1
#define READ_ENTRIES 32
#define LOOK_MAX 512 /* entries looked at by one question */

static void
put(uint8_t *p, uint64_t v, int octets)
{
	for (int i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t
get(const uint8_t *p, int octets)
{
	uint64_t v = 0;

	for (int i = 0; i < octets; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
index_head_encode(uint8_t out[INDEX_HEAD])
{
	memcpy(out, MAGIC, 8);
	put(out + 8, VERSION, 4);
	put(out + 12, INDEX_FILTER, 4);
}

int
index_head_check(const uint8_t in[INDEX_HEAD])
{
	uint8_t want[INDEX_HEAD];

	index_head_encode(want);
	return memcmp(in, want, INDEX_HEAD) == 0 ? 0 : -1;
}

/* Against torn writes and bad disks, not against anybody's intent. */
static uint32_t
checksum(const uint8_t *entry)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < INDEX_ENTRY; i += 8)
		h = (h ^ (i == 8 ? get(entry + i, 4) : get(entry + i, 8))) *
		    0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

void
index_entry_encode(uint8_t out[INDEX_ENTRY], const struct index_entry *e)
{
	put(out, e->offset, 8);
	put(out + 8, e->len, 4);
	put(out + 12, 0, 4);
	memcpy(out + 16, e->filter, INDEX_FILTER);
	put(out + 12, checksum(out), 4);
}

int
index_entry_decode(const uint8_t in[INDEX_ENTRY], uint64_t offset, struct index_entry *e)
{
	e->offset = get(in, 8);
	e->len = (uint32_t)get(in + 8, 4);
	if (e->offset != offset || e->len == 0 || e->len > INDEX_BLOCK ||
	    e->offset > UINT64_MAX - e->len || get(in + 12, 4) != checksum(in))
		return -1;
	memcpy(e->filter, in + 16, INDEX_FILTER);
	return 0;
}

int
index_file_open(enum log_kind kind, int32_t day, int flags)
{
	char name[FILES_NAME_MAX];

	files_name(name, kind, day);
	memcpy(name + strlen(name) - 3, "idx", 3);
	return open(name, flags | O_CLOEXEC | O_NOFOLLOW, 0640);
}

struct index_reader {
	const struct index_query *query;
	int fd;
	off_t off;        /* of the next read */
	uint64_t covered; /* octets of the log before the next entry */
	int over;
	size_t n, next; /* entries in buf */
	uint8_t buf[READ_ENTRIES * INDEX_ENTRY];
};

struct index_reader *
index_reader_open(enum log_kind kind, int32_t day, const struct index_query *query)
{
	struct index_reader *r;
	uint8_t head[INDEX_HEAD];

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	r->query = query;
	if ((r->fd = index_file_open(kind, day, O_RDONLY)) == -1) {
		free(r);
		return NULL;
	}
	if (pread(r->fd, head, sizeof(head), 0) != sizeof(head) ||
	    index_head_check(head) == -1) {
		index_reader_close(r);
		return NULL;
	}
	r->off = INDEX_HEAD;
	return r;
}

void
index_reader_close(struct index_reader *r)
{
	if (r == NULL)
		return;
	close(r->fd);
	free(r);
}

static int
entry_next(struct index_reader *r, struct index_entry *e)
{
	ssize_t n;

	if (r->next == r->n) {
		n = pread(r->fd, r->buf, sizeof(r->buf), r->off);
		r->n = n <= 0 ? 0 : (size_t)n / INDEX_ENTRY;
		r->next = 0;
		r->off += (off_t)(r->n * INDEX_ENTRY);
	}
	if (r->next == r->n ||
	    index_entry_decode(r->buf + r->next * INDEX_ENTRY, r->covered, e) == -1)
		return 0;
	r->next++;
	r->covered += e->len;
	return 1;
}

enum index_answer
index_reader_next(struct index_reader *r, uint64_t *from, uint64_t *to)
{
	struct index_entry e;

	for (int i = 0; i < LOOK_MAX; i++) {
		/* Once over it stays so: what comes later was read as the rest. */
		if (r->over || !entry_next(r, &e)) {
			r->over = 1;
			*from = r->covered;
			*to = UINT64_MAX;
			return INDEX_REST;
		}
		if (index_query_wants(r->query, e.filter)) {
			*from = e.offset;
			*to = e.offset + e.len;
			return INDEX_WANTED;
		}
	}
	return INDEX_NOT_YET;
}
