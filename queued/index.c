/*
 * The index of the queue, see index.h. Slots are sorted by id; ids grow, so a new
 * message goes to the end or very near it, and the oldest live one is the first.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "queued/index.h"

#define RESULT_OCTETS 96 /* about what a result takes in the journal */
#define NAME_MAX_LEN 255

void
index_init(struct index *ix, void (*ref)(void *, uint32_t, uint32_t, int), void *arg)
{
	memset(ix, 0, sizeof(*ix));
	ix->ref = ref;
	ix->ref_arg = arg;
}

void
index_clear(struct index *ix)
{
	for (size_t i = 0; i < ix->nslots; i++)
		free(ix->slots[i].msg);
	for (uint32_t i = 0; i < ix->ndests; i++)
		free(ix->dests[i].name);
	free(ix->slots);
	free(ix->dests);
	free(ix->dest_hash);
	free(ix->dirty);
	free(ix->rules);
	memset(ix, 0, sizeof(*ix));
}

static void
ref_add(struct index *ix, struct loc at, uint32_t octets)
{
	if (at.seg != 0 && ix->ref != NULL)
		ix->ref(ix->ref_arg, at.seg, octets, 1);
}

static void
ref_drop(struct index *ix, struct loc at, uint32_t octets)
{
	if (at.seg != 0 && ix->ref != NULL)
		ix->ref(ix->ref_arg, at.seg, octets, 0);
}

