/* SPDX-License-Identifier: ISC */
/* Search contexts; see imap_context.h. */
#include "mailbox/imap_context.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_match.h"
#include "mailbox/imap_search.h"

struct imap_context {
	struct imap_context *next;
	char tag[IMAP_TAG_MAX + 1];
	struct imap_search keys;
	bool uid;
	uint32_t *uids; /* the result, ascending */
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
imap_context_add(
    struct imap *s, struct imap_search *keys, bool uid, const uint32_t *uids, size_t n)
{
	struct imap_context *c = calloc(1, sizeof(*c));

	if (c == NULL || (c->uids = reallocarray(NULL, n + 1, sizeof(*uids))) == NULL) {
		free(c);
		return -1;
	}
	memcpy(c->uids, uids, n * sizeof(*uids));
	c->n = c->cap = n;
	(void)strlcpy(c->tag, s->tag, sizeof(c->tag));
	c->uid = uid;
	c->keys = *keys;
	memset(keys, 0, sizeof(*keys));
	c->modseq = folder_highestmodseq(s->folder);
	c->last = s->n_view == 0 ? 0 : s->view[s->n_view - 1].uid;
	c->next = s->contexts;
	s->contexts = c;
	return 0;
}

/* Where the UID is, or would be. */
static size_t
place(const struct imap_context *c, uint32_t uid, bool *found)
{
	size_t lo = 0, hi = c->n;

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

/* "ADDTO (0 1:2,5)": the order of a search's result means nothing, so that the place
 * is 0. */
static void
tell(
    struct imap *s, const struct imap_context *c, const char *what, uint32_t *v, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n && !c->uid; i++)
		v[i] = imap_view_seq(s, v[i]);
	evbuffer_add_printf(s->out, "* ESEARCH (TAG ");
	imap_print_nstring(s->out, c->tag);
	evbuffer_add_printf(s->out, ")%s %s (0 ", c->uid ? " UID" : "", what);
	imap_set_print(s->out, v, n);
	evbuffer_add(s->out, ")\r\n", 3);
}

struct lists {
	uint32_t *added, *removed; /* room for all of the view each */
	size_t n_added, n_removed;
};

static void
look(struct imap *s, struct imap_context *c, uint32_t uid, struct lists *l)
{
	struct imap_match m = { .folder = s->folder, .now = (int64_t)time(NULL) };
	bool is, was;
	size_t at = place(c, uid, &was);

	if ((m.seq = imap_view_seq(s, uid)) == 0 || imap_match_begin(&m, uid) == -1)
		return;
	m.recent = s->view[m.seq - 1].recent;
	is = imap_match_keys(&m, c->keys.root);
	imap_match_end(&m);
	if (is && !was && insert(c, at, uid) == 0)
		l->added[l->n_added++] = uid;
	if (!is && was) {
		c->n--;
		memmove(c->uids + at, c->uids + at + 1, (c->n - at) * sizeof(*c->uids));
		l->removed[l->n_removed++] = uid;
	}
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
changed(struct imap *s, struct imap_context *c, bool expunge, struct lists *l)
{
	size_t n = folder_count(s->folder), out = 0;
	int exact;

	l->n_added = l->n_removed = 0;
	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message(s->folder, i);

		if (m->modseq > c->modseq && m->uid <= c->last)
			look(s, c, m->uid, l);
	}
	for (size_t i = 0; i < c->n && expunge; i++) {
		folder_find(s->folder, c->uids[i], &exact);
		if (exact)
			c->uids[out++] = c->uids[i];
		else
			l->removed[l->n_removed++] = c->uids[i];
	}
	if (expunge)
		c->n = out;
	qsort(l->removed, l->n_removed, sizeof(*l->removed), compare);
	tell(s, c, "REMOVEFROM", l->removed, l->n_removed);
	tell(s, c, "ADDTO", l->added, l->n_added);
}

static int
lists_init(struct lists *l, size_t n)
{
	l->added = reallocarray(NULL, n + 1, sizeof(*l->added));
	l->removed = reallocarray(NULL, n + 1, sizeof(*l->removed));
	l->n_added = l->n_removed = 0;
	if (l->added != NULL && l->removed != NULL)
		return 0;
	free(l->added);
	free(l->removed);
	return -1;
}

void
imap_contexts_changed(struct imap *s, bool expunge)
{
	uint64_t now = folder_highestmodseq(s->folder);
	struct lists l;

	if (s->contexts == NULL || lists_init(&l, s->n_view) == -1)
		return;
	for (struct imap_context *c = s->contexts; c != NULL; c = c->next)
		if (c->modseq != now || (expunge && s->expunge_pending)) {
			changed(s, c, expunge, &l);
			c->modseq = now;
		}
	free(l.added);
	free(l.removed);
}

void
imap_contexts_new(struct imap *s)
{
	uint32_t last = s->n_view == 0 ? 0 : s->view[s->n_view - 1].uid;
	struct lists l;

	if (s->contexts == NULL || lists_init(&l, s->n_view) == -1)
		return;
	for (struct imap_context *c = s->contexts; c != NULL; c = c->next) {
		l.n_added = 0;
		for (size_t i = s->n_view; i > 0 && s->view[i - 1].uid > c->last; i--)
			look(s, c, s->view[i - 1].uid, &l);
		qsort(l.added, l.n_added, sizeof(*l.added), compare);
		tell(s, c, "ADDTO", l.added, l.n_added);
		if (last > c->last)
			c->last = last;
	}
	free(l.added);
	free(l.removed);
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
