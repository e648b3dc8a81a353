/* SPDX-License-Identifier: ISC */
/*
 * The structure parser: one pass over the lines of a message with a stack of open parts.
 * A line is either a boundary of an open multipart, or belongs to the innermost open
 * part, whose header or body it continues.  Cost is linear: a line is compared with at
 * most MIME_DEPTH_MAX boundaries of at most MIME_BOUNDARY_MAX octets.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/header.h"
#include "common/proto/mime.h"

#define ARENA_BLOCK 8192
#define STORE_SIZE 16384 /* all parameters of one field */

struct mime_arena {
	struct mime_arena *next;
	size_t cap, used;
	char data[];
};

/* An open part. */
struct level {
	int part;
	int last_child;
	char boundary[MIME_BOUNDARY_MAX + 1];
	size_t boundary_len; /* 0: none, or closed */
	uint32_t lf_body;    /* line ends before its body */
};

struct parser {
	const char *buf;
	size_t len;
	struct mime_tree *tree;
	unsigned int max_depth, max_parts, cap;
	size_t strings;
	struct level *stack;     /* max_depth + 1 */
	unsigned int depth;      /* of the innermost open part */
	unsigned int boundaries; /* open ones on the stack */
	bool in_header;          /* of the innermost part */
	uint32_t lf;             /* line ends before the cursor */
	uint32_t lf_header;
	bool nomem;
};

/* NULL without memory, or when the bound of all strings is reached. */
static void *
arena_alloc(struct parser *p, size_t size)
{
	struct mime_arena *a = p->tree->arena;
	size_t cap;
	void *ptr;

	size = (size + 7) & ~(size_t)7;
	if (p->strings + size > MIME_STRINGS_MAX)
		return NULL;
	if (a == NULL || a->cap - a->used < size) {
		cap = size > ARENA_BLOCK ? size : ARENA_BLOCK;
		if ((a = malloc(sizeof(*a) + cap)) == NULL) {
			p->nomem = true;
			return NULL;
		}
		a->cap = cap;
		a->used = 0;
		a->next = p->tree->arena;
		p->tree->arena = a;
	}
	ptr = a->data + a->used;
	a->used += size;
	p->strings += size;
	return ptr;
}

static const char *
arena_string(struct parser *p, const char *s, size_t len)
{
	char *copy;

	if (len >= MIME_STRING_MAX)
		len = utf8_cut(s, len, MIME_STRING_MAX - 1);
	if ((copy = arena_alloc(p, len + 1)) == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

static const struct mime_param *
arena_params(struct parser *p, const struct mime_param *params, unsigned int n,
    unsigned int *count)
{
	struct mime_param *copy;

	*count = 0;
	if (n == 0 || (copy = arena_alloc(p, n * sizeof(*copy))) == NULL)
		return NULL;
	for (unsigned int i = 0; i < n; i++) {
		copy[i].name = arena_string(p, params[i].name, strlen(params[i].name));
		copy[i].value = arena_string(p, params[i].value, strlen(params[i].value));
		if (copy[i].name == NULL || copy[i].value == NULL)
			break;
		(*count)++;
	}
	return copy;
}

static bool
is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] <= 0x20 || s[i] >= 0x7f ||
		    strchr("()<>@,;:\\\"/[]?=", s[i]) != NULL)
			return false;
	}
	return len > 0;
}

static void
read_type(struct parser *p, struct mime_part *part, const struct header_field *f)
{
	struct mime_param params[MIME_PARAMS_MAX];
	char token[256], store[STORE_SIZE], *slash;
	const char *type, *subtype;
	unsigned int n;

	n = mime_split_params(f->value, f->value_len, token, sizeof(token), params,
	    MIME_PARAMS_MAX, store, sizeof(store));
	/* What is no type is text/plain (RFC 2045, 5.2), whatever its parameters. */
	if ((slash = strchr(token, '/')) == NULL ||
	    !is_token(token, (size_t)(slash - token)) ||
	    !is_token(slash + 1, strlen(slash + 1)))
		return;
	type = arena_string(p, token, (size_t)(slash - token));
	subtype = arena_string(p, slash + 1, strlen(slash + 1));
	if (type == NULL || subtype == NULL)
		return;
	part->has_type = true;
	part->type = type;
	part->subtype = subtype;
	part->params = arena_params(p, params, n, &part->nparams);
}