/* The first slot with an id of at least that. */
static size_t
slot_lower(const struct index *ix, uint64_t id)
{
	size_t lo = ix->first, hi = ix->nslots;

	if (hi > lo && ix->slots[hi - 1].id < id)
		return hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ix->slots[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct qmsg *
index_find(const struct index *ix, uint64_t id)
{
	size_t i = slot_lower(ix, id);

	return i < ix->nslots && ix->slots[i].id == id ? ix->slots[i].msg : NULL;
}

struct qmsg *
index_next(const struct index *ix, uint64_t id)
{
	for (size_t i = slot_lower(ix, id); i < ix->nslots; i++) {
		if (ix->slots[i].msg != NULL)
			return ix->slots[i].msg;
	}
	return NULL;
}

uint64_t
index_oldest(const struct index *ix)
{
	return ix->first < ix->nslots ? ix->slots[ix->first].id : UINT64_MAX;
}

static void
slots_tidy(struct index *ix)
{
	while (ix->first < ix->nslots && ix->slots[ix->first].msg == NULL) {
		ix->first++;
		ix->ngone--;
	}
	if (ix->first == ix->nslots) {
		ix->first = ix->nslots = 0;
	} else if (ix->first + ix->ngone > 1024 &&
		   ix->first + ix->ngone > ix->nslots / 2) {
		size_t n = 0;

		for (size_t i = ix->first; i < ix->nslots; i++) {
			if (ix->slots[i].msg != NULL)
				ix->slots[n++] = ix->slots[i];
		}
		ix->nslots = n;
		ix->first = ix->ngone = 0;
	}
}

static int
slot_insert(struct index *ix, struct qmsg *m)
{
	size_t i;

	if (ix->nslots == ix->slots_cap) {
		size_t cap = ix->slots_cap == 0 ? 1024 : ix->slots_cap * 2;
		struct index_slot *n = reallocarray(ix->slots, cap, sizeof(*n));

		if (n == NULL)
			return -1;
		ix->slots = n;
		ix->slots_cap = cap;
	}
	i = slot_lower(ix, m->id);
	if (i < ix->nslots && ix->slots[i].id == m->id) {
		if (ix->slots[i].msg == NULL)
			ix->ngone--;
		ix->slots[i].msg = m;
	} else if (i == ix->first && ix->first > 0) {
		ix->slots[--ix->first] = (struct index_slot){ m->id, m };
	} else {
		memmove(&ix->slots[i + 1], &ix->slots[i],
		    (ix->nslots - i) * sizeof(ix->slots[0]));
		ix->slots[i] = (struct index_slot){ m->id, m };
		ix->nslots++;
	}
	ix->nmsgs++;
	return 0;
}

/* The counters that status shows; sign +1 or -1. */
static void
count(struct index *ix, const struct qmsg *m, int sign)
{
	uint64_t s = (uint64_t)(int64_t)sign;

	if (m->flags & QM_DEAD)
		return;
	ix->octets += s * m->size;
	ix->nlive_rcpts += s * m->nlive;
	if (m->flags & QM_HELD)
		ix->nheld += s;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		if (m->rcpt[i].state == RCPT_LIVE && m->rcpt[i].attempts > 0) {
			ix->ndeferred += s;
			break;
		}
	}
}

static uint32_t
name_hash(const char *name)
{
	return crc32c(0x9e3779b9U, name, strlen(name));
}

static void
hash_put(struct index *ix, uint32_t slot)
{
	uint32_t h = name_hash(ix->dests[slot].name) & (ix->hash_cap - 1);

	while (ix->dest_hash[h] != 0)
		h = (h + 1) & (ix->hash_cap - 1);
	ix->dest_hash[h] = slot + 1;
}

static int
hash_rebuild(struct index *ix, uint32_t cap)
{
	uint32_t *n = calloc(cap, sizeof(*n));

	if (n == NULL)
		return -1;
	free(ix->dest_hash);
	ix->dest_hash = n;
	ix->hash_cap = cap;
	for (uint32_t i = 0; i < ix->ndests; i++) {
		if (ix->dests[i].name != NULL)
			hash_put(ix, i);
	}
	return 0;
}

int
index_dest_set(struct index *ix, uint32_t slot, const char *name)
{
	char *copy;

	if (slot >= UINT32_MAX / 4)
		return -1;
	if (slot >= ix->dests_cap) {
		uint32_t cap = ix->dests_cap == 0 ? 64 : ix->dests_cap;
		struct qdest *n;

		while (cap <= slot)
			cap *= 2;
		n = reallocarray(ix->dests, cap, sizeof(*n));
		if (n == NULL)
			return -1;
		memset(n + ix->dests_cap, 0, (cap - ix->dests_cap) * sizeof(*n));
		ix->dests = n;
		ix->dests_cap = cap;
	}
	if (slot >= ix->ndests)
		ix->ndests = slot + 1;
	if (ix->dests[slot].name != NULL)
		return -1;
	copy = strdup(name);
	if (copy == NULL)
		return -1;
	ix->dests[slot] = (struct qdest){ copy, 0, 0 };
	if (ix->ndests * 2 >= ix->hash_cap)
		return hash_rebuild(ix, ix->hash_cap == 0 ? 256 : ix->hash_cap * 2);
	hash_put(ix, slot);
	return 0;
}

uint32_t
index_dest(struct index *ix, const char *domain, size_t len)
{
	char name[NAME_MAX_LEN + 1];
	uint32_t slot;

	if (len > NAME_MAX_LEN)
		len = NAME_MAX_LEN;
	for (size_t i = 0; i < len; i++)
		name[i] = domain[i] >= 'A' && domain[i] <= 'Z' ? (char)(domain[i] | 0x20)
							       : domain[i];
	name[len] = '\0';
	if (ix->hash_cap != 0) {
		uint32_t h = name_hash(name) & (ix->hash_cap - 1);

		while ((slot = ix->dest_hash[h]) != 0) {
			if (strcmp(ix->dests[slot - 1].name, name) == 0)
				return slot - 1;
			h = (h + 1) & (ix->hash_cap - 1);
		}
	}
	for (slot = ix->dest_free; slot < ix->ndests && ix->dests[slot].name != NULL;
	     slot++)
		;
	ix->dest_free = slot;
	return index_dest_set(ix, slot, name) == -1 ? UINT32_MAX : slot;
}

const char *
index_dest_name(const struct index *ix, uint32_t slot)
{
	return slot < ix->ndests && ix->dests[slot].name != NULL ? ix->dests[slot].name
								 : "";
}

void
index_dests_sweep(struct index *ix)
{
	int gone = 0;

	for (uint32_t i = 0; i < ix->ndests; i++) {
		struct qdest *d = &ix->dests[i];

		if (d->name == NULL || d->refs > 0)
			continue;
		free(d->name);
		d->name = NULL;
		gone = 1;
	}
	if (gone) {
		ix->dest_free = 0;
		if (hash_rebuild(ix, ix->hash_cap) == -1)
			ix->bad = 1;
	}
}

const char *
index_domain(const char *address, size_t *len)
{
	const char *at = strrchr(address, '@');

	at = at == NULL ? address + strlen(address) : at + 1;
	*len = strlen(at);
	return at;
}

void
index_mark_dirty(struct index *ix, struct qmsg *m)
{
	if (m->flags & QM_DIRTY)
		return;
	if (ix->ndirty == ix->dirty_cap) {
		size_t cap = ix->dirty_cap == 0 ? 1024 : ix->dirty_cap * 2;
		uint64_t *n = reallocarray(ix->dirty, cap, sizeof(*n));

		if (n == NULL) {
			ix->bad = 1;
			return;
		}
		ix->dirty = n;
		ix->dirty_cap = cap;
	}
	ix->dirty[ix->ndirty++] = m->id;
	m->flags |= QM_DIRTY;
}

/* Let go of everything the message refers to. */
static void
msg_release(struct index *ix, struct qmsg *m)
{
	count(ix, m, -1);
	ref_drop(ix, m->at, m->reclen);
	ref_drop(ix, (struct loc){ m->flags_seg, 0 }, RESULT_OCTETS);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		struct qrcpt *r = &m->rcpt[i];

		if (r->address.seg != m->at.seg || r->address.off != m->at.off)
			ref_drop(ix, r->address, RESULT_OCTETS);
		ref_drop(ix, r->result, RESULT_OCTETS);
		if (r->state == RCPT_LIVE && r->dest < ix->ndests)
			ix->dests[r->dest].refs--;
	}
}

