/* SPDX-License-Identifier: ISC */
/*
 * SEARCH, SORT and THREAD (RFC 9051, 6.4.4; RFC 5256; RFC 5267) as a task over the view:
 * a slice of messages at a time, with the cheap keys first and content opened only when
 * they leave the matter open. What SORT and THREAD need of a message comes from its
 * record in the index, which is made when it is not there yet.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/proto/header.h"
#include "mailbox/imap.h"
#include "mailbox/imap_context.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_match.h"
#include "mailbox/imap_results.h"
#include "mailbox/imap_search.h"
#include "mailbox/imap_thread.h"

#define SLICE_MESSAGES 2000
#define SLICE_OCTETS (2 * 1024 * 1024)
#define CRITERIA_MAX 20

enum kind {
	SEARCH,
	SORT,
	THREAD
};

enum criterion {
	ARRIVAL,
	CC,
	DATE,
	FROM,
	SIZE,
	SUBJECT,
	TO,
	DISPLAYFROM,
	DISPLAYTO
};

struct order {
	enum criterion by;
	bool reverse;
};

struct found {
	uint32_t uid;
	uint32_t seq;
	uint32_t size;
	int64_t internal;
	int64_t date;
	uint8_t *record; /* owned; what key borrows */
	struct imap_sortkey key;
	const struct search *q;
};

struct search {
	struct imap_task task;
	enum kind kind;
	struct imap_search keys;
	bool uid_command;
	struct order order[CRITERIA_MAX];
	size_t n_order;
	bool records; /* the order needs more than the index's own numbers */
	enum imap_thread_algorithm algorithm;

	struct imap_match match;
	size_t n, i;
	uint32_t *found; /* UIDs, room for n */
	size_t n_found;
	struct found *sorted; /* for SORT and THREAD: n_found, the first at loaded */
	size_t loaded;
};

static void
search_free(struct imap_task *t)
{
	struct search *q = (struct search *)t;

	imap_match_end(&q->match);
	imap_search_clear(&q->keys);
	for (size_t i = 0; i < q->loaded; i++)
		free(q->sorted[i].record);
	free(q->sorted);
	free(q->found);
	free(q);
}

/* "*" and "$" become numbers: they mean what is there now. */
static int
resolve(struct imap *s, struct imap_key *k)
{
	for (; k != NULL; k = k->next) {
		uint32_t last = s->n_view == 0 ? 0 : s->view[s->n_view - 1].uid;

		if (k->set.saved) {
			k->kind = IMAP_KEY_UID;
			k->set.saved = false;
			k->set.r = reallocarray(NULL, s->n_saved + 1, sizeof(*k->set.r));
			if (k->set.r == NULL)
				return -1;
			for (size_t i = 0; i < s->n_saved; i++)
				k->set.r[k->set.n++] =
				    (struct imap_range){ s->saved[i], s->saved[i] };
		} else if (k->kind == IMAP_KEY_SEQ)
			imap_set_resolve(&k->set, (uint32_t)s->n_view);
		else if (k->kind == IMAP_KEY_UID)
			imap_set_resolve(&k->set, last);
		if (resolve(s, k->child) == -1)
			return -1;
	}
	return 0;
}

/* A search that lives on means the messages that have those numbers now. */
static int
numbers_to_uids(struct imap *s, struct imap_key *k)
{
	for (; k != NULL; k = k->next) {
		if (k->kind == IMAP_KEY_SEQ) {
			struct imap_set set = { 0 };

			set.r = reallocarray(NULL, s->n_view + 1, sizeof(*set.r));
			if (set.r == NULL)
				return -1;
			for (size_t i = 0; i < s->n_view; i++)
				if (imap_set_has(&k->set, (uint32_t)i + 1))
					set.r[set.n++] =
					    (struct imap_range){ s->view[i].uid,
						    s->view[i].uid };
			imap_set_clear(&k->set);
			k->set = set;
			k->kind = IMAP_KEY_UID;
		}
		if (numbers_to_uids(s, k->child) == -1)
			return -1;
	}
	return 0;
}

/* ---- records ---- */

