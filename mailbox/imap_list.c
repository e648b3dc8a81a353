/* SPDX-License-Identifier: ISC */
/* Which mailboxes LIST tells of; see imap_list.h. */
#include "mailbox/imap_list.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap_share.h"

/*
 * All positions of the name that the pattern so far can reach are kept at once, so that
 * many wildcards cost no more than their product.
 */
bool
imap_list_matches(const char *pattern, const char *name)
{
	bool reach[STORE_NAME_MAX + 2] = { true };
	size_t n = strlen(name);
	/* INBOX in any case, also above its inferiors, as all other commands take it. */
	size_t inbox =
	    strncmp(name, "INBOX", 5) == 0 && (name[5] == '\0' || name[5] == '/') ? 5 : 0;

	for (; *pattern != '\0'; pattern++) {
		bool any = false;

		if (*pattern == '*' || *pattern == '%') {
			for (size_t i = 0; i < n; i++)
				if (reach[i] && (*pattern == '*' || name[i] != '/'))
					reach[i + 1] = true;
			continue;
		}
		for (size_t i = n + 1; i-- > 0;) {
			int c = i > 0 ? name[i - 1] : 0, p = *pattern;

			if (i <= inbox) {
				c = ascii_lower(c);
				p = ascii_lower(p);
			}
			reach[i] = i > 0 && reach[i - 1] && c == p;
			any |= reach[i];
		}
		if (!any)
			return false;
	}
	return reach[n];
}

#define SPECIAL \
	(FOLDER_JUNK | FOLDER_SENT | FOLDER_TRASH | FOLDER_DRAFTS | FOLDER_ARCHIVE)

void
imap_print_special_use(struct evbuffer *out, uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} uses[] = {
		{ FOLDER_JUNK, "\\Junk" },
		{ FOLDER_SENT, "\\Sent" },
		{ FOLDER_TRASH, "\\Trash" },
		{ FOLDER_DRAFTS, "\\Drafts" },
		{ FOLDER_ARCHIVE, "\\Archive" },
	};

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (flags & uses[i].bit)
			evbuffer_add_printf(out, " %s", uses[i].name);
}

/* Order as the store's: INBOX first. */
static int
compare_names(const char *a, const char *b)
{
	bool ia = strcmp(a, "INBOX") == 0, ib = strcmp(b, "INBOX") == 0;

	return ia != ib ? (ia ? -1 : 1) : strcmp(a, b);
}

static int
compare_listed(const void *a, const void *b)
{
	const struct imap_listed *x = a, *y = b;

	return compare_names(x->name, y->name);
}

struct listing {
	struct imap_listed *v;
	size_t n, sorted, cap;
};

static struct imap_listed *
add(struct listing *l, const char *name, size_t len, uint32_t flags)
{
	struct imap_listed *e;

	if (l->n == l->cap) {
		size_t cap = l->cap * 2 + 16;

		if ((e = reallocarray(l->v, cap, sizeof(*e))) == NULL)
			return NULL;
		l->v = e;
		l->cap = cap;
	}
	e = &l->v[l->n++];
	memset(e, 0, sizeof(*e));
	memcpy(e->name, name, len);
	e->flags = flags;
	return e;
}

static bool
matches_any(const struct imap_list_choice *c, const char *name)
{
	for (size_t i = 0; i < c->n_patterns; i++)
		if (imap_list_matches(c->patterns[i], name))
			return true;
	return false;
}

/* Which of the selection's criteria a mailbox meets by itself. */
static unsigned int
meets(const struct imap_list_choice *c, const struct imap_listed *e)
{
	unsigned int m = 0;

	if ((c->select & IMAP_LIST_SUBSCRIBED) && (e->flags & FOLDER_SUBSCRIBED))
		m |= IMAP_LIST_SUBSCRIBED;
	if ((c->select & IMAP_LIST_SPECIAL_USE) && (e->flags & SPECIAL))
		m |= IMAP_LIST_SPECIAL_USE;
	return m;
}

static struct imap_listed *
find_sorted(struct listing *l, const char *name)
{
	struct imap_listed key;

	(void)strlcpy(key.name, name, sizeof(key.name));
	return bsearch(&key, l->v, l->sorted, sizeof(*l->v), compare_listed);
}

