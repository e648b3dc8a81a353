/* SPDX-License-Identifier: ISC */
/* Search and sort contexts; see imap_context.h. */
#include "mailbox/imap_context.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_match.h"
#include "mailbox/imap_notify.h"
#include "mailbox/imap_order.h"
#include "mailbox/imap_search.h"

struct imap_context {
	struct imap_context *next;
	char tag[IMAP_TAG_MAX + 1];
	struct imap_search keys;
	unsigned int number; /* 1 to IMAP_CONTEXTS_MAX */
	bool uid;
	bool sorted;
	struct imap_order order;
	uint32_t *uids; /* the result, ascending or by order */
	size_t n, cap;
	uint64_t modseq; /* up to here it is right */
	uint32_t last;   /* the highest UID that was looked at */
};

static void
context_free(struct imap_context *c)
{
	imap_search_clear(&c->keys);
	free(c->uids);
	free(c);
}

void
imap_contexts_clear(struct imap *s)
{
	struct imap_context *c;

	while ((c = s->contexts) != NULL) {
		s->contexts = c->next;
		context_free(c);
	}
}

bool
imap_context_room(const struct imap *s)
{
	size_t n = 0;

	for (const struct imap_context *c = s->contexts; c != NULL; c = c->next, n++)
		if (strcmp(c->tag, s->tag) == 0)
			return false;
	return n < IMAP_CONTEXTS_MAX;
}

int
imap_context_add(struct imap *s, struct imap_search *keys, const struct imap_order *order,
    bool uid, const uint32_t *uids, size_t n)
{
	struct imap_context *c = calloc(1, sizeof(*c));
	unsigned int used = 0;

	if (c == NULL || (c->uids = reallocarray(NULL, n + 1, sizeof(*uids))) == NULL) {
		free(c);
		return -1;
	}
	memcpy(c->uids, uids, n * sizeof(*uids));
	c->n = c->cap = n;
	(void)strlcpy(c->tag, s->tag, sizeof(c->tag));
	for (const struct imap_context *o = s->contexts; o != NULL; o = o->next)
		used |= 1u << o->number;
	while (used >> ++c->number & 1)
		;
	if ((c->sorted = order != NULL))
		c->order = *order;
	c->uid = uid;
	c->keys = *keys;
	memset(keys, 0, sizeof(*keys));
	c->modseq = folder_highestmodseq(s->folder);
	c->last = imap_view_last(s);
	c->next = s->contexts;
	s->contexts = c;
	return 0;
}

const char *
imap_context_attributes(const struct imap *s, unsigned int number)
{
	for (const struct imap_context *c = s->contexts; c != NULL; c = c->next)
		if (c->number == number)
			return c->keys.attributes;
	return NULL;
}

/* Where a message stands by the order, among those that are still there. */
static size_t
sorted_place(struct imap *s, const struct imap_context *c, uint32_t uid)
{
	struct imap_match m = { .folder = s->folder };
	struct imap_sorted new, old;
	size_t lo = 0, hi = c->n;
	int exact;

	if (imap_sorted_load(s, &c->order, &m, uid, &new) == -1)
		return c->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2, at = mid;
		int r;

		for (exact = 0; at < hi; at++) {
			folder_find(s->folder, c->uids[at], &exact);
			if (exact)
				break;
		}
		if (!exact ||
		    imap_sorted_load(s, &c->order, &m, c->uids[at], &old) == -1) {
			hi = mid;
			continue;
		}
		r = imap_sorted_compare(&old, &new);
		imap_sorted_clear(&old);
		if (r < 0)
			lo = at + 1;
		else
			hi = mid;
	}
	imap_sorted_clear(&new);
	return lo;
}

/* Where the UID is, or would be. */
static size_t
place(struct imap *s, const struct imap_context *c, uint32_t uid, bool *found)
{
	size_t lo = 0, hi = c->n;

	if (c->sorted)
		lo = hi = sorted_place(s, c, uid);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->uids[mid] < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < c->n && c->uids[lo] == uid;
	return lo;
}

static int
insert(struct imap_context *c, size_t at, uint32_t uid)
{
	if (c->n == c->cap) {
		size_t cap = c->cap + c->cap / 2 + 16;
		uint32_t *p = reallocarray(c->uids, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		c->uids = p;
		c->cap = cap;
	}
	memmove(c->uids + at + 1, c->uids + at, (c->n - at) * sizeof(*c->uids));
	c->uids[at] = uid;
	c->n++;
	return 0;
}

/* Where a sorted one was or is, counted from 1. */
struct moved {
	uint32_t at, uid;
};

struct lists {
	struct moved *added, *removed; /* room for all of the view each */
	size_t n_added, n_removed;
	uint32_t *v;
};

/* "ADDTO (0 1:2,5)": the order of a search's result means nothing, so that the place
 * is 0. In a sorted one each place is that after the steps before it. */
static void
tell(struct imap *s, const struct imap_context *c, const char *what, struct moved *m,
    size_t n, uint32_t *v)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		v[i] = c->uid ? m[i].uid : imap_view_seq(s, m[i].uid);
	evbuffer_add_printf(s->out, "* ESEARCH (TAG ");
	imap_print_nstring(s->out, c->tag);
	if (c->keys.correlate) {
		evbuffer_add_printf(s->out, " MAILBOX ");
		imap_print_mailbox(s, folder_name(s->folder));
		evbuffer_add_printf(
		    s->out, " UIDVALIDITY %u", folder_uidvalidity(s->folder));
	}
	evbuffer_add_printf(s->out, ")%s %s (", c->uid ? " UID" : "", what);
	if (c->sorted)
		for (size_t i = 0; i < n; i++)
			evbuffer_add_printf(
			    s->out, "%s%u %u", i > 0 ? " " : "", m[i].at, v[i]);
	else {
		evbuffer_add(s->out, "0 ", 2);
		imap_set_print(s->out, v, n);
	}
	evbuffer_add(s->out, ")\r\n", 3);
}

