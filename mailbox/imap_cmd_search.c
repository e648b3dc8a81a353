/* SPDX-License-Identifier: ISC */
/*
 * SEARCH, SORT and THREAD (RFC 9051, 6.4.4; RFC 5256; RFC 5267) as a task over the view:
 * a slice of messages at a time, with the cheap keys first and content opened only when
 * they leave the matter open. What SORT and THREAD need of a message comes from its
 * record in the index, which is made when it is not there yet.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_context.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_match.h"
#include "mailbox/imap_order.h"
#include "mailbox/imap_results.h"
#include "mailbox/imap_search.h"
#include "mailbox/imap_thread.h"

#define SLICE_MESSAGES 2000
#define SLICE_OCTETS (2 * 1024 * 1024)

enum kind {
	SEARCH,
	SORT,
	THREAD
};

struct search {
	struct imap_task task;
	enum kind kind;
	struct imap_search keys;
	bool uid_command;
	struct imap_order order;
	enum imap_thread_algorithm algorithm;

	struct imap_match match;
	size_t n, i;
	bool gone;       /* some message was not there any more */
	uint32_t *found; /* UIDs, room for n */
	uint8_t *scores; /* of them, by FUZZY */
	size_t n_found;
	struct imap_sorted
	    *sorted; /* for SORT and THREAD: n_found, the first at loaded */
	size_t loaded;
};

static void
search_free(struct imap_task *t)
{
	struct search *q = (struct search *)t;

	imap_match_end(&q->match);
	imap_search_clear(&q->keys);
	for (size_t i = 0; i < q->loaded; i++)
		imap_sorted_clear(&q->sorted[i]);
	free(q->sorted);
	free(q->found);
	free(q->scores);
	free(q);
}

/* A search that lives on means the messages that have those numbers now. Between two that
 * follow each other there is no UID, and never will be. */
static int
numbers_to_uids(struct imap *s, struct imap_key *k)
{
	for (; k != NULL; k = k->next) {
		if (k->kind == IMAP_KEY_SEQ) {
			struct imap_set set = { 0 };

			set.r = reallocarray(NULL, k->set.n + 1, sizeof(*set.r));
			if (set.r == NULL)
				return -1;
			for (size_t i = 0; i < k->set.n; i++) {
				uint32_t lo = k->set.r[i].lo, hi = k->set.r[i].hi;

				if (lo == 0)
					lo = 1;
				if (hi > s->n_view)
					hi = (uint32_t)s->n_view;
				if (lo <= hi)
					set.r[set.n++] =
					    (struct imap_range){ imap_view_uid(s, lo - 1),
						    imap_view_uid(s, hi - 1) };
			}
			imap_set_clear(&k->set);
			k->set = set;
			k->kind = IMAP_KEY_UID;
		}
		if (numbers_to_uids(s, k->child) == -1)
			return -1;
	}
	return 0;
}

int
imap_search_numbers_to_uids(struct imap *s, struct imap_search *keys)
{
	return numbers_to_uids(s, keys->root);
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
			const struct imap_sorted *f = &q->sorted[i];

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
		.folder = s->folder,
		.uids = q->found,
		.scores = q->scores,
		.n = q->n_found };
	int rv = 0;

	if (q->kind == SORT) {
		for (size_t i = 0; i < q->n_found; i++)
			q->sorted[i].relevancy = q->scores[i];
		qsort(q->sorted, q->n_found, sizeof(*q->sorted), imap_sorted_compare);
		for (size_t i = 0; i < q->n_found; i++) {
			q->found[i] = q->sorted[i].uid;
			q->scores[i] = q->sorted[i].relevancy;
		}
	}
	if (q->keys.result & IMAP_RETURN_SAVE)
		rv = imap_results_save(s, &q->keys, &r);
	if (rv == 0 && q->kind == THREAD)
		rv = threads(s, q);
	else if (rv == 0)
		imap_results_print(s, &q->keys, &r);
	if (rv == 0 && (q->keys.result & IMAP_RETURN_UPDATE)) {
		if (!imap_context_room(s) || q->order.relevancy || s->cut_at != 0) {
			evbuffer_add_printf(s->out, "* NO [NOUPDATE ");
			imap_print_nstring(s->out, s->tag);
			evbuffer_add_printf(s->out, "] No updates of this one\r\n");
		} else
			rv = imap_context_add(s, &q->keys,
			    q->kind == SORT ? &q->order : NULL, q->uid_command, q->found,
			    q->n_found);
	}
	if (rv == -1)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else
		/* After a UID command EXPUNGE itself tells. */
		imap_ok(s, "%s%s%s completed",
		    q->gone && !q->uid_command ? "[EXPUNGEISSUED] " : "",
		    q->uid_command ? "UID " : "", names[q->kind]);
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
		uint32_t uid = imap_view_uid(s, q->i);

		if (m->work >= SLICE_OCTETS)
			return 1;
		m->work += SLICE_OCTETS / SLICE_MESSAGES;
		if (imap_match_begin(m, uid) == -1) {
			q->gone = true;
			continue;
		}
		m->seq = (uint32_t)q->i + 1;
		m->recent = imap_view_recent(s, q->i);
		if (imap_match_keys(m, q->keys.root)) {
			q->scores[q->n_found] = imap_match_score(m);
			q->found[q->n_found++] = uid;
		}
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
		if (imap_sorted_load(s, &q->order, m, q->found[q->loaded],
			&q->sorted[q->loaded]) == -1) {
			imap_no(s, "[UNAVAILABLE] Out of memory");
			return 0;
		}
		q->loaded++;
	}
	answer(s, q);
	return 0;
}

