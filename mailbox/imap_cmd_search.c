/* SPDX-License-Identifier: ISC */
/*
 * SEARCH as a task over the view: a slice of messages at a time, with the
 * cheap keys first and content opened only when they leave the matter open.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "common/proto/header.h"
#include "mailbox/imap.h"
#include "mailbox/imap_search.h"

#define DAY 86400
#define SLICE_MESSAGES 2000
#define SLICE_OCTETS (2 * 1024 * 1024)

struct search {
	struct imap_task task;
	struct imap_search keys;
	size_t n, i;
	bool uid_command;
	uint32_t *found; /* room for n */
	size_t n_found;

	/* of the current message */
	struct message m; /* a copy: reading content may find the folder changed */
	uint32_t seq;
	int content_state; /* 0 not asked for, 1 there, -1 gone */
	struct content content;
	struct mime_tree *tree;
	size_t work;
};

static void
message_end(struct search *q)
{
	mime_free(q->tree);
	q->tree = NULL;
	if (q->content_state == 1)
		content_release(&q->content);
	q->content_state = 0;
}

static void
search_free(struct imap_task *t)
{
	struct search *q = (struct search *)t;

	message_end(q);
	imap_search_clear(&q->keys);
	free(q->found);
	free(q);
}

static bool
need_content(struct imap *s, struct search *q)
{
	if (q->content_state == 0)
		q->content_state =
		    folder_content(s->folder, q->m.uid, &q->content) == STORE_OK ? 1 : -1;
	return q->content_state == 1;
}

static int64_t
day_of(int64_t t)
{
	return t - ((t % DAY) + DAY) % DAY;
}

/* Midnight of the day that Date: names, in its own zone. */
static bool
sent_day(const char *header, size_t len, int64_t *day)
{
	struct header_field f;
	struct date d;

	if (header_get(header, len, "Date", 0, &f) == -1 ||
	    date_parse(f.value, f.value_len, &d) == -1)
		return false;
	*day = date_to_days(d.year, d.month, d.day) * DAY;
	return true;
}

static bool
match_content(struct imap *s, struct search *q, const struct imap_key *k)
{
	const char *msg;
	size_t header;
	int64_t day;

	if (!need_content(s, q))
		return false;
	msg = (const char *)q->content.data;
	if (k->kind == IMAP_KEY_BODY || k->kind == IMAP_KEY_TEXT) {
		q->work += q->content.len;
		if (q->tree == NULL &&
		    (q->tree = mime_parse(msg, q->content.len, NULL)) == NULL)
			return false;
		return imap_text_find(msg, q->content.len, q->tree,
		    k->kind == IMAP_KEY_TEXT, k->text, k->text_len);
	}
	header = header_section_len(msg, q->content.len);
	q->work += header;
	if (k->kind == IMAP_KEY_HEADER)
		return imap_header_find(msg, header, k->name, k->text, k->text_len);
	if (!sent_day(msg, header, &day))
		return false;
	switch (k->kind) {
	case IMAP_KEY_SENTBEFORE:
		return day < k->day;
	case IMAP_KEY_SENTON:
		return day == k->day;
	default:
		return day >= k->day;
	}
}

static bool
match_keyword(struct imap *s, struct search *q, const struct imap_key *k)
{
	int i = folder_keyword_find(s->folder, k->name, strlen(k->name), 0);

	return i >= 0 && (q->m.keywords >> i & 1) != 0;
}

