/* SPDX-License-Identifier: ISC */
/*
 * FETCH as a task: message by message, item by item, and a large section piece by piece,
 * while there is room in the output. Nothing of a message is sent before its content
 * could be opened, so that one that vanished leaves no torn response.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "common/proto/header.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_qresync.h"

#define PIECE 65536
/* Messages and octets looked at in one slice, so that other sessions get their turn. */
#define SLICE_MESSAGES 500
#define SLICE_OCTETS (4 * 1024 * 1024)

struct fetch {
	struct imap_task task;
	struct imap_items items;
	uint32_t *uids;
	size_t n, i; /* the current message */
	bool uid_command;
	bool seen; /* an item sets \Seen */
	bool gone; /* some message was not there any more */
	bool unknown_cte;
	char *done;

	/* within a message; item == SIZE_MAX: not begun */
	size_t item;
	bool tell_flags;
	struct message message; /* as it was, for one that goes meanwhile */
	bool have_content;
	struct content content;
	struct mime_tree *tree;
	struct imap_octets octets;
	size_t octets_sent;
	bool in_section;
	size_t work;
};

static void
message_end(struct fetch *f)
{
	mime_free(f->tree);
	f->tree = NULL;
	if (f->have_content)
		content_release(&f->content);
	f->have_content = false;
	free(f->octets.owned);
	memset(&f->octets, 0, sizeof(f->octets));
	f->in_section = false;
	f->item = SIZE_MAX;
	f->i++;
}

static void
fetch_free(struct imap_task *t)
{
	struct fetch *f = (struct fetch *)t;

	message_end(f);
	imap_items_clear(&f->items);
	free(f->uids);
	free(f->done);
	free(f);
}

static int
cache_kind(enum imap_item_kind kind)
{
	switch (kind) {
	case IMAP_ITEM_ENVELOPE:
		return IMAP_CACHE_ENVELOPE;
	case IMAP_ITEM_BODYSTRUCTURE:
		return IMAP_CACHE_STRUCTURE;
	case IMAP_ITEM_BODY:
		return IMAP_CACHE_BODY;
	case IMAP_ITEM_EMAILID:
		return IMAP_CACHE_EMAILID;
	case IMAP_ITEM_THREADID:
		return IMAP_CACHE_THREADID;
	case IMAP_ITEM_PREVIEW:
		return IMAP_CACHE_PREVIEW;
	default:
		return 0;
	}
}

static bool
needs_content(struct imap *s, struct fetch *f, uint32_t uid)
{
	const uint8_t *v;
	size_t len;

	for (size_t k = 0; k < f->items.n; k++) {
		int kind = cache_kind(f->items.v[k].kind);

		if (f->items.v[k].section != NULL)
			return true;
		if (kind != 0 && folder_cache_get(s->folder, uid, kind, &v, &len) == -1)
			return true;
	}
	return false;
}

static void
set_seen(struct imap *s, struct fetch *f, uint32_t uid)
{
	size_t changed = 0;

	/* What others changed must be told as such before our own change hides it. */
	if (folder_highestmodseq(s->folder) != s->walked)
		imap_view_sync(s, false);
	if (folder_store(s->folder, &uid, 1, FLAG_OP_ADD, FLAG_SEEN, 0, 0, NULL, NULL,
		&changed) == STORE_OK &&
	    changed > 0)
		f->tell_flags = true;
	s->modseq = s->walked = folder_highestmodseq(s->folder);
}

/* Asked only for what the client's own view of the folder knows. */
static bool
only_uids(const struct fetch *f)
{
	for (size_t k = 0; k < f->items.n; k++)
		if (f->items.v[k].kind != IMAP_ITEM_UID)
			return false;
	return true;
}

static bool
asked(const struct fetch *f, enum imap_item_kind kind)
{
	for (size_t k = 0; k < f->items.n; k++)
		if (f->items.v[k].kind == kind)
			return true;
	return false;
}

/* Begin with the message f->i. 0: it is gone. The client was not told yet: its sequence
 * number still has its UID. */
