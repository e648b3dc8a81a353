/* SPDX-License-Identifier: ISC */
/* The arguments of SEARCH (RFC 3501, 9: search-key; RFC 4466 for RETURN). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/charset.h"
#include "common/proto/date.h"
#include "mailbox/fts.h"
#include "mailbox/imap_fuzzy.h"
#include "mailbox/imap_notify.h"
#include "mailbox/imap_search.h"
#include "mailbox/store.h"

#define FILTERS_MAX 5 /* within each other */
#define SAVED_MAX 8   /* "$" in one search: each is a copy of what was saved */

enum syntax {
	NOTHING,
	STRING,
	ATOM,
	NUMBER,
	INTERVAL,
	FILTER,
	FUZZY,
	MODSEQ,
	OBJECTID,
	DATE,
	SET,
	ABOVE,
	BELOW,
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
	{ "UIDAFTER", IMAP_KEY_UID, ABOVE, 0, 0, false, NULL }, /* RFC 9738, 3.2 */
	{ "UIDBEFORE", IMAP_KEY_UID, BELOW, 0, 0, false, NULL },
	{ "LARGER", IMAP_KEY_LARGER, NUMBER, 0, 0, false, NULL },
	{ "SMALLER", IMAP_KEY_SMALLER, NUMBER, 0, 0, false, NULL },
	{ "BEFORE", IMAP_KEY_BEFORE, DATE, 0, 0, false, NULL },
	{ "ON", IMAP_KEY_ON, DATE, 0, 0, false, NULL },
	{ "SINCE", IMAP_KEY_SINCE, DATE, 0, 0, false, NULL },
	{ "SAVEDBEFORE", IMAP_KEY_SAVEDBEFORE, DATE, 0, 0, false, NULL },
	{ "SAVEDON", IMAP_KEY_SAVEDON, DATE, 0, 0, false, NULL },
	{ "SAVEDSINCE", IMAP_KEY_SAVEDSINCE, DATE, 0, 0, false, NULL },
	{ "SAVEDATESUPPORTED", IMAP_KEY_AND, NOTHING, 0, 0, false, NULL },
	{ "OLDER", IMAP_KEY_OLDER, INTERVAL, 0, 0, false, NULL },
	{ "YOUNGER", IMAP_KEY_YOUNGER, INTERVAL, 0, 0, false, NULL },
	{ "MODSEQ", IMAP_KEY_MODSEQ, MODSEQ, 0, 0, false, NULL },
	{ "EMAILID", IMAP_KEY_EMAILID, OBJECTID, 1, 0, false, NULL },
	{ "THREADID", IMAP_KEY_THREADID, OBJECTID, 1, 0, false, NULL },
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
	{ "FILTER", IMAP_KEY_AND, FILTER, 0, 0, false, NULL },
	{ "FUZZY", IMAP_KEY_AND, FUZZY, 0, 0, false, NULL },
	{ "NOT", IMAP_KEY_NOT, ONE_KEY, 0, 0, false, NULL },
	{ "OR", IMAP_KEY_OR, TWO_KEYS, 0, 0, false, NULL },
};

struct parser {
	struct imap_args *a;
	struct imap_search *search;
	const char *charset; /* NULL: UTF-8 */
	size_t charset_len;
	unsigned int keys, saved;
	struct store *store;  /* where filters are */
	unsigned int filters; /* within so many */
	bool fuzzy;
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
		free(k->query);
		imap_fuzzy_free(k->fuzzy);
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
	size_t len = v->len;
	const char *s = v->s;
	char *utf8 = NULL;

