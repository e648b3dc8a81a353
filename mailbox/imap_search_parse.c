/* SPDX-License-Identifier: ISC */
/* The arguments of SEARCH (RFC 3501, 9: search-key; RFC 4466 for RETURN). */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "mailbox/imap_search.h"
#include "mailbox/store.h"

enum syntax {
	NOTHING,
	STRING,
	ATOM,
	NUMBER,
	DATE,
	SET,
	NAMED,
	ONE_KEY,
	TWO_KEYS
};

static const struct row {
	const char *name;
	enum imap_key_kind kind;
	enum syntax syntax;
	int cost;
	uint8_t flag;
	bool negated;
	const char *field;
} rows[] = {
	{ "ALL", IMAP_KEY_AND, NOTHING, 0, 0, false, NULL },
	{ "ANSWERED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_ANSWERED, false, NULL },
	{ "DELETED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_DELETED, false, NULL },
	{ "DRAFT", IMAP_KEY_FLAG, NOTHING, 0, FLAG_DRAFT, false, NULL },
	{ "FLAGGED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_FLAGGED, false, NULL },
	{ "SEEN", IMAP_KEY_FLAG, NOTHING, 0, FLAG_SEEN, false, NULL },
	{ "UNANSWERED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_ANSWERED, true, NULL },
	{ "UNDELETED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_DELETED, true, NULL },
	{ "UNDRAFT", IMAP_KEY_FLAG, NOTHING, 0, FLAG_DRAFT, true, NULL },
	{ "UNFLAGGED", IMAP_KEY_FLAG, NOTHING, 0, FLAG_FLAGGED, true, NULL },
	{ "UNSEEN", IMAP_KEY_FLAG, NOTHING, 0, FLAG_SEEN, true, NULL },
	{ "RECENT", IMAP_KEY_RECENT, NOTHING, 0, 0, false, NULL },
	{ "OLD", IMAP_KEY_RECENT, NOTHING, 0, 0, true, NULL },
	{ "KEYWORD", IMAP_KEY_KEYWORD, ATOM, 0, 0, false, NULL },
	{ "UNKEYWORD", IMAP_KEY_KEYWORD, ATOM, 0, 0, true, NULL },
	{ "UID", IMAP_KEY_UID, SET, 0, 0, false, NULL },
	{ "LARGER", IMAP_KEY_LARGER, NUMBER, 0, 0, false, NULL },
	{ "SMALLER", IMAP_KEY_SMALLER, NUMBER, 0, 0, false, NULL },
	{ "BEFORE", IMAP_KEY_BEFORE, DATE, 0, 0, false, NULL },
	{ "ON", IMAP_KEY_ON, DATE, 0, 0, false, NULL },
	{ "SINCE", IMAP_KEY_SINCE, DATE, 0, 0, false, NULL },
	{ "SENTBEFORE", IMAP_KEY_SENTBEFORE, DATE, 1, 0, false, NULL },
	{ "SENTON", IMAP_KEY_SENTON, DATE, 1, 0, false, NULL },
	{ "SENTSINCE", IMAP_KEY_SENTSINCE, DATE, 1, 0, false, NULL },
	{ "BCC", IMAP_KEY_HEADER, STRING, 1, 0, false, "Bcc" },
	{ "CC", IMAP_KEY_HEADER, STRING, 1, 0, false, "Cc" },
	{ "FROM", IMAP_KEY_HEADER, STRING, 1, 0, false, "From" },
	{ "SUBJECT", IMAP_KEY_HEADER, STRING, 1, 0, false, "Subject" },
	{ "TO", IMAP_KEY_HEADER, STRING, 1, 0, false, "To" },
	{ "HEADER", IMAP_KEY_HEADER, NAMED, 1, 0, false, NULL },
	{ "BODY", IMAP_KEY_BODY, STRING, 2, 0, false, NULL },
	{ "TEXT", IMAP_KEY_TEXT, STRING, 2, 0, false, NULL },
	{ "NOT", IMAP_KEY_NOT, ONE_KEY, 0, 0, false, NULL },
	{ "OR", IMAP_KEY_OR, TWO_KEYS, 0, 0, false, NULL },
};

struct parser {
	struct imap_args *a;
	unsigned int keys;
};

static void
key_free(struct imap_key *k)
{
	while (k != NULL) {
		struct imap_key *next = k->next;

		key_free(k->child); /* depth is bounded by the parser */
		imap_set_clear(&k->set);
		free(k->name);
		free(k->text);
		free(k);
		k = next;
	}
}

static struct imap_key *
key_new(struct parser *p, enum imap_key_kind kind)
{
	struct imap_key *k;

	if (p->keys++ >= IMAP_SEARCH_KEYS_MAX) {
		imap_fail(p->a, "Too many search keys");
		return NULL;
	}
	if ((k = calloc(1, sizeof(*k))) == NULL) {
		imap_fail(p->a, "Out of memory");
		return NULL;
	}
	k->kind = kind;
	return k;
}

/* Into its parent's list, in order of cost. */
static void
key_add(struct imap_key *parent, struct imap_key *k)
{
	struct imap_key **at = &parent->child;

	while (*at != NULL && (*at)->cost <= k->cost)
		at = &(*at)->next;
	k->next = *at;
	*at = k;
	if (k->cost > parent->cost)
		parent->cost = k->cost;
}

static int
key_text(struct parser *p, struct imap_key *k, const struct imap_str *v)
{
	bool space = false;

	if ((k->text = malloc(v->len * 2 + 1)) == NULL)
		return imap_fail(p->a, "Out of memory");
	k->text_len = imap_fold(v->s, v->len, k->text, &space);
	k->text[k->text_len] = '\0';
	return 0;
}

static int
key_name(struct parser *p, struct imap_key *k, const struct imap_str *v)
{
	if (memchr(v->s, '\0', v->len) != NULL)
		return imap_fail(p->a, "NUL in argument");
	if ((k->name = strndup(v->s, v->len)) == NULL)
		return imap_fail(p->a, "Out of memory");
	return 0;
}

static int
key_date(struct parser *p, struct imap_key *k)
{
	struct imap_str v;
	struct date d;

	if (imap_astring(p->a, &v) == -1)
		return -1;
	if (date_parse_imap_day(v.s, v.len, &d) == -1)
		return imap_fail(p->a, "Invalid date");
	k->day = d.time;
	return 0;
}

static int parse_key(struct parser *, struct imap_key *parent, unsigned int depth);

static int
arguments(struct parser *p, struct imap_key *k, const struct row *row, unsigned int depth)
{
	struct imap_args *a = p->a;
	struct imap_str v;

	if (row->syntax != NOTHING && imap_sp(a) == -1)
		return -1;
	switch (row->syntax) {
	case NOTHING:
		return 0;
	case STRING:
		if (row->field != NULL && (k->name = strdup(row->field)) == NULL)
			return imap_fail(a, "Out of memory");
		return imap_astring(a, &v) == -1 ? -1 : key_text(p, k, &v);
	case NAMED:
		if (imap_astring(a, &v) == -1 || key_name(p, k, &v) == -1 ||
		    imap_sp(a) == -1 || imap_astring(a, &v) == -1)
			return -1;
		return key_text(p, k, &v);
	case ATOM:
		return imap_atom(a, &v) == -1 ? -1 : key_name(p, k, &v);
	case NUMBER:
		return imap_number(a, &k->number);
	case DATE:
		return key_date(p, k);
	case SET:
		return imap_set_parse(a, &k->set);
	case TWO_KEYS:
		if (parse_key(p, k, depth + 1) == -1 || imap_sp(a) == -1)
			return -1;
		/* FALLTHROUGH */
	case ONE_KEY:
		return parse_key(p, k, depth + 1);
	}
	return -1;
}

/* A key and, where the row says so, NOT above it. */
static int
add_row(
    struct parser *p, struct imap_key *parent, const struct row *row, unsigned int depth)
{
	struct imap_key *k = key_new(p, row->kind), *above = NULL;

	if (k == NULL)
		return -1;
	k->cost = row->cost;
	k->flag = row->flag;
	if (row->negated && (above = key_new(p, IMAP_KEY_NOT)) == NULL) {
		key_free(k);
		return -1;
	}
	if (arguments(p, k, row, depth) == -1) {
		key_free(k);
		key_free(above);
		return -1;
	}
	if (above != NULL) {
		key_add(above, k);
		k = above;
	}
	key_add(parent, k);
	return 0;
}

/* NEW: RECENT UNSEEN */
static int
add_new(struct parser *p, struct imap_key *parent)
{
	static const struct row recent = { "", IMAP_KEY_RECENT, NOTHING, 0, 0, false,
		NULL },
				unseen = { "", IMAP_KEY_FLAG, NOTHING, 0, FLAG_SEEN, true,
					NULL };
	struct imap_key *k = key_new(p, IMAP_KEY_AND);

	if (k == NULL)
		return -1;
	key_add(parent, k);
	return add_row(p, k, &recent, 0) == -1 ? -1 : add_row(p, k, &unseen, 0);
}

static int
parse_list(struct parser *p, struct imap_key *parent, unsigned int depth)
{
	struct imap_key *k = key_new(p, IMAP_KEY_AND);

	if (k == NULL)
		return -1;
	do {
		if (parse_key(p, k, depth + 1) == -1) {
			key_free(k);
			return -1;
		}
	} while (imap_try_char(p->a, ' '));
	key_add(parent, k);
	return imap_char(p->a, ')');
}

static int
parse_key(struct parser *p, struct imap_key *parent, unsigned int depth)
{
	static const struct row seq = { "", IMAP_KEY_SEQ, NOTHING, 0, 0, false, NULL };
	int c = imap_peek(p->a);
	struct imap_str v;

	if (depth > IMAP_SEARCH_DEPTH_MAX)
		return imap_fail(p->a, "Search keys nested too deeply");
	if (imap_try_char(p->a, '('))
		return parse_list(p, parent, depth);
	if (c == '*' || (c >= '0' && c <= '9')) {
		struct row row = seq;
		struct imap_key *k = key_new(p, row.kind);

		if (k == NULL)
			return -1;
		if (imap_set_parse(p->a, &k->set) == -1) {
			key_free(k);
			return -1;
		}
		key_add(parent, k);
		return 0;
	}
	if (imap_atom(p->a, &v) == -1)
		return -1;
	if (imap_str_is(&v, "NEW"))
		return add_new(p, parent);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (imap_str_is(&v, rows[i].name))
			return add_row(p, parent, &rows[i], depth);
	return imap_fail(p->a, "Unknown search key");
}

/* The next word is this one: take it and the space after it. */
static bool
word(struct imap_args *a, const char *name)
{
	size_t n = strlen(name);
	struct imap_str v = { a->buf + a->pos, n };

	if (a->len - a->pos <= n || a->buf[a->pos + n] != ' ' || !imap_str_is(&v, name))
		return false;
	a->pos += n + 1;
	return true;
}

static int
return_options(struct imap_args *a, unsigned int *result)
{
	static const char *const names[] = { "MIN", "MAX", "ALL", "COUNT" };

	if (imap_char(a, '(') == -1)
		return -1;
	while (!imap_try_char(a, ')')) {
		struct imap_str v;
		size_t i;

		if (*result != 0 && imap_sp(a) == -1)
			return -1;
		if (imap_atom(a, &v) == -1)
			return -1;
		for (i = 0; i < 4; i++)
			if (imap_str_is(&v, names[i]))
				break;
		if (i == 4)
			return imap_fail(a, "Unknown RETURN option");
		*result |= 1u << i;
	}
	if (*result == 0)
		*result = IMAP_RETURN_ALL;
	return imap_sp(a);
}

int
imap_search_parse(struct imap_args *a, struct imap_search *s)
{
	struct parser p = { a, 0 };
	struct imap_str v;

	memset(s, 0, sizeof(*s));
	if ((s->root = key_new(&p, IMAP_KEY_AND)) == NULL || imap_sp(a) == -1)
		return -1;
	if (word(a, "RETURN") && return_options(a, &s->result) == -1)
		return -1;
	if (word(a, "CHARSET")) {
		if (imap_astring(a, &v) == -1 || imap_sp(a) == -1)
			return -1;
		s->bad_charset =
		    !imap_str_is(&v, "UTF-8") && !imap_str_is(&v, "US-ASCII");
	}
	do {
		if (parse_key(&p, s->root, 0) == -1)
			return -1;
	} while (imap_try_char(a, ' '));
	return imap_end(a);
}

void
imap_search_clear(struct imap_search *s)
{
	key_free(s->root);
	s->root = NULL;
}
