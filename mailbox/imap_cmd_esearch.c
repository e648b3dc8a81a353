/* SPDX-License-Identifier: ISC */
/*
 * ESEARCH: SEARCH in several mailboxes (MULTISEARCH, RFC 7377), as a task that goes from
 * one to the next. The program is parsed anew for each: "*" and "$" mean another thing
 * there.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_context.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_match.h"
#include "mailbox/imap_results.h"
#include "mailbox/imap_scope.h"
#include "mailbox/imap_search.h"

#define SLICE_MESSAGES 2000
#define SLICE_OCTETS (2 * 1024 * 1024)
#define SCOPES_MAX 20

struct esearch {
	struct imap_task task;
	struct imap_search options; /* what RETURN said, and one parsing of the program */
	char *program;
	size_t program_len;
	char **names; /* "": the selected one */
	size_t n_names, at;

	/* the mailbox that is searched; folder NULL: none yet */
	struct folder *folder;
	bool selected;
	struct imap_search keys;
	struct imap_match match;
	uint32_t *uids, *found;
	uint8_t *scores;
	size_t n, i, n_found;
	size_t looked_at; /* messages, of all mailboxes */
};

static void
leave_mailbox(struct esearch *q)
{
	if (q->folder == NULL)
		return;
	imap_match_end(&q->match);
	imap_search_clear(&q->keys);
	free(q->uids);
	free(q->found);
	free(q->scores);
	q->uids = q->found = NULL;
	q->scores = NULL;
	if (!q->selected)
		folder_close(q->folder);
	q->folder = NULL;
}

static void
esearch_free(struct imap_task *t)
{
	struct esearch *q = (struct esearch *)t;

	leave_mailbox(q);
	imap_search_clear(&q->options);
	for (size_t i = 0; i < q->n_names; i++)
		free(q->names[i]);
	free(q->names);
	free(q->program);
	free(q);
}

/* The keys for this mailbox. */
static int
parse_keys(struct imap *s, struct esearch *q)
{
	char *copy = malloc(q->program_len + 1);
	struct imap_args a;
	int rv;

	memset(&q->keys, 0, sizeof(q->keys));
	if (copy == NULL)
		return -1;
	memcpy(copy, q->program, q->program_len);
	imap_args_init(&a, copy, q->program_len);
	q->keys.result = q->options.result;
	q->keys.partial = q->options.partial;
	q->keys.extended = q->keys.correlate = true;
	q->keys.no_filters = s->guest != NULL;
	rv = imap_search_parse_keys(&a, &q->keys, s->store);
	free(copy);
	if (rv == 0 && q->options.attributes != NULL && q->selected &&
	    (q->keys.attributes = strdup(q->options.attributes)) == NULL)
		rv = -1;
	return rv;
}

static uint32_t
uid_at(void *arg, size_t i)
{
	return ((uint32_t *)arg)[i];
}

/* What the limit leaves of this one, which is all unless it is the only one. */
static int
limit(struct imap *s, struct esearch *q)
{
	size_t left = s->offer.message_limit - q->looked_at, n;

	if (s->offer.message_limit == 0)
		return 0;
	q->i = imap_limit_search(&q->keys, uid_at, q->uids, q->n, (uint32_t)left, &n);
	if (n > left && q->n_names > 1)
		return -1;
	if (n > left)
		s->cut_at = q->uids[q->i];
	q->looked_at += n > left ? left : n;
	return 0;
}

/* 1: there is something to search; 0: not in this one; -1: no memory. */
static int
enter_mailbox(struct imap *s, struct esearch *q)
{
	const char *name = q->names[q->at++];

	q->selected = name[0] == '\0';
	if (q->selected)
		q->folder = s->folder;
	else if (folder_open(s->store, name, &q->folder) != STORE_OK) {
		q->folder = NULL;
		return 0;
	}
	q->i = q->n_found = 0;
	q->n = q->selected ? s->n_view : folder_count(q->folder);
	memset(&q->match, 0, sizeof(q->match));
	q->match.folder = q->folder;
	q->match.now = (int64_t)time(NULL);
	q->uids = reallocarray(NULL, q->n + 1, sizeof(*q->uids));
	q->found = reallocarray(NULL, q->n + 1, sizeof(*q->found));
	q->scores = calloc(1, q->n + 1);
	if (q->uids == NULL || q->found == NULL || q->scores == NULL ||
	    parse_keys(s, q) == -1)
		return -1;
	for (size_t i = 0; i < q->n; i++)
		q->uids[i] =
		    q->selected ? imap_view_uid(s, i) : folder_message(q->folder, i)->uid;
	return imap_search_resolve(&q->keys, (uint32_t)q->n,
		   q->n > 0 ? q->uids[q->n - 1] : 0, q->selected ? s->saved : NULL,
		   q->selected ? s->n_saved : 0) == -1
		   ? -1
		   : 1;
}

