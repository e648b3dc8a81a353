/* SPDX-License-Identifier: ISC */
/*
 * The index of a mailbox: one lmdb environment, index/data.mdb, opened and read. It is
 * written by checkpoints only (index_checkpoint.c), each one synced transaction, so that
 * after a power loss it is the state of the last checkpoint. Its records: index_int.h.
 * Values that do not decode make the index "lost": it is thrown away and rebuilt.
 */
#include <errno.h>
#include <fcntl.h>

#include "common/log.h"
#include "mailbox/index_int.h"

#define MAP_FIRST (UINT64_C(1) << 30)

void
put_be(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

uint64_t
get_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

MDB_val *
key_make(struct key *k, char kind, uint32_t a, uint32_t b, uint8_t c, size_t len)
{
	k->b[0] = (uint8_t)kind;
	put_be(k->b + 1, a, 4);
	put_be(k->b + 5, b, 4);
	k->b[9] = c;
	k->v.mv_data = k->b;
	k->v.mv_size = len;
	return &k->v;
}

enum store_error
index_failed(const char *what, int rc)
{
	if (rc == ENOSPC || rc == EDQUOT)
		return STORE_NO_SPACE;
	if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
	    rc == MDB_PANIC || rc == MDB_PAGE_FULL || rc == MDB_CURSOR_FULL ||
	    rc == MDB_BAD_TXN || rc == MDB_INCOMPATIBLE)
		index_guard_mark();
	log_warnx("index: %s: %s", what, mdb_strerror(rc));
	return STORE_IO;
}

/* ---- reading ---- */

/* The one reader, renewed after each checkpoint: nothing else writes. */
static MDB_txn *
reader(struct store *s)
{
	int rc;

	if (s->env == NULL)
		return NULL;
	if (s->rtxn == NULL)
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->rtxn);
	else if (!s->rtxn_live)
		rc = mdb_txn_renew(s->rtxn);
	else
		return s->rtxn;
	if (rc != 0) {
		(void)index_failed("read transaction", rc);
		return NULL;
	}
	s->rtxn_live = true;
	return s->rtxn;
}

void
index_reader_reset(struct store *s)
{
	if (s->rtxn_live)
		mdb_txn_reset(s->rtxn);
	s->rtxn_live = false;
}

int
index_get(struct store *s, MDB_val *key, MDB_val *value)
{
	MDB_txn *txn = reader(s);
	int rc;

	if (txn == NULL)
		return MDB_PANIC;
	index_inside = 1;
	rc = mdb_get(txn, s->dbi, key, value);
	index_inside = 0;
	if (rc != 0 && rc != MDB_NOTFOUND)
		(void)index_failed("reading", rc);
	return rc;
}

int
index_name(struct folder *f, uint32_t uid, char *out)
{
	struct map_slot *slot = map_get(&f->names, uid);
	struct key k;
	MDB_val v;

	if (slot != NULL) {
		v.mv_data = slot->value;
		v.mv_size = slot->len;
	} else if (index_get(
		       f->store, key_make(&k, 'N', f->id, uid, 0, KEY_MESSAGE), &v) != 0)
		return -1;
	if (v.mv_size == 0 || v.mv_size > MAILDIR_NAME_MAX ||
	    memchr(v.mv_data, '/', v.mv_size) || memchr(v.mv_data, '\0', v.mv_size) ||
	    *(char *)v.mv_data == '.')
		return -1;
	memcpy(out, v.mv_data, v.mv_size);
	out[v.mv_size] = '\0';
	return 0;
}

int
index_cache(struct folder *f, uint32_t uid, int kind, const uint8_t **data, size_t *len)
{
	struct map_slot *slot;
	struct key k;
	MDB_val v;

	if (f->cache.n > 0 &&
	    (slot = map_get(&f->cache, (uint64_t)uid << 8 | (uint8_t)kind)) != NULL) {
		*data = slot->value;
		*len = slot->len;
		return 0;
	}
	if (index_get(f->store, key_make(&k, 'C', f->id, uid, (uint8_t)kind, KEY_CACHE),
		&v) != 0)
		return -1;
	*data = v.mv_data;
	*len = v.mv_size;
	return 0;
}