void
index_forget(struct index *ix, struct qmsg *m)
{
	size_t i = slot_lower(ix, m->id);

	/* A removal must reach the checkpoint, if the message is in it. */
	if (m->flags & QM_IN_CKPT)
		index_mark_dirty(ix, m);
	msg_release(ix, m);
	if (i < ix->nslots && ix->slots[i].id == m->id) {
		ix->slots[i].msg = NULL;
		ix->ngone++;
		ix->nmsgs--;
		slots_tidy(ix);
	}
	free(m);
}

int
index_add_loaded(struct index *ix, struct qmsg *m)
{
	if (slot_insert(ix, m) == -1)
		return -1;
	ref_add(ix, m->at, m->reclen);
	ref_add(ix, (struct loc){ m->flags_seg, 0 }, RESULT_OCTETS);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		struct qrcpt *r = &m->rcpt[i];

		if (r->address.seg != m->at.seg || r->address.off != m->at.off)
			ref_add(ix, r->address, RESULT_OCTETS);
		ref_add(ix, r->result, RESULT_OCTETS);
		if (r->state == RCPT_LIVE) {
			if (r->dest >= ix->ndests || ix->dests[r->dest].name == NULL)
				return -1;
			ix->dests[r->dest].refs++;
		}
	}
	count(ix, m, 1);
	return 0;
}

static int
rcpt_fill(struct index *ix, struct qrcpt *q, const struct rec_rcpt *r, struct loc at)
{
	q->next = (uint32_t)r->next;
	q->attempts = r->attempts;
	q->state = r->state;
	if (r->has & REC_R_ADDRESS) {
		size_t len;
		const char *domain = index_domain(r->address, &len);

		q->address = at;
		q->notify = r->notify;
		q->dest = index_dest(ix, domain, len);
		if (q->dest == UINT32_MAX)
			return -1;
	}
	if (r->has & REC_R_RESULT)
		q->result = at;
	return 0;
}

/* What has to be known without reading the record. */
static void
ext_fill(struct qmsg *m, const struct rec_ext *x)
{
	m->priority = x->priority;
	if (x->release > (int64_t)m->created) {
		m->created = x->release > UINT32_MAX ? UINT32_MAX : (uint32_t)x->release;
		m->ext |= QX_RELEASE;
	}
	if (x->by_mode == 0)
		return;
	m->by = x->by < 1 ? 1 : x->by > UINT32_MAX ? UINT32_MAX : (uint32_t)x->by;
	if (x->by_mode == REC_BY_RETURN)
		m->ext |= QX_BY_RETURN;
}

static struct qmsg *
apply_message(
    struct index *ix, struct loc at, const struct rec_header *h, const uint8_t *body)
{
	struct rec_message rec;
	struct rec_rcpt r;
	struct qmsg *m, *old;
	uint32_t i = 0;

	if (rec_message_decode(body, h->len - REC_HEADER, &rec) == -1)
		return NULL;
	m = calloc(1, sizeof(*m) + rec.nrcpt * sizeof(m->rcpt[0]));
	if (m == NULL)
		goto no_memory;
	m->id = h->id;
	m->size = rec.size;
	m->crc = rec.crc;
	m->created = (uint32_t)rec.created;
	ext_fill(m, &rec.ext);
	m->at = at;
	m->reclen = h->len;
	m->flags = rec.flags | crc32c(0, rec.sender, strlen(rec.sender)) << 24;
	m->nrcpt = rec.nrcpt;
	while (rec_rcpt_next(&rec.rcpts, &r) == 1) {
		if (i >= m->nrcpt || r.num != i || !(r.has & REC_R_ADDRESS) ||
		    rcpt_fill(ix, &m->rcpt[i], &r, at) == -1) {
			free(m);
			return NULL;
		}
		m->nlive += r.state == RCPT_LIVE;
		i++;
	}
	old = index_find(ix, m->id);
	if (old != NULL) {
		/* Written anew elsewhere. */
		m->items = old->items;
		m->flags |= old->flags & (QM_IN_CKPT | QM_DIRTY | QM_PENDING | QM_DEAD |
					     QM_FROZEN | QM_BY_WATCHED);
		msg_release(ix, old);
		ix->slots[slot_lower(ix, m->id)].msg = NULL;
		ix->ngone++;
		ix->nmsgs--;
		free(old);
	}
	if (index_add_loaded(ix, m) == -1)
		goto no_memory;
	index_mark_dirty(ix, m);
	if (m->id >= ix->reserved)
		ix->reserved = m->id + 1;
	return m;
no_memory:
	ix->bad = 1;
	return NULL;
}