/* The message's record; malloc'd, decoded into f->key. */
static int
load_record(struct imap *s, struct search *q, struct found *f)
{
	const uint8_t *v;
	const char *msg;
	struct evbuffer *b;
	size_t len, header;
	int rv = -1;

	if (folder_cache_get(s->folder, f->uid, IMAP_CACHE_SORT, &v, &len) == 0 &&
	    len <= IMAP_SORT_RECORD_MAX && (f->record = malloc(len)) != NULL) {
		memcpy(f->record, v, len);
		if (imap_sortkey_read(f->record, len, &f->key) == 0)
			return 0;
		free(f->record);
		f->record = NULL;
	}
	if ((b = evbuffer_new()) == NULL)
		return -1;
	/* Of a file that is gone there is an empty header. */
	if (imap_match_begin(&q->match, f->uid) == -1 ||
	    (msg = imap_match_content(&q->match, &len)) == NULL) {
		msg = "";
		len = 0;
	}
	header = header_section_len(msg, len);
	q->match.work += header;
	imap_sortkey_make(msg, header, b);
	imap_match_end(&q->match);
	len = evbuffer_get_length(b);
	if ((f->record = malloc(len)) != NULL) {
		evbuffer_remove(b, f->record, len);
		rv = imap_sortkey_read(f->record, len, &f->key);
		folder_cache_put(s->folder, f->uid, IMAP_CACHE_SORT, f->record, len);
	}
	evbuffer_free(b);
	return rv;
}

static int
load_one(struct imap *s, struct search *q)
{
	struct found *f = &q->sorted[q->loaded];
	int exact;
	size_t at;

	memset(f, 0, sizeof(*f));
	f->q = q;
	f->uid = q->found[q->loaded];
	f->seq = imap_view_seq(s, f->uid);
	at = folder_find(s->folder, f->uid, &exact);
	if (exact) {
		f->size = folder_message(s->folder, at)->size;
		f->internal = folder_message(s->folder, at)->internal;
	}
	if (q->records && load_record(s, q, f) == -1) {
		free(f->record);
		return -1;
	}
	f->date = f->key.has_date ? f->key.date : f->internal;
	q->loaded++;
	return 0;
}

/* ---- order ---- */

static int
compare_text(const struct imap_text *a, const struct imap_text *b)
{
	int c = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);

	return c != 0 ? c : a->len < b->len ? -1 : a->len > b->len;
}