static struct imap_listed *
find(struct listing *l, const char *name)
{
	struct imap_listed *e = find_sorted(l, name);

	for (size_t i = l->sorted; e == NULL && i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			e = &l->v[i];
	return e;
}

/* A mailbox that meets the criteria but is not told itself: its parents that match say
 * so (RFC 5258, 3.5). */
static int
tell_parents(
    struct listing *l, const struct imap_list_choice *c, size_t i, unsigned int met)
{
	char name[STORE_NAME_MAX + 1];

	(void)strlcpy(name, l->v[i].name, sizeof(name));
	for (char *slash = strrchr(name, '/'); slash != NULL;
	     slash = strrchr(name, '/')) {
		struct imap_listed *e;

		*slash = '\0';
		if (!matches_any(c, name))
			continue;
		if ((e = find(l, name)) == NULL &&
		    (e = add(l, name, strlen(name), FOLDER_NOSELECT)) == NULL)
			return -1;
		e->info |= met;
		e->chosen = true;
	}
	return 0;
}

static int
choose(struct listing *l, const struct imap_list_choice *c)
{
	unsigned int criteria =
	    c->select & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE);

	for (size_t i = 0; i < l->sorted; i++) {
		struct imap_listed *e = &l->v[i];
		unsigned int met = meets(c, e);

		/* A subscription without a mailbox is told only where it is asked for. */
		if (!e->there && (criteria & IMAP_LIST_SUBSCRIBED) == 0)
			continue;
		if (matches_any(c, e->name)) {
			if (met == criteria)
				e->chosen = true;
		} else if ((c->select & IMAP_LIST_RECURSIVE) && met == criteria &&
			   tell_parents(l, c, i, met) == -1)
			return -1;
	}
	return 0;
}

/* Where the own mailbox has such a name, it is a subscription, or hidden. */
static int
add_others(struct imap *s, struct listing *l)
{
	const struct imap_share *sh = s->share;
	char owner[ADDRESS_MAX + 1];
	size_t own = 0, k = 0;

	if (sh == NULL || sh->prefix[0] == '\0')
		return 0;
	for (; own < l->n; own++) {
		struct imap_listed e = l->v[own];

		if (imap_share_whose(s, e.name, owner) != 0) {
			if ((e.flags & FOLDER_SUBSCRIBED) == 0)
				continue;
			e.flags = FOLDER_SUBSCRIBED | FOLDER_NOSELECT;
			e.there = false;
		}
		l->v[k++] = e;
	}
	l->n = l->sorted = k;
	for (size_t i = 0; i < sh->n_folders; i++) {
		const struct imap_shared_folder *f = &sh->folders[i];
		struct imap_listed *e;

		if (i > 0 && strcmp(f->name, f[-1].name) == 0)
			continue;
		l->sorted = k;
		if ((e = find_sorted(l, f->name)) != NULL)
			e->flags = f->flags | FOLDER_SUBSCRIBED;
		else if ((e = add(l, f->name, strlen(f->name), f->flags)) == NULL)
			return -1;
		e->there = e->other = true;
	}
	qsort(l->v, l->n, sizeof(*l->v), compare_listed);
	return 0;
}

enum store_error
imap_list_choose(struct imap *s, const struct imap_list_choice *c,
    struct imap_listed **list, size_t *n)
{
	struct folder_info *f;
	struct listing l = { 0 };
	enum store_error e = store_list(s->store, &f, n);

	*list = NULL;
	if (e != STORE_OK)
		return e;
	for (size_t i = 0; i < *n; i++) {
		struct imap_listed *x = add(&l, f[i].name, strlen(f[i].name), f[i].flags);

		if (x == NULL)
			goto fail;
		x->there = (f[i].flags & FOLDER_NOSELECT) == 0 ||
			   (f[i].flags & FOLDER_HAS_CHILDREN) != 0;
	}
	if (add_others(s, &l) == -1)
		goto fail;
	l.sorted = l.n;
	if (choose(&l, c) == -1)
		goto fail;
	if (l.n > l.sorted)
		qsort(l.v, l.n, sizeof(*l.v), compare_listed);
	free(f);
	*list = l.v;
	*n = l.n;
	return STORE_OK;
fail:
	free(f);
	free(l.v);
	return STORE_IO;
}

void
imap_list_choice_clear(struct imap_list_choice *c)
{
	for (size_t i = 0; i < c->n_patterns; i++)
		free(c->patterns[i]);
	free(c->patterns);
	c->patterns = NULL;
	c->n_patterns = 0;
}