	if (p->charset != NULL) {
		size_t cap = v->len * 4 + 4;

		if ((utf8 = malloc(cap)) == NULL)
			return imap_fail(p->a, "Out of memory");
		(void)charset_to_utf8(
		    p->charset, p->charset_len, v->s, v->len, utf8, cap, &len);
		s = utf8;
	}
	if ((k->text = malloc(IMAP_FOLD_SIZE(len))) == NULL) {
		free(utf8);
		return imap_fail(p->a, "Out of memory");
	}
	k->text_len = imap_fold(s, len, k->text, &space);
	if (!p->fuzzy)
		k->query = fts_query_new(k->text, k->text_len);
	else if ((k->fuzzy = imap_fuzzy_new(k->text, k->text_len)) == NULL) {
		free(utf8);
		return imap_fail(p->a, "Out of memory");
	}
	k->text[k->text_len] = '\0';
	free(utf8);
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

/* MODSEQ ["/flags/\\draft" all] n: there is one sequence for all of a message, so that
 * the entry makes no difference (RFC 7162, 3.1.5). */
static int
key_modseq(struct parser *p, struct imap_key *k)
{
	struct imap_args *a = p->a;
	struct imap_str v;

	p->search->modseq = true;
	if (imap_peek(a) == '"') {
		if (imap_string(a, &v) == -1 || imap_sp(a) == -1 ||
		    imap_atom(a, &v) == -1)
			return -1;
		if (!imap_str_is(&v, "all") && !imap_str_is(&v, "shared") &&
		    !imap_str_is(&v, "priv"))
			return imap_fail(a, "all, shared or priv expected");
		if (imap_sp(a) == -1)
			return -1;
	}
	return imap_modseq(a, &k->modseq);
}

static int
key_set(struct parser *p, struct imap_key *k)
{
	if (imap_set_parse(p->a, &k->set) == -1)
		return -1;
	if (k->set.saved && ++p->saved > SAVED_MAX)
		return imap_fail(p->a, "$ is named too often");
	return 0;
}

static int parse_key(struct parser *, struct imap_key *parent, unsigned int depth);

/* ---- filters (RFC 5466) ---- */

bool
imap_is_filter_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!imap_is_atom_char((unsigned char)s[i]) || s[i] == '/' || s[i] == ']')
			return false;
	return len > 0;
}

/* The program of a filter; malloc'd. NULL: there is none. */
static char *
filter_program(struct store *store, const struct imap_str *v, size_t *len)
{
	static const char *const roots[] = { "/private/filters/values/",
		"/shared/filters/values/" };
	char given[ANNOTATION_NAME_MAX + 1], name[ANNOTATION_NAME_MAX + 1];
	struct annotations *have = calloc(1, sizeof(*have));
	char *program = NULL;

	if (have == NULL || annotations_load(store, NULL, have) != STORE_OK)
		goto out;
	for (size_t r = 0; r < 2 && program == NULL; r++) {
		int n =
		    snprintf(given, sizeof(given), "%s%.*s", roots[r], (int)v->len, v->s);

		if (v->len > ANNOTATION_NAME_MAX || n < 0 || (size_t)n >= sizeof(given) ||
		    annotation_name(given, (size_t)n, name) == -1)
			continue;
		for (size_t i = 0; i < have->n; i++)
			if (strcmp(have->v[i].name, name) == 0 &&
			    (program = malloc(have->v[i].len + 1)) != NULL) {
				*len = have->v[i].len;
				memcpy(program, have->v[i].value, *len);
				break;
			}
	}
out:
	if (have != NULL)
		annotations_clear(have);
	free(have);
	return program;
}

