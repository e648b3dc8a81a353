/* SPDX-License-Identifier: ISC */
/* The file of a folder's signatures; see fts_index.h. Octet order is the machine's. */
#include "mailbox/fts_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"

/* To be raised when folding, extraction, charsets or grams change. */
#define MAGIC UINT64_C(0x6669666566747331)
#define RECORD_MAGIC 0x66747372u
#define RECORD_MAX (2 * 1024 * 1024) /* of payload */
#define WRITE_AT (256 * 1024)        /* of payload that makes a record */
#define WASTE_MIN (64 * 1024)
#define NAME_SIZE 80

struct head {
	uint64_t magic;
	uint32_t uidvalidity;
	uint32_t zero;
	char id[FTS_ID_LEN];
	uint64_t sum;
};

struct record {
	uint32_t magic;
	uint32_t len;
	uint64_t sum; /* of len, the place, the head and the payload */
};

struct stored {
	uint32_t uid;
	uint32_t size;
	uint32_t words;
	uint32_t zero;
	/* the words follow */
};

_Static_assert(sizeof(struct head) % 8 == 0 && sizeof(struct record) % 8 == 0 &&
		   sizeof(struct stored) % 8 == 0,
    "words are aligned");
_Static_assert(FTS_WORDS_MAX * 8 + sizeof(struct stored) + WRITE_AT <= RECORD_MAX,
    "any entry fits into a record");

struct entry {
	uint32_t uid;
	uint32_t size;
	uint64_t at; /* of struct stored, in the file */
};

struct fts_index {
	int dirfd, fd;
	char name[NAME_SIZE];
	struct head head;
	uint64_t len; /* of the file */
	uint8_t *map;
	size_t map_len;
	struct entry *entries; /* by UID */
	size_t n, cap;
	size_t hint;
	uint8_t *pending; /* payload of the next record, WRITE_AT and one entry */
	size_t n_pending, pending_cap;
};

/* No octet can change without the sum changing: each step can be undone. */
static uint64_t
mix(uint64_t h, uint64_t w)
{
	h ^= w;
	h = (h << 29 | h >> 35) * UINT64_C(0x9e3779b97f4a7c15);
	return h;
}

/* len is a multiple of 8. Four lanes, so that the processor has no reason to wait. */
static uint64_t
checksum(uint64_t seed, const uint8_t *p, size_t len)
{
	uint64_t a = seed, b = seed + 1, c = seed + 2, d = seed + 3, w[4];

	for (; len >= 32; p += 32, len -= 32) {
		memcpy(w, p, 32);
		a = mix(a, w[0]);
		b = mix(b, w[1]);
		c = mix(c, w[2]);
		d = mix(d, w[3]);
	}
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(w, p, 8);
		a = mix(a, w[0]);
	}
	return mix(mix(mix(mix(seed, a), b), c), d);
}

static uint64_t
record_sum(const struct fts_index *x, const struct record *r, const uint8_t *payload)
{
	return checksum(mix(mix(x->head.sum, x->len), r->len), payload, r->len);
}

/* ---- entries ---- */

static size_t
find_place(const struct fts_index *x, uint32_t uid)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (x->entries[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Messages are asked for in order, mostly. */
static const struct entry *
find(struct fts_index *x, uint32_t uid)
{
	size_t i = x->hint;

	if (i >= x->n || x->entries[i].uid != uid)
		i = find_place(x, uid);
	x->hint = i + 1;
	return i < x->n && x->entries[i].uid == uid ? &x->entries[i] : NULL;
}

static int
put_entry(struct fts_index *x, uint32_t uid, uint32_t size, uint64_t at)
{
	size_t i = x->n;

	if (i > 0 && x->entries[i - 1].uid >= uid)
		i = find_place(x, uid);
	if (i == x->n || x->entries[i].uid != uid) {
		if (x->n == x->cap) {
			size_t cap = x->cap == 0 ? 256 : x->cap * 2;
			struct entry *e = reallocarray(x->entries, cap, sizeof(*e));

			if (e == NULL)
				return -1;
			x->entries = e;
			x->cap = cap;
		}
		memmove(
		    &x->entries[i + 1], &x->entries[i], (x->n - i) * sizeof(*x->entries));
		x->n++;
	}
	x->entries[i] = (struct entry){ uid, size, at };
	return 0;
}

/* Forgets those from there on; what they replaced is not known any more either. */
static void
drop_entries(struct fts_index *x, uint64_t from)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++)
		if (x->entries[i].at < from)
			x->entries[n++] = x->entries[i];
	x->n = n;
}

/* ---- reading ---- */