static void
read_disposition(struct parser *p, struct mime_part *part, const struct header_field *f)
{
	struct mime_param params[MIME_PARAMS_MAX];
	char token[256], store[STORE_SIZE];
	unsigned int n;

	n = mime_split_params(f->value, f->value_len, token, sizeof(token), params,
	    MIME_PARAMS_MAX, store, sizeof(store));
	/* "; filename=x" alone is met often: an attachment (RFC 2183, 2.8). */
	if (token[0] == '\0' && n == 0)
		return;
	part->disposition =
	    token[0] == '\0' ? "attachment" : arena_string(p, token, strlen(token));
	part->disposition_params = arena_params(p, params, n, &part->ndisposition_params);
}

static const char *
read_text(struct parser *p, const struct header_field *f)
{
	char text[MIME_STRING_MAX];
	size_t n = header_unfold(f->value, f->value_len, text, sizeof(text));

	return n == 0 ? NULL : arena_string(p, text, n);
}

/* Without white space and comments; lower case where asked. */
static const char *
read_compact(struct parser *p, const struct header_field *f, bool lower, bool comments)
{
	char text[MIME_STRING_MAX];
	size_t n = 0, depth = 0;

	for (size_t i = 0; i < f->value_len && n < sizeof(text) - 1; i++) {
		unsigned char c = (unsigned char)f->value[i];

		if (comments && c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth == 0 && c > 0x20 && c != 0x7f)
			text[n++] = (char)(lower ? ascii_lower(c) : c);
	}
	return n == 0 ? NULL : arena_string(p, text, n);
}

/* The first field of a name counts. */
static void
read_header(struct parser *p, struct mime_part *part)
{
	struct header_scan s;
	struct header_field f;
	bool type = false;

	header_scan_init(
	    &s, p->buf + part->header_off, part->body_off - part->header_off, true);
	s.max_octets = SIZE_MAX;
	while (header_next(&s, &f) == HEADER_FIELD) {
		if (f.name_len < 10 || !ascii_equal(f.name, 8, "Content-"))
			continue;
		if (!type && header_name_is(&f, "Content-Type")) {
			type = true;
			read_type(p, part, &f);
		} else if (part->disposition == NULL &&
			   header_name_is(&f, "Content-Disposition"))
			read_disposition(p, part, &f);
		else if (part->encoding == NULL &&
			 header_name_is(&f, "Content-Transfer-Encoding"))
			part->encoding = read_compact(p, &f, true, true);
		else if (part->id == NULL && header_name_is(&f, "Content-ID"))
			part->id = read_text(p, &f);
		else if (part->description == NULL &&
			 header_name_is(&f, "Content-Description"))
			part->description = read_text(p, &f);
		else if (part->md5 == NULL && header_name_is(&f, "Content-MD5"))
			part->md5 = read_compact(p, &f, false, false);
		else if (part->location == NULL && header_name_is(&f, "Content-Location"))
			part->location = read_compact(p, &f, false, false);
		else if (part->language == NULL && header_name_is(&f, "Content-Language"))
			part->language = read_compact(p, &f, false, true);
	}
	if (part->encoding != NULL)
		part->cte = cte_by_name(part->encoding, strlen(part->encoding));
}