static int
message_begin(struct imap *s, struct fetch *f)
{
	uint32_t uid = f->uids[f->i];
	const struct message *m;
	size_t at;
	int exact;

	f->tell_flags = false;
	at = folder_find(s->folder, uid, &exact);
	if (!exact) {
		if (!only_uids(f))
			return 0;
		f->message = (struct message){ .uid = uid };
		imap_print_fetch(s, uid, s->out);
		f->item = 0;
		return 1;
	}
	if (needs_content(s, f, uid)) {
		if (folder_content(s->folder, uid, &f->content) != STORE_OK)
			return 0;
		f->have_content = true;
	}
	m = folder_message(s->folder, at);
	f->message = *m;
	if (f->seen && !s->readonly && (m->flags & FLAG_SEEN) == 0 &&
	    (imap_rights_here(s) & ACL_SEEN))
		set_seen(s, f, uid);
	/* Another session may have made keywords, which FLAGS must have told first. */
	if (f->tell_flags || asked(f, IMAP_ITEM_FLAGS))
		imap_view_tell_keywords(s);
	imap_print_fetch(s, uid, s->out);
	f->item = 0;
	return 1;
}

static int
need_tree(struct fetch *f)
{
	if (f->tree == NULL) {
		f->tree = mime_parse((const char *)f->content.data, f->content.len, NULL);
		f->work += f->content.len;
	}
	return f->tree == NULL ? -1 : 0;
}

static void
make_item(struct fetch *f, enum imap_item_kind kind, const char *msg, struct evbuffer *b)
{
	size_t len = f->content.len;
	char id[IMAP_OBJECTID_MAX], text[IMAP_PREVIEW_CHARS * 4 + 1];

	switch (kind) {
	case IMAP_ITEM_ENVELOPE:
		imap_print_envelope(b, msg, header_section_len(msg, len));
		break;
	case IMAP_ITEM_EMAILID:
		imap_make_emailid(msg, len, id);
		f->work += len;
		evbuffer_add_printf(b, "(%s)", id);
		break;
	case IMAP_ITEM_THREADID:
		imap_make_threadid(msg, len, id);
		evbuffer_add_printf(b, "(%s)", id);
		break;
	case IMAP_ITEM_PREVIEW:
		if (need_tree(f) == 0)
			imap_print_string(b, text,
			    imap_make_preview(msg, len, f->tree, text, sizeof(text)));
		break;
	default:
		if (need_tree(f) == 0)
			imap_print_structure(
			    b, msg, len, f->tree, kind == IMAP_ITEM_BODYSTRUCTURE);
	}
}

/* From the cache, or made and put there. */
static void
cached_item(struct imap *s, struct fetch *f, enum imap_item_kind kind, uint32_t uid)
{
	const uint8_t *v;
	size_t len;
	struct evbuffer *b;
	const char *msg = (const char *)f->content.data;

	if (folder_cache_get(s->folder, uid, cache_kind(kind), &v, &len) == 0) {
		evbuffer_add(s->out, v, len);
		return;
	}
	if (!f->have_content || (b = evbuffer_new()) == NULL) {
		evbuffer_add(s->out, "NIL", 3);
		return;
	}
	make_item(f, kind, msg, b);
	len = evbuffer_get_length(b);
	v = evbuffer_pullup(b, -1);
	if (v == NULL || len == 0)
		evbuffer_add(s->out, "NIL", 3);
	else {
		folder_cache_put(s->folder, uid, cache_kind(kind), v, len);
		evbuffer_add_buffer(s->out, b);
	}
	evbuffer_free(b);
}

static void
section_begin(struct imap *s, struct fetch *f, const struct imap_item *it)
{
	evbuffer_add_printf(s->out, "%s ", it->label);
	if ((it->section->n_path > 0 && need_tree(f) == -1) ||
	    imap_section_get(it->section, (const char *)f->content.data, f->content.len,
		f->tree, &f->octets) == -1)
		f->octets.nil = true;
	f->unknown_cte |= f->octets.unknown_cte;
	f->work += f->octets.work;
	if (it->kind == IMAP_ITEM_BINARY_SIZE) {
		evbuffer_add_printf(s->out, "%zu", f->octets.nil ? 0 : f->octets.len);
		free(f->octets.owned);
		memset(&f->octets, 0, sizeof(f->octets));
		return;
	}
	if (f->octets.nil) {
		evbuffer_add(s->out, "NIL", 3);
		return;
	}
	/* literal8 only where it must be (RFC 3516, 4.3) */
	if (it->section->binary && f->octets.len > 0 &&
	    memchr(f->octets.data, '\0', f->octets.len) != NULL)
		evbuffer_add(s->out, "~", 1);
	evbuffer_add_printf(s->out, "{%zu}\r\n", f->octets.len);
	f->octets_sent = 0;
	f->in_section = true;
}

