/* SPDX-License-Identifier: ISC */
/* News for a client that said NOTIFY: taking note of them, and telling; see
 * imap_notify.h. */
#include "mailbox/imap_notify.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_list.h"
#include "mailbox/imap_share.h"
#include "mailbox/imap_status.h"

unsigned int
imap_notify_selected(const struct imap *s)
{
	return s->notify == NULL ? IMAP_EVENTS_MESSAGE : s->notify->selected;
}

/* Groups add to each other, but "NONE" for a mailbox by its name takes all away. */
unsigned int
imap_notify_events(const struct imap *s, const char *name)
{
	const struct imap_notify *n = s->notify;
	unsigned int events = 0;

	for (size_t i = 0; n != NULL && i < n->n_groups; i++) {
		const struct imap_notify_group *g = &n->groups[i];

		if (!imap_scope_has(s->store, &g->scope, name))
			continue;
		if (g->events == 0 && g->scope.kind >= IMAP_SCOPE_SUBTREE)
			return 0;
		events |= g->events;
	}
	return events;
}

static bool
wants_server_metadata(const struct imap_notify *n)
{
	for (size_t i = 0; i < n->n_groups; i++)
		if (n->groups[i].events & IMAP_EVENT_SERVER_METADATA)
			return true;
	return false;
}

/* ---- taking note ---- */

static void
news_free(struct imap_notify_news *w)
{
	free(w->name);
	free(w->old);
	free(w->entries);
	free(w);
}

static void
news_clear(struct imap_notify *n)
{
	struct imap_notify_news *w;

	while ((w = n->news) != NULL) {
		n->news = w->next;
		news_free(w);
	}
	n->news_end = &n->news;
	n->n_news = 0;
}

static char *
copy(const char *s, bool *failed)
{
	char *c = s != NULL ? strdup(s) : NULL;

	*failed |= s != NULL && c == NULL;
	return c;
}

static void
note(struct imap_notify *n, const struct store_news *news, unsigned int changes)
{
	struct imap_notify_news *w;
	bool failed = false;

	if (n->overflow)
		return;
	for (w = n->news; w != NULL && news->kind == STORE_NEWS_MESSAGES; w = w->next)
		if (w->kind == STORE_NEWS_MESSAGES && strcmp(w->name, news->name) == 0) {
			w->changes |= changes;
			return;
		}
	if (n->n_news == IMAP_NOTIFY_NEWS_MAX || (w = calloc(1, sizeof(*w))) == NULL) {
		n->overflow = true;
		return;
	}
	w->kind = news->kind;
	w->changes = changes;
	w->name = copy(news->name, &failed);
	w->old = copy(news->old, &failed);
	w->entries = copy(news->entries, &failed);
	if (failed) {
		news_free(w);
		n->overflow = true;
		return;
	}
	*n->news_end = w;
	n->news_end = &w->next;
	n->n_news++;
}

/* New messages of the selected mailbox are fetched for the client, but for its own. */
static void
selected_news(struct imap *s, const struct store_news *news, bool own)
{
	struct imap_notify *n = s->notify;
	uint32_t from = n->uidnext;
	size_t i;

	n->uidnext = folder_uidnext(s->folder);
	if ((news->changes & FOLDER_NEWS_NEW) == 0 || own || n->attributes == NULL ||
	    (n->selected & IMAP_EVENT_NEW) == 0)
		return;
	for (i = folder_find(s->folder, from, NULL); i < folder_count(s->folder); i++)
		if (!imap_announce_add(
			s, folder_message(s->folder, i)->uid, IMAP_ANNOUNCE_NOTIFY)) {
			n->overflow = true;
			return;
		}
}

static unsigned int
wanted_changes(unsigned int events, unsigned int changes)
{
	unsigned int want = 0;

	if (events & IMAP_EVENT_NEW)
		want |= changes & FOLDER_NEWS_NEW;
	if (events & IMAP_EVENT_EXPUNGE)
		want |= changes & FOLDER_NEWS_EXPUNGED;
	if (events & IMAP_EVENT_FLAGS)
		want |= changes & (FOLDER_NEWS_FLAGS | FOLDER_NEWS_SEEN);
	return want;
}

static bool
affects_parent(const struct imap *s, const char *name)
{
	char parent[STORE_NAME_MAX + 1];
	char *slash;

	(void)strlcpy(parent, name, sizeof(parent));
	if ((slash = strrchr(parent, '/')) == NULL)
		return false;
	*slash = '\0';
	return (imap_notify_events(s, parent) & IMAP_EVENT_NAME) != 0;
}