static int
answer(struct imap *s, struct esearch *q)
{
	struct imap_results r = { .command = "SEARCH",
		.uid = true,
		.folder = q->folder,
		.mailbox = folder_name(q->folder),
		.uids = q->found,
		.scores = q->scores,
		.n = q->n_found };

	if ((q->keys.result & IMAP_RETURN_SAVE) && q->selected &&
	    imap_results_save(s, &q->keys, &r) == -1)
		return -1;
	if (q->n_found > 0)
		imap_results_print(s, &q->keys, &r);
	if ((q->keys.result & IMAP_RETURN_UPDATE) == 0 || !q->selected)
		return 0;
	if (!imap_context_room(s) || s->cut_at != 0) {
		evbuffer_add_printf(s->out, "* NO [NOUPDATE ");
		imap_print_nstring(s->out, s->tag);
		evbuffer_add_printf(s->out, "] No updates of this one\r\n");
		return 0;
	}
	if (imap_search_numbers_to_uids(s, &q->keys) == -1)
		return -1;
	return imap_context_add(s, &q->keys, NULL, true, q->found, q->n_found);
}

static void
esearch_progress(struct imap_task *t, size_t *done, size_t *goal)
{
	struct esearch *q = (struct esearch *)t;

	*done = q->at;
	*goal = q->n_names;
}

static int
esearch_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct esearch *q = (struct esearch *)t;
	struct imap_match *m = &q->match;
	size_t work = 0;
	int r;

	while (q->folder != NULL || q->at < q->n_names) {
		if (work >= SLICE_OCTETS ||
		    evbuffer_get_length(s->out) + unsent >= IMAP_HIGH_WATER)
			return 1;
		if (q->folder == NULL) {
			work += SLICE_OCTETS / SLICE_MESSAGES;
			if ((r = enter_mailbox(s, q)) == -1)
				goto no_memory;
			if (r == 0)
				continue;
			if (limit(s, q) == -1) {
				imap_limit_no(s, s->offer.message_limit);
				return 0;
			}
		}
		for (m->work = 0; q->i < q->n; q->i++) {
			if (work + m->work >= SLICE_OCTETS)
				return 1;
			m->work += SLICE_OCTETS / SLICE_MESSAGES;
			if (imap_match_begin(m, q->uids[q->i]) == -1)
				continue;
			m->seq = (uint32_t)q->i + 1;
			m->recent =
			    q->selected ? imap_view_recent(s, q->i) : m->m.recent != 0;
			if (imap_match_keys(m, q->keys.root)) {
				q->scores[q->n_found] = imap_match_score(m);
				q->found[q->n_found++] = q->uids[q->i];
			}
			imap_match_end(m);
		}
		work += m->work;
		if (answer(s, q) == -1)
			goto no_memory;
		leave_mailbox(q);
	}
	imap_ok(s, "ESEARCH completed");
	return 0;
no_memory:
	imap_no(s, "[UNAVAILABLE] Out of memory");
	return 0;
}

/* ---- the command ---- */

static int
add_name(struct esearch *q, const char *name)
{
	char **p = reallocarray(q->names, q->n_names + 1, sizeof(*p));

	if (p == NULL)
		return -1;
	q->names = p;
	if ((p[q->n_names] = strdup(name)) == NULL)
		return -1;
	q->n_names++;
	return 0;
}

struct sources {
	struct imap_scope v[SCOPES_MAX];
	size_t n;
	bool selected, others;
};