static int
compare_number(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_by(const struct found *a, const struct found *b, enum criterion by)
{
	static const enum imap_sort_text texts[] = {
		[CC] = IMAP_SORT_CC,
		[FROM] = IMAP_SORT_FROM,
		[SUBJECT] = IMAP_SORT_SUBJECT,
		[TO] = IMAP_SORT_TO,
		[DISPLAYFROM] = IMAP_SORT_DISPLAYFROM,
		[DISPLAYTO] = IMAP_SORT_DISPLAYTO,
	};

	switch (by) {
	case ARRIVAL:
		return compare_number(a->internal, b->internal);
	case DATE:
		return compare_number(a->date, b->date);
	case SIZE:
		return compare_number(a->size, b->size);
	default:
		return compare_text(&a->key.text[texts[by]], &b->key.text[texts[by]]);
	}
}

static int
compare_found(const void *va, const void *vb)
{
	const struct found *a = va, *b = vb;

	for (size_t i = 0; i < a->q->n_order; i++) {
		int c = compare_by(a, b, a->q->order[i].by);

		if (c != 0)
			return a->q->order[i].reverse ? -c : c;
	}
	/* Always the mailbox's order in the end, also with REVERSE (RFC 5256, 3). */
	return compare_number(a->seq, b->seq);
}

/* ---- the answer ---- */

static int
threads(struct imap *s, struct search *q)
{
	struct imap_thread_message *m = calloc(q->n_found + 1, sizeof(*m));
	struct evbuffer *b = evbuffer_new();
	int rv = -1;

	if (m != NULL && b != NULL) {
		for (size_t i = 0; i < q->n_found; i++) {
			const struct found *f = &q->sorted[i];

			m[i].number = q->uid_command ? f->uid : f->seq;
			m[i].date = f->date;
			m[i].internal = f->internal;
			m[i].key = &f->key;
		}
		rv = imap_thread_print(q->algorithm, m, q->n_found, b);
		if (rv == 0) {
			evbuffer_add_printf(
			    s->out, q->n_found > 0 ? "* THREAD " : "* THREAD");
			evbuffer_add_buffer(s->out, b);
			evbuffer_add(s->out, "\r\n", 2);
		}
	}
	if (b != NULL)
		evbuffer_free(b);
	free(m);
	return rv;
}

static void
answer(struct imap *s, struct search *q)
{
	static const char *const names[] = { "SEARCH", "SORT", "THREAD" };
	struct imap_results r = { .command = names[q->kind],
		.uid = q->uid_command,
		.uids = q->found,
		.n = q->n_found };
	int rv = 0;

	if (q->kind == SORT) {
		qsort(q->sorted, q->n_found, sizeof(*q->sorted), compare_found);
		for (size_t i = 0; i < q->n_found; i++)
			q->found[i] = q->sorted[i].uid;
	}
	if (q->keys.result & IMAP_RETURN_SAVE)
		rv = imap_results_save(s, &q->keys, &r);
	if (rv == 0 && q->kind == THREAD)
		rv = threads(s, q);
	else if (rv == 0)
		imap_results_print(s, &q->keys, &r);
	if (rv == 0 && (q->keys.result & IMAP_RETURN_UPDATE)) {
		if (!imap_context_room(s)) {
			evbuffer_add_printf(s->out, "* NO [NOUPDATE ");
			imap_print_nstring(s->out, s->tag);
			evbuffer_add_printf(s->out, "] Too many contexts\r\n");
		} else
			rv = imap_context_add(
			    s, &q->keys, q->uid_command, q->found, q->n_found);
	}
	if (rv == -1)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else
		imap_ok(
		    s, "%s%s completed", q->uid_command ? "UID " : "", names[q->kind]);
}

/* Matching is one half of the way, records are the other. */
static void
search_progress(struct imap_task *t, size_t *done, size_t *goal)
{
	struct search *q = (struct search *)t;

	*done = q->i + q->loaded;
	*goal = q->n + (q->kind == SEARCH ? 0 : q->n_found);
}

static int
search_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct search *q = (struct search *)t;
	struct imap_match *m = &q->match;

	m->work = 0;
	for (; q->i < q->n; q->i++) {
		uint32_t uid = s->view[q->i].uid;

		if (m->work >= SLICE_OCTETS)
			return 1;
		m->work += SLICE_OCTETS / SLICE_MESSAGES;
		if (imap_match_begin(m, uid) == -1)
			continue;
		m->seq = (uint32_t)q->i + 1;
		m->recent = s->view[q->i].recent;
		if (imap_match_keys(m, q->keys.root))
			q->found[q->n_found++] = uid;
		imap_match_end(m);
	}
	if (q->kind != SEARCH && q->sorted == NULL &&
	    (q->sorted = calloc(q->n_found + 1, sizeof(*q->sorted))) == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return 0;
	}
	while (q->kind != SEARCH && q->loaded < q->n_found) {
		if (m->work >= SLICE_OCTETS)
			return 1;
		m->work += SLICE_OCTETS / SLICE_MESSAGES;
		if (load_one(s, q) == -1) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			return 0;
		}
	}
	answer(s, q);
	return 0;
}

/* ---- commands ---- */

static int
sort_criteria(struct imap_args *a, struct search *q)
{
	static const char *const names[] = { "ARRIVAL", "CC", "DATE", "FROM", "SIZE",
		"SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO" };
	const size_t n = sizeof(names) / sizeof(names[0]);
	bool reverse = false;
	struct imap_str v;

	if (imap_char(a, '(') == -1)
		return -1;
	do {
		size_t i = 0;

		if (imap_atom(a, &v) == -1)
			return -1;
		if (!reverse && imap_str_is(&v, "REVERSE")) {
			reverse = true;
			continue;
		}
		while (i < n && !imap_str_is(&v, names[i]))
			i++;
		if (i == n)
			return imap_fail(a, "Unknown sort criterion");
		if (q->n_order == CRITERIA_MAX)
			return imap_fail(a, "Too many sort criteria");
		q->order[q->n_order++] = (struct order){ (enum criterion)i, reverse };
		if (i != ARRIVAL && i != SIZE)
			q->records = true;
		reverse = false;
	} while (imap_try_char(a, ' '));
	if (reverse)
		return imap_fail(a, "REVERSE without a criterion");
	return imap_char(a, ')') == -1 ? -1 : imap_sp(a);
}

