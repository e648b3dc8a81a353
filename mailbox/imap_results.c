/* SPDX-License-Identifier: ISC */
/* Results of SEARCH and SORT; see imap_results.h. */
#include "mailbox/imap_results.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"

static uint32_t
number(struct imap *s, const struct imap_results *r, size_t i)
{
	return r->uid ? r->uids[i] : imap_view_seq(s, r->uids[i]);
}

/* The numbers of [from, to) as a set; malloc'd only for sequence numbers. */
static void
print_set(struct imap *s, const struct imap_results *r, size_t from, size_t to)
{
	uint32_t *v;

	if (r->uid) {
		imap_set_print(s->out, r->uids + from, to - from);
		return;
	}
	if ((v = reallocarray(NULL, to - from, sizeof(*v))) == NULL) {
		/* Not wrong, only long. */
		for (size_t i = from; i < to; i++)
			evbuffer_add_printf(
			    s->out, i > from ? ",%u" : "%u", number(s, r, i));
		return;
	}
	for (size_t i = from; i < to; i++)
		v[i - from] = number(s, r, i);
	imap_set_print(s->out, v, to - from);
	free(v);
}

/* The highest modification sequence of those that are told (RFC 4731, 3.2). */
static uint64_t
highest(const struct imap_search *q, const struct imap_results *r)
{
	bool ends =
	    (q->result & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT | IMAP_RETURN_PARTIAL)) ==
		0 &&
	    q->result != 0;
	uint64_t max = 0;
	int exact;

	for (size_t i = 0; i < r->n; i++) {
		size_t at;

		if (ends && !(i == 0 && (q->result & IMAP_RETURN_MIN)) &&
		    !(i + 1 == r->n && (q->result & IMAP_RETURN_MAX)))
			continue;
		at = folder_find(r->folder, r->uids[i], &exact);
		if (exact && folder_message(r->folder, at)->modseq > max)
			max = folder_message(r->folder, at)->modseq;
	}
	return max;
}

static void
print_plain(struct imap *s, const struct imap_search *q, const struct imap_results *r)
{
	uint64_t modseq = q->modseq ? highest(q, r) : 0;

	evbuffer_add_printf(s->out, "* %s", r->command);
	for (size_t i = 0; i < r->n; i++)
		evbuffer_add_printf(s->out, " %u", number(s, r, i));
	if (modseq > 0)
		evbuffer_add_printf(s->out, " (MODSEQ %llu)", (unsigned long long)modseq);
	evbuffer_add(s->out, "\r\n", 2);
}

static void
print_partial(struct imap *s, const struct imap_search *q, const struct imap_results *r)
{
	const char *sign = q->partial.from_end ? "-" : "";
	size_t from, to;

	imap_partial_slice(&q->partial, r->n, &from, &to);
	evbuffer_add_printf(
	    s->out, " PARTIAL (%s%u:%s%u ", sign, q->partial.lo, sign, q->partial.hi);
	if (from == to)
		evbuffer_add(s->out, "NIL", 3);
	else
		print_set(s, r, from, to);
	evbuffer_add(s->out, ")", 1);
}

/* A score for each that is told, in their order (RFC 6203, 4). */
static void
print_relevancy(struct imap *s, const struct imap_search *q, const struct imap_results *r)
{
	size_t from = 0, to = r->n;

	if (q->result & IMAP_RETURN_PARTIAL)
		imap_partial_slice(&q->partial, r->n, &from, &to);
	evbuffer_add_printf(s->out, " RELEVANCY (");
	for (size_t i = from; i < to; i++)
		evbuffer_add_printf(s->out, "%s%u", i > from ? " " : "", r->scores[i]);
	evbuffer_add(s->out, ")", 1);
}

void
imap_results_print(
    struct imap *s, const struct imap_search *q, const struct imap_results *r)
{
	const unsigned int told = IMAP_RETURN_MIN | IMAP_RETURN_MAX | IMAP_RETURN_ALL |
				  IMAP_RETURN_COUNT | IMAP_RETURN_PARTIAL |
				  IMAP_RETURN_RELEVANCY;
	unsigned int want = q->result;
	uint64_t modseq;

	if (!q->extended && r->mailbox == NULL &&
	    ((s->enabled & IMAP_REV2) == 0 || strcmp(r->command, "SEARCH") != 0)) {
		print_plain(s, q, r);
		return;
	}
	if (!q->extended)
		want = IMAP_RETURN_ALL; /* RFC 9051, 6.4.4 */
	else if ((want & told) == 0)
		return; /* only saved (RFC 5182, 2.1) */
	evbuffer_add_printf(s->out, "* ESEARCH (TAG ");
	imap_print_nstring(s->out, s->tag);
	if (r->mailbox != NULL) {
		evbuffer_add_printf(s->out, " MAILBOX ");
		imap_print_mailbox(s, r->mailbox);
		evbuffer_add_printf(
		    s->out, " UIDVALIDITY %u", folder_uidvalidity(r->folder));
	}
	evbuffer_add_printf(s->out, ")%s", r->uid ? " UID" : "");
	if (r->n > 0) {
		if (want & IMAP_RETURN_MIN)
			evbuffer_add_printf(s->out, " MIN %u", number(s, r, 0));
		if (want & IMAP_RETURN_MAX)
			evbuffer_add_printf(s->out, " MAX %u", number(s, r, r->n - 1));
		if (want & IMAP_RETURN_ALL) {
			evbuffer_add(s->out, " ALL ", 5);
			print_set(s, r, 0, r->n);
		}
	}
	if (want & IMAP_RETURN_COUNT)
		evbuffer_add_printf(s->out, " COUNT %zu", r->n);
	if (want & IMAP_RETURN_PARTIAL)
		print_partial(s, q, r);
	if (want & IMAP_RETURN_RELEVANCY)
		print_relevancy(s, q, r);
	if (q->modseq && (modseq = highest(q, r)) > 0)
		evbuffer_add_printf(s->out, " MODSEQ %llu", (unsigned long long)modseq);
	evbuffer_add(s->out, "\r\n", 2);
}

void
imap_results_forget(struct imap *s)
{
	free(s->saved);
	s->saved = NULL;
	s->n_saved = 0;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
imap_results_save(
    struct imap *s, const struct imap_search *q, const struct imap_results *r)
{
	const unsigned int all = IMAP_RETURN_ALL | IMAP_RETURN_COUNT;
	unsigned int want = q->result;
	size_t from = 0, to = r->n;
	uint32_t *v;

	imap_results_forget(s);
	if (r->n == 0)
		return 0;
	if (want & IMAP_RETURN_PARTIAL)
		imap_partial_slice(&q->partial, r->n, &from, &to);
	if ((v = reallocarray(NULL, to - from + 2, sizeof(*v))) == NULL)
		return -1;
	if ((want & all) == 0 && (want & (IMAP_RETURN_MIN | IMAP_RETURN_MAX)) &&
	    (want & IMAP_RETURN_PARTIAL) == 0) {
		/* RFC 5182, 2.4: only what is told by MIN and MAX */
		if (want & IMAP_RETURN_MIN)
			v[s->n_saved++] = r->uids[0];
		if ((want & IMAP_RETURN_MAX) && (s->n_saved == 0 || r->n > 1))
			v[s->n_saved++] = r->uids[r->n - 1];
	} else
		for (size_t i = from; i < to; i++)
			v[s->n_saved++] = r->uids[i];
	qsort(v, s->n_saved, sizeof(*v), compare);
	s->saved = v;
	return 0;
}
