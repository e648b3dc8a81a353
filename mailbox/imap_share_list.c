/* SPDX-License-Identifier: ISC */
/*
 * What LIST must know of other users: who shares anything, and which folders there are.
 * The latter is asked of each owner's process at each LIST; all of it is a claim of that
 * process, and bounded.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap_list.h"
#include "mailbox/imap_share.h"
#include "mailbox/imap_status.h"
#include "mailbox/maildir.h"

void
imap_share_forget_folders(struct imap_share *sh)
{
	for (size_t i = 0; i < sh->n_folders; i++)
		free(sh->folders[i].name);
	free(sh->folders);
	sh->folders = NULL;
	sh->n_folders = 0;
}

/* ---- patterns ---- */

/* Can the pattern mean a name that begins so? What stands before its first wildcard says
 * no in most cases. */
static bool
may_begin(const char *pattern, const char *with)
{
	size_t n = strcspn(pattern, "*%"), k = strlen(with);

	return strncmp(pattern, with, n < k ? n : k) == 0 &&
	       (n >= k || pattern[n] != '\0' || n == k);
}

/* How many levels of names it can mean. */
static int
levels(const char *pattern)
{
	int n = 1;

	if (strchr(pattern, '*') != NULL)
		return 99;
	for (; *pattern != '\0'; pattern++)
		n += *pattern == '/';
	return n;
}

enum imap_share_level
imap_share_level(const struct imap *s, char *const *patterns, size_t n)
{
	enum imap_share_level level = IMAP_SHARE_NOTHING;

	if (s->share == NULL || s->share->prefix[0] == '\0')
		return level;
	for (size_t i = 0; i < n; i++)
		if (may_begin(patterns[i], s->share->prefix)) {
			if (levels(patterns[i]) > 1)
				return IMAP_SHARE_FOLDERS;
			level = IMAP_SHARE_OWNERS;
		}
	return level;
}

/* ---- gathering ---- */

struct gather {
	struct imap_task task;
	enum imap_share_level level;
	char *const *patterns; /* the caller's, until done or release */
	size_t n_patterns;
	void (*done)(struct imap *, void *);
	void (*release)(void *);
	void *arg;
	int64_t since;
	size_t at; /* of the owners */
	struct imap_link *link;
	unsigned int asked; /* tag's number on the link; 0: nothing yet */
	struct evbuffer *line;
	bool collecting;
	size_t cap; /* of the folders */
};

static void
gather_free(struct imap_task *t)
{
	struct gather *g = (struct gather *)t;

	if (g->arg != NULL)
		g->release(g->arg);
	if (g->line != NULL)
		evbuffer_free(g->line);
	free(g);
}

static struct imap_shared_folder *
add(struct imap_share *sh, size_t *cap, const char *name, uint32_t flags)
{
	struct imap_shared_folder *f;

	if (sh->n_folders >= IMAP_SHARE_FOLDERS_MAX)
		return NULL;
	if (sh->n_folders == *cap) {
		size_t n = *cap * 2 + 16;

		if ((f = reallocarray(sh->folders, n, sizeof(*f))) == NULL)
			return NULL;
		sh->folders = f;
		*cap = n;
	}
	f = &sh->folders[sh->n_folders];
	*f = (struct imap_shared_folder){ strdup(name), flags, 0 };
	if (f->name == NULL)
		return NULL;
	sh->n_folders++;
	return f;
}

