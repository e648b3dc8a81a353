/* SPDX-License-Identifier: ISC */
/* What a client missed since it was here last (RFC 7162, 3.2.5); see imap_qresync.h. */
#include "mailbox/imap_qresync.h"

#include <event2/buffer.h>
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"

/* A known-uids or known-sequence-set must not hold "*" (RFC 7162, 7). */
static int
known_set(struct imap_args *a, struct imap_set *set)
{
	if (imap_set_parse(a, set) == -1)
		return -1;
	if (set->saved)
		return imap_fail(a, "$ in a set of known messages");
	for (size_t i = 0; i < set->n; i++)
		if (set->r[i].lo == 0 || set->r[i].hi == 0)
			return imap_fail(a, "* in a set of known messages");
	return 0;
}

int
imap_qresync_parse(struct imap_args *a, struct imap_qresync *q)
{
	q->asked = true;
	if (imap_char(a, '(') == -1 || imap_number(a, &q->uidvalidity) == -1 ||
	    imap_sp(a) == -1 || imap_modseq(a, &q->modseq) == -1)
		return -1;
	if (q->uidvalidity == 0 || q->modseq == 0)
		return imap_fail(a, "Zero in QRESYNC");
	if (imap_try_char(a, ')'))
		return 0;
	if (imap_sp(a) == -1)
		return -1;
	if (imap_peek(a) != '(') {
		q->has_known = true;
		if (known_set(a, &q->known) == -1)
			return -1;
		imap_set_resolve(&q->known, UINT32_MAX);
		if (imap_try_char(a, ')'))
			return 0;
		if (imap_sp(a) == -1)
			return -1;
	}
	if (imap_char(a, '(') == -1 || known_set(a, &q->seqs) == -1 || imap_sp(a) == -1 ||
	    known_set(a, &q->uids) == -1 || imap_char(a, ')') == -1)
		return -1;
	imap_set_resolve(&q->seqs, UINT32_MAX);
	imap_set_resolve(&q->uids, UINT32_MAX);
	return imap_char(a, ')');
}

void
imap_qresync_clear(struct imap_qresync *q)
{
	imap_set_clear(&q->known);
	imap_set_clear(&q->seqs);
	imap_set_clear(&q->uids);
}

struct vanished {
	struct imap *s;
	const struct imap_set *set;
	uint32_t from;
	uint32_t *uids;
	size_t n, cap;
	bool failed;
};

static void
vanished_add(struct vanished *v, uint32_t uid)
{
	if (v->n == v->cap) {
		size_t cap = v->cap + v->cap / 2 + 256;
		uint32_t *p = reallocarray(v->uids, cap, sizeof(*p));

		if (p == NULL) {
			v->failed = true;
			return;
		}
		v->uids = p;
		v->cap = cap;
	}
	v->uids[v->n++] = uid;
}

static void
expunged_cb(uint32_t uid, void *arg)
{
	struct vanished *v = arg;
	int exact;

	if (uid <= v->from || (v->set != NULL && !imap_set_has(v->set, uid)))
		return;
	folder_find(v->s->folder, uid, &exact);
	/* A message that a recovery brought back is there. */
	if (!exact)
		vanished_add(v, uid);
}

static int
compare_uids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* lo to hi as ranges, printed at once: it may be most of the numbers. */
static void
print_gap(struct evbuffer *out, uint32_t lo, uint32_t hi, bool *first)
{
	evbuffer_add_printf(out, *first ? "%u" : ",%u", lo);
	if (hi > lo)
		evbuffer_add_printf(out, ":%u", hi);
	*first = false;
}

/* Every UID of [lo, hi] that is not there. */
static void
print_missing(struct imap *s, uint32_t lo, uint32_t hi, struct evbuffer *out, bool *first)
{
	size_t i = folder_find(s->folder, lo, NULL), n = folder_count(s->folder);

	for (; i < n && lo <= hi; i++) {
		uint32_t uid = folder_message(s->folder, i)->uid;

		if (uid > hi)
			break;
		if (uid > lo)
			print_gap(out, lo, uid - 1, first);
		lo = uid + 1;
	}
	if (lo <= hi)
		print_gap(out, lo, hi, first);
}