enum phase {
	REMOVING = 1,
	ADDING = 2
};

static void
look(struct imap *s, struct imap_context *c, uint32_t uid, int phases, struct lists *l)
{
	struct imap_match m = { .folder = s->folder, .now = (int64_t)time(NULL) };
	struct moved step = { .uid = uid };
	bool is, was;
	size_t at = place(s, c, uid, &was);

	if (((phases & REMOVING) == 0 && was) || ((phases & ADDING) == 0 && !was) ||
	    (m.seq = imap_view_seq(s, uid)) == 0 || imap_match_begin(&m, uid) == -1)
		return;
	m.recent = imap_view_recent(s, m.seq - 1);
	is = imap_match_keys(&m, c->keys.root);
	imap_match_end(&m);
	step.at = (uint32_t)at + 1;
	if (is && !was && insert(c, at, uid) == 0)
		l->added[l->n_added++] = step;
	if (!is && was) {
		c->n--;
		memmove(c->uids + at, c->uids + at + 1, (c->n - at) * sizeof(*c->uids));
		l->removed[l->n_removed++] = step;
	}
}

static int
compare(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Steps of a sorted context stay as they were made: the places count on it. Those that
 * take away are all made before those that add. */
static void
tell_lists(struct imap *s, const struct imap_context *c, struct lists *l)
{
	if (!c->sorted) {
		qsort(l->removed, l->n_removed, sizeof(*l->removed), compare);
		qsort(l->added, l->n_added, sizeof(*l->added), compare);
	}
	tell(s, c, "REMOVEFROM", l->removed, l->n_removed, l->v);
	tell(s, c, "ADDTO", l->added, l->n_added, l->v);
}

static void
look_at_changed(struct imap *s, struct imap_context *c, int phases, struct lists *l)
{
	size_t n = folder_count(s->folder);

	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message(s->folder, i);

		if (m->modseq > c->modseq && m->uid <= c->last)
			look(s, c, m->uid, phases, l);
	}
}

static void
changed(struct imap *s, struct imap_context *c, bool expunge, struct lists *l)
{
	size_t out = 0;
	int exact;

	l->n_added = l->n_removed = 0;
	for (size_t i = 0; i < c->n && expunge; i++) {
		folder_find(s->folder, c->uids[i], &exact);
		if (exact)
			c->uids[out++] = c->uids[i];
		else
			l->removed[l->n_removed++] =
			    (struct moved){ (uint32_t)out + 1, c->uids[i] };
	}
	if (expunge)
		c->n = out;
	if (c->sorted) {
		look_at_changed(s, c, REMOVING, l);
		look_at_changed(s, c, ADDING, l);
	} else
		look_at_changed(s, c, REMOVING | ADDING, l);
	tell_lists(s, c, l);
}

static void
lists_clear(struct lists *l)
{
	free(l->added);
	free(l->removed);
	free(l->v);
}

/* A message is in each list once, but one that is gone may be among them. */
static int
lists_init(struct imap *s, struct lists *l)
{
	size_t n = s->n_view;

	memset(l, 0, sizeof(*l));
	if (s->contexts == NULL)
		return -1;
	for (const struct imap_context *c = s->contexts; c != NULL; c = c->next)
		if (c->n > n)
			n = c->n;
	l->added = reallocarray(NULL, n + 1, sizeof(*l->added));
	l->removed = reallocarray(NULL, n + 1, sizeof(*l->removed));
	l->v = reallocarray(NULL, n + 1, sizeof(*l->v));
	if (l->added != NULL && l->removed != NULL && l->v != NULL)
		return 0;
	lists_clear(l);
	return -1;
}

void
imap_contexts_changed(struct imap *s, bool expunge)
{
	uint64_t now = folder_highestmodseq(s->folder);
	struct lists l;

	if (lists_init(s, &l) == -1)
		return;
	for (struct imap_context *c = s->contexts; c != NULL; c = c->next)
		if (c->modseq != now || (expunge && s->expunge_pending)) {
			changed(s, c, expunge, &l);
			c->modseq = now;
		}
	lists_clear(&l);
}

void
imap_contexts_new(struct imap *s)
{
	uint32_t last = imap_view_last(s);
	struct lists l;

	if (lists_init(s, &l) == -1)
		return;
	for (struct imap_context *c = s->contexts; c != NULL; c = c->next) {
		size_t i = s->n_view;

		l.n_added = l.n_removed = 0;
		while (i > 0 && imap_view_uid(s, i - 1) > c->last)
			i--;
		for (; i < s->n_view; i++)
			look(s, c, imap_view_uid(s, i), ADDING, &l);
		for (i = 0; i < l.n_added && c->keys.attributes != NULL; i++)
			(void)imap_announce_add(s, l.added[i].uid, c->number);
		tell_lists(s, c, &l);
		if (last > c->last)
			c->last = last;
	}
	lists_clear(&l);
}

/* CANCELUPDATE 1*(SP quoted); tags that are not there are passed over. */
void
imap_cmd_cancelupdate(struct imap *s, struct imap_args *a)
{
	struct imap_str v;

	do {
		if (imap_sp(a) == -1 || imap_string(a, &v) == -1)
			return;
		for (struct imap_context **at = &s->contexts; *at != NULL;) {
			struct imap_context *c = *at;

			if (strlen(c->tag) == v.len && memcmp(c->tag, v.s, v.len) == 0) {
				*at = c->next;
				context_free(c);
			} else
				at = &c->next;
		}
	} while (imap_peek(a) != -1);
	imap_ok(s, "CANCELUPDATE completed");
}