/* "IN (" filter-mailboxes ... ") " */
static int
parse_sources(struct imap *s, struct imap_args *a, struct sources *from)
{
	struct imap_str v;

	if (imap_atom(a, &v) == -1 || imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	do {
		struct imap_scope *scope = &from->v[from->n];

		if (imap_peek(a) == '(')
			return imap_fail(a, "Unknown scope option");
		if (from->n == SCOPES_MAX)
			return imap_fail(a, "Too many sources");
		from->n++;
		if (imap_scope_parse(s, a, scope) == -1)
			return -1;
		if (scope->kind == IMAP_SCOPE_SELECTED_DELAYED)
			return imap_fail(a, "Unknown kind of mailboxes");
		if (s->guest != NULL && scope->kind != IMAP_SCOPE_SELECTED)
			return imap_fail(a, "Only the selected mailbox");
		if (scope->kind == IMAP_SCOPE_SELECTED)
			from->selected = true;
		else
			from->others = true;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')') == -1 ? -1 : imap_sp(a);
}

static bool
has_in(const struct imap_args *a)
{
	struct imap_str v = { a->buf + a->pos, 2 };

	return a->len - a->pos > 3 && a->buf[a->pos + 2] == ' ' && imap_str_is(&v, "IN");
}

static int
parse(struct imap *s, struct imap_args *a, struct esearch *q, struct sources *from)
{
	if (imap_sp(a) == -1)
		return -1;
	if (!has_in(a))
		from->selected = true;
	else if (parse_sources(s, a, from) == -1)
		return -1;
	if (imap_search_parse_return(a, &q->options) == -1)
		return -1;
	if (!q->options.extended)
		q->options.result = IMAP_RETURN_ALL;
	q->program_len = a->len - a->pos;
	if ((q->program = malloc(q->program_len + 1)) == NULL)
		return imap_fail(a, "Out of memory");
	memcpy(q->program, a->buf + a->pos, q->program_len);
	q->options.no_filters = s->guest != NULL;
	if (imap_search_parse_keys(a, &q->options, s->store) == -1)
		return -1;
	if ((from->selected || (q->options.result & IMAP_RETURN_UPDATE)) &&
	    s->folder == NULL)
		return imap_fail(a, "No mailbox selected");
	if ((q->options.result & IMAP_RETURN_SAVE) && from->others)
		return imap_fail(a, "SAVE is for the selected mailbox alone");
	if (q->options.numbers && (s->enabled & IMAP_UIDONLY))
		return imap_fail(a, IMAP_UIDREQUIRED);
	return 0;
}

/* Each mailbox once. */
static enum store_error
choose(struct imap *s, struct esearch *q, const struct sources *from)
{
	const char *selected = s->folder != NULL ? folder_name(s->folder) : NULL;
	struct folder_info *f;
	enum store_error e;
	bool took_selected = false;
	size_t n;

	if (from->selected && (took_selected = true) && add_name(q, "") == -1)
		return STORE_IO;
	if (!from->others)
		return STORE_OK;
	if ((e = store_list(s->store, &f, &n)) != STORE_OK)
		return e;
	for (size_t i = 0; i < n && e == STORE_OK; i++) {
		bool is_selected = selected != NULL && strcmp(selected, f[i].name) == 0;
		bool wanted = false;

		for (size_t k = 0; k < from->n; k++)
			wanted |= imap_scope_has(s->store, &from->v[k], f[i].name);
		if (!wanted || (f[i].flags & FOLDER_NOSELECT) ||
		    (is_selected && took_selected))
			continue;
		if (add_name(q, is_selected ? "" : f[i].name) == -1)
			e = STORE_IO;
	}
	free(f);
	return e;
}

void
imap_cmd_esearch(struct imap *s, struct imap_args *a)
{
	struct esearch *q = calloc(1, sizeof(*q));
	struct sources *from = calloc(1, sizeof(*from));
	enum store_error e;

	if (q == NULL || from == NULL) {
		free(q);
		free(from);
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	q->task.step = esearch_step;
	q->task.free = esearch_free;
	q->task.progress = esearch_progress;
	if (parse(s, a, q, from) == -1)
		goto out;
	if (q->options.modseq)
		imap_use_condstore(s);
	if (q->options.bad_charset)
		imap_no(s, "[BADCHARSET (US-ASCII UTF-8)] Charset not supported");
	else if (q->options.undefined[0] != '\0')
		imap_no(s,
		    "[UNDEFINED-FILTER %s] No such filter, or not a search program",
		    q->options.undefined);
	else if ((e = choose(s, q, from)) != STORE_OK)
		imap_no_store(s, e);
	else {
		imap_set_task(s, &q->task);
		q = NULL;
	}
	/* As in SEARCH. */
	if (q != NULL && (q->options.result & IMAP_RETURN_SAVE))
		imap_results_forget(s);
out:
	for (size_t i = 0; i < from->n; i++)
		imap_scope_clear(&from->v[i]);
	free(from);
	if (q != NULL)
		esearch_free(&q->task);
}
