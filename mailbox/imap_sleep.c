/* SPDX-License-Identifier: ISC */
/* Sessions as octets and back; see imap_sleep.h. Numbers are big-endian. */
#include "mailbox/imap_sleep.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/imap.h"
#include "mailbox/imap_share.h"

#define VERSION 2
#define IDLING 1
#define READONLY 2
#define SELECTED 4
#define EXPUNGE_PENDING 8
#define SAVED 16
#define QUOTASET 32
#define VIEW_MAX (1u << 24) /* messages */

/* ---- putting away ---- */

static void
put(struct evbuffer *out, uint64_t v, size_t n)
{
	uint8_t raw[8];

	for (size_t i = 0; i < n; i++)
		raw[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	evbuffer_add(out, raw, n);
}

static void
put_text(struct evbuffer *out, const char *s)
{
	put(out, strlen(s), 2);
	evbuffer_add(out, s, strlen(s));
}

/* Ascending numbers as runs. */
struct runs {
	struct evbuffer *out;
	uint32_t first, last;
	uint32_t n;
};

static void
run_add(struct runs *r, uint32_t uid)
{
	if (r->n > 0 && uid == r->last + 1) {
		r->last = uid;
		return;
	}
	if (r->n++ > 0) {
		put(r->out, r->first, 4);
		put(r->out, r->last, 4);
	}
	r->first = r->last = uid;
}

/* Their number stands behind them, as a run that begins with 0. */
static void
run_end(struct runs *r)
{
	if (r->n > 0) {
		put(r->out, r->first, 4);
		put(r->out, r->last, 4);
	}
	put(r->out, 0, 4);
}

static void
put_folder(struct imap *s, struct evbuffer *out)
{
	struct runs view = { .out = out }, recent = { .out = out },
		    saved = { .out = out };

	put_text(out, folder_name(s->folder));
	evbuffer_add(out, folder_id(s->folder), FOLDER_ID_LEN);
	put(out, folder_uidvalidity(s->folder), 4);
	put(out, s->modseq, 8);
	put(out, s->walked, 8);
	put(out, (uint64_t)s->n_keywords, 2);
	for (size_t i = 0; i < s->n_view; i++)
		run_add(&view, imap_view_uid(s, i));
	run_end(&view);
	for (size_t i = 0; i < s->n_view; i++)
		if (imap_view_recent(s, i))
			run_add(&recent, imap_view_uid(s, i));
	run_end(&recent);
	for (size_t i = 0; i < s->n_saved; i++)
		run_add(&saved, s->saved[i]);
	run_end(&saved);
}

/* What is added to struct imap is put away here, or keeps the session awake. */
static bool
waits(const struct imap *s)
{
	return s->task == NULL && s->append == NULL && s->guest == NULL &&
	       (s->share == NULL ||
		   (LIST_EMPTY(&s->share->links) && s->share->append == NULL &&
		       !imap_share_is_remote(s))) &&
	       !s->waiting && !s->unauthenticated && s->notify == NULL &&
	       s->contexts == NULL && s->n_announced == 0 && s->compress == IMAP_PLAIN &&
	       s->state != IMAP_ENDED && !s->woken && s->lex.len == 0 &&
	       s->lex.state == IMAP_LEX_IN_LINE && s->lex.error == NULL &&
	       evbuffer_get_length(s->out) == 0;
}

int
imap_sleep(struct imap *s, struct evbuffer *out)
{
	size_t before = evbuffer_get_length(out);

	if (!waits(s))
		return -1;
	put(out, VERSION, 1);
	put(out,
	    (s->idling ? IDLING : 0) | (s->readonly ? READONLY : 0) |
		(s->folder != NULL ? SELECTED : 0) |
		(s->expunge_pending ? EXPUNGE_PENDING : 0) |
		(s->saved != NULL ? SAVED : 0) | (s->offer.quotaset ? QUOTASET : 0),
	    1);
	put(out, s->login, 8);
	put(out, s->enabled, 4);
	put(out, s->bad, 4);
	put_text(out, s->tag);
	if (s->folder != NULL)
		put_folder(s, out);
	return evbuffer_get_length(out) - before <= IMAP_SLEEP_MAX ? 0 : -1;
}

/* ---- going on ---- */

struct reader {
	const uint8_t *p;
	size_t len;
	bool failed;
};

static uint64_t
take(struct reader *r, size_t n)
{
	uint64_t v = 0;

	if (r->failed || r->len < n) {
		r->failed = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | r->p[i];
	r->p += n;
	r->len -= n;
	return v;
}

static void
take_octets(struct reader *r, char *out, size_t n, size_t cap)
{
	out[0] = '\0';
	if (r->failed || r->len < n || n >= cap || memchr(r->p, '\0', n) != NULL) {
		r->failed = true;
		return;
	}
	memcpy(out, r->p, n);
	out[n] = '\0';
	r->p += n;
	r->len -= n;
}

static void
take_text(struct reader *r, char *out, size_t cap)
{
	take_octets(r, out, (size_t)take(r, 2), cap);
}

/* Numbers below limit, ascending; add() is called for each. */
static void
take_runs(
    struct reader *r, uint32_t limit, int (*add)(struct imap *, uint32_t), struct imap *s)
{
	uint32_t above = 0;

	for (;;) {
		uint32_t first = (uint32_t)take(r, 4), last;

		if (r->failed || first == 0)
			return;
		last = (uint32_t)take(r, 4);
		if (r->failed || first <= above || last < first || last >= limit) {
			r->failed = true;
			return;
		}
		for (uint32_t uid = first; uid <= last; uid++)
			if (add(s, uid) == -1) {
				r->failed = true;
				return;
			}
		above = last;
	}
}

static int
add_view(struct imap *s, uint32_t uid)
{
	if (s->n_view == VIEW_MAX)
		return -1;
	if (s->n_view == s->view_cap) {
		size_t cap = s->view_cap == 0 ? 64 : s->view_cap * 2;
		struct imap_view_entry *v = reallocarray(s->view, cap, sizeof(*v));

		if (v == NULL)
			return -1;
		s->view = v;
		s->view_cap = cap;
	}
	s->view[s->n_view++] = (struct imap_view_entry){ .uid = uid };
	return 0;
}

static int
add_recent(struct imap *s, uint32_t uid)
{
	uint32_t seq = imap_view_seq(s, uid);

	if (seq == 0)
		return -1;
	s->view[seq - 1].recent = 1;
	return 0;
}

static int
add_saved(struct imap *s, uint32_t uid)
{
	uint32_t *p;

	if ((s->n_saved & (s->n_saved - 1)) == 0) {
		size_t cap = s->n_saved == 0 ? 1 : s->n_saved * 2;

		if ((p = reallocarray(s->saved, cap + 1, sizeof(*p))) == NULL)
			return -1;
		s->saved = p;
	}
	s->saved[s->n_saved++] = uid;
	return 0;
}

static int
take_folder(struct imap *s, struct reader *r, unsigned int flags)
{
	char name[STORE_NAME_MAX + 1], id[FOLDER_ID_LEN + 1];
	struct folder *f;
	uint32_t uidvalidity;
	uint64_t modseq, walked;
	int n_keywords;

	take_text(r, name, sizeof(name));
	take_octets(r, id, FOLDER_ID_LEN, sizeof(id));
	uidvalidity = (uint32_t)take(r, 4);
	modseq = take(r, 8);
	walked = take(r, 8);
	n_keywords = (int)take(r, 2);
	if (r->failed || n_keywords > STORE_KEYWORDS_MAX ||
	    folder_open(s->store, name, &f) != STORE_OK)
		return -1;
	/* Readonly, so that nothing is taken for seen which the client was not told. */
	if (imap_view_open(s, f, true) == -1)
		return -1;
	if (folder_uidvalidity(f) != uidvalidity || strcmp(folder_id(f), id) != 0)
		return -1;
	if (imap_view_make(s) == -1)
		return -1;
	s->n_view = 0;
	take_runs(r, folder_uidnext(f), add_view, s);
	take_runs(r, folder_uidnext(f), add_recent, s);
	take_runs(r, folder_uidnext(f), add_saved, s);
	if ((flags & SAVED) && s->saved == NULL)
		s->saved = calloc(1, sizeof(*s->saved));
	s->readonly = (flags & READONLY) != 0;
	s->expunge_pending = (flags & EXPUNGE_PENDING) != 0;
	s->modseq = modseq;
	s->walked = walked;
	s->n_keywords = n_keywords;
	return 0;
}

int
imap_wake(struct imap *s, const uint8_t *octets, size_t len)
{
	struct reader r = { octets, len, false };
	unsigned int flags;

	if (!imap_has_store(s) || take(&r, 1) != VERSION)
		return -1;
	flags = (unsigned int)take(&r, 1);
	s->login = take(&r, 8);
	s->enabled = (unsigned int)take(&r, 4);
	s->bad = (unsigned int)take(&r, 4);
	take_text(&r, s->tag, sizeof(s->tag));
	if (r.failed || ((flags & SELECTED) && take_folder(s, &r, flags) == -1) ||
	    r.failed || r.len != 0)
		return -1;
	s->offer.quotaset = (flags & QUOTASET) != 0;
	s->idling = (flags & IDLING) != 0;
	/* What has happened meanwhile is told at the next turn. */
	s->woken = s->idling && s->folder != NULL;
	return 0;
}
