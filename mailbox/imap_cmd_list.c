/* SPDX-License-Identifier: ISC */
/*
 * LIST (RFC 9051, 6.3.9; RFC 5258, RFC 5819, RFC 6154, RFC 8440) and LSUB (RFC
 * 3501, 6.3.9). Attributes of children and of special use are always told.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap.h"
#include "mailbox/imap_list.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_share.h"
#include "mailbox/imap_status.h"

struct list {
	struct imap_list_choice choice;
	bool extended; /* options or a list of patterns were given */
	bool bad_pattern;
	bool subscribed; /* RETURN (SUBSCRIBED) */
	bool rights;     /* RETURN (MYRIGHTS) */
	bool status;
	unsigned int items; /* of STATUS */
	struct imap_metadata_get *metadata;
};

struct word {
	const char *name;
	unsigned int bit;
};

/* "(" words ")"; -1 with a->error. */
static int
selection_options(struct imap_args *a, struct list *l)
{
	static const struct word words[] = {
		{ "SUBSCRIBED", IMAP_LIST_SUBSCRIBED },
		{ "SPECIAL-USE", IMAP_LIST_SPECIAL_USE },
		{ "RECURSIVEMATCH", IMAP_LIST_RECURSIVE },
		{ "REMOTE", IMAP_LIST_REMOTE },
	};
	unsigned int *select = &l->choice.select;
	struct imap_str v;

	l->extended = true;
	if (imap_char(a, '(') == -1)
		return -1;
	if (imap_try_char(a, ')'))
		return imap_sp(a);
	do {
		size_t i = 0;

		if (imap_atom(a, &v) == -1)
			return -1;
		while (i < 4 && !imap_str_is(&v, words[i].name))
			i++;
		if (i == 4)
			return imap_fail(a, "Unknown selection option");
		*select |= words[i].bit;
	} while (imap_try_char(a, ' '));
	if ((*select & IMAP_LIST_RECURSIVE) &&
	    (*select & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)) == 0)
		return imap_fail(a, "RECURSIVEMATCH alone selects nothing");
	return imap_char(a, ')') == -1 ? -1 : imap_sp(a);
}

