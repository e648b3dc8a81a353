/* SPDX-License-Identifier: ISC */
/*
 * A reader of address lists (RFC 5322, 3.4 and 4.4) that tells what is malformed, since
 * a malformed address may match nothing by its parts, and redirect to one is an error.
 */
#include "mailbox/sieve/addresses.h"

#include <string.h>

#include "common/proto/encoding.h"

#define MAILBOXES_MAX 5000
#define COMMENT_DEPTH_MAX 50

struct reader {
	struct arena *arena;
	const char *s;
	size_t len, pos;
	char *buf; /* room for what is read, as much as the text has */
	size_t used;
	bool no_memory;
};

static int
peek(const struct reader *r)
{
	return r->pos < r->len ? (unsigned char)r->s[r->pos] : -1;
}

/* White space and comments; -1: a comment does not end. */
static int
skip(struct reader *r)
{
	int depth = 0;

	for (; r->pos < r->len; r->pos++) {
		char c = r->s[r->pos];

		if (c == '(') {
			if (++depth > COMMENT_DEPTH_MAX)
				return -1;
		} else if (depth > 0) {
			if (c == '\\' && r->pos + 1 < r->len)
				r->pos++;
			else if (c == ')')
				depth--;
		} else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return 0;
	}
	return depth > 0 ? -1 : 0;
}