static void
on_news(const struct store_news *news, void *arg)
{
	struct imap *s = arg;
	struct imap_notify *n = s->notify;
	/* What the client does itself it knows (RFC 5465, 5). */
	bool own = s->busy && !news->outside;
	unsigned int events, changes = 0;

	if (news->kind == STORE_NEWS_MESSAGES && s->folder != NULL &&
	    strcmp(folder_name(s->folder), news->name) == 0) {
		selected_news(s, news, own);
		return; /* it has a watch of its own */
	}
	if (news->kind == STORE_NEWS_CREATED)
		s->watched++;
	if (own)
		return;
	events = news->name[0] != '\0' ? imap_notify_events(s, news->name) : 0;
	switch (news->kind) {
	case STORE_NEWS_MESSAGES:
		if ((changes = wanted_changes(events, news->changes)) == 0)
			return;
		break;
	case STORE_NEWS_CREATED:
	case STORE_NEWS_DELETED:
		if ((events & (IMAP_EVENT_NAME | IMAP_EVENT_FLAGS)) == 0 &&
		    !affects_parent(s, news->name))
			return;
		break;
	case STORE_NEWS_RENAMED:
		if (((events | imap_notify_events(s, news->old)) & IMAP_EVENT_NAME) == 0)
			return;
		break;
	case STORE_NEWS_SUBSCRIPTION:
		/* "subscribed" is not the same set as before. */
		for (size_t i = 0; i < n->n_groups; i++)
			if (n->groups[i].scope.kind == IMAP_SCOPE_SUBSCRIBED)
				events |= n->groups[i].events;
		if ((events & IMAP_EVENT_SUBSCRIPTION) == 0)
			return;
		break;
	case STORE_NEWS_METADATA:
		if (news->name[0] == '\0' ? !wants_server_metadata(n)
					  : (events & IMAP_EVENT_METADATA) == 0)
			return;
		break;
	}
	note(n, news, changes);
	if (s->wake != NULL)
		s->wake(s->wake_arg);
}

void
imap_notify_view_changed(struct imap *s)
{
	imap_announce_forget(s);
	if (s->notify != NULL)
		s->notify->uidnext = s->folder != NULL ? folder_uidnext(s->folder) : 0;
}

/* ---- telling ---- */

static void
tell_messages(struct imap *s, const char *name, unsigned int changes)
{
	unsigned int items = 0;

	if (s->folder != NULL && strcmp(folder_name(s->folder), name) == 0)
		return; /* selected meanwhile */
	if (changes & (FOLDER_NEWS_NEW | FOLDER_NEWS_EXPUNGED))
		items |= IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT;
	if (s->enabled & IMAP_CONDSTORE) {
		items |= IMAP_STATUS_HIGHESTMODSEQ;
		if (changes & FOLDER_NEWS_FLAGS)
			items |= IMAP_STATUS_UIDVALIDITY;
	}
	if (changes & FOLDER_NEWS_SEEN)
		items |= IMAP_STATUS_UNSEEN | IMAP_STATUS_UIDVALIDITY;
	if (changes & FOLDER_NEWS_GONE) /* another one of that name */
		items |=
		    IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY;
	/* Flags alone say nothing without modification sequences. */
	if (items != 0)
		(void)imap_status_tell(s, name, items);
}

static void
tell_name(struct imap *s, const char *name, const char *old)
{
	char parent[STORE_NAME_MAX + 1];
	char *slash;

	if (old != NULL || (imap_notify_events(s, name) & IMAP_EVENT_NAME))
		imap_print_list_of(s, name, old, false);
	(void)strlcpy(parent, name, sizeof(parent));
	if (old != NULL || (slash = strrchr(parent, '/')) == NULL)
		return;
	*slash = '\0';
	if (imap_notify_events(s, parent) & IMAP_EVENT_NAME)
		imap_print_list_of(s, parent, NULL, false);
}

static void
tell_metadata(struct imap *s, const struct imap_notify_news *w)
{
	evbuffer_add_printf(s->out, "* METADATA ");
	if (w->name[0] == '\0')
		evbuffer_add_printf(s->out, "\"\"");
	else
		imap_print_mailbox(s, w->name);
	evbuffer_add_printf(s->out, " %s\r\n", w->entries);
}

static void
tell(struct imap *s, const struct imap_notify_news *w)
{
	switch (w->kind) {
	case STORE_NEWS_MESSAGES:
		tell_messages(s, w->name, w->changes);
		break;
	case STORE_NEWS_CREATED:
	case STORE_NEWS_DELETED:
		tell_name(s, w->name, NULL);
		if (w->kind == STORE_NEWS_CREATED &&
		    (imap_notify_events(s, w->name) & IMAP_EVENT_FLAGS))
			tell_messages(s, w->name, FOLDER_NEWS_GONE);
		break;
	case STORE_NEWS_RENAMED:
		tell_name(s, w->name, w->old);
		break;
	case STORE_NEWS_SUBSCRIPTION:
		imap_print_list_of(s, w->name, NULL, true);
		break;
	case STORE_NEWS_METADATA:
		tell_metadata(s, w);
		break;
	}
}