/* Grow by recipients that an expansion added. May move the message. */
static struct qmsg *
msg_grow(struct index *ix, struct qmsg *m, uint32_t nrcpt)
{
	struct qmsg *n;

	n = realloc(m, sizeof(*m) + nrcpt * sizeof(m->rcpt[0]));
	if (n == NULL) {
		ix->bad = 1;
		return NULL;
	}
	memset(&n->rcpt[n->nrcpt], 0, (nrcpt - n->nrcpt) * sizeof(n->rcpt[0]));
	ix->slots[slot_lower(ix, n->id)].msg = n;
	return n;
}

static struct qmsg *
apply_state(
    struct index *ix, struct loc at, const struct rec_header *h, const uint8_t *body)
{
	struct qmsg *m = index_find(ix, h->id);
	struct bytes_in walk;
	struct rec_state rec;
	struct rec_rcpt r;
	uint32_t nrcpt;

	if (m == NULL || rec_state_decode(body, h->len - REC_HEADER, &rec) == -1)
		return NULL;
	nrcpt = m->nrcpt;
	for (walk = rec.rcpts; rec_rcpt_next(&walk, &r) == 1;) {
		/* New ones come in order, with their addresses. */
		if (r.num > nrcpt || (r.num == nrcpt && !(r.has & REC_R_ADDRESS)))
			return NULL;
		if (r.num == nrcpt)
			nrcpt++;
	}
	count(ix, m, -1);
	if (nrcpt > m->nrcpt) {
		struct qmsg *n = msg_grow(ix, m, nrcpt);

		if (n == NULL) {
			count(ix, m, 1);
			return NULL;
		}
		m = n;
	}
	if ((rec.flags & QM_ON_DISK) != (m->flags & QM_ON_DISK) || m->flags_seg != 0) {
		ref_drop(ix, (struct loc){ m->flags_seg, 0 }, RESULT_OCTETS);
		m->flags = (m->flags & ~(uint32_t)QM_ON_DISK) | rec.flags;
		m->flags_seg = at.seg;
		ref_add(ix, at, RESULT_OCTETS);
	}
	for (walk = rec.rcpts; rec_rcpt_next(&walk, &r) == 1;) {
		struct qrcpt *q = &m->rcpt[r.num];

		if (r.num >= m->nrcpt)
			m->nrcpt = r.num + 1;
		else if (q->state == RCPT_LIVE) {
			m->nlive--;
			ix->dests[q->dest].refs--;
		}
		if (r.has & REC_R_ADDRESS) {
			if (q->address.seg != m->at.seg || q->address.off != m->at.off)
				ref_drop(ix, q->address, RESULT_OCTETS);
			ref_add(ix, at, RESULT_OCTETS);
		}
		/* Any change of state lives in this record from now on. */
		ref_drop(ix, q->result, RESULT_OCTETS);
		ref_add(ix, at, RESULT_OCTETS);
		if (rcpt_fill(ix, q, &r, at) == -1)
			ix->bad = 1;
		q->result = at;
		if (q->state == RCPT_LIVE) {
			m->nlive++;
			ix->dests[q->dest].refs++;
		}
	}
	count(ix, m, 1);
	index_mark_dirty(ix, m);
	return m;
}

int
index_set_rules(struct index *ix, const uint8_t *p, size_t len)
{
	uint8_t *n = malloc(len > 0 ? len : 1);

	if (n == NULL)
		return -1;
	memcpy(n, p, len);
	free(ix->rules);
	ix->rules = n;
	ix->rules_len = len;
	return 0;
}

struct qmsg *
index_apply(struct index *ix, struct loc at, const struct rec_header *h,
    const uint8_t *body, int replay)
{
	struct rec_global g;
	struct qmsg *m;

	switch (h->type) {
	case REC_MESSAGE:
		return apply_message(ix, at, h, body);
	case REC_STATE:
		return apply_state(ix, at, h, body);
	case REC_REMOVED:
		m = index_find(ix, h->id);
		if (m == NULL)
			return NULL;
		if (replay) {
			index_forget(ix, m);
			return NULL;
		}
		count(ix, m, -1);
		m->flags |= QM_DEAD;
		return m;
	case REC_RULES:
		if (index_set_rules(ix, body, h->len - REC_HEADER) == -1)
			ix->bad = 1;
		return NULL;
	case REC_OPEN:
	case REC_GLOBAL:
		if (rec_global_decode(body, h->len - REC_HEADER, &g) == 0) {
			if (g.reserved > ix->reserved)
				ix->reserved = g.reserved;
			ix->hold = g.hold;
		}
		return NULL;
	}
	return NULL;
}