static int
thread_algorithm(struct imap_args *a, struct search *q)
{
	static const char *const names[] = { "ORDEREDSUBJECT", "REFERENCES", "REFS" };
	struct imap_str v;
	size_t i = 0;

	if (imap_atom(a, &v) == -1)
		return -1;
	while (i < 3 && !imap_str_is(&v, names[i]))
		i++;
	if (i == 3)
		return imap_fail(a, "Unknown threading algorithm");
	q->algorithm = (enum imap_thread_algorithm)i;
	q->records = true;
	return imap_sp(a);
}

/* Everything after the command's name. */
static int
parse(struct imap_args *a, struct search *q)
{
	struct imap_str charset;

	if (imap_sp(a) == -1)
		return -1;
	if (q->kind != THREAD && imap_search_parse_return(a, &q->keys) == -1)
		return -1;
	if (q->kind == SEARCH)
		return imap_search_parse_keys(a, &q->keys);
	if ((q->kind == SORT ? sort_criteria(a, q) : thread_algorithm(a, q)) == -1 ||
	    imap_astring(a, &charset) == -1 || imap_sp(a) == -1)
		return -1;
	/* Some clients say RETURN here. */
	if (q->kind == SORT && !q->keys.extended &&
	    imap_search_parse_return(a, &q->keys) == -1)
		return -1;
	return imap_search_parse_program(a, &q->keys, &charset);
}

static void
start(struct imap *s, struct imap_args *a, enum kind kind)
{
	struct search *q = calloc(1, sizeof(*q));
	const char *no = NULL;

	if (q == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	q->task.step = search_step;
	q->task.free = search_free;
	q->task.progress = search_progress;
	q->kind = kind;
	q->n = s->n_view;
	q->uid_command = s->uid;
	q->match.folder = s->folder;
	q->match.now = (int64_t)time(NULL);
	if (parse(a, q) == -1) {
		search_free(&q->task);
		return;
	}
	if (q->keys.numbers && (s->enabled & IMAP_UIDONLY)) {
		search_free(&q->task);
		imap_fail(
		    a, "[UIDREQUIRED] Message numbers are not used in this session");
		return;
	}
	if (kind != SEARCH && (q->keys.result & IMAP_RETURN_UPDATE)) {
		search_free(&q->task);
		imap_fail(a, "UPDATE is for SEARCH");
		return;
	}
	if (q->keys.modseq)
		imap_use_condstore(s);
	if (q->keys.bad_charset)
		no = "[BADCHARSET (US-ASCII UTF-8)] Charset not supported";
	else if (resolve(s, q->keys.root) == -1 ||
		 ((q->keys.result & IMAP_RETURN_UPDATE) &&
		     numbers_to_uids(s, q->keys.root) == -1) ||
		 (q->found = reallocarray(NULL, q->n + 1, sizeof(*q->found))) == NULL)
		no = "[UNAVAILABLE] Out of memory";
	if (no == NULL) {
		imap_set_task(s, &q->task);
		return;
	}
	/* A search that fails leaves nothing saved (RFC 5182, 2.1). */
	if (q->keys.result & IMAP_RETURN_SAVE)
		imap_results_forget(s);
	search_free(&q->task);
	imap_no(s, "%s", no);
}

void
imap_cmd_search(struct imap *s, struct imap_args *a)
{
	start(s, a, SEARCH);
}

void
imap_cmd_sort(struct imap *s, struct imap_args *a)
{
	start(s, a, SORT);
}

void
imap_cmd_thread(struct imap *s, struct imap_args *a)
{
	start(s, a, THREAD);
}
