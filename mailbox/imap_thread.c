/* SPDX-License-Identifier: ISC */
/*
 * THREAD (RFC 5256, 3). Nodes are numbered; the first n are the messages, those after
 * them stand for messages that are only referred to, and for joined subjects. Chains may
 * be as long as the mailbox: nothing recurses.
 */
#include "mailbox/imap_thread.h"

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define NONE UINT32_MAX

struct node {
	uint32_t parent, child, last; /* first and last child */
	uint32_t next, prev;          /* siblings */
	uint32_t message;             /* NONE: a dummy */
	int64_t date;                 /* to sort by */
	struct imap_text id;
};

struct threads {
	const struct imap_thread_message *m;
	size_t n_messages;
	struct node *v;
	size_t n, cap;
	uint32_t *ids; /* hash of ids: node, NONE */
	size_t ids_cap;
	uint32_t root;
};

static uint32_t
node_new(struct threads *t, uint32_t message)
{
	struct node *x;

	if (t->n == t->cap) {
		size_t cap = t->cap + t->cap / 2 + 64;

		if (cap >= NONE || (x = reallocarray(t->v, cap, sizeof(*x))) == NULL)
			return NONE;
		t->v = x;
		t->cap = cap;
	}
	x = &t->v[t->n];
	memset(x, 0, sizeof(*x));
	x->parent = x->child = x->last = x->next = x->prev = NONE;
	x->message = message;
	return (uint32_t)t->n++;
}

/* ---- ids ---- */

static size_t
hash(const struct imap_text *id)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < id->len; i++)
		h = (h ^ (unsigned char)id->s[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

/* The node of that id, or where it would be put. */
static uint32_t *
id_slot(struct threads *t, const struct imap_text *id)
{
	size_t i = hash(id) & (t->ids_cap - 1);

	for (;; i = (i + 1) & (t->ids_cap - 1)) {
		const struct imap_text *have;

		if (t->ids[i] == NONE)
			return &t->ids[i];
		have = &t->v[t->ids[i]].id;
		if (have->len == id->len && memcmp(have->s, id->s, id->len) == 0)
			return &t->ids[i];
	}
}

static int
ids_init(struct threads *t)
{
	size_t need = t->n_messages;

	for (size_t i = 0; i < t->n_messages; i++)
		need += t->m[i].key->n_references;
	t->ids_cap = 64;
	while (t->ids_cap < need * 2)
		t->ids_cap *= 2;
	if ((t->ids = reallocarray(NULL, t->ids_cap, sizeof(*t->ids))) == NULL)
		return -1;
	memset(t->ids, 0xff, t->ids_cap * sizeof(*t->ids));
	return 0;
}

static uint32_t
node_of(struct threads *t, const struct imap_text *id)
{
	uint32_t *slot = id_slot(t, id), x = *slot;

	if (x == NONE && (x = node_new(t, NONE)) != NONE) {
		t->v[x].id = *id;
		*slot = x;
	}
	return x;
}

/* ---- the tree ---- */

static void
unlink_node(struct threads *t, uint32_t x)
{
	struct node *n = &t->v[x];

	if (n->parent == NONE)
		return;
	if (n->prev == NONE)
		t->v[n->parent].child = n->next;
	else
		t->v[n->prev].next = n->next;
	if (n->next == NONE)
		t->v[n->parent].last = n->prev;
	else
		t->v[n->next].prev = n->prev;
	n->parent = n->next = n->prev = NONE;
}

/* As the first child. */
static void
link_node(struct threads *t, uint32_t parent, uint32_t x)
{
	struct node *p = &t->v[parent];

	t->v[x].parent = parent;
	t->v[x].prev = NONE;
	t->v[x].next = p->child;
	if (p->child == NONE)
		p->last = x;
	else
		t->v[p->child].prev = x;
	p->child = x;
}

/* As the last one. */
static void
append_child(struct threads *t, uint32_t parent, uint32_t x)
{
	struct node *p = &t->v[parent];

	t->v[x].parent = parent;
	t->v[x].next = NONE;
	t->v[x].prev = p->last;
	if (p->last == NONE)
		p->child = x;
	else
		t->v[p->last].next = x;
	p->last = x;
}

static bool
is_above(const struct threads *t, uint32_t above, uint32_t x)
{
	if (t->v[above].child == NONE)
		return x == above;
	for (; x != NONE; x = t->v[x].parent)
		if (x == above)
			return true;
	return false;
}

/* Step 1: what the messages say of each other. */
static int
link_references(struct threads *t)
{
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct imap_sortkey *k = t->m[i].key;
		const struct imap_text *id = &k->text[IMAP_SORT_MESSAGEID];
		uint32_t self = (uint32_t)i, *slot;

		if (id->len == 0)
			continue;
		slot = id_slot(t, id);
		/* A second message with the same id has none. */
		if (*slot == NONE) {
			t->v[self].id = *id;
			*slot = self;
		}
	}
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct imap_sortkey *k = t->m[i].key;
		uint32_t last = NONE, self = (uint32_t)i;

		for (size_t r = 0; r < k->n_references; r++) {
			uint32_t x = node_of(t, &k->references[r]);

			if (x == NONE)
				return -1;
			if (last != NONE && t->v[x].parent == NONE &&
			    !is_above(t, x, last))
				link_node(t, last, x);
			last = x;
		}
		if (last == NONE)
			unlink_node(
			    t, self); /* it begins a thread, whatever others say */
		else if (t->v[self].parent != last && !is_above(t, self, last)) {
			unlink_node(t, self);
			link_node(t, last, self);
		}
	}
	return 0;
}

