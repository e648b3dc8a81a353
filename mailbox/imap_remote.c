/* SPDX-License-Identifier: ISC */
/* Commands on other users' mailboxes: which go there, and how; see imap_share.h. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap_notify.h"
#include "mailbox/imap_share.h"

/* Where a command names its mailbox. */
enum where {
	NOWHERE, /* it is of the selected one */
	SOURCES, /* of ESEARCH: the selected one, or others */
	FIRST,
	AFTER_OPTIONS, /* of GETMETADATA */
	ROOT,          /* of quotas */
	BOTH,
	AFTER_SET,
};

static const struct route {
	const char *name;
	enum where where;
	enum imap_remote_kind kind;
} routes[] = {
	{ "NOOP", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "CHECK", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "CLOSE", NOWHERE, IMAP_REMOTE_CLOSE },
	{ "UNSELECT", NOWHERE, IMAP_REMOTE_CLOSE },
	{ "EXPUNGE", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "FETCH", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "STORE", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "SEARCH", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "ESEARCH", SOURCES, IMAP_REMOTE_PLAIN },
	{ "SORT", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "THREAD", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "CANCELUPDATE", NOWHERE, IMAP_REMOTE_PLAIN },
	{ "IDLE", NOWHERE, IMAP_REMOTE_IDLE },
	{ "SELECT", FIRST, IMAP_REMOTE_SELECT },
	{ "EXAMINE", FIRST, IMAP_REMOTE_SELECT },
	{ "STATUS", FIRST, IMAP_REMOTE_PLAIN },
	{ "APPEND", FIRST, IMAP_REMOTE_PLAIN }, /* without a literal */
	{ "CREATE", FIRST, IMAP_REMOTE_PLAIN },
	{ "DELETE", FIRST, IMAP_REMOTE_DELETE },
	{ "RENAME", BOTH, IMAP_REMOTE_PLAIN },
	{ "GETQUOTA", ROOT, IMAP_REMOTE_PLAIN },
	{ "GETQUOTAROOT", FIRST, IMAP_REMOTE_PLAIN },
	{ "GETMETADATA", AFTER_OPTIONS, IMAP_REMOTE_PLAIN },
	{ "SETMETADATA", FIRST, IMAP_REMOTE_PLAIN },
	{ "SETACL", FIRST, IMAP_REMOTE_PLAIN },
	{ "DELETEACL", FIRST, IMAP_REMOTE_PLAIN },
	{ "GETACL", FIRST, IMAP_REMOTE_PLAIN },
	{ "LISTRIGHTS", FIRST, IMAP_REMOTE_PLAIN },
	{ "MYRIGHTS", FIRST, IMAP_REMOTE_PLAIN },
	{ "COPY", AFTER_SET, IMAP_REMOTE_PLAIN },
	{ "MOVE", AFTER_SET, IMAP_REMOTE_PLAIN },
};

static const char unavailable[] =
    "[UNAVAILABLE] The mailbox is not available now; select it again";

/* ---- one command over there ---- */

struct remote {
	struct imap_task task;
	struct imap_link *link;
	enum imap_remote_kind kind;
	char name[STORE_NAME_MAX + 1];
	char *text; /* NULL: it has been sent */
	size_t len;
	struct evbuffer *done;
};

static void
remote_free(struct imap_task *t)
{
	struct remote *r = (struct remote *)t;

	freezero(r->text, r->len);
	if (r->done != NULL)
		evbuffer_free(r->done);
	free(r);
}

static void
succeeded(struct imap *s, struct remote *r)
{
	struct imap_share *sh = s->share;

	switch (r->kind) {
	case IMAP_REMOTE_SELECT:
		sh->selected = r->link;
		sh->lost = false;
		(void)strlcpy(sh->selected_name, r->name, sizeof(sh->selected_name));
		s->state = IMAP_SELECTED;
		break;
	case IMAP_REMOTE_CLOSE:
		sh->selected = NULL;
		s->state = IMAP_AUTHENTICATED;
		break;
	case IMAP_REMOTE_DELETE:
		if (sh->selected == r->link && strcmp(sh->selected_name, r->name) == 0)
			imap_share_unselect(s);
		break;
	default:
		break;
	}
}

