/*
 * The checkpoint of the index, see checkpoint.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "queued/checkpoint.h"

#define MAP_SIZE (sizeof(size_t) > 4 ? (size_t)16 << 30 : (size_t)512 << 20)
#define VERSION 2

struct checkpoint {
	MDB_env *env;
	MDB_dbi msgs, dests, meta;
	uint64_t generation;
	int stale; /* what is there was not used */
};

static int
set_errno(int rv)
{
	if (rv == MDB_MAP_FULL)
		errno = ENOSPC;
	else if (rv < 0)
		errno = EBADMSG;
	else
		errno = rv;
	return -1;
}

struct checkpoint *
checkpoint_open(const char *dir, uint64_t generation)
{
	struct checkpoint *c;
	MDB_txn *txn = NULL;
	int rv;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->generation = generation;
	/* No lock file: the spool has its own lock, and there is one process. */
	if ((rv = mdb_env_create(&c->env)) != 0 ||
	    (rv = mdb_env_set_mapsize(c->env, MAP_SIZE)) != 0 ||
	    (rv = mdb_env_set_maxdbs(c->env, 4)) != 0 ||
	    (rv = mdb_env_open(c->env, dir, MDB_NOLOCK | MDB_NOTLS, 0600)) != 0 ||
	    (rv = mdb_txn_begin(c->env, NULL, 0, &txn)) != 0 ||
	    (rv = mdb_dbi_open(txn, "messages", MDB_CREATE, &c->msgs)) != 0 ||
	    (rv = mdb_dbi_open(txn, "destinations", MDB_CREATE, &c->dests)) != 0 ||
	    (rv = mdb_dbi_open(txn, "meta", MDB_CREATE, &c->meta)) != 0)
		goto fail;
	rv = mdb_txn_commit(txn);
	txn = NULL;
	if (rv != 0)
		goto fail;
	return c;
fail:
	if (txn != NULL)
		mdb_txn_abort(txn);
	if (c->env != NULL)
		mdb_env_close(c->env);
	free(c);
	set_errno(rv);
	return NULL;
}

void
checkpoint_close(struct checkpoint *c)
{
	if (c == NULL)
		return;
	mdb_env_close(c->env);
	free(c);
}