/* Step 2. */
static int
gather_roots(struct threads *t)
{
	size_t n = t->n;

	if ((t->root = node_new(t, NONE)) == NONE)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (t->v[i].parent == NONE)
			link_node(t, t->root, (uint32_t)i);
	return 0;
}

/* The node after x in the order that visits children before their parents. */
static uint32_t
deepest(const struct threads *t, uint32_t x)
{
	while (t->v[x].child != NONE)
		x = t->v[x].child;
	return x;
}

static uint32_t
next_postorder(const struct threads *t, uint32_t x)
{
	if (t->v[x].next != NONE)
		return deepest(t, t->v[x].next);
	return t->v[x].parent;
}

/* Step 3: dummies without children go, and those with one, or not at the top. */
static void
prune(struct threads *t)
{
	uint32_t x = deepest(t, t->root), after;

	for (; x != t->root; x = after) {
		uint32_t parent = t->v[x].parent, child = t->v[x].child, c;

		after = next_postorder(t, x);
		if (t->v[x].message != NONE)
			continue;
		if (child != NONE && parent == t->root && t->v[child].next != NONE)
			continue;
		unlink_node(t, x);
		while ((c = t->v[x].child) != NONE) {
			unlink_node(t, c);
			link_node(t, parent, c);
		}
	}
}

/* ---- sorting ---- */

struct pair {
	int64_t date;
	uint32_t message, node;
};

static int
compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->date != y->date)
		return x->date < y->date ? -1 : 1;
	return x->message < y->message ? -1 : x->message > y->message;
}

static void
put_in_order(struct threads *t, uint32_t parent, struct pair *p, size_t n)
{
	qsort(p, n, sizeof(*p), compare_pairs);
	t->v[parent].child = t->v[parent].last = NONE;
	for (size_t i = 0; i < n; i++)
		append_child(t, parent, p[i].node);
}

/* A message's own date, a dummy's is its first child's. */
static void
sort_value(const struct threads *t, uint32_t x, int64_t *date, uint32_t *message)
{
	const struct node *n = &t->v[x];

	if (n->message == NONE && n->child != NONE)
		n = &t->v[n->child];
	*message = n->message;
	*date = n->message == NONE ? 0 : t->m[n->message].date;
}

static int
sort_children(struct threads *t, uint32_t parent)
{
	struct pair *p;
	size_t n = 0, i = 0;

	for (uint32_t x = t->v[parent].child; x != NONE; x = t->v[x].next)
		n++;
	if (n < 2)
		return 0;
	if ((p = reallocarray(NULL, n, sizeof(*p))) == NULL)
		return -1;
	for (uint32_t x = t->v[parent].child; x != NONE; x = t->v[x].next) {
		sort_value(t, x, &p[i].date, &p[i].message);
		p[i++].node = x;
	}
	put_in_order(t, parent, p, n);
	free(p);
	return 0;
}

/* Steps 4 and 6; children before their parents, so that a dummy knows its first child. */
static int
sort_all(struct threads *t)
{
	uint32_t x = deepest(t, t->root);

	for (;; x = next_postorder(t, x)) {
		/* x's children are complete when x is reached; x's own place is its
		 * parent's matter. */
		if (sort_children(t, x) == -1)
			return -1;
		if (x == t->root)
			return 0;
	}
}

/* ---- step 5: subjects ---- */

static uint32_t
subject_node(const struct threads *t, uint32_t x)
{
	if (t->v[x].message == NONE && t->v[x].child != NONE)
		x = t->v[x].child;
	return t->v[x].message;
}