static bool
is_atom(int c)
{
	return c > 0x20 && c != 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

static void
put(struct reader *r, char c)
{
	r->buf[r->used++] = c;
}

static int
read_quoted(struct reader *r)
{
	r->pos++;
	for (; r->pos < r->len; r->pos++) {
		char c = r->s[r->pos];

		if (c == '"') {
			r->pos++;
			return 0;
		}
		if (c == '\\' && r->pos + 1 < r->len)
			c = r->s[++r->pos];
		put(r, c);
	}
	return -1;
}

/* Words joined by dots, white space around them left out; atoms, or also quoted. */
static int
read_dotted(struct reader *r, bool quoted, struct sieve_value *out)
{
	size_t start = r->used;
	bool word = false;

	for (;;) {
		if (skip(r) == -1)
			return -1;
		if (peek(r) == '.') {
			/* Dots at odd places are in use in Japan. */
			put(r, '.');
			r->pos++;
			word = false;
			continue;
		}
		if (word)
			break;
		if (quoted && peek(r) == '"') {
			if (read_quoted(r) == -1)
				return -1;
		} else if (is_atom(peek(r))) {
			while (is_atom(peek(r)))
				put(r, r->s[r->pos++]);
		} else
			break;
		word = true;
	}
	*out = (struct sieve_value){ r->buf + start, r->used - start };
	return out->len > 0 || (quoted && word) ? 0 : -1;
}

static int
read_domain(struct reader *r, struct sieve_value *out)
{
	size_t start = r->used;

	if (skip(r) == -1)
		return -1;
	if (peek(r) != '[')
		return read_dotted(r, false, out);
	for (; peek(r) != -1 && peek(r) != ']'; r->pos++)
		put(r, r->s[r->pos]);
	if (peek(r) != ']')
		return -1;
	r->pos++;
	put(r, ']');
	*out = (struct sieve_value){ r->buf + start, r->used - start };
	return 0;
}

static bool
is_dot_string(const struct sieve_value *v)
{
	if (v->len == 0 || v->s[0] == '.' || v->s[v->len - 1] == '.')
		return false;
	for (size_t i = 0; i < v->len; i++)
		if (!is_atom((unsigned char)v->s[i]) &&
		    !(v->s[i] == '.' && v->s[i + 1] != '.'))
			return false;
	return true;
}

/* local@domain in print. */
static int
finish(struct reader *r, struct sieve_mailbox *m)
{
	bool plain = is_dot_string(&m->local);
	char *p = arena_alloc(r->arena, 2 * m->local.len + m->domain.len + 4);
	size_t n = 0;

	if (p == NULL) {
		r->no_memory = true;
		return -1;
	}
	if (!plain)
		p[n++] = '"';
	for (size_t i = 0; i < m->local.len; i++) {
		if (!plain && (m->local.s[i] == '"' || m->local.s[i] == '\\'))
			p[n++] = '\\';
		p[n++] = m->local.s[i];
	}
	if (!plain)
		p[n++] = '"';
	p[n++] = '@';
	memcpy(p + n, m->domain.s, m->domain.len);
	m->all = (struct sieve_value){ p, n + m->domain.len };
	return 0;
}

/* "local@domain" at this place. */
static int
read_spec(struct reader *r, struct sieve_mailbox *m)
{
	if (read_dotted(r, true, &m->local) == -1 || peek(r) != '@')
		return -1;
	r->pos++;
	if (read_domain(r, &m->domain) == -1 || skip(r) == -1)
		return -1;
	return finish(r, m);
}

/* After "<": a route of old, and the address. */
static int
read_angle(struct reader *r, struct sieve_mailbox *m)
{
	struct sieve_value v;

	r->pos++;
	if (skip(r) == -1)
		return -1;
	while (peek(r) == '@' || peek(r) == ',') {
		if (peek(r) == '@') {
			r->pos++;
			if (read_domain(r, &v) == -1)
				return -1;
		} else
			r->pos++;
		if (skip(r) == -1)
			return -1;
		if (peek(r) == ':') {
			r->pos++;
			break;
		}
	}
	if (read_spec(r, m) == -1 || peek(r) != '>')
		return -1;
	r->pos++;
	return skip(r);
}

/* The words of a name, up to what ends them. */
static int
read_phrase(struct reader *r)
{
	bool any = false;

	for (;;) {
		if (skip(r) == -1)
			return -1;
		if (peek(r) == '"') {
			if (read_quoted(r) == -1)
				return -1;
		} else if (is_atom(peek(r)) || peek(r) == '.') {
			while (is_atom(peek(r)) || peek(r) == '.')
				r->pos++;
		} else
			return any ? 0 : -1;
		any = true;
	}
}

/* 1: an address; 0: a group's edge; -1: neither. */
static int
read_one(struct reader *r, struct sieve_mailbox *m, bool *group)
{
	size_t pos, used = r->used;

	if (skip(r) == -1)
		return -1;
	if (peek(r) == ';' && *group) {
		*group = false;
		r->pos++;
		return skip(r);
	}
	if (peek(r) == '<')
		return read_angle(r, m) == -1 ? -1 : 1;
	pos = r->pos;
	if (read_spec(r, m) == 0)
		return 1;
	if (r->no_memory)
		return -1;
	r->pos = pos;
	r->used = used;
	if (read_phrase(r) == -1)
		return -1;
	if (peek(r) == '<')
		return read_angle(r, m) == -1 ? -1 : 1;
	if (peek(r) == ':' && !*group) {
		*group = true;
		r->pos++;
		return 0;
	}
	return -1;
}

/* To the next comma that stands in no quotes. */
static void
resync(struct reader *r)
{
	while (r->pos < r->len && r->s[r->pos] != ',')
		r->pos++;
}

int
sieve_mailboxes_parse(
    struct arena *arena, const char *value, size_t len, struct sieve_mailboxes *out)
{
	struct reader r = { .arena = arena, .s = value, .len = len };
	size_t cap = 0;
	bool group = false;

	memset(out, 0, sizeof(*out));
	if ((r.buf = arena_alloc(arena, 2 * len + 16)) == NULL)
		return -1;
	while (r.pos < r.len && out->n < MAILBOXES_MAX) {
		struct sieve_mailbox m = { 0 };
		size_t before = r.pos, used = r.used;
		int k;

		if (skip(&r) == -1) {
			out->malformed = true;
			break;
		}
		if (peek(&r) == -1)
			break;
		if (peek(&r) == ',') {
			r.pos++;
			continue;
		}
		k = read_one(&r, &m, &group);
		if (r.no_memory)
			return -1;
		if (k == 1 && peek(&r) != -1 && peek(&r) != ',' &&
		    !(peek(&r) == ';' && group))
			k = -1;
		if (k == -1) {
			out->malformed = true;
			r.used = used;
			r.pos = before;
			resync(&r);
			continue;
		}
		if (k == 0)
			continue;
		if (out->n == cap) {
			struct sieve_mailbox *v;

			cap = cap == 0 ? 4 : cap * 2;
			if ((v = arena_alloc(arena, cap * sizeof(*v))) == NULL)
				return -1;
			if (out->n > 0)
				memcpy(v, out->v, out->n * sizeof(*v));
			out->v = v;
		}
		out->v[out->n++] = m;
	}
	return 0;
}

const struct sieve_mailbox *
sieve_mailbox_parse(struct arena *arena, const char *s, size_t len, const char **why)
{
	struct sieve_mailboxes list;

	*why = NULL;
	if (sieve_mailboxes_parse(arena, s, len, &list) == -1)
		*why = "no memory";
	else if (list.malformed)
		*why = "it is not of the form local-part@domain";
	else if (list.n == 0)
		*why = "it is empty";
	else if (list.n > 1)
		*why = "it is more than one address";
	else if (memchr(list.v[0].all.s, '\r', list.v[0].all.len) != NULL ||
		 memchr(list.v[0].all.s, '\n', list.v[0].all.len) != NULL ||
		 memchr(list.v[0].all.s, '\0', list.v[0].all.len) != NULL)
		*why = "it has a control character";
	else if (list.v[0].all.len > 320)
		*why = "it is too long";
	return *why == NULL ? &list.v[0] : NULL;
}

bool
sieve_mailbox_part(const struct sieve_mailbox *m, enum sieve_part part, char separator,
    struct sieve_value *out)
{
	const char *at = m->local.len > 0 && separator != '\0'
			     ? memchr(m->local.s, separator, m->local.len)
			     : NULL;

	switch (part) {
	case PART_ALL:
		*out = m->all;
		return true;
	case PART_LOCAL:
		*out = m->local;
		return true;
	case PART_DOMAIN:
		*out = m->domain;
		return true;
	case PART_USER:
		*out = m->local;
		if (at != NULL)
			out->len = (size_t)(at - m->local.s);
		return true;
	default:
		if (at == NULL)
			return false; /* RFC 5233, 4: no detail is not an empty one */
		*out = (struct sieve_value){ at + 1,
			m->local.len - (size_t)(at + 1 - m->local.s) };
		return true;
	}
}
