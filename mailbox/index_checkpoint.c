/* SPDX-License-Identifier: ISC */
/*
 * Checkpoints: what the memory has and the index has not yet is written to lmdb in one
 * synced transaction, and the log begins anew. Nothing else writes the index.
 */
#include <errno.h>

#include "mailbox/index_int.h"

#define MAP_LAST (UINT64_C(1) << 38)

struct bytes {
	uint8_t *buf;
	size_t len, cap;
};

static void
bytes_put(struct bytes *b, const void *data, size_t n)
{
	if (b->cap - b->len < n) {
		b->len = b->cap + 1; /* over: seen by the caller */
		return;
	}
	memcpy(b->buf + b->len, data, n);
	b->len += n;
}

static void
bytes_num(struct bytes *b, uint64_t v, size_t n)
{
	uint8_t raw[8];

	put_be(raw, v, n);
	if (b->len <= b->cap)
		bytes_put(b, raw, n);
}

static size_t
folder_record_max(const struct folder *f)
{
	size_t n = 256 + STORE_NAME_MAX + f->list_octets + f->lists.n * 6;

	for (int i = 0; i < f->n_keywords; i++)
		n += strlen(f->keywords[i]) + 1;
	return n;
}

static void
put_lists(struct bytes *b, const struct folder *f)
{
	uint32_t n = 0;

	for (size_t i = 0; i < f->lists.cap; i++)
		n += f->lists.slots[i].value != NULL;
	bytes_num(b, n, 4);
	bytes_num(b, f->next_list, 4);
	for (size_t i = 0; i < f->lists.cap; i++) {
		const struct map_slot *s = &f->lists.slots[i];
		const uint16_t *list = s->value;

		if (list == NULL)
			continue;
		bytes_num(b, s->key, 4);
		bytes_num(b, s->len / sizeof(*list), 2);
		for (size_t k = 0; k < s->len / sizeof(*list); k++)
			bytes_num(b, list[k], 2);
	}
}

static int
folder_put(MDB_txn *txn, struct folder *f)
{
	struct bytes b = { NULL, 0, folder_record_max(f) };
	struct key k;
	MDB_val v;
	int rc;

	if ((b.buf = malloc(b.cap)) == NULL)
		return ENOMEM;

	bytes_num(&b, f->uidvalidity, 4);
	bytes_num(&b, f->uidnext, 4);
	bytes_num(&b, f->uid_reserved, 4);
	bytes_num(&b, f->modseq, 8);
	bytes_num(&b, f->modseq_reserved, 8);
	bytes_num(&b, f->octets, 8);
	bytes_num(&b, f->special, 4);
	bytes_num(&b, f->expunged_next.floor, 8);
	bytes_num(&b, f->expunged_next.chunk, 4);
	bytes_num(&b, f->expunged_next.total, 4);
	bytes_put(&b, f->mailbox_id, FOLDER_ID_LEN);
	bytes_num(&b, (uint64_t)f->cur_time.tv_sec, 8);
	bytes_num(&b, (uint64_t)f->cur_time.tv_nsec, 4);
	bytes_num(&b, (uint64_t)f->new_time.tv_sec, 8);
	bytes_num(&b, (uint64_t)f->new_time.tv_nsec, 4);
	bytes_num(&b, strlen(f->name), 2);
	bytes_put(&b, f->name, strlen(f->name));
	if (f->n_keywords < UINT8_MAX)
		bytes_num(&b, (uint64_t)f->n_keywords, 1);
	else {
		bytes_num(&b, UINT8_MAX, 1);
		bytes_num(&b, (uint64_t)f->n_keywords, 2);
	}
	for (int i = 0; i < f->n_keywords; i++) {
		bytes_num(&b, strlen(f->keywords[i]), 1);
		bytes_put(&b, f->keywords[i], strlen(f->keywords[i]));
	}
	bytes_num(&b, f->messages, 4);
	/* Without, when its messages are still as a version before has written them. */
	if (!f->old_keywords)
		put_lists(&b, f);
	v.mv_data = b.buf;
	v.mv_size = b.len;
	rc = b.len > b.cap ? ENOMEM
			   : mdb_put(txn, f->store->dbi,
				 key_make(&k, 'F', f->id, 0, 0, KEY_FOLDER), &v, 0);
	free(b.buf);
	return rc;
}

static bool
changes_blocks(const struct folder *f)
{
	return f->dirty_blocks_len > 0 || f->rebuild;
}

