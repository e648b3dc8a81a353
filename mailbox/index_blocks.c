/* SPDX-License-Identifier: ISC */
/*
 * How many messages each block of a folder has, and how many of them are unseen and
 * recent: the record "S" of the index, written with the blocks. With it a large folder is
 * opened without its blocks, and each is read into f->msgs when one of its messages is
 * asked for. Those that come new stand behind, as always.
 */
#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "mailbox/index_int.h"

#define FAR UINT8_MAX /* the next block's number follows in four octets */
#define ENTRY_MAX 8   /* octets of one block */

size_t index_eager_max = 1000;

/* ---- the table ---- */

int
blocks_add(struct block_table *t, const struct block *b)
{
	if (t->n == t->cap) {
		size_t cap = t->cap + t->cap / 2 + 16;
		struct block *v = reallocarray(t->v, cap, sizeof(*v));

		if (v == NULL)
			return -1;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = *b;
	return 0;
}

void
blocks_clear(struct block_table *t)
{
	free(t->v);
	*t = (struct block_table){ 0 };
}

struct block
block_count(uint32_t number, const struct message *m, size_t n)
{
	struct block b = { .number = number, .n = (uint8_t)n, .read = true };

	for (size_t i = 0; i < n; i++) {
		b.unseen += (m[i].flags & FLAG_SEEN) == 0;
		b.recent += m[i].recent != 0;
	}
	return b;
}

/* ---- the record ---- */

int
blocks_encode(const struct block_table *t, uint8_t **out, size_t *len)
{
	uint8_t *p = reallocarray(NULL, t->n + 1, ENTRY_MAX);
	uint32_t next = 0;

	*len = 0;
	if ((*out = p) == NULL)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		const struct block *b = &t->v[i];
		uint32_t gap = b->number - next;

		*p++ = gap < FAR ? (uint8_t)gap : FAR;
		if (gap >= FAR) {
			put_be(p, b->number, 4);
			p += 4;
		}
		*p++ = b->n;
		*p++ = b->unseen;
		*p++ = b->recent;
		next = b->number + 1;
	}
	*len = (size_t)(p - *out);
	return 0;
}

int
blocks_decode(struct block_table *t, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	uint64_t next = 0, start = 0;

	while (p < end) {
		struct block b = { 0 };
		uint64_t number = next + *p;

		if (*p++ == FAR) {
			if (end - p < 4 || (number = get_be(p, 4)) < next)
				return -1;
			p += 4;
		}
		if (end - p < 3 || number > UINT32_MAX / INDEX_BLOCK)
			return -1;
		b.number = (uint32_t)number;
		b.start = (uint32_t)start;
		b.n = *p++;
		b.unseen = *p++;
		b.recent = *p++;
		if (b.n == 0 || b.n > INDEX_BLOCK || b.unseen > b.n || b.recent > b.n ||
		    (start += b.n) > UINT32_MAX)
			return -1;
		next = number + 1;
		if (blocks_add(t, &b) == -1)
			return -1;
	}
	return 0;
}

/* ---- a folder that is not all read ---- */

int
blocks_open(struct folder *f)
{
	struct block_table *t = &f->blocks;
	struct key k;
	MDB_val v;
	size_t n = 0, unseen = 0, recents = 0;
	int rc;

	if (f->messages <= index_eager_max || f->uncounted || f->old_keywords ||
	    f->recover)
		return 0;
	rc = index_get(f->store, key_make(&k, 'S', f->id, 0, 0, KEY_FOLDER), &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0 || blocks_decode(t, v.mv_data, v.mv_size) == -1)
		goto fail;
	for (size_t i = 0; i < t->n; i++) {
		n += t->v[i].n;
		unseen += t->v[i].unseen;
		recents += t->v[i].recent;
	}
	if (n != f->messages || t->n == 0 ||
	    t->v[t->n - 1].number > (f->uidnext - 1) / INDEX_BLOCK)
		goto fail;
	/* Not touched, most of it costs nothing. */
	f->cap = n + n / 8 + 1024;
	if ((f->msgs = reallocarray(NULL, f->cap, sizeof(*f->msgs))) == NULL) {
		f->cap = 0;
		goto fail;
	}
	f->n = f->n_lazy = n;
	f->blocks_unread = t->n;
	f->unseen = unseen;
	f->recents = recents;
	return 1;
fail:
	/* The blocks themselves tell what is wrong. */
	blocks_clear(t);
	return 0;
}