static bool
match(struct imap *s, struct search *q, const struct imap_key *k)
{
	const struct imap_key *c;

	switch (k->kind) {
	case IMAP_KEY_AND:
		for (c = k->child; c != NULL; c = c->next)
			if (!match(s, q, c))
				return false;
		return true;
	case IMAP_KEY_OR:
		for (c = k->child; c != NULL; c = c->next)
			if (match(s, q, c))
				return true;
		return false;
	case IMAP_KEY_NOT:
		return !match(s, q, k->child);
	case IMAP_KEY_FLAG:
		return (q->m.flags & k->flag) != 0;
	case IMAP_KEY_KEYWORD:
		return match_keyword(s, q, k);
	case IMAP_KEY_RECENT:
		return s->view[q->seq - 1].recent;
	case IMAP_KEY_SEQ:
		return imap_set_has(&k->set, q->seq);
	case IMAP_KEY_UID:
		return imap_set_has(&k->set, q->m.uid);
	case IMAP_KEY_LARGER:
		return q->m.size > k->number;
	case IMAP_KEY_SMALLER:
		return q->m.size < k->number;
	case IMAP_KEY_BEFORE:
		return day_of(q->m.internal) < k->day;
	case IMAP_KEY_ON:
		return day_of(q->m.internal) == k->day;
	case IMAP_KEY_SINCE:
		return day_of(q->m.internal) >= k->day;
	default:
		return match_content(s, q, k);
	}
}

static void
resolve(struct imap *s, struct imap_key *k)
{
	for (; k != NULL; k = k->next) {
		if (k->kind == IMAP_KEY_SEQ)
			imap_set_resolve(&k->set, (uint32_t)s->n_view);
		if (k->kind == IMAP_KEY_UID)
			imap_set_resolve(
			    &k->set, s->n_view == 0 ? 0 : s->view[s->n_view - 1].uid);
		resolve(s, k->child);
	}
}

static void
print(struct imap *s, struct search *q)
{
	unsigned int r = q->keys.result;

	if (r == 0) {
		evbuffer_add_printf(s->out, "* SEARCH");
		for (size_t i = 0; i < q->n_found; i++)
			evbuffer_add_printf(s->out, " %u", q->found[i]);
		evbuffer_add(s->out, "\r\n", 2);
		return;
	}
	evbuffer_add_printf(s->out, "* ESEARCH (TAG ");
	imap_print_nstring(s->out, s->tag);
	evbuffer_add_printf(s->out, ")%s", q->uid_command ? " UID" : "");
	if (q->n_found > 0) {
		if (r & IMAP_RETURN_MIN)
			evbuffer_add_printf(s->out, " MIN %u", q->found[0]);
		if (r & IMAP_RETURN_MAX)
			evbuffer_add_printf(s->out, " MAX %u", q->found[q->n_found - 1]);
		if (r & IMAP_RETURN_ALL) {
			evbuffer_add(s->out, " ALL ", 5);
			imap_set_print(s->out, q->found, q->n_found);
		}
	}
	if (r & IMAP_RETURN_COUNT)
		evbuffer_add_printf(s->out, " COUNT %zu", q->n_found);
	evbuffer_add(s->out, "\r\n", 2);
}

static int
search_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct search *q = (struct search *)t;

	q->work = 0;
	for (; q->i < q->n; q->i++) {
		uint32_t uid = s->view[q->i].uid;
		size_t at;
		int exact;

		if (q->work >= SLICE_OCTETS)
			return 1;
		q->work += SLICE_OCTETS / SLICE_MESSAGES;
		at = folder_find(s->folder, uid, &exact);
		if (!exact)
			continue;
		q->m = *folder_message(s->folder, at);
		q->seq = (uint32_t)q->i + 1;
		if (match(s, q, q->keys.root))
			q->found[q->n_found++] = q->uid_command ? uid : q->seq;
		message_end(q);
	}
	print(s, q);
	imap_ok(s, q->uid_command ? "UID SEARCH completed" : "SEARCH completed");
	return 0;
}

void
imap_cmd_search(struct imap *s, struct imap_args *a)
{
	struct search *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	q->task.step = search_step;
	q->task.free = search_free;
	q->n = s->n_view;
	q->uid_command = s->uid;
	if (imap_search_parse(a, &q->keys) == -1)
		search_free(&q->task);
	else if (q->keys.bad_charset) {
		search_free(&q->task);
		imap_no(s, "[BADCHARSET (US-ASCII UTF-8)] Charset not supported");
	} else if ((q->found = reallocarray(NULL, q->n + 1, sizeof(*q->found))) == NULL) {
		search_free(&q->task);
		imap_no(s, "[UNAVAILABLE] Out of memory");
	} else {
		resolve(s, q->keys.root);
		imap_set_task(s, &q->task);
	}
}