/* Blocks below number are as they were. */
static int
keep_blocks(struct folder *f, size_t *at, uint64_t number)
{
	for (; *at < f->blocks.n && f->blocks.v[*at].number < number; ++*at)
		if (blocks_add(&f->blocks_next, &f->blocks.v[*at]) == -1)
			return ENOMEM;
	return 0;
}

static int
put_counts(MDB_txn *txn, struct folder *f)
{
	struct key k;
	MDB_val v;
	uint8_t *raw;
	int rc;

	key_make(&k, 'S', f->id, 0, 0, KEY_FOLDER);
	if (f->blocks_next.n == 0) {
		rc = mdb_del(txn, f->store->dbi, &k.v, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	if (blocks_encode(&f->blocks_next, &raw, &v.mv_size) == -1)
		return ENOMEM;
	v.mv_data = raw;
	rc = mdb_put(txn, f->store->dbi, &k.v, &v, 0);
	free(raw);
	return rc;
}

static int
put_blocks(MDB_txn *txn, struct folder *f)
{
	struct block count;
	size_t at = 0;
	struct key k;
	MDB_val v;
	int rc;

	blocks_clear(&f->blocks_next);
	if (!changes_blocks(f))
		return 0;
	if (f->rebuild)
		blocks_clear(&f->blocks);
	for (uint32_t block = 0; block < f->dirty_blocks_len * 8; block++) {
		size_t from, to;

		if (f->dirty_blocks[block / 8] == 0) {
			block |= 7;
			continue;
		}
		if ((f->dirty_blocks[block / 8] & 1u << block % 8) == 0)
			continue;
		if ((rc = keep_blocks(f, &at, block)) != 0)
			return rc;
		/* What it was. */
		at += at < f->blocks.n && f->blocks.v[at].number == block;
		/* What was changed has been read. */
		from = folder_find(f, block * INDEX_BLOCK, NULL);
		for (to = from; to < f->n && folder_has_read(f, to) &&
				f->msgs[to].uid / INDEX_BLOCK == block;
		     to++)
			;
		key_make(&k, 'B', f->id, block, 0, KEY_MESSAGE);
		if (from == to) {
			rc = mdb_del(txn, f->store->dbi, &k.v, NULL);
			if (rc == MDB_NOTFOUND)
				rc = 0;
		} else {
			v.mv_data = f->msgs + from;
			v.mv_size = (to - from) * sizeof(*f->msgs);
			rc = mdb_put(txn, f->store->dbi, &k.v, &v, 0);
			count = block_count(block, f->msgs + from, to - from);
			count.start = (uint32_t)from;
			if (rc == 0 && blocks_add(&f->blocks_next, &count) == -1)
				rc = ENOMEM;
		}
		if (rc != 0)
			return rc;
	}
	if ((rc = keep_blocks(f, &at, UINT64_MAX)) != 0)
		return rc;
	return put_counts(txn, f);
}

static int
compare_slots(const void *a, const void *b)
{
	const struct map_slot *const *x = a, *const *y = b;

	return (*x)->key < (*y)->key ? -1 : (*x)->key > (*y)->key;
}

/* In order of keys: lmdb is several times faster then. */
static int
put_map(MDB_txn *txn, struct folder *f, const struct map *m, char kind)
{
	struct map_slot **order;
	struct key k;
	size_t n = 0;
	int rc = 0;

	if (m->n == 0)
		return 0;
	if ((order = reallocarray(NULL, m->n, sizeof(struct map_slot *))) == NULL)
		return ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value != NULL)
			order[n++] = &m->slots[i];
	qsort(order, n, sizeof(struct map_slot *), compare_slots);
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint64_t key = order[i]->key;
		MDB_val v = { order[i]->len, order[i]->value };

		if (kind == 'C')
			key_make(&k, kind, f->id, (uint32_t)(key >> 8), (uint8_t)key,
			    KEY_CACHE);
		else
			key_make(&k, kind, f->id, (uint32_t)key, 0, KEY_MESSAGE);
		rc = mdb_put(txn, f->store->dbi, &k.v, &v, 0);
	}
	free(order);
	return rc;
}

