/* SPDX-License-Identifier: ISC */
/*
 * What an IMAP client knows of its selected folder: sequence numbers and UIDs. The
 * folder itself may change at any time (other sessions, delivery); the view changes only
 * here, where it is told to the client (RFC 9051, 5.2 and 7.5). As long as nothing of it
 * is gone it is the first messages of the folder, and costs nothing.
 */
#include <event2/buffer.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/imap.h"
#include "mailbox/imap_context.h"
#include "mailbox/imap_notify.h"
#include "mailbox/imap_rights.h"

static void
changed(struct folder *f, void *arg)
{
	struct imap *s = arg;

	if ((s->idling || s->notify != NULL) && !s->woken) {
		s->woken = true;
		if (s->wake != NULL)
			s->wake(s->wake_arg);
	}
}

static int
view_add(struct imap *s, const struct message *m)
{
	if (s->n_view == s->view_cap) {
		size_t cap = s->view_cap == 0 ? 64 : s->view_cap * 2;
		struct imap_view_entry *n = reallocarray(s->view, cap, sizeof(*n));

		if (n == NULL)
			return -1;
		s->view = n;
		s->view_cap = cap;
	}
	s->view[s->n_view].uid = m->uid;
	s->view[s->n_view++].recent = m->recent;
	return 0;
}

/* Messages are about to go: what the client knows must be kept here. */
static void
before(struct folder *f, void *arg)
{
	(void)imap_view_make(arg);
}

int
imap_view_make(struct imap *s)
{
	size_t n = s->n_view, k = 0;

	if (!s->view_same)
		return 0;
	s->view_same = false;
	s->n_view = s->view_cap = 0;
	if ((s->view = reallocarray(NULL, n + 64, sizeof(*s->view))) == NULL) {
		log_warnx("IMAP session: no memory for %zu messages", n);
		s->state = IMAP_ENDED;
		return -1;
	}
	s->view_cap = n + 64;
	for (; s->n_view < n; s->n_view++) {
		bool recent =
		    k < s->n_view_recent && s->view_recent[k] == (uint32_t)s->n_view;

		k += recent;
		s->view[s->n_view].uid = folder_message(s->folder, s->n_view)->uid;
		s->view[s->n_view].recent = recent;
	}
	free(s->view_recent);
	s->view_recent = NULL;
	s->n_view_recent = 0;
	return 0;
}

static int
find_recent(struct imap *s)
{
	size_t n = folder_recents(s->folder), at = s->n_view;

	if (n == 0)
		return 0;
	if ((s->view_recent = reallocarray(NULL, n, sizeof(*s->view_recent))) == NULL)
		return -1;
	s->n_view_recent = n;
	while (n > 0 && (at = folder_recent_before(s->folder, at)) != SIZE_MAX)
		s->view_recent[--n] = (uint32_t)at;
	return 0;
}

uint32_t
imap_view_uid(const struct imap *s, size_t i)
{
	return s->view_same ? folder_message(s->folder, i)->uid : s->view[i].uid;
}

bool
imap_view_recent(const struct imap *s, size_t i)
{
	size_t lo = 0, hi = s->n_view_recent;

	if (!s->view_same)
		return s->view[i].recent != 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->view_recent[mid] < i)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n_view_recent && s->view_recent[lo] == i;
}

uint32_t
imap_view_last(const struct imap *s)
{
	return s->n_view == 0 ? 0 : imap_view_uid(s, s->n_view - 1);
}

int
imap_view_open(struct imap *s, struct folder *f, bool readonly)
{
	s->folder = f;
	s->readonly = readonly;
	s->n_view = folder_count(f);
	s->view_same = true;
	if ((s->watch = folder_watch(f, changed, s)) == NULL || find_recent(s) == -1) {
		imap_view_close(s);
		return -1;
	}
	folder_watch_before(s->watch, before);
	/* \Recent is the owner's. */
	if (!readonly && s->guest == NULL)
		folder_take_recent(f);
	s->modseq = s->walked = folder_highestmodseq(f);
	s->url_resets = folder_url_resets(f);
	s->expunge_pending = false;
	s->state = IMAP_SELECTED;
	s->watched++;
	imap_notify_view_changed(s);
	return 0;
}

void
imap_view_close(struct imap *s)
{
	if (s->folder == NULL)
		return;
	if (s->watch != NULL)
		folder_unwatch(s->watch);
	folder_close(s->folder);
	s->folder = NULL;
	s->watch = NULL;
	free(s->view);
	s->view = NULL;
	s->n_view = s->view_cap = 0;
	s->view_same = false;
	free(s->view_recent);
	s->view_recent = NULL;
	s->n_view_recent = 0;
	imap_contexts_clear(s);
	free(s->saved);
	s->saved = NULL;
	s->n_saved = 0;
	s->watched++;
	imap_notify_view_changed(s);
	if (s->state == IMAP_SELECTED)
		s->state = IMAP_AUTHENTICATED;
}