static void
section_piece(struct imap *s, struct fetch *f)
{
	size_t n = f->octets.len - f->octets_sent;

	if (n > PIECE)
		n = PIECE;
	if (n > 0)
		evbuffer_add(s->out, f->octets.data + f->octets_sent, n);
	f->octets_sent += n;
	f->work += n;
	if (f->octets_sent == f->octets.len) {
		free(f->octets.owned);
		memset(&f->octets, 0, sizeof(f->octets));
		f->in_section = false;
	}
}

static void
print_date(struct evbuffer *out, const char *item, int64_t t, int zone)
{
	char date[DATE_MAX];

	if (date_format_imap(t, zone, date, sizeof(date)) == -1)
		(void)strlcpy(date, " 1-Jan-1970 00:00:00 +0000", sizeof(date));
	evbuffer_add_printf(out, "%s \"%s\"", item, date);
}

static void
item_begin(struct imap *s, struct fetch *f, const struct imap_item *it)
{
	int exact;
	uint32_t uid = f->uids[f->i];
	size_t at = folder_find(s->folder, uid, &exact);
	const struct message *m = exact ? folder_message(s->folder, at) : NULL;

	if (m == NULL) /* expunged while its content was being sent */
		m = &f->message;
	switch (it->kind) {
	case IMAP_ITEM_FLAGS:
		f->tell_flags = false;
		imap_print_flags(s, m);
		break;
	case IMAP_ITEM_UID:
		evbuffer_add_printf(s->out, "UID %u", m->uid);
		break;
	case IMAP_ITEM_INTERNALDATE:
		print_date(s->out, "INTERNALDATE", m->internal, m->zone);
		break;
	case IMAP_ITEM_SIZE:
		evbuffer_add_printf(s->out, "RFC822.SIZE %u", m->size);
		break;
	case IMAP_ITEM_ENVELOPE:
		evbuffer_add(s->out, "ENVELOPE ", 9);
		cached_item(s, f, it->kind, uid);
		break;
	case IMAP_ITEM_BODY:
		evbuffer_add(s->out, "BODY ", 5);
		cached_item(s, f, it->kind, uid);
		break;
	case IMAP_ITEM_BODYSTRUCTURE:
		evbuffer_add(s->out, "BODYSTRUCTURE ", 14);
		cached_item(s, f, it->kind, uid);
		break;
	case IMAP_ITEM_SECTION:
	case IMAP_ITEM_BINARY_SIZE:
		section_begin(s, f, it);
		break;
	case IMAP_ITEM_MODSEQ:
		evbuffer_add_printf(
		    s->out, "MODSEQ (%llu)", (unsigned long long)m->modseq);
		break;
	case IMAP_ITEM_EMAILID:
		evbuffer_add(s->out, "EMAILID ", 8);
		cached_item(s, f, it->kind, uid);
		break;
	case IMAP_ITEM_THREADID:
		evbuffer_add(s->out, "THREADID ", 9);
		cached_item(s, f, it->kind, uid);
		break;
	case IMAP_ITEM_SAVEDATE:
		print_date(s->out, "SAVEDATE", m->saved, 0);
		break;
	case IMAP_ITEM_PREVIEW:
	case IMAP_ITEM_PREVIEW_LAZY:
		/* Lazy: from the cache, or not now (RFC 8970, 3.2). */
		evbuffer_add(s->out, "PREVIEW ", 8);
		cached_item(s, f, IMAP_ITEM_PREVIEW, uid);
		break;
	}
}

/* The message became \Seen; with CONDSTORE also its UID and its modification sequence
 * are told (RFC 7162, 3.2.4), unless they were asked for. */