int
fts_index_take(struct fts_index *x, const uint8_t *p, size_t len)
{
	uint64_t at = x->len + sizeof(struct record);
	struct stored s;

	for (size_t i = 0; i < len; i += sizeof(s) + (size_t)s.words * 8) {
		if (len - i < sizeof(s))
			return -1;
		memcpy(&s, p + i, sizeof(s));
		if (s.uid == 0 || s.words > FTS_WORDS_MAX ||
		    (len - i - sizeof(s)) / 8 < s.words ||
		    put_entry(x, s.uid, s.size, at + i) == -1)
			return -1;
	}
	return 0;
}

/* Reads all records that check; x->len is then where they end. */
static void
load(struct fts_index *x)
{
	uint8_t *payload = malloc(RECORD_MAX);
	struct record r;
	struct stat st;

	while (payload != NULL && file_read_at(x->fd, &r, sizeof(r), x->len) == 0) {
		if (r.magic != RECORD_MAGIC || r.len == 0 || r.len > RECORD_MAX ||
		    r.len % 8 != 0 ||
		    file_read_at(x->fd, payload, r.len, x->len + sizeof(r)) == -1 ||
		    record_sum(x, &r, payload) != r.sum)
			break;
		if (fts_index_take(x, payload, r.len) == -1) {
			drop_entries(x, x->len);
			break;
		}
		x->len += sizeof(r) + r.len;
	}
	free(payload);
	if (fstat(x->fd, &st) == 0 && (uint64_t)st.st_size > x->len) {
		log_warnx("%s: the search index is damaged: what comes after %llu "
			  "octets is made anew",
		    x->name, (unsigned long long)x->len);
		(void)!ftruncate(x->fd, (off_t)x->len);
	}
}

/* All that is in the file; without it no entry of the file is used. */
static int
map_file(struct fts_index *x)
{
	void *p;

	if (x->map != NULL)
		munmap(x->map, x->map_len);
	x->map = NULL;
	x->map_len = 0;
	if (x->len > SIZE_MAX / 2)
		return -1;
	p = mmap(NULL, (size_t)x->len, PROT_READ, MAP_SHARED, x->fd, 0);
	if (p == MAP_FAILED)
		return -1;
	x->map = p;
	x->map_len = (size_t)x->len;
	return 0;
}

static const uint8_t *
stored_at(const struct fts_index *x, uint64_t at)
{
	if (at >= x->len)
		return x->pending + (at - x->len - sizeof(struct record));
	return at < x->map_len ? x->map + at : NULL;
}

/* ---- opening ---- */

static void
make_head(struct head *h, const char *id, uint32_t uidvalidity)
{
	memset(h, 0, sizeof(*h));
	h->magic = MAGIC;
	h->uidvalidity = uidvalidity;
	memcpy(h->id, id, FTS_ID_LEN);
	h->sum = checksum(1, (const uint8_t *)h, offsetof(struct head, sum));
}