/* ---- commands ---- */

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
	q->order.records = true;
	return imap_sp(a);
}

/* Everything after the command's name. */
static int
parse(struct imap *s, struct imap_args *a, struct search *q)
{
	struct imap_str charset;

	q->keys.no_filters = s->guest != NULL;
	if (imap_sp(a) == -1)
		return -1;
	if (q->kind != THREAD && imap_search_parse_return(a, &q->keys) == -1)
		return -1;
	if (q->kind == SEARCH)
		return imap_search_parse_keys(a, &q->keys, s->store);
	if ((q->kind == SORT ? imap_order_parse(a, &q->order) : thread_algorithm(a, q)) ==
		-1 ||
	    imap_astring(a, &charset) == -1 || imap_sp(a) == -1)
		return -1;
	/* Some clients say RETURN here. */
	if (q->kind == SORT && !q->keys.extended &&
	    imap_search_parse_return(a, &q->keys) == -1)
		return -1;
	if (imap_search_parse_program(a, &q->keys, s->store, &charset) == -1)
		return -1;
	if (q->order.relevancy && !q->keys.fuzzy)
		return imap_fail(a, "RELEVANCY needs FUZZY");
	return 0;
}

static uint32_t
uid_at(void *arg, size_t i)
{
	return imap_view_uid(arg, i);
}

/* -1: there are too many messages for it. */
static int
limit(struct imap *s, struct search *q)
{
	size_t n = 0;

	if (s->offer.message_limit == 0 || s->n_view <= s->offer.message_limit)
		return 0;
	q->i =
	    imap_limit_search(&q->keys, uid_at, s, s->n_view, s->offer.message_limit, &n);
	if (n <= s->offer.message_limit)
		return 0;
	/* A part of them in order would not be the first ones in order. */
	if (q->kind != SEARCH)
		return -1;
	s->cut_at = imap_view_uid(s, q->i);
	return 0;
}

static void
start(struct imap *s, struct imap_args *a, enum kind kind)
{
	char undefined[ANNOTATION_NAME_MAX + 80];
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
	if (parse(s, a, q) == -1) {
		search_free(&q->task);
		return;
	}
	if (q->keys.numbers && (s->enabled & IMAP_UIDONLY)) {
		search_free(&q->task);
		imap_fail(a, IMAP_UIDREQUIRED);
		return;
	}
	if (q->keys.modseq)
		imap_use_condstore(s);
	if (q->keys.bad_charset)
		no = "[BADCHARSET (US-ASCII UTF-8)] Charset not supported";
	else if (imap_search_resolve(&q->keys, (uint32_t)s->n_view, imap_view_last(s),
		     s->saved, s->n_saved) == -1 ||
		 ((q->keys.result & IMAP_RETURN_UPDATE) &&
		     imap_search_numbers_to_uids(s, &q->keys) == -1) ||
		 (q->found = reallocarray(NULL, q->n + 1, sizeof(*q->found))) == NULL ||
		 (q->scores = calloc(1, q->n + 1)) == NULL)
		no = "[UNAVAILABLE] Out of memory";
	else if (q->keys.undefined[0] != '\0') {
		(void)snprintf(undefined, sizeof(undefined),
		    "[UNDEFINED-FILTER %s] No such filter, or not a search program",
		    q->keys.undefined);
		no = undefined;
	} else if (limit(s, q) == -1) {
		(void)snprintf(undefined, sizeof(undefined),
		    "[MESSAGELIMIT %u] Too many messages for one command",
		    s->offer.message_limit);
		no = undefined;
	}
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