static void
tell_seen(struct imap *s, struct fetch *f)
{
	static const struct imap_item also[] = { { .kind = IMAP_ITEM_UID },
		{ .kind = IMAP_ITEM_FLAGS }, { .kind = IMAP_ITEM_MODSEQ } };

	for (size_t k = 0; k < sizeof(also) / sizeof(also[0]); k++) {
		if (also[k].kind != IMAP_ITEM_FLAGS &&
		    ((s->enabled & IMAP_CONDSTORE) == 0 || asked(f, also[k].kind)))
			continue;
		if (also[k].kind == IMAP_ITEM_UID && (s->enabled & IMAP_UIDONLY))
			continue;
		evbuffer_add(s->out, " ", 1);
		item_begin(s, f, &also[k]);
	}
}

static void
advance(struct imap *s, struct fetch *f)
{

	if (f->in_section) {
		section_piece(s, f);
		return;
	}
	if (f->item == SIZE_MAX) {
		f->work += SLICE_OCTETS / SLICE_MESSAGES;
		if (!message_begin(s, f)) {
			f->gone = true;
			message_end(f);
		}
		return;
	}
	if (f->item < f->items.n) {
		if (f->item > 0)
			evbuffer_add(s->out, " ", 1);
		item_begin(s, f, &f->items.v[f->item++]);
		return;
	}
	if (f->tell_flags)
		tell_seen(s, f);
	evbuffer_add(s->out, ")\r\n", 3);
	message_end(f);
}

static int
fetch_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct fetch *f = (struct fetch *)t;

	f->work = 0;
	while (f->i < f->n) {
		if (evbuffer_get_length(s->out) + unsent >= IMAP_HIGH_WATER ||
		    f->work >= SLICE_OCTETS)
			return 1;
		advance(s, f);
	}
	if (f->done == NULL)
		return 0; /* nobody asked */
	if (f->unknown_cte)
		imap_no(s, "[UNKNOWN-CTE] A part has an unknown transfer encoding");
	else if (f->gone && !f->uid_command)
		imap_ok(s, "[EXPUNGEISSUED] Some of the messages no longer exist");
	else
		imap_ok(s, "%s", f->done);
	return 0;
}

void
imap_fetch_start(
    struct imap *s, struct imap_items *items, uint32_t *uids, size_t n, const char *done)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL || (f->done = strdup(done)) == NULL) {
		free(f);
		imap_items_clear(items);
		free(uids);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	f->task.step = fetch_step;
	f->task.free = fetch_free;
	f->items = *items;
	f->uids = uids;
	f->n = n;
	f->item = SIZE_MAX;
	f->uid_command = s->uid;
	for (size_t i = 0; i < items->n; i++)
		if (items->v[i].section != NULL && !items->v[i].section->peek)
			f->seen = true;
	items->n = 0;
	imap_set_task(s, &f->task);
}

void
imap_fetch_announce(struct imap *s, struct imap_items *items, uint32_t *uids, size_t n)
{
	struct fetch *f = n > 0 ? calloc(1, sizeof(*f)) : NULL;

	if (f == NULL) {
		imap_items_clear(items);
		free(uids);
		return;
	}
	f->task.step = fetch_step;
	f->task.free = fetch_free;
	f->items = *items;
	f->uids = uids;
	f->n = n;
	f->item = SIZE_MAX;
	items->n = 0;
	imap_set_task(s, &f->task);
}

struct modifiers {
	bool changed_since, vanished;
	uint64_t modseq;
	struct imap_partial partial;
};

/* " (" CHANGEDSINCE n [VANISHED] / PARTIAL range ")" (RFC 7162, 3.1.4; RFC 9394, 3.3) */
static int
modifiers(struct imap *s, struct imap_args *a, struct modifiers *m)
{
	struct imap_str v;

	memset(m, 0, sizeof(*m));
	if (imap_peek(a) == -1)
		return 0;
	if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	do {
		if (imap_atom(a, &v) == -1)
			return -1;
		if (imap_str_is(&v, "CHANGEDSINCE")) {
			m->changed_since = true;
			if (imap_sp(a) == -1 || imap_modseq(a, &m->modseq) == -1)
				return -1;
		} else if (imap_str_is(&v, "VANISHED"))
			m->vanished = true;
		else if (imap_str_is(&v, "PARTIAL")) {
			if (!s->uid)
				return imap_fail(a, "PARTIAL is for UID FETCH");
			if (imap_sp(a) == -1 || imap_partial_parse(a, &m->partial) == -1)
				return -1;
		} else
			return imap_fail(a, "Unknown FETCH modifier");
	} while (imap_try_char(a, ' '));
	if (m->vanished &&
	    (!m->changed_since || !s->uid || (s->enabled & IMAP_QRESYNC) == 0))
		return imap_fail(
		    a, "VANISHED needs UID FETCH, CHANGEDSINCE and ENABLE QRESYNC");
	return imap_char(a, ')');
}