/* The block that position i is in; i < f->n_lazy. */
static size_t
block_of(const struct folder *f, size_t i)
{
	size_t lo = 0, hi = f->blocks.n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->blocks.v[mid].start <= i)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Somebody has been told already that it is there, so that nothing can be done about it
 * here: the next process takes everything from the files.
 */
static void
give_up(struct folder *f)
{
	index_guard_mark();
	log_warnx("index: messages of %s cannot be read; this process ends, and the next "
		  "one takes them from the files",
	    f->name);
	_exit(1);
}

static void
block_read(struct folder *f, struct block *b)
{
	struct message *to = f->msgs + b->start;
	struct block is;
	struct key k;
	MDB_val v;

	if (index_get(
		f->store, key_make(&k, 'B', f->id, b->number, 0, KEY_MESSAGE), &v) != 0 ||
	    v.mv_size != b->n * sizeof(*to))
		give_up(f);
	memcpy(to, v.mv_data, v.mv_size);
	for (size_t i = 0; i < b->n; i++)
		if (to[i].uid / INDEX_BLOCK != b->number || to[i].uid >= f->uidnext ||
		    (i > 0 && to[i].uid <= to[i - 1].uid))
			give_up(f);
	is = block_count(b->number, to, b->n);
	if (is.unseen != b->unseen || is.recent != b->recent)
		give_up(f);
	b->read = true;
	if (--f->blocks_unread == 0)
		f->n_lazy = 0;
}

bool
folder_has_read(const struct folder *f, size_t i)
{
	return i >= f->n_lazy || f->blocks.v[block_of(f, i)].read;
}

struct message *
folder_at(struct folder *f, size_t i)
{
	if (i < f->n_lazy) {
		struct block *b = &f->blocks.v[block_of(f, i)];

		if (!b->read)
			block_read(f, b);
	}
	return &f->msgs[i];
}

void
folder_read_all(struct folder *f)
{
	for (size_t i = 0; i < f->blocks.n && f->n_lazy > 0; i++)
		if (!f->blocks.v[i].read)
			block_read(f, &f->blocks.v[i]);
}

void
folder_narrow(const struct folder *f, uint32_t uid, size_t *lo, size_t *hi)
{
	uint32_t number = uid / INDEX_BLOCK;
	size_t a = 0, b = f->blocks.n;

	*lo = 0;
	*hi = f->n;
	if (f->n_lazy == 0)
		return;
	while (a < b) {
		size_t mid = a + (b - a) / 2;

		if (f->blocks.v[mid].number < number)
			a = mid + 1;
		else
			b = mid;
	}
	/* Before the first block of that number or above are none of it. */
	*lo = a < f->blocks.n ? f->blocks.v[a].start : f->n_lazy;
	if (a < f->blocks.n && f->blocks.v[a].number > number)
		*hi = *lo;
	else if (a + 1 < f->blocks.n)
		*hi = f->blocks.v[a + 1].start;
}

size_t
folder_first_unseen(struct folder *f)
{
	size_t i = 0;

	if (f->unseen == 0)
		return f->n;
	while (i < f->n) {
		if (i < f->n_lazy) {
			const struct block *b = &f->blocks.v[block_of(f, i)];

			if (!b->read && b->unseen == 0) {
				i = (size_t)b->start + b->n;
				continue;
			}
		}
		if ((folder_at(f, i)->flags & FLAG_SEEN) == 0)
			break;
		i++;
	}
	return i;
}

size_t
folder_recent_before(struct folder *f, size_t i)
{
	while (i > 0) {
		if (i <= f->n_lazy) {
			const struct block *b = &f->blocks.v[block_of(f, i - 1)];

			if (!b->read && b->recent == 0) {
				i = b->start;
				continue;
			}
		}
		if (folder_at(f, i - 1)->recent)
			return i - 1;
		i--;
	}
	return SIZE_MAX;
}