static int
return_options(struct imap_args *a, struct list *l)
{
	struct imap_str v;

	l->extended = true;
	if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
		return -1;
	if (!imap_str_is(&v, "RETURN"))
		return imap_fail(a, "RETURN expected");
	if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	if (imap_try_char(a, ')'))
		return 0;
	do {
		if (imap_atom(a, &v) == -1)
			return -1;
		if (imap_str_is(&v, "SUBSCRIBED"))
			l->subscribed = true;
		else if (imap_str_is(&v, "MYRIGHTS"))
			l->rights = true;
		else if (imap_str_is(&v, "STATUS")) {
			l->status = true;
			if (imap_sp(a) == -1 || imap_status_parse(a, &l->items) == -1)
				return -1;
		} else if (imap_str_is(&v, "METADATA") && l->metadata == NULL) {
			if (imap_sp(a) == -1 ||
			    (l->metadata = imap_list_metadata_parse(a)) == NULL)
				return -1;
		} else if (!imap_str_is(&v, "CHILDREN") &&
			   !imap_str_is(&v, "SPECIAL-USE"))
			return imap_fail(a, "Unknown return option");
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

/* Reference and pattern become one, in UTF-8. */
static int
add_pattern(struct imap *s, struct imap_args *a, struct list *l,
    const struct imap_str *ref, const struct imap_str *pat)
{
	struct imap_list_choice *c = &l->choice;
	char wire[IMAP_PATTERN_MAX + 1], pattern[IMAP_PATTERN_MAX + 1];
	size_t len = ref->len + pat->len;

	if (c->n_patterns == IMAP_LIST_PATTERNS_MAX)
		return imap_fail(a, "Too many patterns");
	if (c->patterns == NULL &&
	    (c->patterns = calloc(IMAP_LIST_PATTERNS_MAX, sizeof(char *))) == NULL)
		return imap_fail(a, "Out of memory");
	if (len >= sizeof(wire)) {
		l->bad_pattern = true;
		return 0;
	}
	memcpy(wire, ref->s, ref->len);
	memcpy(wire + ref->len, pat->s, pat->len);
	wire[len] = '\0';
	/* What is no name matches none. */
	if (imap_names_are_utf8(s)) {
		if (memchr(wire, '\0', len) != NULL || !utf8_valid(wire, len))
			return 0;
		(void)strlcpy(pattern, wire, sizeof(pattern));
	} else if (utf7_to_utf8(wire, len, pattern, sizeof(pattern)) == -1)
		return 0;
	if ((c->patterns[c->n_patterns] = strdup(pattern)) == NULL)
		return imap_fail(a, "Out of memory");
	c->n_patterns++;
	return 0;
}

static int
patterns(struct imap *s, struct imap_args *a, struct list *l, bool *empty)
{
	struct imap_str ref, pat;

	*empty = false;
	if (imap_astring(a, &ref) == -1 || imap_sp(a) == -1)
		return -1;
	if (!imap_try_char(a, '(')) {
		if (imap_list_mailbox(a, &pat) == -1)
			return -1;
		*empty = pat.len == 0;
		return add_pattern(s, a, l, &ref, &pat);
	}
	l->extended = true;
	do {
		if (imap_list_mailbox(a, &pat) == -1 ||
		    (pat.len > 0 && add_pattern(s, a, l, &ref, &pat) == -1))
			return -1;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

static void
print(struct imap *s, const struct list *l, const struct imap_listed *e)
{
	bool modern = l->extended || (s->enabled & IMAP_REV2) != 0;
	const char *absent = "";

	if (e->flags & FOLDER_NOSELECT)
		absent = modern ? "\\NonExistent " : "\\Noselect ";
	evbuffer_add_printf(s->out, "* LIST (%s%s", absent,
	    e->flags & FOLDER_HAS_CHILDREN || e->info != 0 ? "\\HasChildren"
							   : "\\HasNoChildren");
	if ((e->flags & FOLDER_SUBSCRIBED) &&
	    (l->subscribed || (l->choice.select & IMAP_LIST_SUBSCRIBED)))
		evbuffer_add_printf(s->out, " \\Subscribed");
	imap_print_special_use(s->out, e->flags);
	evbuffer_add_printf(s->out, ") \"/\" ");
	imap_print_mailbox(s, e->name);
	if (e->info != 0)
		evbuffer_add_printf(s->out, " (\"CHILDINFO\" (%s%s%s))",
		    e->info & IMAP_LIST_SUBSCRIBED ? "\"SUBSCRIBED\"" : "",
		    e->info == (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE) ? " " : "",
		    e->info & IMAP_LIST_SPECIAL_USE ? "\"SPECIAL-USE\"" : "");
	evbuffer_add(s->out, "\r\n", 2);
}

/* "* MYRIGHTS name lrs"; not of what only stands for inferiors (RFC 8440, 4). */
static void
print_rights(struct imap *s, const struct imap_listed *e)
{
	char text[ACL_RIGHTS_SIZE];

	if (!e->other) {
		imap_print_myrights(s, e->name);
		return;
	}
	acl_rights_print(imap_share_rights(s, e->name), true, text);
	evbuffer_add_printf(s->out, "* MYRIGHTS ");
	imap_print_mailbox(s, e->name);
	evbuffer_add_printf(s->out, " ");
	imap_print_string(s->out, text, strlen(text));
	evbuffer_add(s->out, "\r\n", 2);
}

static void
list(struct imap *s, const struct list *l)
{
	struct imap_listed *v;
	char **others = NULL;
	size_t n, n_others = 0;
	enum store_error e = imap_list_choose(s, &l->choice, &v, &n);

	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	if (l->status)
		others = calloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		if (!v[i].chosen)
			continue;
		print(s, l, &v[i]);
		if (v[i].flags & FOLDER_NOSELECT)
			continue;
		if (l->rights && v[i].info == 0)
			print_rights(s, &v[i]);
		/* One that cannot be opened has no status (RFC 5819, 2). */
		if (l->status && !v[i].other)
			(void)imap_status_tell(s, v[i].name, l->items);
		else if (l->status && others != NULL &&
			 (others[n_others] = strdup(v[i].name)) != NULL)
			n_others++;
		if (l->metadata != NULL && !v[i].other)
			imap_list_metadata_tell(s, v[i].name, l->metadata);
	}
	free(v);
	imap_share_status(s, others, n_others, l->items, "LIST completed");
}

static int
compare_infos(const void *a, const void *b)
{
	return strcmp(
	    ((const struct folder_info *)a)->name, ((const struct folder_info *)b)->name);
}

/* Flags as they are for this user: FOLDER_NOSELECT alone is nothing to be seen. */
static void
guest_sees(struct imap *s, struct folder_info *f, size_t n)
{
	struct folder_info key, *parent;

	if (n > 1)
		qsort(f, n, sizeof(*f), compare_infos); /* INBOX too */
	for (size_t i = 0; i < n; i++)
		f[i].flags = (f[i].flags & FOLDER_NOSELECT) ||
				     (imap_rights(s, f[i].name) & ACL_LOOKUP) == 0
				 ? FOLDER_NOSELECT
				 : 0;
	for (size_t i = 0; i < n; i++) {
		if (f[i].flags & FOLDER_NOSELECT)
			continue;
		(void)strlcpy(key.name, f[i].name, sizeof(key.name));
		for (char *slash = strrchr(key.name, '/'); slash != NULL;
		     slash = strrchr(key.name, '/')) {
			*slash = '\0';
			parent = bsearch(&key, f, n, sizeof(*f), compare_infos);
			if (parent != NULL)
				parent->flags |= FOLDER_HAS_CHILDREN;
		}
	}
}

/* What another user may see: folders with "l", and parents of such. */
static void
list_guest(struct imap *s, const struct list *l)
{
	struct folder_info *f;
	size_t n;
	enum store_error e = store_list(s->store, &f, &n);

	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	guest_sees(s, f, n);
	for (size_t i = 0; i < n; i++) {
		char full[IMAP_GUEST_NAME_MAX + 1];
		struct imap_listed x = { .other = false };
		bool matches = false;

		x.flags = f[i].flags & (FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
		if (x.flags == FOLDER_NOSELECT)
			continue;
		imap_guest_name(s->guest, f[i].name, full);
		for (size_t k = 0; k < l->choice.n_patterns; k++)
			matches |= strlen(full) <= STORE_NAME_MAX &&
				   imap_list_matches(l->choice.patterns[k], full);
		if (!matches)
			continue;
		(void)strlcpy(x.name, f[i].name, sizeof(x.name));
		print(s, l, &x);
		if (l->rights && (x.flags & FOLDER_NOSELECT) == 0)
			print_rights(s, &x);
	}
	free(f);
	imap_ok(s, "LIST completed");
}

/* ---- with what others share ---- */

static void
release(void *arg)
{
	struct list *l = arg;

	imap_list_choice_clear(&l->choice);
	imap_list_metadata_free(l->metadata);
	free(l);
}

static void
gathered(struct imap *s, void *arg)
{
	list(s, arg);
	release(arg);
}

static void
list_all(struct imap *s, struct list *l)
{
	enum imap_share_level level =
	    imap_share_level(s, l->choice.patterns, l->choice.n_patterns);
	struct list *kept;

	/* Use is told of the session's own mailboxes only. */
	if ((l->choice.select & IMAP_LIST_SPECIAL_USE) && level != IMAP_SHARE_NOTHING) {
		imap_share_forget_folders(s->share);
		level = IMAP_SHARE_NOTHING;
	} else if (level == IMAP_SHARE_NOTHING && s->share != NULL)
		imap_share_forget_folders(s->share);
	if (level == IMAP_SHARE_NOTHING || (kept = malloc(sizeof(*kept))) == NULL) {
		list(s, l);
		return;
	}
	*kept = *l;
	memset(&l->choice, 0, sizeof(l->choice));
	l->metadata = NULL;
	imap_share_gather(s, level, kept->choice.patterns, kept->choice.n_patterns,
	    gathered, release, kept);
}

void
imap_cmd_list(struct imap *s, struct imap_args *a)
{
	struct list l = { 0 };
	bool empty;

	if (imap_sp(a) == -1 || (imap_peek(a) == '(' && selection_options(a, &l) == -1) ||
	    patterns(s, a, &l, &empty) == -1 ||
	    (imap_peek(a) != -1 && return_options(a, &l) == -1) || imap_end(a) == -1)
		goto out;
	if (l.bad_pattern)
		imap_no(s, "[CANNOT] Pattern too long");
	else if (empty && !l.extended) {
		/* The hierarchy's separator is asked for. */
		imap_untagged(s, "LIST (\\Noselect) \"/\" \"\"");
		imap_ok(s, "LIST completed");
	} else if (empty)
		imap_ok(s, "LIST completed");
	else {
		if (l.items & IMAP_STATUS_HIGHESTMODSEQ)
			imap_use_condstore(s);
		if (s->guest != NULL)
			list_guest(s, &l);
		else
			list_all(s, &l);
	}
out:
	imap_list_metadata_free(l.metadata);
	imap_list_choice_clear(&l.choice);
}

void
imap_print_selected_list(struct imap *s)
{
	evbuffer_add_printf(s->out, "* LIST () \"/\" ");
	imap_print_mailbox(s, folder_name(s->folder));
	evbuffer_add(s->out, "\r\n", 2);
}

/* ... which may be a parent that is none itself, or gone. */
void
imap_print_list_of(struct imap *s, const char *name, const char *old, bool subscription)
{
	uint32_t flags = FOLDER_NOSELECT;
	struct folder_info *f;
	size_t n;

	if (store_list(s->store, &f, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].name, name) == 0)
			flags = f[i].flags;
	free(f);
	evbuffer_add_printf(s->out, "* LIST (%s%s%s",
	    flags & FOLDER_NOSELECT ? "\\NonExistent " : "",
	    flags & FOLDER_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren",
	    subscription && (flags & FOLDER_SUBSCRIBED) ? " \\Subscribed" : "");
	imap_print_special_use(s->out, flags);
	evbuffer_add_printf(s->out, ") \"/\" ");
	imap_print_mailbox(s, name);
	if (old != NULL) {
		evbuffer_add_printf(s->out, " (\"OLDNAME\" (");
		imap_print_mailbox(s, old);
		evbuffer_add_printf(s->out, "))");
	}
	evbuffer_add(s->out, "\r\n", 2);
}

/* ---- LSUB ---- */

static void
print_lsub(struct imap *s, const char *name, uint32_t flags)
{
	evbuffer_add_printf(s->out, "* LSUB (%s%s",
	    flags & FOLDER_NOSELECT ? "\\Noselect " : "",
	    flags & FOLDER_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
	imap_print_special_use(s->out, flags);
	evbuffer_add_printf(s->out, ") \"/\" ");
	imap_print_mailbox(s, name);
	evbuffer_add(s->out, "\r\n", 2);
}

static void
lsub(struct imap *s, const char *pattern)
{
	struct folder_info *f;
	size_t n, plen = strlen(pattern);
	enum store_error e = store_list(s->store, &f, &n);
	char told[STORE_NAME_MAX + 1] = "", owner[ADDRESS_MAX + 1];

	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char *name = f[i].name;

		if ((f[i].flags & FOLDER_SUBSCRIBED) == 0)
			continue;
		if (imap_list_matches(pattern, name)) {
			/* Whether another user's is there is not looked at. */
			if (imap_share_whose(s, name, owner) != 0)
				f[i].flags &= ~(uint32_t)FOLDER_NOSELECT;
			print_lsub(s, name, f[i].flags);
			continue;
		}
		/* "%": a parent that is not subscribed itself stands for its subscribed
		 * children (RFC 3501, 6.3.9). */
		if (plen == 0 || pattern[plen - 1] != '%')
			continue;
		for (char *slash = strrchr(name, '/'); slash != NULL;
		     slash = strrchr(name, '/')) {
			*slash = '\0';
			if (imap_list_matches(pattern, name)) {
				if (strcmp(told, name) != 0)
					print_lsub(s, name,
					    FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
				(void)strlcpy(told, name, sizeof(told));
				break;
			}
		}
	}
	free(f);
	imap_ok(s, "LSUB completed");
}

void
imap_cmd_lsub(struct imap *s, struct imap_args *a)
{
	struct list l = { 0 };
	struct imap_str ref, pat;

	if (imap_sp(a) == -1 || imap_astring(a, &ref) == -1 || imap_sp(a) == -1 ||
	    imap_list_mailbox(a, &pat) == -1 || imap_end(a) == -1 ||
	    add_pattern(s, a, &l, &ref, &pat) == -1)
		goto out;
	if (l.bad_pattern)
		imap_no(s, "[CANNOT] Pattern too long");
	else if (l.choice.n_patterns == 0)
		imap_ok(s, "LSUB completed");
	else
		lsub(s, l.choice.patterns[0]);
out:
	imap_list_choice_clear(&l.choice);
}