/* Leaves those of the UIDs that the modifiers mean. */
static size_t
apply(struct imap *s, const struct modifiers *m, uint32_t *uids, size_t n)
{
	size_t out = 0, from, to;
	int exact;

	for (size_t i = 0; i < n && m->changed_since; i++) {
		size_t at = folder_find(s->folder, uids[i], &exact);

		if (exact && folder_message(s->folder, at)->modseq > m->modseq)
			uids[out++] = uids[i];
	}
	if (m->changed_since)
		n = out;
	if (m->partial.asked) {
		imap_partial_slice(&m->partial, n, &from, &to);
		memmove(uids, uids + from, (to - from) * sizeof(*uids));
		n = to - from;
	}
	return n;
}

/* The set as VANISHED means it: "*" is the last UID that was ever given, since the
 * message that had it may be gone. */
static int
known_uids(struct imap *s, const struct imap_set *set, struct imap_set *gone)
{
	if ((gone->r = reallocarray(NULL, set->n + 1, sizeof(*gone->r))) == NULL)
		return -1;
	memcpy(gone->r, set->r, set->n * sizeof(*gone->r));
	gone->n = set->n;
	imap_set_resolve(gone, folder_uidnext(s->folder) - 1);
	return 0;
}

void
imap_cmd_fetch(struct imap *s, struct imap_args *a)
{
	struct imap_set set = { 0 }, gone = { 0 };
	struct imap_items items = { .n = 0 };
	struct modifiers m;
	uint32_t *uids;
	const char *error;
	size_t n;

	if (imap_sp(a) == -1 || imap_set_parse(a, &set) == -1 || imap_sp(a) == -1 ||
	    imap_items_parse(a, &items) == -1 || modifiers(s, a, &m) == -1 ||
	    imap_end(a) == -1)
		goto out;
	if ((s->uid && (s->enabled & IMAP_UIDONLY) == 0 &&
		imap_items_add(&items, IMAP_ITEM_UID) == -1) ||
	    (m.changed_since && imap_items_add(&items, IMAP_ITEM_MODSEQ) == -1)) {
		imap_fail(a, "Too many FETCH items");
		goto out;
	}
	if (m.vanished && !set.saved && known_uids(s, &set, &gone) == -1) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		goto out;
	}
	if (imap_view_select(s, &set, &uids, &n, &error) == -1) {
		imap_bad(s, error);
		goto out;
	}
	for (size_t i = 0; i < items.n; i++)
		if (items.v[i].kind == IMAP_ITEM_MODSEQ)
			imap_use_condstore(s);
	if (m.vanished && !set.saved && m.modseq < folder_highestmodseq(s->folder))
		imap_qresync_vanished(s, &gone, m.modseq, 0);
	if (m.partial.asked && s->offer.message_limit != 0 &&
	    m.partial.hi - m.partial.lo >= s->offer.message_limit) {
		free(uids);
		imap_limit_no(s, s->offer.message_limit);
		goto out;
	}
	n = apply(s, &m, uids, n);
	imap_limit_cut(s, uids, &n);
	/* From the highest to the lowest then (RFC 9738, 3.1). */
	for (size_t i = 0; s->cut_at != 0 && i < n / 2; i++) {
		uint32_t uid = uids[i];

		uids[i] = uids[n - 1 - i];
		uids[n - 1 - i] = uid;
	}
	imap_fetch_start(
	    s, &items, uids, n, s->uid ? "UID FETCH completed" : "FETCH completed");
out:
	imap_items_clear(&items);
	imap_set_clear(&set);
	imap_set_clear(&gone);
}