/* A name that the other side says is one of its own. 0, or -1. */
static int
own_name(struct imap_link *l, struct imap_args *a, char name[STORE_NAME_MAX + 1])
{
	char canonical[STORE_NAME_MAX + 1], owner[ADDRESS_MAX + 1];
	const char *no;

	if (imap_mailbox(l->imap, a, name, &no) == -1 || no != NULL ||
	    imap_share_whose(l->imap, name, owner) != 1 || strcmp(owner, l->owner) != 0 ||
	    maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return -1;
	return 0;
}

/* "* LIST (\HasNoChildren) "/" name" and "* MYRIGHTS name rights"; all else is nothing.
 */
static void
take_line(struct gather *g, struct imap_link *l, char *s, size_t len)
{
	struct imap_share *sh = l->imap->share;
	char name[STORE_NAME_MAX + 1];
	struct imap_args a;
	struct imap_str v;
	uint32_t flags = 0;

	imap_args_init(&a, s, len);
	if (imap_char(&a, '*') == -1 || imap_sp(&a) == -1 || imap_atom(&a, &v) == -1 ||
	    imap_sp(&a) == -1)
		return;
	if (imap_str_is(&v, "MYRIGHTS")) {
		unsigned int rights;
		struct imap_shared_folder *f =
		    sh->n_folders > 0 ? &sh->folders[sh->n_folders - 1] : NULL;

		if (own_name(l, &a, name) == 0 && imap_sp(&a) == 0 &&
		    imap_astring(&a, &v) == 0 && f != NULL &&
		    strcmp(f->name, name) == 0 &&
		    acl_rights_told(v.s, v.len, &rights) == 0)
			f->rights = rights;
		return;
	}
	if (!imap_str_is(&v, "LIST") || imap_char(&a, '(') == -1)
		return;
	while (!imap_try_char(&a, ')')) {
		if (imap_flag(&a, &v) == -1)
			return;
		if (imap_str_is(&v, "\\NonExistent") || imap_str_is(&v, "\\Noselect"))
			flags |= FOLDER_NOSELECT | FOLDER_HAS_CHILDREN;
		(void)imap_try_char(&a, ' ');
	}
	if (imap_sp(&a) == -1 || imap_string(&a, &v) == -1 || v.len != 1 ||
	    v.s[0] != '/' || imap_sp(&a) == -1 || own_name(l, &a, name) == -1)
		return;
	(void)add(sh, &g->cap, name, flags);
}

/* One silent owner, who may be hostile, holds up nobody for long, nor do many. */
static bool
patient(const struct imap_link *l, int64_t since)
{
	int64_t now = imap_share_now();

	/* What is said of the selected folder must not get lost. */
	if (l == l->imap->share->selected)
		return now - l->used_ms < IMAP_SHARE_PATIENCE_MS;
	return now - l->used_ms < IMAP_SHARE_LIST_MS &&
	       now - since < IMAP_SHARE_LIST_ALL_MS;
}

/* Reads the answer. 1: wait; 0: that was all of this owner. */
static int
collect(struct gather *g, struct imap_link *l)
{
	char tag[24];

	imap_link_tag(g->asked, tag);
	for (;;) {
		bool last;

		if (imap_link_next(l) == IMAP_REPLY_MORE)
			return l->state != IMAP_LINK_LOST && patient(l, g->since);
		if (imap_reply_is(&l->reply, tag) && l->reply.last) {
			imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
			g->asked = 0;
			return 0;
		}
		if (imap_link_pass_news(l))
			continue;
		if (l->reply.first)
			g->collecting = l->reply.s[0] == '*';
		last = l->reply.last;
		/* A name as a literal fits; what does not is no name. */
		if (evbuffer_get_length(g->line) > IMAP_REPLY_PIECE)
			g->collecting = false;
		imap_reply_take(
		    &l->reply, l->in, g->collecting ? g->line : NULL, SIZE_MAX);
		if (!last)
			continue;
		if (g->collecting && evbuffer_get_length(g->line) > 2) {
			size_t n = evbuffer_get_length(g->line);
			char *s = (char *)evbuffer_pullup(g->line, -1);

			if (s != NULL && s[n - 2] == '\r')
				take_line(g, l, s, n - 2);
		}
		evbuffer_drain(g->line, evbuffer_get_length(g->line));
		/* Those of what is selected are read to the end: see imap_link_abandon().
		 */
		if (l->imap->share->n_folders >= IMAP_SHARE_FOLDERS_MAX &&
		    l != l->imap->share->selected)
			return 0;
	}
}

static bool
wanted(struct imap *s, const struct gather *g, const char *owner)
{
	char name[IMAP_GUEST_PREFIX_MAX + 1];

	if (imap_share_print_owner(s->share, owner, name, sizeof(name)) == -1)
		return false;
	for (size_t i = 0; i < g->n_patterns; i++)
		if (may_begin(g->patterns[i], name))
			return true;
	return false;
}

/* The folders of the owners, one after the other. 1: wait. */
static int
gather_folders(struct imap *s, struct gather *g)
{
	struct imap_share *sh = s->share;

	for (; g->at < sh->n_owners; g->at++, g->link = NULL, g->asked = 0) {
		struct imap_link *l = g->link;

		if (l == NULL) {
			if (!wanted(s, g, sh->owners[g->at]) ||
			    (l = g->link = imap_link_get(s, sh->owners[g->at])) == NULL)
				continue;
			l->used_ms = imap_share_now();
		}
		if (l->state == IMAP_LINK_ASKED && patient(l, g->since))
			return 1;
		if (l->state != IMAP_LINK_OPEN)
			continue;
		if (g->asked == 0) {
			imap_link_begin(l);
			g->asked = imap_link_ask(l, "LIST \"\" * RETURN (MYRIGHTS)");
		}
		if (collect(g, l))
			return 1;
		if (l->state == IMAP_LINK_OPEN && (l->reply.inside || g->asked != 0))
			imap_link_abandon(l);
	}
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct imap_shared_folder *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The tree down to the owners, its children known. */
static void
complete(struct imap *s, struct gather *g)
{
	struct imap_share *sh = s->share;
	char name[STORE_NAME_MAX + 1];

	if (sh->n_owners > 0)
		(void)add(sh, &g->cap, sh->prefix, FOLDER_NOSELECT);
	for (size_t i = 0; i < sh->n_owners; i++)
		if (imap_share_print_owner(sh, sh->owners[i], name, sizeof(name)) == 0)
			(void)add(
			    sh, &g->cap, name, FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
	if (sh->n_folders > 1)
		qsort(sh->folders, sh->n_folders, sizeof(*sh->folders), compare);
	for (size_t i = 0; i < sh->n_folders; i++) {
		struct imap_shared_folder key = { name, 0, 0 }, *parent;

		(void)strlcpy(name, sh->folders[i].name, sizeof(name));
		for (char *slash = strrchr(name, '/'); slash != NULL;
		     slash = strrchr(name, '/')) {
			*slash = '\0';
			parent = bsearch(&key, sh->folders, sh->n_folders,
			    sizeof(*sh->folders), compare);
			if (parent != NULL)
				parent->flags |= FOLDER_HAS_CHILDREN;
		}
	}
}

static int
gather_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct gather *g = (struct gather *)t;
	struct imap_share *sh = s->share;
	void *arg;

	if (sh->owners_asked && imap_share_now() - g->since < IMAP_SHARE_PATIENCE_MS)
		return imap_share_wait(s);
	if (g->level == IMAP_SHARE_FOLDERS && gather_folders(s, g))
		return imap_share_wait(s);
	complete(s, g);
	arg = g->arg;
	g->arg = NULL;
	g->done(s, arg);
	return s->task != t;
}

void
imap_share_gather(struct imap *s, enum imap_share_level level, char *const *patterns,
    size_t n, void (*done)(struct imap *, void *), void (*release)(void *), void *arg)
{
	struct imap_share *sh = s->share;
	struct gather *g = calloc(1, sizeof(*g));

	imap_share_forget_folders(sh);
	if (g == NULL || (g->line = evbuffer_new()) == NULL) {
		free(g);
		done(s, arg);
		return;
	}
	g->task.step = gather_step;
	g->task.free = gather_free;
	g->level = level;
	g->patterns = patterns;
	g->n_patterns = n;
	g->done = done;
	g->release = release;
	g->arg = arg;
	g->since = imap_share_now();
	if (!sh->owners_asked)
		sh->owners_asked = sh->ops->ask_owners(sh->arg) == 0;
	imap_set_task(s, &g->task);
}

unsigned int
imap_share_rights(const struct imap *s, const char *name)
{
	struct imap_shared_folder key = { (char *)(uintptr_t)name, 0, 0 }, *f = NULL;

	if (s->share != NULL && s->share->n_folders > 0)
		f = bsearch(&key, s->share->folders, s->share->n_folders,
		    sizeof(*s->share->folders), compare);
	return f == NULL ? 0 : f->rights;
}

/* ---- STATUS of some ---- */

struct status {
	struct imap_task task;
	char **names;
	size_t n, at;
	unsigned int items;
	const char *done;
	struct imap_link *link;
	unsigned int asked;
	int64_t since;
};

static void
status_free(struct imap_task *t)
{
	struct status *x = (struct status *)t;

	for (size_t i = 0; i < x->n; i++)
		free(x->names[i]);
	free(x->names);
	free(x);
}

static void
status_ask(struct imap *s, struct status *x, struct imap_link *l)
{
	struct evbuffer *b = evbuffer_new();

	imap_link_begin(l);
	if (b == NULL)
		return;
	imap_print_mailbox_to(s, x->names[x->at], b);
	evbuffer_add_printf(b, " ");
	imap_status_print_items(b, x->items);
	evbuffer_add(b, "", 1);
	x->asked = imap_link_ask(l, "STATUS %s", (char *)evbuffer_pullup(b, -1));
	evbuffer_free(b);
}

static int
status_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct status *x = (struct status *)t;
	char owner[ADDRESS_MAX + 1], tag[24];

	for (; x->at < x->n; x->at++, x->link = NULL, x->asked = 0) {
		struct imap_link *l = x->link;
		enum imap_relay r;

		if (l == NULL) {
			if (imap_share_whose(s, x->names[x->at], owner) != 1 ||
			    (l = x->link = imap_link_get(s, owner)) == NULL)
				continue;
			l->used_ms = imap_share_now();
		}
		if (l->state == IMAP_LINK_ASKED && patient(l, x->since))
			return imap_share_wait(s);
		if (l->state != IMAP_LINK_OPEN)
			continue;
		if (x->asked == 0)
			status_ask(s, x, l);
		imap_link_tag(x->asked, tag);
		do
			r = imap_link_relay(
			    l, tag, s->share->selected == l, unsent, NULL);
		while (r == IMAP_RELAY_PLUS);
		if (s->state == IMAP_ENDED)
			return 0;
		if (r == IMAP_RELAY_FULL)
			return 1;
		/* What the client has begun to read is not cut off. */
		if (r == IMAP_RELAY_MORE &&
		    (l->reply.inside
			    ? imap_share_now() - l->used_ms < IMAP_SHARE_PATIENCE_MS
			    : patient(l, x->since)))
			return imap_share_wait(s);
		if (r == IMAP_RELAY_MORE && l->state == IMAP_LINK_OPEN &&
		    !l->reply.inside)
			imap_link_abandon(l);
	}
	imap_ok(s, "%s", x->done);
	return 0;
}

void
imap_share_status(
    struct imap *s, char **names, size_t n, unsigned int items, const char *done)
{
	struct status *x = n == 0 ? NULL : calloc(1, sizeof(*x));

	if (x == NULL) {
		for (size_t i = 0; i < n; i++)
			free(names[i]);
		free(names);
		imap_ok(s, "%s", done);
		return;
	}
	x->task.step = status_step;
	x->task.free = status_free;
	x->names = names;
	x->n = n;
	x->items = items;
	x->done = done;
	x->since = imap_share_now();
	imap_set_task(s, &x->task);
}