/* Deletes every record whose key begins with the first len octets of key. */
static int
del_prefix(MDB_txn *txn, struct store *s, const struct key *prefix, size_t len)
{
	MDB_cursor *c;
	MDB_val key = { len, (void *)(uintptr_t)prefix->b }, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, s->dbi, &c)) != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE)) == 0) {
		if (key.mv_size < len || memcmp(key.mv_data, prefix->b, len) != 0) {
			rc = 0;
			break;
		}
		if ((rc = mdb_cursor_del(c, 0)) != 0)
			break;
		key.mv_size = len;
		key.mv_data = (void *)(uintptr_t)prefix->b;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
del_messages(MDB_txn *txn, struct folder *f)
{
	struct key k;
	int rc;

	for (size_t i = 0; i < f->n_deleted; i++) {
		/* It may have come back by a recovery. */
		if (folder_message_by_uid(f, f->deleted[i]) != NULL)
			continue;
		rc = mdb_del(txn, f->store->dbi,
		    key_make(&k, 'N', f->id, f->deleted[i], 0, KEY_MESSAGE), NULL);
		if (rc != 0 && rc != MDB_NOTFOUND)
			return rc;
		key_make(&k, 'C', f->id, f->deleted[i], 0, KEY_MESSAGE);
		if ((rc = del_prefix(txn, f->store, &k, KEY_MESSAGE)) != 0)
			return rc;
	}
	return 0;
}

/* The oldest records of what was expunged go until few enough are left. */
static int
trim_expunged(MDB_txn *txn, struct folder *f, struct expunged_record *st)
{
	MDB_cursor *c;
	struct key k;
	MDB_val key, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, f->store->dbi, &c)) != 0)
		return rc;
	while (st->total > EXPUNGED_KEEP) {
		uint32_t n;

		key = *key_make(&k, 'E', f->id, 0, 0, KEY_MESSAGE);
		if ((rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE)) != 0 ||
		    key.mv_size != KEY_MESSAGE ||
		    memcmp(key.mv_data, k.b, KEY_FOLDER) != 0) {
			st->total = 0; /* the count was wrong */
			break;
		}
		n = (uint32_t)(v.mv_size / EXPUNGED_LEN);
		if (n > 0)
			st->floor =
			    get_be((uint8_t *)v.mv_data + (n - 1) * EXPUNGED_LEN, 8);
		st->total -= n < st->total ? n : st->total;
		if ((rc = mdb_cursor_del(c, 0)) != 0)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
put_expunged(MDB_txn *txn, struct folder *f)
{
	struct expunged_record *st = &f->expunged_next;
	struct key k;
	MDB_val v;
	uint8_t *raw;
	int rc;

	*st = f->expunged_saved;
	if (f->n_expunged == 0)
		return 0;
	if ((raw = reallocarray(NULL, f->n_expunged, EXPUNGED_LEN)) == NULL)
		return ENOMEM;
	for (size_t i = 0; i < f->n_expunged; i++) {
		put_be(raw + i * EXPUNGED_LEN, f->expunged[i].modseq, 8);
		put_be(raw + i * EXPUNGED_LEN + 8, f->expunged[i].uid, 4);
	}
	v.mv_data = raw;
	v.mv_size = f->n_expunged * EXPUNGED_LEN;
	rc = mdb_put(txn, f->store->dbi,
	    key_make(&k, 'E', f->id, st->chunk++, 0, KEY_MESSAGE), &v, 0);
	free(raw);
	st->total += (uint32_t)f->n_expunged;
	if (rc == 0 && st->total > EXPUNGED_KEEP)
		rc = trim_expunged(txn, f, st);
	return rc;
}

/* What is written anew from memory, and what was derived. */
static int
del_records(MDB_txn *txn, struct folder *f)
{
	static const char kinds[] = { 'B', 'S', 'N', 'C' };
	struct key k;
	int rc = 0;

	for (size_t i = 0; i < sizeof(kinds) && rc == 0; i++) {
		key_make(&k, kinds[i], f->id, 0, 0, KEY_FOLDER);
		rc = del_prefix(txn, f->store, &k, KEY_FOLDER);
	}
	return rc;
}

static int
put_folder(MDB_txn *txn, struct folder *f)
{
	struct key k;
	int rc;

	if (f->rebuild && (rc = del_records(txn, f)) != 0)
		return rc;
	if ((rc = put_expunged(txn, f)) != 0 || (rc = folder_put(txn, f)) != 0 ||
	    (rc = put_blocks(txn, f)) != 0 || (rc = del_messages(txn, f)) != 0 ||
	    (rc = put_map(txn, f, &f->names, 'N')) != 0 ||
	    (rc = put_map(txn, f, &f->cache, 'C')) != 0)
		return rc;
	key_make(&k, 'X', f->id, 0, 0, KEY_FOLDER);
	if ((rc = del_prefix(txn, f->store, &k, KEY_FOLDER)) != 0)
		return rc;
	return put_map(txn, f, &f->unlinks, 'X');
}