static enum store_error
load(struct folder *f)
{
	struct store *s = f->store;
	MDB_txn *txn = reader(s);
	MDB_cursor *c;
	struct key k;
	MDB_val key, v;
	uint64_t octets = f->octets;
	uint32_t last = 0;
	int rc;

	if (txn == NULL)
		return STORE_IO;
	if (blocks_open(f) == 1)
		return STORE_OK;
	f->octets = 0;
	f->messages = 0;
	f->uncounted = false;
	if ((rc = mdb_cursor_open(txn, s->dbi, &c)) != 0)
		return index_failed("cursor", rc);
	key = *key_make(&k, 'B', f->id, 0, 0, KEY_MESSAGE);
	for (rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) {
		size_t n = v.mv_size / sizeof(struct message);
		struct block b;

		if (key.mv_size != KEY_MESSAGE ||
		    memcmp(key.mv_data, k.b, KEY_FOLDER) != 0)
			break;
		if (n == 0 || v.mv_size % sizeof(struct message) != 0 || n > INDEX_BLOCK)
			goto damaged;
		if (f->cap - f->n < n) {
			size_t cap = f->n + f->n / 2 + 1024;
			struct message *m = reallocarray(f->msgs, cap, sizeof(*m));

			if (m == NULL) {
				mdb_cursor_close(c);
				errno = ENOMEM;
				return store_errno("index");
			}
			f->msgs = m;
			f->cap = cap;
		}
		memcpy(f->msgs + f->n, v.mv_data, v.mv_size);
		for (size_t i = f->n; i < f->n + n; i++) {
			if (f->msgs[i].uid <= last || f->msgs[i].uid >= f->uidnext)
				goto damaged;
			last = f->msgs[i].uid;
			f->octets += f->msgs[i].size;
		}
		b = block_count((uint32_t)get_be((uint8_t *)key.mv_data + KEY_FOLDER, 4),
		    f->msgs + f->n, n);
		if (last / INDEX_BLOCK != b.number ||
		    f->msgs[f->n].uid / INDEX_BLOCK != b.number)
			goto damaged;
		if (blocks_add(&f->blocks, &b) == -1) {
			mdb_cursor_close(c);
			errno = ENOMEM;
			return store_errno("index");
		}
		f->unseen += b.unseen;
		f->recents += b.recent;
		f->n += n;
		f->messages += (uint32_t)n;
	}
	/* A page that cannot be read is no end, and nothing may be missing: its messages
	 * would get new UIDs. */
	if ((rc != 0 && rc != MDB_NOTFOUND) || f->octets != octets)
		goto damaged;
	mdb_cursor_close(c);
	for (size_t i = 0; i < f->n && f->old_keywords; i++)
		if (f->msgs[i].keywords >> 63) {
			f->msgs[i].keywords = keywords_of_old(f, f->msgs[i].keywords);
			folder_mark(f, f->msgs[i].uid);
		}
	f->old_keywords = false;
	return STORE_OK;
damaged:
	mdb_cursor_close(c);
	index_guard_mark();
	log_warnx(
	    "index: messages of %s are damaged; they are taken from the files", f->name);
	f->n = f->unseen = f->recents = 0;
	blocks_clear(&f->blocks);
	f->octets = 0;
	f->messages = 0;
	f->recover = true;
	/* Every block is written anew, or removed. */
	folder_mark(f, f->uidnext);
	if (f->dirty_blocks != NULL)
		memset(f->dirty_blocks, 0xff, f->dirty_blocks_len);
	return STORE_OK;
}

enum store_error
index_load(struct folder *f)
{
	enum store_error error;

	index_inside = 1;
	error = load(f);
	index_inside = 0;
	return error;
}

int
index_expunged(
    struct folder *f, uint64_t modseq, void (*cb)(uint32_t uid, void *), void *arg)
{
	MDB_txn *txn = reader(f->store);
	MDB_cursor *c;
	struct key k;
	MDB_val key, v;
	int rc;