static int
remote_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct remote *r = (struct remote *)t;
	struct imap_link *l = r->link;
	bool about = s->share->selected == l || r->kind == IMAP_REMOTE_SELECT;

	if (l->state == IMAP_LINK_ASKED)
		return imap_link_failed(l) ? 0 : imap_share_wait(s);
	if (l->state == IMAP_LINK_REFUSED) {
		(void)imap_link_failed(l);
		return 0;
	}
	if (r->text != NULL) {
		imap_link_begin(l);
		imap_link_write(l, r->text, r->len);
		imap_link_write(l, "\r\n", 2);
		freezero(r->text, r->len);
		r->text = NULL;
	}
	for (;;)
		switch (imap_link_relay(l, s->tag, about, unsent, r->done)) {
		case IMAP_RELAY_FULL:
			return 1;
		case IMAP_RELAY_PLUS:
			if (r->kind != IMAP_REMOTE_IDLE)
				break;
			evbuffer_add_printf(s->out, "+ idling\r\n");
			s->idling = l->idle_sent = true;
			return 0;
		case IMAP_RELAY_OK:
			succeeded(s, r);
			/* FALLTHROUGH */
		case IMAP_RELAY_NO:
			evbuffer_add_buffer(s->out, r->done);
			s->bad = 0;
			return 0;
		case IMAP_RELAY_LOST:
		case IMAP_RELAY_MORE:
			return imap_link_failed(l) ? 0 : imap_share_wait(s);
		}
}

void
imap_remote_run(struct imap *s, struct imap_link *l, enum imap_remote_kind kind,
    const char *name, const char *text, size_t len)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->done = evbuffer_new()) == NULL ||
	    (text != NULL && (r->text = malloc(len + 1)) == NULL)) {
		if (r != NULL)
			remote_free(&r->task);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	r->task.step = remote_step;
	r->task.free = remote_free;
	r->link = l;
	r->kind = kind;
	(void)strlcpy(r->name, name, sizeof(r->name));
	if (text != NULL) {
		memcpy(r->text, text, len);
		r->len = len;
	}
	l->used_ms = imap_share_now();
	imap_set_task(s, &r->task);
}

/* ---- idle ---- */

void
imap_remote_idle_news(struct imap *s)
{
	struct imap_link *l = s->share->selected;

	if (l != NULL)
		switch (imap_link_relay(l, s->tag, true, 0, NULL)) {
		case IMAP_RELAY_MORE:
		case IMAP_RELAY_FULL:
			return;
		default:
			break;
		}
	/* A client that waits must not wait in vain. */
	imap_bye(s, "[UNAVAILABLE] The mailbox is not available any more");
}

void
imap_remote_idle_line(struct imap *s, const char *line, size_t len)
{
	struct imap_link *l = s->share->selected;

	s->idling = false;
	if (l == NULL) {
		imap_no(s, "%s", unavailable);
		return;
	}
	l->idle_sent = false;
	imap_link_write(l, line, len);
	imap_link_write(l, "\r\n", 2);
	imap_remote_run(s, l, IMAP_REMOTE_PLAIN, "", NULL, 0);
}

/* ---- NOTIFY ---- */

bool
imap_remote_notify(struct imap *s)
{
	struct imap_link *l = s->share == NULL ? NULL : s->share->selected;
	struct evbuffer *b;

	if (l == NULL || (b = evbuffer_new()) == NULL)
		return false;
	evbuffer_add_printf(b, "%s NOTIFY ", s->tag);
	imap_notify_print_selected(s, b);
	l->notified = s->notify_version;
	imap_remote_run(s, l, IMAP_REMOTE_PLAIN, "", (char *)evbuffer_pullup(b, -1),
	    evbuffer_get_length(b));
	evbuffer_free(b);
	return true;
}

void
imap_remote_news(struct imap *s)
{
	struct imap_link *l = s->share == NULL ? NULL : s->share->selected;

	if (l != NULL && l->skip == 0 && s->share->append == NULL)
		(void)imap_link_relay(l, s->tag, true, 0, NULL);
}

/* ---- which commands ---- */

static bool
contains(const char *s, size_t len, const char *what)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= len; i++)
		if (ascii_equal(s + i, n, what))
			return true;
	return false;
}

/* RFC 7162, 3.1: what tells the server that the client knows of modification sequences.
 * To take a command for such that is none does no harm. */