/* Opens a part below the innermost one; false at the bounds. */
static bool
open_part(struct parser *p, int parent, size_t pos)
{
	struct mime_tree *t = p->tree;
	struct mime_part *part;
	struct level *l;
	unsigned int cap;
	int n;

	if (t->nparts >= p->max_parts || (parent != -1 && p->depth >= p->max_depth)) {
		t->truncated = true;
		return false;
	}
	if (t->nparts == p->cap) {
		cap = p->cap == 0 ? 8 : p->cap * 2;
		if ((part = reallocarray(t->parts, cap, sizeof(*part))) == NULL) {
			p->nomem = true;
			return false;
		}
		t->parts = part;
		p->cap = cap;
	}
	n = (int)t->nparts++;
	part = &t->parts[n];
	memset(part, 0, sizeof(*part));
	part->parent = parent;
	part->child = part->next = -1;
	part->header_off = part->body_off = part->body_end = pos;
	part->type = "text";
	part->subtype = "plain";
	if (parent != -1) {
		l = &p->stack[p->depth];
		if (l->last_child == -1)
			t->parts[parent].child = n;
		else
			t->parts[l->last_child].next = n;
		l->last_child = n;
		t->parts[parent].children++;
		part->depth = ++p->depth;
		if (t->parts[parent].kind == MIME_MULTIPART &&
		    strcmp(t->parts[parent].subtype, "digest") == 0) {
			part->type = "message";
			part->subtype = "rfc822";
		}
	}
	l = &p->stack[p->depth];
	l->part = n;
	l->last_child = -1;
	l->boundary_len = 0;
	l->lf_body = 0;
	p->in_header = true;
	p->lf_header = p->lf;
	return true;
}

static void
open_boundary(struct parser *p, struct mime_part *part)
{
	struct level *l = &p->stack[p->depth];
	const char *b = mime_param_raw(part->params, part->nparams, "boundary");
	char decoded[MIME_BOUNDARY_MAX + 1];
	size_t n;

	/* RFC 2231 on a boundary is legal, if unheard of. */
	if (b == NULL && mime_param_get(part->params, part->nparams, "boundary", decoded,
			     sizeof(decoded)) > 0)
		b = decoded;
	n = b == NULL ? 0 : strlen(b);
	/* A boundary does not end in white space (RFC 2046, 5.1.1). */
	while (n > 0 && (b[n - 1] == ' ' || b[n - 1] == '\t'))
		n--;
	if (n == 0 || n > MIME_BOUNDARY_MAX) {
		p->tree->malformed = true;
		return;
	}
	memcpy(l->boundary, b, n);
	l->boundary[n] = '\0';
	l->boundary_len = n;
	p->boundaries++;
}

/* The innermost part's header ends at pos; descend unless it was cut off. */
static void
end_header(struct parser *p, size_t pos, bool complete)
{
	struct level *l = &p->stack[p->depth];
	struct mime_part *part = &p->tree->parts[l->part];

	part->body_off = part->body_end = pos;
	part->header_lines = p->lf - p->lf_header;
	l->lf_body = p->lf;
	p->in_header = false;
	read_header(p, part);
	if (!complete)
		p->tree->malformed = true;
	if (strcmp(part->type, "multipart") == 0) {
		part->kind = MIME_MULTIPART;
		if (!complete)
			return;
		if (p->depth < p->max_depth)
			open_boundary(p, part);
		else
			p->tree->truncated = true;
	} else if (complete && strcmp(part->type, "message") == 0 &&
		   (strcmp(part->subtype, "rfc822") == 0 ||
		       strcmp(part->subtype, "global") == 0)) {
		part->kind = MIME_MESSAGE;
		/* part moves when the array grows. */
		if (!open_part(p, l->part, pos))
			p->tree->parts[l->part].kind = MIME_LEAF;
	}
}

/* Closes parts down to, but not including, the level keep (-1: all). */
static void
close_parts(struct parser *p, int keep, size_t line, size_t end, uint32_t lf_end)
{
	while ((int)p->depth > keep) {
		struct level *l = &p->stack[p->depth];
		struct mime_part *part;

		if (p->in_header)
			end_header(p, line, false);
		part = &p->tree->parts[l->part];
		if (end > part->body_off) {
			part->body_end = end;
			part->body_lines = lf_end - l->lf_body;
		}
		if (l->boundary_len > 0) {
			p->boundaries--;
			p->tree->malformed = true;
		}
		if (p->depth == 0)
			break;
		p->depth--;
	}
}

/* The level whose boundary the line is, or -1; s is after "--". */
static int
find_boundary(const struct parser *p, const char *s, size_t len, bool *closing)
{
	int best = -1;
	size_t best_len = 0;

	for (int i = (int)p->depth; i >= 0; i--) {
		const struct level *l = &p->stack[i];

		if (l->boundary_len > best_len && l->boundary_len <= len &&
		    memcmp(s, l->boundary, l->boundary_len) == 0) {
			best = i;
			best_len = l->boundary_len;
		}
	}
	if (best != -1)
		*closing = len - best_len >= 2 && memcmp(s + best_len, "--", 2) == 0;
	return best;
}