/* That far back is not known: whatever is not there is told as gone. */
static void
tell_missing(struct imap *s, const struct imap_set *set, uint32_t from)
{
	uint32_t last = folder_uidnext(s->folder) - 1;
	struct evbuffer *b = evbuffer_new();
	struct imap_range all = { 1, last };
	size_t n = set == NULL ? 1 : set->n;
	bool first = true;

	if (b == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct imap_range *r = set == NULL ? &all : &set->r[i];
		uint32_t lo = r->lo > from ? r->lo : from + 1,
			 hi = r->hi < last ? r->hi : last;

		if (lo <= hi)
			print_missing(s, lo, hi, b, &first);
	}
	if (!first) {
		evbuffer_add_printf(s->out, "* VANISHED (EARLIER) ");
		evbuffer_add_buffer(s->out, b);
		evbuffer_add(s->out, "\r\n", 2);
	}
	evbuffer_free(b);
}

void
imap_qresync_vanished(
    struct imap *s, const struct imap_set *set, uint64_t modseq, uint32_t from)
{
	struct vanished v = { .s = s, .set = set, .from = from };
	size_t n = 0;

	if (folder_expunged_since(s->folder, modseq, expunged_cb, &v) == -1 || v.failed)
		tell_missing(s, set, from);
	else if (v.n > 0) {
		qsort(v.uids, v.n, sizeof(*v.uids), compare_uids);
		for (size_t i = 0; i < v.n; i++)
			if (n == 0 || v.uids[i] != v.uids[n - 1])
				v.uids[n++] = v.uids[i];
		imap_print_vanished(s, v.uids, n, true);
	}
	free(v.uids);
}

/* The numbers of a resolved set one by one, 0 beyond its end. */
struct walk {
	const struct imap_set *set;
	size_t range;
	uint32_t done; /* of the range */
};

static uint32_t
walk_next(struct walk *w)
{
	uint32_t x;

	if (w->range == w->set->n)
		return 0;
	x = w->set->r[w->range].lo + w->done++;
	if (x == w->set->r[w->range].hi) {
		w->range++;
		w->done = 0;
	}
	return x;
}

/*
 * Sequence match data: up to the last pair in a row that is still so, nothing was
 * expunged (RFC 7162, 3.2.5.2). Returns that pair's UID, or 0.
 */
static uint32_t
matched(struct imap *s, const struct imap_qresync *q)
{
	struct walk seqs = { .set = &q->seqs }, uids = { .set = &q->uids };
	uint32_t uid = 0;

	for (;;) {
		uint32_t seq = walk_next(&seqs), u = walk_next(&uids);

		if (seq == 0 || u == 0 || seq > s->n_view ||
		    imap_view_uid(s, seq - 1) != u)
			break;
		uid = u;
	}
	return uid;
}

void
imap_qresync_tell(struct imap *s, struct imap_qresync *q)
{
	const struct imap_set *known = q->has_known ? &q->known : NULL;
	size_t n = folder_count(s->folder);

	if (q->modseq >= folder_highestmodseq(s->folder))
		return;
	imap_qresync_vanished(s, known, q->modseq, matched(s, q));
	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message(s->folder, i);

		if (m->modseq <= q->modseq ||
		    (known != NULL && !imap_set_has(known, m->uid)))
			continue;
		imap_print_fetch(s, m->uid, s->out);
		if ((s->enabled & IMAP_UIDONLY) == 0)
			evbuffer_add_printf(s->out, "UID %u ", m->uid);
		imap_print_flags(s, m);
		evbuffer_add_printf(
		    s->out, " MODSEQ (%llu))\r\n", (unsigned long long)m->modseq);
	}
}