	if (txn == NULL || mdb_cursor_open(txn, f->store->dbi, &c) != 0)
		return -1;
	key = *key_make(&k, 'E', f->id, 0, 0, KEY_MESSAGE);
	index_inside = 1;
	for (rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) {
		const uint8_t *p = v.mv_data, *end = p + v.mv_size;

		if (key.mv_size != KEY_MESSAGE ||
		    memcmp(key.mv_data, k.b, KEY_FOLDER) != 0)
			break;
		/* Records are in order: most end before what is asked for. */
		if (v.mv_size < EXPUNGED_LEN || get_be(end - EXPUNGED_LEN, 8) <= modseq)
			continue;
		for (; end - p >= EXPUNGED_LEN; p += EXPUNGED_LEN)
			if (get_be(p, 8) > modseq)
				cb((uint32_t)get_be(p + 8, 4), arg);
	}
	mdb_cursor_close(c);
	index_inside = 0;
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : -1;
}

/* ---- folders ---- */

struct taker {
	const uint8_t *p;
	size_t len;
	bool failed;
};

static uint64_t
take(struct taker *t, size_t n)
{
	uint64_t v;

	if (t->failed || t->len < n) {
		t->failed = true;
		return 0;
	}
	v = get_be(t->p, n);
	t->p += n;
	t->len -= n;
	return v;
}

static bool
take_text(struct taker *t, size_t n, char *out, size_t cap)
{
	if (t->failed || n > t->len || n == 0 || n >= cap ||
	    memchr(t->p, '\0', n) != NULL) {
		t->failed = true;
		return false;
	}
	memcpy(out, t->p, n);
	out[n] = '\0';
	t->p += n;
	t->len -= n;
	return true;
}

/* Number and length of each list of keywords, and the list. */
static int
lists_get(struct folder *f, struct taker *t)
{
	uint16_t v[STORE_KEYWORDS_MAX];
	uint32_t n = (uint32_t)take(t, 4);

	f->next_list = (uint32_t)take(t, 4);
	for (uint32_t i = 0; i < n && !t->failed; i++) {
		uint32_t number = (uint32_t)take(t, 4);
		size_t len = (size_t)take(t, 2);

		if (t->failed || len > STORE_KEYWORDS_MAX)
			return -1;
		for (size_t k = 0; k < len; k++)
			v[k] = (uint16_t)take(t, 2);
		if (t->failed || keyword_list_put(f, number, v, len) == -1)
			return -1;
	}
	return t->failed ? -1 : 0;
}

static int
folder_get(struct store *s, uint32_t id, MDB_val *v)
{
	struct taker t = { v->mv_data, v->mv_size, false };
	struct folder tmp = { 0 }, *f;
	char name[STORE_NAME_MAX + 1], again[STORE_NAME_MAX + 1];
	char keyword[STORE_KEYWORD_LEN_MAX + 1];
	size_t n;

	tmp.uidvalidity = (uint32_t)take(&t, 4);
	tmp.uidnext = (uint32_t)take(&t, 4);
	tmp.uid_reserved = (uint32_t)take(&t, 4);
	tmp.modseq = take(&t, 8);
	tmp.modseq_reserved = take(&t, 8);
	tmp.octets = take(&t, 8);
	tmp.special = (uint32_t)take(&t, 4);
	tmp.expunged_saved.floor = take(&t, 8);
	tmp.expunged_saved.chunk = (uint32_t)take(&t, 4);
	tmp.expunged_saved.total = (uint32_t)take(&t, 4);
	(void)take_text(&t, FOLDER_ID_LEN, tmp.mailbox_id, sizeof(tmp.mailbox_id));
	tmp.cur_time.tv_sec = (time_t)take(&t, 8);
	tmp.cur_time.tv_nsec = (long)take(&t, 4);
	tmp.new_time.tv_sec = (time_t)take(&t, 8);
	tmp.new_time.tv_nsec = (long)take(&t, 4);
	n = (size_t)take(&t, 2);
	if (!take_text(&t, n, name, sizeof(name)) || tmp.uidnext == 0 ||
	    tmp.uidvalidity == 0 ||
	    maildir_folder_canonical(name, again, sizeof(again)) == -1 ||
	    strcmp(name, again) != 0)
		return -1;
	if ((f = folder_table_add(s, name)) == NULL)
		return -1;
	f->id = id;
	f->uidvalidity = tmp.uidvalidity;
	f->uidnext = tmp.uidnext;
	f->uid_reserved = tmp.uid_reserved;
	f->modseq = tmp.modseq;
	f->modseq_reserved = tmp.modseq_reserved;
	f->octets = tmp.octets;
	f->special = tmp.special;
	f->expunged_saved = tmp.expunged_saved;
	memcpy(f->mailbox_id, tmp.mailbox_id, sizeof(f->mailbox_id));
	f->cur_time = tmp.cur_time;
	f->new_time = tmp.new_time;
	if ((n = (size_t)take(&t, 1)) == UINT8_MAX)
		n = (size_t)take(&t, 2);
	for (size_t i = 0; i < n; i++) {
		size_t len = (size_t)take(&t, 1);

		if (!take_text(&t, len, keyword, sizeof(keyword)) ||
		    folder_keyword_push(f, keyword) == -1)
			return -1;
	}
	if (t.len == 0) /* of a version that did not count */
		f->uncounted = true;
	else
		f->messages = (uint32_t)take(&t, 4);
	/* ... and of one that knew no lists. */
	if (t.len == 0)
		f->old_keywords = f->n_keywords == 64;
	else if (lists_get(f, &t) == -1)
		return -1;
	return t.failed || t.len != 0 ? -1 : 0;
}