struct subjects {
	uint32_t *slots; /* node at the top */
	size_t cap;
};

static uint32_t *
subject_slot(const struct threads *t, struct subjects *s, uint32_t message)
{
	const struct imap_text *want = &t->m[message].key->text[IMAP_SORT_SUBJECT];
	size_t i = hash(want) & (s->cap - 1);

	for (;; i = (i + 1) & (s->cap - 1)) {
		const struct imap_text *have;
		uint32_t m;

		if (s->slots[i] == NONE)
			return &s->slots[i];
		m = subject_node(t, s->slots[i]);
		have = &t->m[m].key->text[IMAP_SORT_SUBJECT];
		if (have->len == want->len && memcmp(have->s, want->s, want->len) == 0)
			return &s->slots[i];
	}
}

static bool
is_reply(const struct threads *t, uint32_t x)
{
	uint32_t m = subject_node(t, x);

	return m != NONE && t->m[m].key->reply;
}

static bool
has_subject(const struct threads *t, uint32_t x)
{
	uint32_t m = subject_node(t, x);

	return m != NONE && t->m[m].key->text[IMAP_SORT_SUBJECT].len > 0;
}

/* x, at the top, joins the thread in the table. */
static int
join(struct threads *t, uint32_t *slot, uint32_t x)
{
	uint32_t have = *slot, dummy, c;
	bool have_dummy = t->v[have].message == NONE, x_dummy = t->v[x].message == NONE;

	if (have_dummy && x_dummy) {
		while ((c = t->v[x].child) != NONE) {
			unlink_node(t, c);
			append_child(t, have, c);
		}
		unlink_node(t, x);
	} else if (have_dummy || (is_reply(t, x) && !is_reply(t, have) && !x_dummy)) {
		unlink_node(t, x);
		append_child(t, have, x);
	} else {
		if ((dummy = node_new(t, NONE)) == NONE)
			return -1;
		unlink_node(t, have);
		unlink_node(t, x);
		append_child(t, dummy, have);
		append_child(t, dummy, x);
		link_node(t, t->root, dummy);
		*slot = dummy;
	}
	return 0;
}

static int
merge_subjects(struct threads *t)
{
	struct subjects s = { .cap = 64 };
	uint32_t *tops, *slot;
	size_t n = 0, k = 0;
	int rv = -1;

	for (uint32_t x = t->v[t->root].child; x != NONE; x = t->v[x].next)
		n++;
	while (s.cap < n * 2)
		s.cap *= 2;
	s.slots = reallocarray(NULL, s.cap, sizeof(*s.slots));
	tops = reallocarray(NULL, n + 1, sizeof(*tops));
	if (s.slots == NULL || tops == NULL)
		goto out;
	memset(s.slots, 0xff, s.cap * sizeof(*s.slots));
	for (uint32_t x = t->v[t->root].child; x != NONE; x = t->v[x].next) {
		tops[k++] = x;
		if (!has_subject(t, x))
			continue;
		slot = subject_slot(t, &s, subject_node(t, x));
		if (*slot == NONE || (t->v[*slot].message != NONE &&
					 (t->v[x].message == NONE ||
					     (is_reply(t, *slot) && !is_reply(t, x)))))
			*slot = x;
	}
	for (size_t i = 0; i < n; i++) {
		if (!has_subject(t, tops[i]))
			continue;
		slot = subject_slot(t, &s, subject_node(t, tops[i]));
		if (*slot != tops[i] && join(t, slot, tops[i]) == -1)
			goto out;
	}
	rv = 0;
out:
	free(s.slots);
	free(tops);
	return rv;
}

/* REFS: the top in order of the newest message in each thread. */
static int
sort_by_newest(struct threads *t)
{
	uint32_t x = deepest(t, t->root);
	struct pair *p;
	size_t n = 0, i = 0;

	for (size_t k = 0; k < t->n; k++)
		t->v[k].date =
		    t->v[k].message == NONE ? INT64_MIN : t->m[t->v[k].message].internal;
	for (; x != t->root; x = next_postorder(t, x)) {
		uint32_t parent = t->v[x].parent;

		if (t->v[x].date > t->v[parent].date)
			t->v[parent].date = t->v[x].date;
		n += parent == t->root;
	}
	if (n < 2)
		return 0;
	if ((p = reallocarray(NULL, n, sizeof(*p))) == NULL)
		return -1;
	for (x = t->v[t->root].child; x != NONE; x = t->v[x].next)
		p[i++] = (struct pair){ t->v[x].date, t->v[x].message, x };
	put_in_order(t, t->root, p, n);
	free(p);
	return 0;
}