static int
open_file(struct fts_index *x, int flags)
{
	struct head h;

	x->fd = openat(x->dirfd, x->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (x->fd == -1)
		return -1;
	x->len = sizeof(h);
	if (file_read_at(x->fd, &h, sizeof(h), 0) == 0 &&
	    memcmp(&h, &x->head, sizeof(h)) == 0)
		load(x);
	else if (ftruncate(x->fd, 0) == -1 ||
		 file_write_at(x->fd, &x->head, sizeof(x->head), 0) == -1)
		return -1;
	return map_file(x);
}

int
fts_index_open(int dirfd, const char *name, const char *id, uint32_t uidvalidity,
    bool create, struct fts_index **out)
{
	struct fts_index *x = calloc(1, sizeof(*x));

	*out = NULL;
	if (x == NULL)
		return -1;
	x->dirfd = dirfd;
	x->fd = -1;
	make_head(&x->head, id, uidvalidity);
	/* Room for ".new". */
	if (strlcpy(x->name, name, sizeof(x->name)) >= NAME_SIZE - 4) {
		free(x);
		errno = ENAMETOOLONG;
		return -1;
	}
	if (open_file(x, create ? O_CREAT : 0) == -1) {
		int saved = errno;

		fts_index_close(x);
		errno = saved;
		return -1;
	}
	*out = x;
	return 0;
}

void
fts_index_close(struct fts_index *x)
{
	if (x == NULL)
		return;
	(void)fts_index_write(x);
	if (x->map != NULL)
		munmap(x->map, x->map_len);
	if (x->fd != -1)
		close(x->fd);
	free(x->pending);
	free(x->entries);
	free(x);
}

/* ---- questions ---- */

size_t
fts_index_count(const struct fts_index *x)
{
	return x->n;
}

uint32_t
fts_index_uid(const struct fts_index *x, size_t i)
{
	return x->entries[i].uid;
}

bool
fts_index_has(struct fts_index *x, uint32_t uid, uint32_t size)
{
	const struct entry *e = find(x, uid);

	return e != NULL && e->size == size && stored_at(x, e->at) != NULL;
}

bool
fts_index_rules_out(
    struct fts_index *x, uint32_t uid, uint32_t size, const struct fts_query *q)
{
	const struct entry *e = find(x, uid);
	const struct stored *s;
	const uint8_t *p;

	if (e == NULL || e->size != size || (p = stored_at(x, e->at)) == NULL)
		return false;
	s = (const struct stored *)(const void *)p;
	return !fts_query_match(
	    q, (const uint64_t *)(const void *)(p + sizeof(*s)), s->words);
}

/* ---- changes ---- */

int
fts_index_add(
    struct fts_index *x, uint32_t uid, uint32_t size, const uint64_t *words, size_t n)
{
	struct stored s = { .uid = uid, .size = size, .words = (uint32_t)n };
	size_t need = sizeof(s) + n * 8;

	if (uid == 0 || n > FTS_WORDS_MAX || x->map == NULL)
		return -1;
	if (x->n_pending + need > x->pending_cap) {
		size_t cap = x->n_pending + need + 8192;
		uint8_t *p = realloc(x->pending, cap);

		if (p == NULL)
			return -1;
		x->pending = p;
		x->pending_cap = cap;
	}
	if (put_entry(x, uid, size, x->len + sizeof(struct record) + x->n_pending) == -1)
		return -1;
	memcpy(x->pending + x->n_pending, &s, sizeof(s));
	if (n > 0)
		memcpy(x->pending + x->n_pending + sizeof(s), words, n * 8);
	x->n_pending += need;
	return x->n_pending >= WRITE_AT ? fts_index_write(x) : 0;
}

bool
fts_index_pending(const struct fts_index *x)
{
	return x->n_pending > 0;
}

int
fts_index_write(struct fts_index *x)
{
	struct record r = { .magic = RECORD_MAGIC, .len = (uint32_t)x->n_pending };
	int rv = 0;

	if (x->n_pending == 0)
		return 0;
	r.sum = record_sum(x, &r, x->pending);
	if (file_write_at(x->fd, &r, sizeof(r), x->len) == -1 ||
	    file_write_at(x->fd, x->pending, x->n_pending, x->len + sizeof(r)) == -1) {
		log_warn("%s: search index", x->name);
		drop_entries(x, x->len);
		(void)!ftruncate(x->fd, (off_t)x->len);
		rv = -1;
	} else {
		x->len += sizeof(r) + x->n_pending;
		rv = map_file(x);
	}
	free(x->pending);
	x->pending = NULL;
	x->n_pending = x->pending_cap = 0;
	return rv;
}

static uint64_t
entry_len(const struct fts_index *x, const struct entry *e)
{
	const uint8_t *p = stored_at(x, e->at);
	struct stored s;

	if (p == NULL)
		return 0;
	memcpy(&s, p, sizeof(s));
	return sizeof(s) + s.words * UINT64_C(8);
}

bool
fts_index_wasteful(struct fts_index *x, bool (*live)(uint32_t uid, void *), void *arg)
{
	uint64_t used = 0;

	if (x->len < WASTE_MIN)
		return false;
	for (size_t i = 0; i < x->n; i++)
		if (live(x->entries[i].uid, arg))
			used += entry_len(x, &x->entries[i]);
	return used < x->len / 2;
}

int
fts_index_compact(struct fts_index *x, bool (*live)(uint32_t uid, void *), void *arg)
{
	struct fts_index *to = calloc(1, sizeof(*to)), old;
	int rv = 0;

	if (to == NULL || fts_index_write(x) == -1) {
		free(to);
		return -1;
	}
	to->dirfd = x->dirfd;
	to->head = x->head;
	(void)snprintf(to->name, sizeof(to->name), "%.*s.new", NAME_SIZE - 5, x->name);
	rv = open_file(to, O_CREAT | O_TRUNC);
	for (size_t i = 0; i < x->n && rv == 0; i++) {
		const struct entry *e = &x->entries[i];
		const uint8_t *p = stored_at(x, e->at);
		size_t n;

		if (p == NULL || !live(e->uid, arg))
			continue;
		n = (size_t)(entry_len(x, e) - sizeof(struct stored)) / 8;
		rv = fts_index_add(to, e->uid, e->size,
		    (const uint64_t *)(const void *)(p + sizeof(struct stored)), n);
	}
	if (rv == 0)
		rv = fts_index_write(to);
	if (rv == 0)
		rv = renameat(x->dirfd, to->name, x->dirfd, x->name);
	if (rv == -1) {
		log_warn("%s: search index", to->name);
		(void)unlinkat(x->dirfd, to->name, 0);
		fts_index_close(to);
		return -1;
	}
	(void)strlcpy(to->name, x->name, sizeof(to->name));
	old = *x;
	*x = *to;
	*to = old;
	fts_index_close(to);
	return 0;
}