/* Files that were expunged and are not unlinked yet. */
static int
unlinks_get(struct store *s, const uint8_t *key, MDB_val *v)
{
	struct folder *f = store_folder_by_id(s, (uint32_t)get_be(key + 1, 4));
	char *copy;

	if (f == NULL)
		return 0;
	if (v->mv_size == 0 || v->mv_size > MAILDIR_NAME_MAX ||
	    memchr(v->mv_data, '/', v->mv_size))
		return -1;
	if ((copy = strndup(v->mv_data, v->mv_size)) == NULL)
		return -1;
	return map_put(&f->unlinks, get_be(key + 5, 4), copy, strlen(copy));
}

static int
delivered_get(struct store *s, const uint8_t *key, MDB_val *v)
{
	struct taker t = { v->mv_data, v->mv_size, false };
	struct delivered d = { 0 };

	d.queue_id = get_be(key + 1, 8);
	d.rcpt = (uint32_t)get_be(key + 9, 4);
	d.size = take(&t, 8);
	d.crc = (uint32_t)take(&t, 4);
	d.folder = (uint32_t)take(&t, 4);
	d.uid = (uint32_t)take(&t, 4);
	return t.failed || t.len != 0 ? -1 : delivered_add(s, &d);
}

/* All of one kind, keys of just that length. */
static int
walk(struct store *s, char kind, size_t key_len,
    int (*cb)(struct store *, const uint8_t *, MDB_val *))
{
	MDB_txn *txn = reader(s);
	MDB_cursor *c;
	MDB_val key = { 1, &kind }, v;
	int rc, r = 0;

	if (txn == NULL || mdb_cursor_open(txn, s->dbi, &c) != 0)
		return -1;
	index_inside = 1;
	for (rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE); rc == 0 && r == 0;
	     rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) {
		if (*(char *)key.mv_data != kind)
			break;
		r = key.mv_size != key_len ? -1 : cb(s, key.mv_data, &v);
	}
	mdb_cursor_close(c);
	index_inside = 0;
	return r == 0 && (rc == 0 || rc == MDB_NOTFOUND) ? 0 : -1;
}

static int
folder_cb(struct store *s, const uint8_t *key, MDB_val *v)
{
	return folder_get(s, (uint32_t)get_be(key + 1, 4), v);
}

/* ---- opening ---- */

