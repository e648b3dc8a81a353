/* SPDX-License-Identifier: ISC */
/* Search keys against one message; see imap_match.h. */
#include "mailbox/imap_match.h"

#include <string.h>

#include "common/proto/date.h"
#include "common/proto/header.h"
#include "mailbox/fts.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_fuzzy.h"

#define DAY 86400
/* In octets of text that can be read meanwhile. */
#define KEY_WORK 64
#define KEYWORD_WORK 4096

int
imap_match_begin(struct imap_match *q, uint32_t uid)
{
	int exact;
	size_t at = folder_find(q->folder, uid, &exact);

	if (!exact)
		return -1;
	q->m = *folder_message(q->folder, at);
	q->score = q->scores = 0;
	return 0;
}

void
imap_match_end(struct imap_match *q)
{
	mime_free(q->tree);
	q->tree = NULL;
	if (q->content_state == 1)
		content_release(&q->content);
	q->content_state = 0;
}

const char *
imap_match_content(struct imap_match *q, size_t *len)
{
	if (q->content_state == 0)
		q->content_state =
		    folder_content(q->folder, q->m.uid, &q->content) == STORE_OK ? 1 : -1;
	*len = q->content.len;
	return q->content_state == 1 ? (const char *)q->content.data : NULL;
}

static int64_t
day_of(int64_t t)
{
	return t - ((t % DAY) + DAY) % DAY;
}

/* Midnight of INTERNALDATE's day, in the zone that it was given in. */
static int64_t
internal_day(const struct message *m)
{
	return day_of(m->internal + m->zone * INT64_C(60));
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

/* An object identifier that the index may have. */
static bool
match_objectid(struct imap_match *q, const struct imap_key *k)
{
	bool email = k->kind == IMAP_KEY_EMAILID;
	int kind = email ? IMAP_CACHE_EMAILID : IMAP_CACHE_THREADID;
	char id[IMAP_OBJECTID_MAX], printed[IMAP_OBJECTID_MAX + 2];
	const uint8_t *v;
	const char *msg;
	size_t len, n = strlen(k->name);

	if (folder_cache_get(q->folder, q->m.uid, kind, &v, &len) == 0)
		return len == n + 2 && memcmp(v + 1, k->name, n) == 0;
	if ((msg = imap_match_content(q, &len)) == NULL)
		return false;
	q->work += email ? len : 4096;
	if (email)
		imap_make_emailid(msg, len, id);
	else
		imap_make_threadid(msg, len, id);
	/* As FETCH keeps it: in parentheses. */
	len = strlen(id);
	printed[0] = '(';
	memcpy(printed + 1, id, len);
	printed[len + 1] = ')';
	folder_cache_put(q->folder, q->m.uid, kind, (uint8_t *)printed, len + 2);
	return strcmp(id, k->name) == 0;
}

static bool
scored(struct imap_match *q, unsigned int score)
{
	q->score += score;
	q->scores += score > 0;
	return score > 0;
}

uint8_t
imap_match_score(const struct imap_match *q)
{
	return (uint8_t)(q->scores == 0 ? 100 : q->score / q->scores);
}

static bool
match_content(struct imap_match *q, const struct imap_key *k)
{
	const char *msg;
	size_t header, len;
	int64_t day;

	if ((k->kind == IMAP_KEY_BODY || k->kind == IMAP_KEY_TEXT ||
		k->kind == IMAP_KEY_HEADER) &&
	    k->fuzzy == NULL && fts_rules_out(q->folder, &q->m, k->query))
		return false;
	if ((msg = imap_match_content(q, &len)) == NULL)
		return false;
	if (k->kind == IMAP_KEY_BODY || k->kind == IMAP_KEY_TEXT) {
		q->work += len;
		if (q->tree == NULL && (q->tree = mime_parse(msg, len, NULL)) == NULL)
			return false;
		if (k->fuzzy != NULL)
			return scored(q, imap_fuzzy_text(k->fuzzy, msg, len, q->tree,
					     k->kind == IMAP_KEY_TEXT));
		q->work += fts_learn(q->folder, &q->m, msg, len, q->tree);
		/* It was new: now the index can tell. */
		if (fts_rules_out(q->folder, &q->m, k->query))
			return false;
		return imap_text_find(
		    msg, len, q->tree, k->kind == IMAP_KEY_TEXT, k->text, k->text_len);
	}
	header = header_section_len(msg, len);
	q->work += header;
	if (k->kind == IMAP_KEY_HEADER && k->fuzzy != NULL)
		return scored(q, imap_fuzzy_header(k->fuzzy, msg, header, k->name));
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

/* The names may be thousands, and are gone through. */
static bool
match_keyword(struct imap_match *q, const struct imap_key *k)
{
	int i = folder_keyword_find(q->folder, k->name, strlen(k->name), 0);

	q->work += KEYWORD_WORK;
	return folder_keywords_has(q->folder, q->m.keywords, i);
}

bool
imap_match_keys(struct imap_match *q, const struct imap_key *k)
{
	const struct imap_key *c;

	q->work += KEY_WORK;
	switch (k->kind) {
	case IMAP_KEY_AND:
		for (c = k->child; c != NULL; c = c->next)
			if (!imap_match_keys(q, c))
				return false;
		return true;
	case IMAP_KEY_OR:
		for (c = k->child; c != NULL; c = c->next)
			if (imap_match_keys(q, c))
				return true;
		return false;
	case IMAP_KEY_NOT:
		return !imap_match_keys(q, k->child);
	case IMAP_KEY_FLAG:
		return (q->m.flags & k->flag) != 0;
	case IMAP_KEY_KEYWORD:
		return match_keyword(q, k);
	case IMAP_KEY_RECENT:
		return q->recent;
	case IMAP_KEY_SEQ:
		return imap_set_has(&k->set, q->seq);
	case IMAP_KEY_UID:
		return imap_set_has(&k->set, q->m.uid);
	case IMAP_KEY_LARGER:
		return q->m.size > k->number;
	case IMAP_KEY_SMALLER:
		return q->m.size < k->number;
	case IMAP_KEY_BEFORE:
		return internal_day(&q->m) < k->day;
	case IMAP_KEY_ON:
		return internal_day(&q->m) == k->day;
	case IMAP_KEY_SINCE:
		return internal_day(&q->m) >= k->day;
	case IMAP_KEY_SAVEDBEFORE:
		return day_of(q->m.saved) < k->day;
	case IMAP_KEY_SAVEDON:
		return day_of(q->m.saved) == k->day;
	case IMAP_KEY_SAVEDSINCE:
		return day_of(q->m.saved) >= k->day;
	case IMAP_KEY_OLDER:
		return q->m.internal <= q->now - (int64_t)k->number;
	case IMAP_KEY_YOUNGER:
		return q->m.internal >= q->now - (int64_t)k->number;
	case IMAP_KEY_MODSEQ:
		return q->m.modseq >= k->modseq;
	case IMAP_KEY_EMAILID:
	case IMAP_KEY_THREADID:
		return match_objectid(q, k);
	default:
		return match_content(q, k);
	}
}