static void
note_condstore(struct imap *s, const char *text, size_t len)
{
	static const char *const words[] = { "CONDSTORE", "MODSEQ", "CHANGEDSINCE",
		"UNCHANGEDSINCE", "QRESYNC" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (contains(text, len, words[i]))
			s->enabled |= IMAP_CONDSTORE;
}

static const struct route *
find_route(const struct imap_str *name)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (imap_str_is(name, routes[i].name))
			return &routes[i];
	return NULL;
}

struct names {
	char name[STORE_NAME_MAX + 1], second[STORE_NAME_MAX + 1];
	char set[4096];
	int whose, whose_second; /* as imap_share_whose() says */
	char owner[ADDRESS_MAX + 1], owner_second[ADDRESS_MAX + 1];
};

static int
read_name(struct imap *s, struct imap_args *a, char name[STORE_NAME_MAX + 1], int *whose,
    char *owner)
{
	const char *no;

	if (imap_mailbox(s, a, name, &no) == -1)
		return -1;
	*whose = no != NULL ? 0 : imap_share_whose(s, name, owner);
	return 0;
}

/* "(options) ", before the mailbox or not there. */
static int
skip_options(struct imap_args *a)
{
	if (imap_peek(a) != '(')
		return 0;
	while (a->pos < a->len && a->buf[a->pos] != ')')
		a->pos++;
	return imap_char(a, ')') == -1 ? -1 : imap_sp(a);
}

/* -1: nothing to be made of it here; the session's own commands say why. */
static int
read_names(struct imap *s, struct imap_args *a, enum where where, struct names *n)
{
	struct imap_str v;
	size_t len;

	if (where == NOWHERE || where == SOURCES)
		return 0;
	if (imap_sp(a) == -1)
		return -1;
	switch (where) {
	case ROOT:
		if (imap_astring(a, &v) == -1 ||
		    imap_str_copy(&v, n->name, sizeof(n->name) - 2) == -1)
			return -1;
		/* A root is called as the tree of its owner. */
		(void)strlcat(n->name, "/x", sizeof(n->name));
		/* An administrator's names come first. */
		n->whose = imap_quota_is_asked(s, n->name)
			       ? 0
			       : imap_share_whose(s, n->name, n->owner);
		return 0;
	case AFTER_SET:
		for (len = 0; a->pos + len < a->len && a->buf[a->pos + len] != ' ';)
			len++;
		if (len == 0 || len >= sizeof(n->set))
			return -1;
		memcpy(n->set, a->buf + a->pos, len);
		n->set[len] = '\0';
		if (strspn(n->set, "0123456789:,*$") != len)
			return -1;
		a->pos += len;
		return imap_sp(a) == -1 ||
			       read_name(s, a, n->name, &n->whose, n->owner) == -1
			   ? -1
			   : imap_end(a);
	case AFTER_OPTIONS:
		if (skip_options(a) == -1)
			return -1;
		break;
	default:
		break;
	}
	if (read_name(s, a, n->name, &n->whose, n->owner) == -1)
		return -1;
	if (where != BOTH)
		return 0;
	if (imap_sp(a) == -1)
		return -1;
	return read_name(s, a, n->second, &n->whose_second, n->owner_second);
}

/* Whatever was selected is not any more (RFC 9051, 6.3.2). */
static void
close_selected(struct imap *s, const struct imap_link *next)
{
	struct imap_share *sh = s->share;

	if (s->folder != NULL) {
		imap_view_close(s);
		imap_untagged(s, "OK [CLOSED] Previous mailbox is closed");
	} else if (sh->selected != NULL && sh->selected != next) {
		imap_share_unselect(s);
		imap_untagged(s, "OK [CLOSED] Previous mailbox is closed");
	} else {
		/* The other side says so itself. */
		sh->selected = NULL;
		sh->lost = false;
	}
	s->state = IMAP_AUTHENTICATED;
}

static void
of_selected(struct imap *s, const struct route *r)
{
	struct imap_share *sh = s->share;

	if (sh->selected != NULL)
		imap_remote_run(s, sh->selected, r->kind, "", s->lex.buf, s->lex.len);
	else if (r->kind == IMAP_REMOTE_CLOSE) {
		imap_share_unselect(s);
		imap_ok(s, "%s completed", r->name);
	} else
		imap_no(s, "%s", unavailable);
}