/* ---- printing ---- */

/*
 * A chain is "1 2 3"; where it branches each child is a list of its own: "1 2 (3)(4 5)".
 * up counts what is to be closed when a branch is done.
 */
static void
print_tree(const struct threads *t, struct evbuffer *out)
{
	uint32_t x = t->v[t->root].child;
	bool open = false; /* the last thing written is "(" */

	while (x != NONE) {
		bool branch = t->v[t->v[x].parent].child != x || t->v[x].next != NONE ||
			      t->v[x].parent == t->root;

		if (branch) {
			if (t->v[t->v[x].parent].child == x &&
			    t->v[x].parent != t->root &&
			    t->v[t->v[x].parent].message != NONE)
				evbuffer_add(out, " ", 1);
			evbuffer_add(out, "(", 1);
			open = true;
		}
		if (t->v[x].message != NONE) {
			evbuffer_add_printf(
			    out, open ? "%u" : " %u", t->m[t->v[x].message].number);
			open = false;
		}
		if (t->v[x].child != NONE) {
			x = t->v[x].child;
			continue;
		}
		/* Up to where there is a sibling, closing what was opened. */
		for (;;) {
			uint32_t parent = t->v[x].parent;
			bool last = t->v[x].next == NONE;

			if (t->v[parent].child != x || !last || parent == t->root)
				evbuffer_add(out, ")", 1);
			if (!last) {
				x = t->v[x].next;
				break;
			}
			if (parent == t->root) {
				x = NONE;
				break;
			}
			x = parent;
		}
	}
}

static int
by_references(struct threads *t, bool subjects)
{
	for (size_t i = 0; i < t->n_messages; i++)
		if (node_new(t, (uint32_t)i) == NONE)
			return -1;
	if (ids_init(t) == -1 || link_references(t) == -1 || gather_roots(t) == -1)
		return -1;
	prune(t);
	if (sort_all(t) == -1)
		return -1;
	if (!subjects)
		return sort_by_newest(t);
	return merge_subjects(t) == -1 ? -1 : sort_all(t);
}

/* ---- ORDEREDSUBJECT ---- */

struct subject_order {
	const struct imap_thread_message *m;
	uint32_t i;
};

static int
compare_subjects(const void *a, const void *b)
{
	const struct subject_order *x = a, *y = b;
	const struct imap_text *s = &x->m->key->text[IMAP_SORT_SUBJECT],
			       *u = &y->m->key->text[IMAP_SORT_SUBJECT];
	size_t len = s->len < u->len ? s->len : u->len;
	int c = memcmp(s->s, u->s, len);

	if (c == 0)
		c = s->len < u->len ? -1 : s->len > u->len;
	if (c == 0)
		c = x->m->date < y->m->date ? -1 : x->m->date > y->m->date;
	return c != 0 ? c : x->i < y->i ? -1 : x->i > y->i;
}

static int
by_subject(struct threads *t)
{
	struct subject_order *o = reallocarray(NULL, t->n_messages + 1, sizeof(*o));
	uint32_t top = NONE;

	if (o == NULL)
		return -1;
	for (size_t i = 0; i < t->n_messages; i++) {
		o[i] = (struct subject_order){ &t->m[i], (uint32_t)i };
		if (node_new(t, (uint32_t)i) == NONE)
			goto fail;
	}
	if ((t->root = node_new(t, NONE)) == NONE)
		goto fail;
	qsort(o, t->n_messages, sizeof(*o), compare_subjects);
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct imap_text *s, *u;

		s = &o[i].m->key->text[IMAP_SORT_SUBJECT];
		u = i == 0 ? NULL : &o[i - 1].m->key->text[IMAP_SORT_SUBJECT];
		if (u != NULL && s->len == u->len && memcmp(s->s, u->s, s->len) == 0)
			link_node(t, top, o[i].i);
		else {
			top = o[i].i;
			link_node(t, t->root, top);
		}
	}
	free(o);
	return sort_all(t);
fail:
	free(o);
	return -1;
}

int
imap_thread_print(enum imap_thread_algorithm algorithm,
    const struct imap_thread_message *m, size_t n, struct evbuffer *out)
{
	struct threads t = { .m = m, .n_messages = n };
	int rv;

	if (algorithm == IMAP_THREAD_ORDEREDSUBJECT)
		rv = by_subject(&t);
	else
		rv = by_references(&t, algorithm == IMAP_THREAD_REFERENCES);
	if (rv == 0)
		print_tree(&t, out);
	free(t.v);
	free(t.ids);
	return rv;
}