bool
imap_notify_pending(const struct imap *s)
{
	const struct imap_notify *n = s->notify;

	if (s->state == IMAP_ENDED || s->append != NULL)
		return false;
	return s->n_announced > 0 ||
	       (n != NULL && (n->news != NULL || n->overflow ||
				 (s->woken && s->folder != NULL && n->selected != 0)));
}

/* RFC 5465, 5.8: as if NOTIFY NONE had been said. */
static void
give_up(struct imap *s)
{
	struct imap_notify *n = s->notify;

	news_clear(n);
	imap_announce_forget(s);
	for (size_t i = 0; i < n->n_groups; i++)
		imap_scope_clear(&n->groups[i].scope);
	n->n_groups = 0;
	n->selected = 0;
	n->overflow = false;
	imap_untagged(s, "OK [NOTIFICATIONOVERFLOW] Too much happens, NOTIFY is off now");
}

void
imap_notify_tell(struct imap *s)
{
	struct imap_notify *n = s->notify;
	struct imap_notify_news *w, *list;

	if (n != NULL && n->overflow)
		give_up(s);
	if (n != NULL && s->woken && s->folder != NULL && n->selected != 0) {
		s->woken = false;
		imap_view_sync(s, s->idling || !n->delayed);
	}
	if (n != NULL && (list = n->news) != NULL) {
		/* Telling looks at folders, which may bring more news. */
		n->news = NULL;
		n->news_end = &n->news;
		n->n_news = 0;
		while ((w = list) != NULL) {
			list = w->next;
			tell(s, w);
			news_free(w);
		}
	}
	imap_announce_start(s);
}

void
imap_notify_free(struct imap *s)
{
	struct imap_notify *n = s->notify;

	if (n == NULL)
		return;
	store_unwatch(n->watch);
	news_clear(n);
	for (size_t i = 0; i < n->n_groups; i++)
		imap_scope_clear(&n->groups[i].scope);
	free(n->attributes);
	free(n);
	s->notify = NULL;
}

void
imap_notify_print_selected(const struct imap *s, struct evbuffer *out)
{
	const struct imap_notify *n = s->notify;

	if (n == NULL || n->selected == 0) {
		evbuffer_add_printf(out, "NONE");
		return;
	}
	evbuffer_add_printf(
	    out, "SET (selected%s (MessageNew", n->delayed ? "-delayed" : "");
	/* Literals do not go that way. */
	if (n->attributes != NULL && strpbrk(n->attributes, "\r\n") == NULL)
		evbuffer_add_printf(out, " (%s)", n->attributes);
	evbuffer_add_printf(out, " MessageExpunge%s))",
	    n->selected & IMAP_EVENT_FLAGS ? " FlagChange" : "");
}

/* ---- NOTIFY ---- */

#define EVENT_NAMES                                                            \
	"MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange " \
	"MailboxMetadataChange ServerMetadataChange"

/* Events after the mailboxes, with or without parentheses: the RFC's grammar has them,
 * its examples not. */
static int
parse_events(struct imap_args *a, struct imap_notify *n, struct imap_notify_group *g,
    bool selected, bool *unknown)
{
	static const char *const names[] = { "MESSAGENEW", "MESSAGEEXPUNGE", "FLAGCHANGE",
		"MAILBOXNAME", "SUBSCRIPTIONCHANGE", "MAILBOXMETADATACHANGE",
		"SERVERMETADATACHANGE" };
	bool list = imap_try_char(a, '('), none = false;
	struct imap_str v;

	do {
		size_t i = 0;

		if (imap_atom(a, &v) == -1)
			return -1;
		if (imap_str_is(&v, "NONE")) {
			none = true;
			continue;
		}
		while (i < 7 && !imap_str_is(&v, names[i]))
			i++;
		if (i == 7) {
			*unknown = true;
			continue;
		}
		g->events |= 1u << i;
		if (1u << i != IMAP_EVENT_NEW || a->len - a->pos < 2 ||
		    a->buf[a->pos] != ' ' || a->buf[a->pos + 1] != '(')
			continue;
		if (!selected)
			return imap_fail(
			    a, "FETCH items are for the selected mailbox only");
		if (n->attributes != NULL)
			return imap_fail(a, "FETCH items twice");
		(void)imap_sp(a);
		if ((n->attributes = imap_announce_parse(a)) == NULL)
			return -1;
	} while (imap_try_char(a, ' '));
	if (none && g->events != 0)
		return imap_fail(a, "NONE stands alone");
	return list ? imap_char(a, ')') : 0;
}