static int
copy_or_move(struct imap *s, const struct names *n, bool move)
{
	struct imap_link *to = NULL;

	if (!imap_share_is_remote(s) && (n->whose == 0 || s->folder == NULL))
		return 0;
	if (s->share->lost)
		imap_no(s, "%s", unavailable);
	else if (n->whose == -1)
		imap_no(s, "[NONEXISTENT] No such mailbox or message");
	else if (n->whose == 1 && (to = imap_link_get(s, n->owner)) == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else if (to != NULL && to == s->share->selected)
		imap_remote_run(s, to, IMAP_REMOTE_PLAIN, "", s->lex.buf, s->lex.len);
	else
		imap_transfer(s, s->share->selected, to, n->set, n->name, move);
	return 1;
}

static int
of_named(struct imap *s, const struct route *r, const struct names *n)
{
	struct imap_link *l;

	if (r->where == BOTH && n->whose != n->whose_second) {
		imap_no(s, "[CANNOT] Folders stay with their owner");
		return 1;
	}
	if (n->whose == 0)
		return 0;
	if (r->where == BOTH && strcmp(n->owner, n->owner_second) != 0) {
		imap_no(s, "[CANNOT] Folders stay with their owner");
		return 1;
	}
	l = n->whose == 1 ? imap_link_get(s, n->owner) : NULL;
	if (r->kind == IMAP_REMOTE_SELECT)
		close_selected(s, l);
	if (n->whose == -1)
		imap_no(s, "[NONEXISTENT] No such mailbox or message");
	else if (l == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else
		imap_remote_run(s, l, r->kind, n->name, s->lex.buf, s->lex.len);
	return 1;
}

/* " IN (selected) " or no IN at all (RFC 7377, 2.2). */
static bool
only_selected(const struct imap_args *a)
{
	static const char in[] = " IN (", alone[] = " IN (SELECTED) ";
	size_t n = a->len - a->pos;

	return n < sizeof(alone) || !ascii_equal(a->buf + a->pos, sizeof(in) - 1, in) ||
	       ascii_equal(a->buf + a->pos, sizeof(alone) - 1, alone);
}

/* Reading takes quotes and escapes out of a text, which is needed whole. */
static int
dispatch(struct imap *s, struct imap_args *a)
{
	const struct route *r;
	struct imap_str v;
	struct names *n;
	int rv = 0;

	s->uid = false;
	if (imap_tag(a, &v) == -1)
		return 0;
	imap_str_copy(&v, s->tag, sizeof(s->tag));
	if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
		return 0;
	if (imap_str_is(&v, "UID")) {
		s->uid = true;
		if (imap_sp(a) == -1 || imap_atom(a, &v) == -1)
			return 0;
	}
	if ((r = find_route(&v)) == NULL || (n = calloc(1, sizeof(*n))) == NULL)
		return 0;
	s->no_expunge = false;
	if (read_names(s, a, r->where, n) == -1)
		rv = 0;
	else if (r->where == SOURCES && !only_selected(a))
		rv = 0;
	else if (r->where == NOWHERE || r->where == SOURCES) {
		if ((rv = imap_share_is_remote(s)))
			of_selected(s, r);
	} else if (r->where == AFTER_SET)
		rv = copy_or_move(s, n, imap_str_is(&v, "MOVE"));
	else
		rv = of_named(s, r, n);
	/* A set that is none: nothing here may take it for one of its own messages. */
	if (rv == 0 && r->where == AFTER_SET && imap_share_is_remote(s)) {
		imap_bad(s, "Message set and mailbox expected");
		rv = 1;
	}
	if (rv == 1 && s->task != NULL)
		note_condstore(s, s->lex.buf, s->lex.len);
	free(n);
	return rv;
}

int
imap_remote_command(struct imap *s)
{
	struct imap_share *sh = s->share;
	struct imap_args a;
	char *copy;
	int rv;

	if (sh == NULL || sh->prefix[0] == '\0' ||
	    (!imap_share_is_remote(s) && !contains(s->lex.buf, s->lex.len, sh->prefix)))
		return 0;
	if ((copy = malloc(s->lex.len + 1)) == NULL)
		return 0;
	memcpy(copy, s->lex.buf, s->lex.len);
	imap_args_init(&a, copy, s->lex.len);
	rv = dispatch(s, &a);
	free(copy);
	return rv;
}