static void
key_put(uint8_t key[8], uint64_t v)
{
	for (int i = 0; i < 8; i++)
		key[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t
key_get(const MDB_val *k)
{
	const uint8_t *p = k->mv_data;
	uint64_t v = 0;

	for (size_t i = 0; i < k->mv_size && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

#define MSG_FIXED 46
#define MSG_RCPT 28

static void
msg_encode(const struct qmsg *m, struct bytes_out *o)
{
	bytes_put_int(o, m->size, 8);
	bytes_put_int(o, m->crc, 4);
	bytes_put_int(o, m->created, 4);
	bytes_put_int(o, m->at.seg, 4);
	bytes_put_int(o, m->at.off, 4);
	bytes_put_int(o, m->reclen, 4);
	bytes_put_int(o, m->flags_seg, 4);
	bytes_put_int(o, m->flags & (QM_ON_DISK | QM_SENDER_MASK), 4);
	bytes_put_int(o, m->nrcpt, 4);
	bytes_put_int(o, m->by, 4);
	bytes_put_int(o, (uint8_t)m->priority, 1);
	bytes_put_int(o, m->ext, 1);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		const struct qrcpt *r = &m->rcpt[i];

		bytes_put_int(o, r->dest, 4);
		bytes_put_int(o, r->next, 4);
		bytes_put_int(o, r->address.seg, 4);
		bytes_put_int(o, r->address.off, 4);
		bytes_put_int(o, r->result.seg, 4);
		bytes_put_int(o, r->result.off, 4);
		bytes_put_int(o, r->attempts, 2);
		bytes_put_int(o, r->state, 1);
		bytes_put_int(o, r->notify, 1);
	}
}

static struct qmsg *
msg_decode_value(uint64_t id, const MDB_val *v)
{
	struct bytes_in in = { .p = v->mv_data, .len = v->mv_size };
	struct qmsg *m;
	uint32_t n;

	if (v->mv_size < MSG_FIXED || (v->mv_size - MSG_FIXED) % MSG_RCPT != 0)
		return NULL;
	n = (uint32_t)((v->mv_size - MSG_FIXED) / MSG_RCPT);
	m = calloc(1, sizeof(*m) + n * sizeof(m->rcpt[0]));
	if (m == NULL)
		return NULL;
	m->id = id;
	m->size = bytes_get_int(&in, 8);
	m->crc = (uint32_t)bytes_get_int(&in, 4);
	m->created = (uint32_t)bytes_get_int(&in, 4);
	m->at.seg = (uint32_t)bytes_get_int(&in, 4);
	m->at.off = (uint32_t)bytes_get_int(&in, 4);
	m->reclen = (uint32_t)bytes_get_int(&in, 4);
	m->flags_seg = (uint32_t)bytes_get_int(&in, 4);
	m->flags = (uint32_t)bytes_get_int(&in, 4) | QM_IN_CKPT;
	m->nrcpt = (uint32_t)bytes_get_int(&in, 4);
	m->by = (uint32_t)bytes_get_int(&in, 4);
	m->priority = (int8_t)bytes_get_int(&in, 1);
	m->ext = (uint8_t)bytes_get_int(&in, 1);
	if (m->nrcpt != n) {
		free(m);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct qrcpt *r = &m->rcpt[i];

		r->dest = (uint32_t)bytes_get_int(&in, 4);
		r->next = (uint32_t)bytes_get_int(&in, 4);
		r->address.seg = (uint32_t)bytes_get_int(&in, 4);
		r->address.off = (uint32_t)bytes_get_int(&in, 4);
		r->result.seg = (uint32_t)bytes_get_int(&in, 4);
		r->result.off = (uint32_t)bytes_get_int(&in, 4);
		r->attempts = (uint16_t)bytes_get_int(&in, 2);
		r->state = (uint8_t)bytes_get_int(&in, 1);
		r->notify = (uint8_t)bytes_get_int(&in, 1);
		m->nlive += r->state == RCPT_LIVE;
	}
	return m;
}

static int
load_meta(struct checkpoint *c, MDB_txn *txn, struct index *ix, struct loc *at)
{
	MDB_val k = { 5, (void *)(uintptr_t) "state" }, v;
	struct bytes_in in;
	int rv;

	rv = mdb_get(txn, c->meta, &k, &v);
	if (rv != 0)
		return rv == MDB_NOTFOUND ? 0 : set_errno(rv);
	in = (struct bytes_in){ .p = v.mv_data, .len = v.mv_size };
	if (bytes_get_int(&in, 4) != VERSION || bytes_get_int(&in, 8) != c->generation)
		return 0;
	at->seg = (uint32_t)bytes_get_int(&in, 4);
	at->off = (uint32_t)bytes_get_int(&in, 4);
	ix->reserved = bytes_get_int(&in, 8);
	ix->hold = (uint8_t)bytes_get_int(&in, 1);
	ix->epoch = (uint32_t)bytes_get_int(&in, 4);
	if (in.bad || in.len != 0)
		return 0;
	k = (MDB_val){ 5, (void *)(uintptr_t) "rules" };
	rv = mdb_get(txn, c->meta, &k, &v);
	if (rv == MDB_NOTFOUND)
		return 1;
	if (rv != 0)
		return set_errno(rv);
	return index_set_rules(ix, v.mv_data, v.mv_size) == -1 ? -1 : 1;
}

/*
 * What was read once need not stay mapped in: the pages of the records from the lowest
 * to the highest. mdb_env_info() tells the map's address only of a fixed one.
 */
static void
unmap_read(uintptr_t low, uintptr_t high)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	low &= ~(page - 1);
	if (low < high && madvise((void *)low, high - low, MADV_DONTNEED) == -1)
		log_debug("checkpoint: madvise: %s", strerror(errno));
}

int
checkpoint_load(struct checkpoint *c, struct index *ix, struct loc *at)
{
	MDB_txn *txn;
	MDB_cursor *cur = NULL;
	MDB_val k, v;
	uintptr_t low = UINTPTR_MAX, high = 0;
	int rv, result = -1;

	rv = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
	if (rv != 0)
		return set_errno(rv);
	result = load_meta(c, txn, ix, at);
	if (result != 1)
		goto out;
	if ((rv = mdb_cursor_open(txn, c->dests, &cur)) != 0)
		goto fail;
	while ((rv = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
		char name[256];
		uint32_t slot = (uint32_t)key_get(&k);

		if (v.mv_size >= sizeof(name) || slot > (1U << 26))
			goto unusable;
		memcpy(name, v.mv_data, v.mv_size);
		name[v.mv_size] = '\0';
		if (index_dest_set(ix, slot, name) == -1)
			goto unusable;
		ix->dests[slot].saved = 1;
	}
	mdb_cursor_close(cur);
	cur = NULL;
	if ((rv = mdb_cursor_open(txn, c->msgs, &cur)) != 0)
		goto fail;
	while ((rv = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
		struct qmsg *m = msg_decode_value(key_get(&k), &v);
		uintptr_t at_data = (uintptr_t)v.mv_data;

		if (m == NULL || index_add_loaded(ix, m) == -1)
			goto unusable;
		if (at_data < low)
			low = at_data;
		if (at_data + v.mv_size > high)
			high = at_data + v.mv_size;
	}
	if (rv != MDB_NOTFOUND)
		goto fail;
	result = 1;
	unmap_read(low, high);
	goto out;
unusable:
	log_warnx("checkpoint: not usable, the journal is read whole");
	result = 0;
	goto out;
fail:
	result = set_errno(rv);
out:
	if (cur != NULL)
		mdb_cursor_close(cur);
	c->stale = result != 1;
	mdb_txn_abort(txn);
	return result;
}

void
checkpoint_set_stale(struct checkpoint *c)
{
	c->stale = 1;
}

static int
save_dests(struct checkpoint *c, MDB_txn *txn, struct index *ix)
{
	for (uint32_t i = 0; i < ix->ndests; i++) {
		struct qdest *d = &ix->dests[i];
		uint8_t key[8];
		MDB_val k = { sizeof(key), key }, v;
		int rv;

		key_put(key, i);
		if (d->name == NULL && d->saved) {
			rv = mdb_del(txn, c->dests, &k, NULL);
			if (rv != 0 && rv != MDB_NOTFOUND)
				return rv;
		} else if (d->name != NULL && !d->saved) {
			v = (MDB_val){ strlen(d->name), d->name };
			if ((rv = mdb_put(txn, c->dests, &k, &v, 0)) != 0)
				return rv;
		}
	}
	return 0;
}

static int
save_msgs(struct checkpoint *c, MDB_txn *txn, struct index *ix)
{
	for (size_t i = 0; i < ix->ndirty; i++) {
		struct qmsg *m = index_find(ix, ix->dirty[i]);
		struct bytes_out o = { 0 };
		uint8_t key[8];
		MDB_val k = { sizeof(key), key }, v;
		int rv;

		key_put(key, ix->dirty[i]);
		if (m == NULL || m->flags & QM_DEAD) {
			rv = mdb_del(txn, c->msgs, &k, NULL);
			if (rv != 0 && rv != MDB_NOTFOUND)
				return rv;
			continue;
		}
		v = (MDB_val){ MSG_FIXED + (size_t)m->nrcpt * MSG_RCPT, NULL };
		if ((rv = mdb_put(txn, c->msgs, &k, &v, MDB_RESERVE)) != 0)
			return rv;
		o.p = v.mv_data;
		o.cap = v.mv_size;
		msg_encode(m, &o);
	}
	return 0;
}

static int
save_meta(struct checkpoint *c, MDB_txn *txn, const struct index *ix, struct loc at)
{
	uint8_t buf[64];
	struct bytes_out o = { .p = buf, .cap = sizeof(buf) };
	MDB_val k = { 5, (void *)(uintptr_t) "state" }, v;
	int rv;

	bytes_put_int(&o, VERSION, 4);
	bytes_put_int(&o, c->generation, 8);
	bytes_put_int(&o, at.seg, 4);
	bytes_put_int(&o, at.off, 4);
	bytes_put_int(&o, ix->reserved, 8);
	bytes_put_int(&o, ix->hold, 1);
	bytes_put_int(&o, ix->epoch, 4);
	v = (MDB_val){ o.len, buf };
	if ((rv = mdb_put(txn, c->meta, &k, &v, 0)) != 0 || ix->rules == NULL)
		return rv;
	k = (MDB_val){ 5, (void *)(uintptr_t) "rules" };
	v = (MDB_val){ ix->rules_len, ix->rules };
	return mdb_put(txn, c->meta, &k, &v, 0);
}

/* The journal was read whole since there was no usable checkpoint: begin with nothing. */
static int
drop_stale(struct checkpoint *c, MDB_txn *txn)
{
	int rv;

	if (!c->stale)
		return 0;
	if ((rv = mdb_drop(txn, c->msgs, 0)) != 0)
		return rv;
	return mdb_drop(txn, c->dests, 0);
}

int
checkpoint_save(struct checkpoint *c, struct index *ix, struct loc at)
{
	MDB_txn *txn;
	int rv;

	rv = mdb_txn_begin(c->env, NULL, 0, &txn);
	if (rv != 0)
		return set_errno(rv);
	if ((rv = drop_stale(c, txn)) != 0 || (rv = save_dests(c, txn, ix)) != 0 ||
	    (rv = save_msgs(c, txn, ix)) != 0 || (rv = save_meta(c, txn, ix, at)) != 0) {
		mdb_txn_abort(txn);
		return set_errno(rv);
	}
	rv = mdb_txn_commit(txn);
	if (rv != 0)
		return set_errno(rv);
	c->stale = 0;
	for (uint32_t i = 0; i < ix->ndests; i++)
		ix->dests[i].saved = ix->dests[i].name != NULL;
	for (size_t i = 0; i < ix->ndirty; i++) {
		struct qmsg *m = index_find(ix, ix->dirty[i]);

		if (m != NULL) {
			m->flags &= ~(uint32_t)QM_DIRTY;
			if (!(m->flags & QM_DEAD))
				m->flags |= QM_IN_CKPT;
			else
				m->flags &= ~(uint32_t)QM_IN_CKPT;
		}
	}
	ix->ndirty = 0;
	return 0;
}