static int
check_events(struct imap_args *a, unsigned int events, bool selected)
{
	unsigned int both = events & (IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE);

	if (selected && (events & ~(unsigned int)IMAP_EVENTS_MESSAGE))
		return imap_fail(a, "Not an event of the selected mailbox");
	if (both != 0 && both != (IMAP_EVENT_NEW | IMAP_EVENT_EXPUNGE))
		return imap_fail(a, "MessageNew and MessageExpunge go together");
	if ((events & IMAP_EVENT_FLAGS) && both == 0)
		return imap_fail(a, "FlagChange needs MessageNew and MessageExpunge");
	return 0;
}

/* "(" filter-mailboxes events ")" */
static int
parse_group(struct imap *s, struct imap_args *a, struct imap_notify *n,
    bool *seen_selected, bool *unknown)
{
	struct imap_notify_group *g = &n->groups[n->n_groups];
	bool selected;

	if (n->n_groups == IMAP_NOTIFY_GROUPS_MAX)
		return imap_fail(a, "Too many event groups");
	if (imap_char(a, '(') == -1)
		return -1;
	n->n_groups++;
	if (imap_scope_parse(s, a, &g->scope) == -1 || imap_sp(a) == -1)
		return -1;
	if (g->scope.kind == IMAP_SCOPE_SUBTREE_ONE)
		return imap_fail(a, "Unknown kind of mailboxes");
	selected = g->scope.kind <= IMAP_SCOPE_SELECTED_DELAYED;
	if (s->guest != NULL && !selected)
		return imap_fail(a, "Only the selected mailbox");
	if (parse_events(a, n, g, selected, unknown) == -1 ||
	    (!*unknown && check_events(a, g->events, selected) == -1))
		return -1;
	if (selected) {
		if (*seen_selected)
			return imap_fail(a, "The selected mailbox twice");
		*seen_selected = true;
		n->selected = g->events;
		n->delayed = g->scope.kind == IMAP_SCOPE_SELECTED_DELAYED;
	}
	return imap_char(a, ')');
}

static int
parse_set(
    struct imap *s, struct imap_args *a, struct imap_notify *n, bool *status, bool *bad)
{
	bool seen_selected = false;
	struct imap_str v;

	if (imap_sp(a) == -1)
		return -1;
	if (imap_peek(a) != '(') {
		if (imap_atom(a, &v) == -1)
			return -1;
		if (!imap_str_is(&v, "STATUS"))
			return imap_fail(a, "STATUS or an event group expected");
		*status = true;
		if (imap_sp(a) == -1)
			return -1;
	}
	do {
		if (parse_group(s, a, n, &seen_selected, bad) == -1)
			return -1;
	} while (imap_try_char(a, ' '));
	return 0;
}

/* STATUS of all that is watched (RFC 5465, 3.1). */
static void
tell_status(struct imap *s)
{
	struct folder_info *f;
	size_t count;

	if (store_list(s->store, &f, &count) != STORE_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		unsigned int events = imap_notify_events(s, f[i].name), items = 0;

		if ((f[i].flags & FOLDER_NOSELECT) ||
		    (s->folder != NULL && strcmp(folder_name(s->folder), f[i].name) == 0))
			continue;
		if (events & IMAP_EVENT_NEW)
			items |= IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT |
				 IMAP_STATUS_UIDVALIDITY;
		if (events & IMAP_EVENT_FLAGS)
			items |= IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_HIGHESTMODSEQ;
		if (items != 0)
			(void)imap_status_tell(s, f[i].name, items);
	}
	free(f);
}

void
imap_cmd_notify(struct imap *s, struct imap_args *a)
{
	struct imap_notify *n = calloc(1, sizeof(*n)), *old = s->notify;
	bool status = false, bad = false;
	struct imap_str v;

	if (n == NULL || (n->watch = store_watch(s->store, on_news, s)) == NULL) {
		free(n);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	n->news_end = &n->news;
	s->notify = n; /* so that it can be freed */
	if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
		goto keep;
	if (imap_str_is(&v, "SET")) {
		if (parse_set(s, a, n, &status, &bad) == -1)
			goto keep;
	} else if (!imap_str_is(&v, "NONE")) {
		imap_fail(a, "SET or NONE expected");
		goto keep;
	}
	if (imap_end(a) == -1)
		goto keep;
	if (bad) {
		imap_notify_free(s);
		s->notify = old;
		imap_no(s, "[BADEVENT (" EVENT_NAMES ")] Unsupported event");
		return;
	}
	s->notify = old;
	imap_notify_free(s);
	s->notify = n;
	s->watched++;
	s->notify_version++;
	if (s->folder != NULL)
		folder_refresh(s->folder);
	imap_notify_view_changed(s);
	if (status)
		tell_status(s);
	if (!imap_remote_notify(s))
		imap_ok(s, "NOTIFY completed");
	return;
keep:
	imap_notify_free(s);
	s->notify = old;
}