static int
put_delivered(MDB_txn *txn, struct store *s)
{
	uint8_t raw[13] = { 'D' }, value[20];
	MDB_val key = { sizeof(raw), raw }, v = { sizeof(value), value };
	struct key first = { .b = { 'D' } };
	int rc;

	if (s->delivered_pruned && (rc = del_prefix(txn, s, &first, 1)) != 0)
		return rc;
	for (size_t i = 0; i < s->n_delivered; i++) {
		const struct delivered *d = &s->delivered[i];

		if (!d->dirty && !s->delivered_pruned)
			continue;
		put_be(raw + 1, d->queue_id, 8);
		put_be(raw + 9, d->rcpt, 4);
		put_be(value, d->size, 8);
		put_be(value + 8, d->crc, 4);
		put_be(value + 12, d->folder, 4);
		put_be(value + 16, d->uid, 4);
		if ((rc = mdb_put(txn, s->dbi, &key, &v, 0)) != 0)
			return rc;
	}
	return 0;
}

static int
put_meta(MDB_txn *txn, struct store *s)
{
	uint8_t raw[24];
	MDB_val key = { 1, (void *)(uintptr_t) "M" }, v = { sizeof(raw), raw };

	put_be(raw, INDEX_VERSION, 4);
	put_be(raw + 4, INDEX_LAYOUT, 4);
	put_be(raw + 8, s->generation + 1, 8);
	put_be(raw + 16, s->next_id, 4);
	put_be(raw + 20, s->last_uidvalidity, 4);
	return mdb_put(txn, s->dbi, &key, &v, 0);
}

static int
write_all(struct store *s)
{
	static const char kinds[] = { 'F', 'B', 'S', 'N', 'C', 'X', 'E' };
	struct key k;
	MDB_txn *txn;
	int rc;

	if ((rc = mdb_txn_begin(s->env, NULL, 0, &txn)) != 0)
		return rc;
	for (size_t i = 0; i < s->n_removed && rc == 0; i++)
		for (size_t j = 0; j < sizeof(kinds) && rc == 0; j++) {
			key_make(&k, kinds[j], s->removed_ids[i], 0, 0, KEY_FOLDER);
			rc = del_prefix(txn, s, &k, KEY_FOLDER);
		}
	for (size_t i = 0; i < s->n_folders && rc == 0; i++)
		if (s->folders[i]->dirty)
			rc = put_folder(txn, s->folders[i]);
	if (rc == 0)
		rc = put_delivered(txn, s);
	if (rc == 0)
		rc = put_meta(txn, s);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static void
written(struct store *s)
{
	MDB_val key = { 1, (void *)(uintptr_t) "M" }, v;

	/* It may be mapped elsewhere now. */
	if (index_get(s, &key, &v) == 0)
		index_guard_map(s, &v);
	s->generation++;
	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		if (!f->dirty)
			continue;
		f->dirty = false;
		f->times_logged = true;
		map_clear(&f->names);
		map_clear(&f->cache);
		if (changes_blocks(f)) {
			blocks_clear(&f->blocks);
			f->blocks = f->blocks_next;
			f->blocks_next = (struct block_table){ 0 };
		}
		free(f->dirty_blocks);
		f->dirty_blocks = NULL;
		f->dirty_blocks_len = 0;
		f->n_deleted = 0;
		f->expunged_saved = f->expunged_next;
		f->n_expunged = 0;
	}
	for (size_t i = 0; i < s->n_delivered; i++)
		s->delivered[i].dirty = false;
	s->delivered_pruned = false;
	s->n_removed = 0;
	s->cache_pending = 0;
}

enum store_error
index_checkpoint(struct store *s)
{
	size_t map;
	MDB_envinfo info;
	int rc;

	index_reader_reset(s);
	for (size_t i = 0; i < s->n_folders; i++)
		if (s->folders[i]->dirty)
			folder_meta_top_up(s->folders[i]);
	for (;;) {
		index_inside = 1;
		rc = write_all(s);
		index_inside = 0;
		if (rc != MDB_MAP_FULL)
			break;
		mdb_env_info(s->env, &info);
		map = info.me_mapsize * 2;
		if (map > MAP_LAST || mdb_env_set_mapsize(s->env, map) != 0)
			break;
	}
	if (rc != 0) {
		clock_gettime(CLOCK_MONOTONIC, &s->checkpoint_failed);
		return index_failed("checkpoint", rc);
	}
	written(s);
	s->checkpoint_failed = (struct timespec){ 0 };
	return log_reset(s);
}