/* Of the first one with that UID or above. */
static size_t
view_find(const struct imap *s, uint32_t uid)
{
	size_t lo = 0, hi = s->n_view;

	if (s->view_same) {
		lo = folder_find(s->folder, uid, NULL);
		return lo < hi ? lo : hi;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->view[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
imap_view_seq(const struct imap *s, uint32_t uid)
{
	size_t i = view_find(s, uid);

	return i < s->n_view && imap_view_uid(s, i) == uid ? (uint32_t)i + 1 : 0;
}

static int
select_saved(struct imap *s, uint32_t **uids, size_t *n, const char **error)
{
	if ((*uids = reallocarray(NULL, s->n_saved + 1, sizeof(**uids))) == NULL) {
		*error = "Out of memory";
		return -1;
	}
	/* What was expunged since is no part of it any more (RFC 5182, 2.1). */
	for (size_t i = 0; i < s->n_saved; i++)
		if (imap_view_seq(s, s->saved[i]) != 0)
			(*uids)[(*n)++] = s->saved[i];
	return 0;
}

int
imap_view_select(
    struct imap *s, struct imap_set *set, uint32_t **uids, size_t *n, const char **error)
{
	uint32_t max = (uint32_t)s->n_view;

	*uids = NULL;
	*n = 0;
	if (set->saved)
		return select_saved(s, uids, n, error);
	if (s->uid)
		max = imap_view_last(s);
	/* A range with "*" is cut to what exists; a number of its own must exist. */
	for (size_t i = 0; i < set->n && !s->uid; i++)
		if (set->r[i].lo != 0 && set->r[i].hi != 0 &&
		    (set->r[i].lo > max || set->r[i].hi > max)) {
			*error = "No message with that sequence number";
			return -1;
		}
	imap_set_resolve(set, max);
	if ((*uids = reallocarray(NULL, s->n_view + 1, sizeof(**uids))) == NULL) {
		*error = "Out of memory";
		return -1;
	}
	for (size_t k = 0; k < set->n; k++) {
		size_t lo = set->r[k].lo, hi = set->r[k].hi;

		if (s->uid) {
			lo = view_find(s, set->r[k].lo);
			hi = view_find(s, set->r[k].hi);
			hi += hi < s->n_view && imap_view_uid(s, hi) == set->r[k].hi;
		} else {
			lo -= lo > 0;
			hi = hi < s->n_view ? hi : s->n_view;
		}
		for (; lo < hi; lo++)
			(*uids)[(*n)++] = imap_view_uid(s, lo);
	}
	return 0;
}

/* ---- flags ---- */

static const struct {
	uint8_t bit;
	const char *name;
} system_flags[] = {
	{ FLAG_ANSWERED, "\\Answered" },
	{ FLAG_FLAGGED, "\\Flagged" },
	{ FLAG_DELETED, "\\Deleted" },
	{ FLAG_SEEN, "\\Seen" },
	{ FLAG_DRAFT, "\\Draft" },
};
#define N_SYSTEM (sizeof(system_flags) / sizeof(system_flags[0]))

static void
print_flags(struct imap *s, const struct message *m, int keywords, struct evbuffer *out)
{
	uint32_t seq = imap_view_seq(s, m->uid);
	const char *sp = "";

	evbuffer_add(out, "FLAGS (", 7);
	for (size_t i = 0; i < N_SYSTEM; i++)
		if (m->flags & system_flags[i].bit) {
			evbuffer_add_printf(out, "%s%s", sp, system_flags[i].name);
			sp = " ";
		}
	if (seq != 0 && imap_view_recent(s, seq - 1) && (s->enabled & IMAP_REV2) == 0) {
		evbuffer_add_printf(out, "%s\\Recent", sp);
		sp = " ";
	}
	for (int i = folder_keywords_next(s->folder, m->keywords, -1);
	     i != -1 && i < keywords;
	     i = folder_keywords_next(s->folder, m->keywords, i)) {
		const char *name = folder_keyword(s->folder, i);

		if (name != NULL) {
			evbuffer_add_printf(out, "%s%s", sp, name);
			sp = " ";
		}
	}
	evbuffer_add(out, ")", 1);
}

void
imap_print_flags(struct imap *s, const struct message *m)
{
	print_flags(s, m, s->n_keywords, s->out);
}

void
imap_print_all_flags(struct imap *s, const struct message *m, struct evbuffer *out)
{
	print_flags(s, m, INT_MAX, out);
}

static int
count_keywords(struct folder *f)
{
	int n = 0;

	while (n < STORE_KEYWORDS_MAX && folder_keyword(f, n) != NULL)
		n++;
	return n;
}

void
imap_print_flag_list(struct imap *s, const char *before, const char *after)
{
	evbuffer_add_printf(
	    s->out, "* %s(\\Answered \\Flagged \\Deleted \\Seen \\Draft", before);
	s->n_keywords = count_keywords(s->folder);
	for (int i = 0; i < s->n_keywords; i++)
		evbuffer_add_printf(s->out, " %s", folder_keyword(s->folder, i));
	evbuffer_add_printf(s->out, "%s\r\n", after);
}

void
imap_print_permanent_flags(struct imap *s)
{
	unsigned int rights = imap_rights_here(s);
	uint8_t may = UINT8_MAX;
	uint64_t keywords = UINT64_MAX;
	const char *sp = "";

	if (rights == ACL_ALL) {
		imap_print_flag_list(s, "OK [PERMANENTFLAGS ", " \\*)] Flags permitted");
		return;
	}
	imap_rights_flags(rights, &may, &keywords);
	evbuffer_add_printf(s->out, "* OK [PERMANENTFLAGS (");
	for (size_t i = 0; i < N_SYSTEM; i++)
		if (may & system_flags[i].bit) {
			evbuffer_add_printf(s->out, "%s%s", sp, system_flags[i].name);
			sp = " ";
		}
	for (int i = 0; i < s->n_keywords && keywords != 0; i++)
		evbuffer_add_printf(s->out, " %s", folder_keyword(s->folder, i));
	evbuffer_add_printf(
	    s->out, "%s)] Flags permitted\r\n", keywords != 0 ? " \\*" : "");
}

/* What imap_flags() has read of keywords. */
struct keyword_list {
	uint16_t *v;
	size_t n, cap;
};

static int
keyword_list_add(struct keyword_list *l, int k)
{
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 16 : l->cap * 2;
		uint16_t *p = reallocarray(l->v, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = (uint16_t)k;
	return 0;
}

static int
read_flags(struct imap_args *a, struct folder *f, bool create, uint8_t *flags,
    struct keyword_list *l, bool *no_room)
{
	bool list = imap_try_char(a, '(');

	*flags = 0;
	*no_room = false;
	if (list && imap_try_char(a, ')'))
		return 0;
	for (;;) {
		struct imap_str name;
		size_t i;

		if (imap_flag(a, &name) == -1)
			return -1;
		for (i = 0; i < N_SYSTEM; i++)
			if (imap_str_is(&name, system_flags[i].name))
				break;
		if (i < N_SYSTEM)
			*flags |= system_flags[i].bit;
		else if (name.s[0] == '\\') {
			/* \Recent is the server's; clients that copy all flags send it.
			 */
			if (!imap_str_is(&name, "\\Recent"))
				return imap_fail(a, "Unknown system flag");
		} else {
			int k = -1;

			if (name.len <= STORE_KEYWORD_LEN_MAX && f != NULL)
				k = folder_keyword_find(f, name.s, name.len, create);
			if (k >= 0 ? keyword_list_add(l, k) == -1 : create)
				*no_room = true;
		}
		if (list && imap_try_char(a, ')'))
			return 0;
		if (!list && imap_peek(a) == -1)
			return 0;
		if (imap_sp(a) == -1)
			return -1;
	}
}

int
imap_flags(struct imap_args *a, struct folder *f, bool create, uint8_t *flags,
    uint64_t *keywords, bool *no_room)
{
	struct keyword_list l = { NULL, 0, 0 };
	int rv = read_flags(a, f, create, flags, &l, no_room);

	*keywords = 0;
	if (l.n > 0 && folder_keywords_make(f, l.v, l.n, keywords) == -1)
		*no_room = true;
	free(l.v);
	return rv;
}

/* ---- changes ---- */

void
imap_view_tell_keywords(struct imap *s)
{
	/* Keywords are only ever added, unless the folder was read anew. */
	if (folder_keyword(s->folder, s->n_keywords) != NULL ||
	    (s->n_keywords > 0 && folder_keyword(s->folder, s->n_keywords - 1) == NULL))
		imap_print_flag_list(s, "FLAGS ", ")");
}

void
imap_print_fetch(struct imap *s, uint32_t uid, struct evbuffer *out)
{
	if (s->enabled & IMAP_UIDONLY)
		evbuffer_add_printf(out, "* %u UIDFETCH (", uid);
	else
		evbuffer_add_printf(out, "* %u FETCH (", imap_view_seq(s, uid));
}

void
imap_print_vanished(struct imap *s, const uint32_t *uids, size_t n, bool earlier)
{
	evbuffer_add_printf(s->out, "* VANISHED %s", earlier ? "(EARLIER) " : "");
	imap_set_print(s->out, uids, n);
	evbuffer_add(s->out, "\r\n", 2);
}

static void
tell_recent(struct imap *s)
{
	size_t recent = 0;

	if (s->enabled & IMAP_REV2)
		return;
	for (size_t i = 0; i < s->n_view; i++)
		recent += s->view[i].recent;
	imap_untagged(s, "%zu RECENT", recent);
}

/* Both lists are in order of UIDs. Returns whether recent messages are among them. */
static bool
tell_expunged(struct imap *s)
{
	uint32_t last = imap_view_last(s), *gone = NULL;
	size_t n = folder_find(s->folder, last + 1, NULL), out = 0, told = 0, at = 0;
	bool vanished = (s->enabled & (IMAP_QRESYNC | IMAP_UIDONLY)) != 0, recent = false;

	s->expunge_pending = false;
	if (s->view_same || n == s->n_view || s->n_view == 0)
		return false;
	if (vanished && (gone = reallocarray(NULL, s->n_view, sizeof(*gone))) == NULL)
		return false;
	for (size_t i = 0; i < s->n_view; i++) {
		uint32_t uid = s->view[i].uid;

		while (at < n && folder_message(s->folder, at)->uid < uid)
			at++;
		if (at < n && folder_message(s->folder, at)->uid == uid) {
			s->view[out++] = s->view[i];
			continue;
		}
		recent |= s->view[i].recent != 0;
		if (vanished)
			gone[told] = uid;
		else
			imap_untagged(s, "%zu EXPUNGE", i + 1 - told);
		told++;
	}
	s->n_view = out;
	if (vanished && told > 0)
		imap_print_vanished(s, gone, told, false);
	free(gone);
	return recent;
}

static void
tell_flags(struct imap *s)
{
	size_t n = folder_count(s->folder);

	for (size_t i = 0; i < n; i++) {
		const struct message *m = folder_message(s->folder, i);

		if (m->modseq <= s->modseq || imap_view_seq(s, m->uid) == 0)
			continue;
		imap_print_fetch(s, m->uid, s->out);
		if ((s->enabled & IMAP_UIDONLY) == 0)
			evbuffer_add_printf(s->out, "UID %u ", m->uid);
		imap_print_flags(s, m);
		if (s->enabled & IMAP_CONDSTORE)
			evbuffer_add_printf(
			    s->out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
		evbuffer_add(s->out, ")\r\n", 3);
	}
}

/* Returns whether there are any. */
static bool
tell_new(struct imap *s)
{
	uint32_t last = imap_view_last(s);
	size_t n = folder_count(s->folder), known = s->n_view;

	if (folder_find(s->folder, last + 1, NULL) == n || imap_view_make(s) == -1)
		return false;
	for (size_t i = folder_find(s->folder, last + 1, NULL); i < n; i++)
		if (view_add(s, folder_message(s->folder, i)) == -1)
			break;
	if (s->n_view == known)
		return false;
	if (!s->readonly && s->guest == NULL)
		folder_take_recent(s->folder);
	imap_untagged(s, "%zu EXISTS", s->n_view);
	return true;
}

void
imap_view_sync(struct imap *s, bool expunge)
{
	unsigned int events = imap_notify_selected(s);
	bool recent = false;
	uint64_t now;

	if (s->folder == NULL || s->state == IMAP_ENDED)
		return;
	if (s->guest == NULL && s->url_resets != folder_url_resets(s->folder)) {
		s->url_resets = folder_url_resets(s->folder);
		imap_untagged(s, "OK [URLMECH INTERNAL] URLs were revoked");
	}
	now = folder_highestmodseq(s->folder);
	if (now != s->walked) {
		/* Whether anything is gone is found out while telling. */
		s->expunge_pending = true;
		if (events & IMAP_EVENT_FLAGS) {
			imap_view_tell_keywords(s);
			tell_flags(s);
		}
		s->modseq = s->walked = now;
	}
	if ((events & IMAP_EVENT_EXPUNGE) == 0 && !s->expunges)
		expunge = false;
	imap_contexts_changed(s, expunge);
	if (expunge && s->expunge_pending)
		recent = tell_expunged(s);
	/* Also without a new modseq: the count is cheap, and mail must not be missed. */
	if (events & IMAP_EVENT_NEW)
		recent |= tell_new(s);
	if (recent)
		tell_recent(s);
	if (events & IMAP_EVENT_NEW)
		imap_contexts_new(s);
}