/* 1: there is none; -1: damaged. */
static int
meta_get(struct store *s)
{
	MDB_val key = { 1, (void *)(uintptr_t) "M" }, v;
	struct taker t;
	uint64_t version;
	int rc = index_get(s, &key, &v);

	if (rc == MDB_NOTFOUND)
		return 1;
	if (rc != 0)
		return -1;
	index_guard_map(s, &v);
	t = (struct taker){ v.mv_data, v.mv_size, false };
	version = take(&t, 4);
	if ((version != INDEX_VERSION && version != INDEX_VERSION_UNCOUNTED) ||
	    take(&t, 4) != INDEX_LAYOUT)
		return -1;
	s->generation = take(&t, 8);
	s->next_id = (uint32_t)take(&t, 4);
	s->last_uidvalidity = (uint32_t)take(&t, 4);
	return t.failed || t.len != 0 ? -1 : 0;
}

static int
env_open(struct store *s)
{
	MDB_txn *txn;
	int rc, cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* lmdb wants a path, and we have a directory. */
	if (cwd == -1 || fchdir(s->indexfd) == -1) {
		rc = errno;
		goto done;
	}
	if ((rc = mdb_env_create(&s->env)) != 0)
		goto done;
	if ((rc = mdb_env_set_mapsize(s->env, MAP_FIRST)) != 0 ||
	    (rc = mdb_env_open(s->env, "data.mdb",
		 MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0600)) != 0)
		goto done;
	/* dbi 1 is the main one, always open. */
	if ((rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn)) != 0)
		goto done;
	rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
	mdb_txn_abort(txn);
done:
	if (cwd != -1) {
		if (fchdir(cwd) == -1)
			log_warn("going back to the root directory");
		close(cwd);
	}
	return rc;
}

void
index_close(struct store *s)
{
	if (s->rtxn != NULL)
		mdb_txn_abort(s->rtxn);
	s->rtxn = NULL;
	s->rtxn_live = false;
	if (s->env != NULL)
		mdb_env_close(s->env);
	s->env = NULL;
	index_guard_stop(s);
}

static void
forget_all(struct store *s)
{
	for (size_t i = 0; i < s->n_folders; i++)
		folder_free(s->folders[i]);
	s->n_folders = 0;
	s->n_delivered = 0;
	s->generation = 0;
	s->next_id = 1;
	s->last_uidvalidity = 0;
}

enum store_error
index_open(struct store *s)
{
	int rc, meta;

	if (index_guard_start(s) == -1)
		return store_errno("index/data.mdb");
	index_inside = 1;
	rc = env_open(s);
	if (rc == 0 && !index_file_whole(s))
		rc = MDB_CORRUPTED;
	index_inside = 0;
	if (rc == ENOSPC || rc == EDQUOT || rc == EACCES || rc == EMFILE ||
	    rc == ENOMEM) {
		index_close(s);
		return index_failed("opening", rc);
	}
	meta = rc == 0 ? meta_get(s) : -1;
	if (meta == 0 && (walk(s, 'F', KEY_FOLDER, folder_cb) == -1 ||
			     walk(s, 'X', KEY_MESSAGE, unlinks_get) == -1 ||
			     walk(s, 'D', 13, delivered_get) == -1))
		meta = -1;
	if (meta == 0)
		return STORE_OK;
	s->index_lost = true;
	if (meta == 1) {
		s->next_id = 1;
		return STORE_OK;
	}
	log_warnx("the index is damaged (%s): it is rebuilt from the files",
	    rc != 0 ? mdb_strerror(rc) : "it does not decode");
	forget_all(s);
	index_close(s);
	if (unlinkat(s->indexfd, "data.mdb", 0) == -1 && errno != ENOENT)
		return store_errno("index/data.mdb");
	if (index_guard_start(s) == -1 || (rc = env_open(s)) != 0) {
		index_close(s);
		return index_failed("opening", rc);
	}
	return STORE_OK;
}

void
index_forget_folder(struct store *s, uint32_t id)
{
	uint32_t *ids = reallocarray(s->removed_ids, s->n_removed + 1, sizeof(*ids));

	if (ids == NULL) {
		log_warnx("no memory to remove a folder from the index");
		return;
	}
	s->removed_ids = ids;
	ids[s->n_removed++] = id;
}
