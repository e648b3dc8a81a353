/* SPDX-License-Identifier: ISC */
/* The order of SORT; see imap_order.h. What it needs of a message comes from its record
 * in the index, which is made when it is not there yet. */
#include "mailbox/imap_order.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/header.h"
#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_match.h"

/* The message's record; malloc'd, decoded into f->key. */
static int
load_record(struct imap *s, struct imap_match *q, struct imap_sorted *f)
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
	if (imap_match_begin(q, f->uid) == -1 ||
	    (msg = imap_match_content(q, &len)) == NULL) {
		msg = "";
		len = 0;
	}
	header = header_section_len(msg, len);
	q->work += header;
	imap_sortkey_make(msg, header, b);
	imap_match_end(q);
	len = evbuffer_get_length(b);
	if ((f->record = malloc(len)) != NULL) {
		evbuffer_remove(b, f->record, len);
		rv = imap_sortkey_read(f->record, len, &f->key);
		folder_cache_put(s->folder, f->uid, IMAP_CACHE_SORT, f->record, len);
	}
	evbuffer_free(b);
	return rv;
}

int
imap_sorted_load(struct imap *s, const struct imap_order *order, struct imap_match *q,
    uint32_t uid, struct imap_sorted *f)
{
	int exact;
	size_t at;

	memset(f, 0, sizeof(*f));
	f->order = order;
	f->uid = uid;
	f->seq = imap_view_seq(s, uid);
	at = folder_find(s->folder, uid, &exact);
	if (exact) {
		f->size = folder_message(s->folder, at)->size;
		f->internal = folder_message(s->folder, at)->internal;
	}
	if (order->records && load_record(s, q, f) == -1) {
		imap_sorted_clear(f);
		return -1;
	}
	f->date = f->key.has_date ? f->key.date : f->internal;
	return 0;
}

void
imap_sorted_clear(struct imap_sorted *f)
{
	free(f->record);
	f->record = NULL;
}

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
compare_by(
    const struct imap_sorted *a, const struct imap_sorted *b, enum imap_criterion by)
{
	static const enum imap_sort_text texts[] = {
		[IMAP_BY_CC] = IMAP_SORT_CC,
		[IMAP_BY_FROM] = IMAP_SORT_FROM,
		[IMAP_BY_SUBJECT] = IMAP_SORT_SUBJECT,
		[IMAP_BY_TO] = IMAP_SORT_TO,
		[IMAP_BY_DISPLAYFROM] = IMAP_SORT_DISPLAYFROM,
		[IMAP_BY_DISPLAYTO] = IMAP_SORT_DISPLAYTO,
	};

	switch (by) {
	case IMAP_BY_ARRIVAL:
		return compare_number(a->internal, b->internal);
	case IMAP_BY_DATE:
		return compare_number(a->date, b->date);
	case IMAP_BY_SIZE:
		return compare_number(a->size, b->size);
	case IMAP_BY_RELEVANCY: /* the best first (RFC 6203, 5) */
		return compare_number(b->relevancy, a->relevancy);
	default:
		return compare_text(&a->key.text[texts[by]], &b->key.text[texts[by]]);
	}
}

int
imap_sorted_compare(const void *va, const void *vb)
{
	const struct imap_sorted *a = va, *b = vb;

	for (size_t i = 0; i < a->order->n; i++) {
		int c = compare_by(a, b, a->order->v[i].by);

		if (c != 0)
			return a->order->v[i].reverse ? -c : c;
	}
	/* Always the mailbox's order in the end, also with REVERSE (RFC 5256, 3). */
	return compare_number(a->uid, b->uid);
}

/* ---- parsing ---- */

int
imap_order_parse(struct imap_args *a, struct imap_order *q)
{
	static const char *const names[] = { "ARRIVAL", "CC", "DATE", "FROM", "SIZE",
		"SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "RELEVANCY" };
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
		if (q->n == IMAP_CRITERIA_MAX)
			return imap_fail(a, "Too many sort criteria");
		q->v[q->n].by = (enum imap_criterion)i;
		q->v[q->n++].reverse = reverse;
		if (i == IMAP_BY_RELEVANCY)
			q->relevancy = true;
		else if (i != IMAP_BY_ARRIVAL && i != IMAP_BY_SIZE)
			q->records = true;
		reverse = false;
	} while (imap_try_char(a, ' '));
	if (reverse)
		return imap_fail(a, "REVERSE without a criterion");
	return imap_char(a, ')') == -1 ? -1 : imap_sp(a);
}