static void
boundary_line(struct parser *p, int level, size_t line, size_t next, bool closing)
{
	struct level *l = &p->stack[level];
	size_t end = line;
	uint32_t lf_end = p->lf;

	/* The line end before it is the boundary's. */
	if (end > 0 && p->buf[end - 1] == '\n') {
		end--;
		lf_end--;
		if (end > 0 && p->buf[end - 1] == '\r')
			end--;
	}
	close_parts(p, level, line, end, lf_end);
	p->lf += p->buf[next - 1] == '\n';
	if (closing) {
		l->boundary_len = 0;
		p->boundaries--;
	} else
		open_part(p, l->part, next);
}

static void
parse_lines(struct parser *p)
{
	size_t pos = 0, next, n;
	const char *lf;
	bool closing;
	int level;

	while (pos < p->len && !p->nomem) {
		lf = memchr(p->buf + pos, '\n', p->len - pos);
		next = lf == NULL ? p->len : (size_t)(lf + 1 - p->buf);
		n = next - pos;
		if (p->boundaries > 0 && n > 2 && p->buf[pos] == '-' &&
		    p->buf[pos + 1] == '-' &&
		    (level = find_boundary(p, p->buf + pos + 2, n - 2, &closing)) != -1) {
			boundary_line(p, level, pos, next, closing);
			pos = next;
			continue;
		}
		p->lf += lf != NULL;
		if (p->in_header && lf != NULL &&
		    (n == 1 || (n == 2 && p->buf[pos] == '\r')))
			end_header(p, next, true);
		pos = next;
	}
	close_parts(p, -1, p->len, p->len, p->lf);
}

struct mime_tree *
mime_parse(const char *buf, size_t len, const struct mime_limits *limits)
{
	struct parser p = { .buf = buf,
		.len = len,
		.max_depth = MIME_DEPTH_MAX,
		.max_parts = MIME_PARTS_MAX };

	if (limits != NULL && limits->depth > 0)
		p.max_depth = limits->depth;
	if (limits != NULL && limits->parts > 0)
		p.max_parts = limits->parts;
	if ((p.tree = calloc(1, sizeof(*p.tree))) == NULL)
		return NULL;
	p.stack = calloc((size_t)p.max_depth + 1, sizeof(*p.stack));
	if (p.stack != NULL && open_part(&p, -1, 0))
		parse_lines(&p);
	else
		p.nomem = true;
	free(p.stack);
	if (p.nomem) {
		mime_free(p.tree);
		return NULL;
	}
	return p.tree;
}

void
mime_free(struct mime_tree *t)
{
	struct mime_arena *a, *next;

	if (t == NULL)
		return;
	for (a = t->arena; a != NULL; a = next) {
		next = a->next;
		free(a);
	}
	free(t->parts);
	free(t);
}

static int
nth_child(const struct mime_tree *t, int part, uint32_t n)
{
	int c = t->parts[part].child;

	if (n == 0 || n > t->parts[part].children)
		return -1;
	while (c != -1 && --n > 0)
		c = t->parts[c].next;
	return c;
}

int
mime_find(const struct mime_tree *t, const uint32_t *path, size_t n, bool *self)
{
	int cur = 0;
	bool message = true; /* cur is a message as a whole, not yet its body */

	*self = false;
	for (size_t i = 0; i < n; i++) {
		if (!message && t->parts[cur].kind == MIME_MESSAGE) {
			cur = t->parts[cur].child;
			message = true;
		} else if (!message && t->parts[cur].kind == MIME_LEAF)
			return -1;
		*self = t->parts[cur].kind != MIME_MULTIPART;
		if (*self) {
			if (path[i] != 1)
				return -1;
		} else if ((cur = nth_child(t, cur, path[i])) == -1)
			return -1;
		message = false;
	}
	return cur;
}

size_t
mime_body_len(const struct mime_part *p)
{
	return p->body_end - p->body_off;
}