/* Its keys stand for it; what is wrong with them makes it one that is not there. */
static int
key_filter(struct parser *p, struct imap_key *k, unsigned int depth)
{
	struct imap_search *search = p->search;
	struct imap_args a, *outer = p->a;
	struct imap_str v;
	char *program;
	size_t len = 0;
	int rv = -1;

	if (imap_atom(p->a, &v) == -1)
		return -1;
	if (!imap_is_filter_name(v.s, v.len) || v.len >= sizeof(search->undefined))
		return imap_fail(p->a, "Not a filter's name");
	if (p->charset != NULL)
		return imap_fail(
		    p->a, "[BADCHARSET (US-ASCII UTF-8)] Filters are in UTF-8");
	if (p->store == NULL)
		return 0;
	if (p->filters < FILTERS_MAX && !search->no_filters &&
	    (program = filter_program(p->store, &v, &len)) != NULL) {
		imap_args_init(&a, program, len);
		p->a = &a;
		p->filters++;
		do
			rv = parse_key(p, k, depth + 1);
		while (rv == 0 && imap_try_char(&a, ' '));
		if (rv == 0)
			rv = imap_end(&a);
		p->filters--;
		p->a = outer;
		free(program);
	}
	if (rv == -1 && search->undefined[0] == '\0')
		(void)imap_str_copy(&v, search->undefined, sizeof(search->undefined));
	return 0;
}

/* FUZZY key (RFC 6203): also if it is a list. */
static int
key_fuzzy(struct parser *p, struct imap_key *k, unsigned int depth)
{
	bool before = p->fuzzy;
	int rv;

	p->fuzzy = p->search->fuzzy = true;
	rv = parse_key(p, k, depth + 1);
	p->fuzzy = before;
	return rv;
}

/* UIDAFTER and UIDBEFORE: what is on that side of one UID (RFC 9738, 3.2). */
static int
key_side(struct parser *p, struct imap_key *k, bool above)
{
	uint32_t uid;

	if (imap_number(p->a, &uid) == -1)
		return -1;
	if (uid == 0)
		return imap_fail(p->a, "Zero is no UID");
	if (uid == (above ? UINT32_MAX : 1))
		return 0; /* nothing */
	if ((k->set.r = calloc(1, sizeof(*k->set.r))) == NULL)
		return imap_fail(p->a, "Out of memory");
	k->set.r->lo = above ? uid + 1 : 1;
	k->set.r->hi = above ? UINT32_MAX : uid - 1;
	k->set.n = 1;
	return 0;
}

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
	case INTERVAL:
		if (imap_number(a, &k->number) == -1)
			return -1;
		return k->number == 0 ? imap_fail(a, "Zero seconds") : 0;
	case MODSEQ:
		return key_modseq(p, k);
	case FILTER:
		return key_filter(p, k, depth);
	case FUZZY:
		return key_fuzzy(p, k, depth);
	case OBJECTID:
		return imap_astring(a, &v) == -1 ? -1 : key_name(p, k, &v);
	case SET:
		return key_set(p, k);
	case ABOVE:
	case BELOW:
		return key_side(p, k, row->syntax == ABOVE);
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
	if (c == '*' || c == '$' || (c >= '0' && c <= '9')) {
		struct row row = seq;
		struct imap_key *k = key_new(p, row.kind);

		if (k == NULL)
			return -1;
		if (key_set(p, k) == -1) {
			key_free(k);
			return -1;
		}
		if (!k->set.saved)
			p->search->numbers = true;
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

int
imap_search_parse_return(struct imap_args *a, struct imap_search *s)
{
	static const char *const names[] = { "MIN", "MAX", "ALL", "COUNT", "SAVE",
		"PARTIAL", "UPDATE", "CONTEXT", "RELEVANCY" };
	const size_t n = sizeof(names) / sizeof(names[0]);
	bool no_filters = s->no_filters;

	memset(s, 0, sizeof(*s));
	s->no_filters = no_filters;
	if (!word(a, "RETURN"))
		return 0;
	s->extended = true;
	if (imap_char(a, '(') == -1)
		return -1;
	for (bool first = true; !imap_try_char(a, ')'); first = false) {
		struct imap_str v;
		size_t i;

		if ((!first && imap_sp(a) == -1) || imap_atom(a, &v) == -1)
			return -1;
		for (i = 0; i < n; i++)
			if (imap_str_is(&v, names[i]))
				break;
		if (i == n)
			return imap_fail(a, "Unknown RETURN option");
		if (1u << i == IMAP_RETURN_PARTIAL) {
			if (s->partial.asked)
				return imap_fail(a, "PARTIAL twice");
			if (imap_sp(a) == -1 || imap_partial_parse(a, &s->partial) == -1)
				return -1;
		}
		if (1u << i == IMAP_RETURN_UPDATE && a->len - a->pos >= 2 &&
		    a->buf[a->pos] == ' ' && a->buf[a->pos + 1] == '(') {
			(void)imap_sp(a);
			free(s->attributes);
			if ((s->attributes = imap_announce_parse(a)) == NULL)
				return -1;
		}
		s->result |= 1u << i;
	}
	if ((s->result & IMAP_RETURN_PARTIAL) && (s->result & IMAP_RETURN_ALL))
		return imap_fail(a, "PARTIAL and ALL exclude each other");
	/* RFC 4731, 3.1; RFC 5267, 4.1 */
	if ((s->result & ~(unsigned int)(IMAP_RETURN_UPDATE | IMAP_RETURN_CONTEXT)) == 0)
		s->result |= IMAP_RETURN_ALL;
	return imap_sp(a);
}

int
imap_search_parse_program(struct imap_args *a, struct imap_search *s, struct store *store,
    const struct imap_str *charset)
{
	struct parser p = { .a = a, .search = s, .store = store };

	if (charset != NULL && !imap_str_is(charset, "UTF-8") &&
	    !imap_str_is(charset, "US-ASCII")) {
		s->bad_charset = !charset_known(charset->s, charset->len);
		p.charset = charset->s;
		p.charset_len = charset->len;
	}
	if ((s->root = key_new(&p, IMAP_KEY_AND)) == NULL)
		return -1;
	do {
		if (parse_key(&p, s->root, 0) == -1)
			return -1;
	} while (imap_try_char(a, ' '));
	if ((s->result & IMAP_RETURN_RELEVANCY) && !s->fuzzy)
		return imap_fail(a, "RELEVANCY needs FUZZY");
	return imap_end(a);
}

int
imap_search_parse_keys(struct imap_args *a, struct imap_search *s, struct store *store)
{
	struct imap_str v;

	if (!word(a, "CHARSET"))
		return imap_search_parse_program(a, s, store, NULL);
	if (imap_astring(a, &v) == -1 || imap_sp(a) == -1)
		return -1;
	return imap_search_parse_program(a, s, store, &v);
}

int
imap_search_parse(struct imap_args *a, struct imap_search *s)
{
	memset(s, 0, sizeof(*s));
	if (imap_sp(a) == -1 || imap_search_parse_return(a, s) == -1)
		return -1;
	return imap_search_parse_keys(a, s, NULL);
}

static int
resolve(
    struct imap_key *k, uint32_t n, uint32_t last, const uint32_t *saved, size_t n_saved)
{
	for (; k != NULL; k = k->next) {
		if (k->set.saved) {
			k->kind = IMAP_KEY_UID;
			k->set.saved = false;
			k->set.r = reallocarray(NULL, n_saved + 1, sizeof(*k->set.r));
			if (k->set.r == NULL)
				return -1;
			for (size_t i = 0; i < n_saved; i++)
				k->set.r[k->set.n++] =
				    (struct imap_range){ saved[i], saved[i] };
		} else if (k->kind == IMAP_KEY_SEQ)
			imap_set_resolve(&k->set, n);
		else if (k->kind == IMAP_KEY_UID)
			imap_set_resolve(&k->set, last);
		if (resolve(k->child, n, last, saved, n_saved) == -1)
			return -1;
	}
	return 0;
}

int
imap_search_resolve(struct imap_search *s, uint32_t n, uint32_t last,
    const uint32_t *saved, size_t n_saved)
{
	return resolve(s->root, n, last, saved, n_saved);
}

void
imap_search_clear(struct imap_search *s)
{
	key_free(s->root);
	s->root = NULL;
	free(s->attributes);
	s->attributes = NULL;
}
