/* SPDX-License-Identifier: ISC */
/*
 * Messages to 7-bit ones, or to such without binary content; see recode.h.
 *
 *	HEADER -> LEAF			up to a boundary of the enclosing multiparts
 *	       -> MULTI (preamble)	the same
 *	       -> HEADER		message/rfc822
 *	boundary -> HEADER		closing boundary -> MULTI (epilogue)
 *
 * The line end before a boundary is the boundary's (RFC 2046, 5.1.1), so that it is
 * held back until the next line is seen.
 */
#include "common/proto/recode.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "common/proto/mime.h"

#define LINE_MAX_OUT 998 /* RFC 5321, 4.5.3.1.6 */
#define HELD_MAX 512     /* of a line, to see whether it is a boundary */
#define QP_COLUMNS 75

enum mode {
	IN_HEADER,
	IN_LEAF,
	IN_MULTI
};

enum encoding {
	AS_IT_IS,
	TO_QP,
	TO_BASE64,
	WITHIN_QP,    /* is quoted-printable, but has octets that may not be in it */
	WITHIN_BASE64 /* likewise: they are no part of it */
};

struct recode {
	enum recode_to to;
	recode_put put;
	void *arg;
	bool scanning;
	bool impossible;
	uint8_t needs[RECODE_LEAVES_MAX / 8]; /* by number of the leaf */
	bool any;

	enum mode mode;
	unsigned int leaf;
	enum cte cte; /* of the leaf */
	enum encoding encoding;
	char boundaries[RECODE_DEPTH_MAX][MIME_BOUNDARY_MAX + 1];
	unsigned int depth;
	bool top; /* the header is the message's own */

	char *header;
	size_t header_len, header_cap;
	bool header_over; /* too long: goes on as it is */

	char line[HELD_MAX];
	size_t line_len;
	bool in_line;  /* its beginning has been passed on */
	size_t column; /* of the line that comes in */
	char eol[2];
	size_t eol_len; /* held back */

	unsigned int out_column; /* quoted-printable, base64 */
	char space;              /* held: may be the last of its line */
	uint8_t group[57];
	size_t group_len;
};

struct recode *
recode_new(enum recode_to to, recode_put put, void *arg)
{
	struct recode *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->to = to;
	c->put = put;
	c->arg = arg;
	c->scanning = true;
	c->top = true;
	return c;
}

void
recode_free(struct recode *c)
{
	if (c == NULL)
		return;
	free(c->header);
	free(c);
}

static int
out(struct recode *c, const void *p, size_t len)
{
	return c->scanning || len == 0 ? 0 : c->put(c->arg, p, len);
}

static int
out_str(struct recode *c, const char *s)
{
	return out(c, s, strlen(s));
}

/* ---- encodings ---- */

static int
qp_char(struct recode *c, unsigned char ch, bool escape)
{
	char buf[8];
	int n = escape ? snprintf(buf, sizeof(buf), "=%02X", ch)
		       : snprintf(buf, sizeof(buf), "%c", ch);

	if (c->out_column + (unsigned int)n > QP_COLUMNS) {
		if (out_str(c, "=\r\n") == -1)
			return -1;
		c->out_column = 0;
	}
	c->out_column += (unsigned int)n;
	return out(c, buf, (size_t)n);
}

static int
qp_space(struct recode *c, bool at_end)
{
	char s = c->space;

	c->space = '\0';
	return s == '\0' ? 0 : qp_char(c, (unsigned char)s, at_end);
}

static int
qp_text(struct recode *c, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (qp_space(c, false) == -1)
			return -1;
		if (ch == ' ' || ch == '\t')
			c->space = (char)ch;
		else if (qp_char(c, ch, ch == '=' || ch < 0x20 || ch >= 0x7f) == -1)
			return -1;
	}
	return 0;
}

static int
qp_eol(struct recode *c)
{
	if (qp_space(c, true) == -1)
		return -1;
	c->out_column = 0;
	return out_str(c, "\r\n");
}

static int
b64_flush(struct recode *c)
{
	char line[BASE64_ENCODED_SIZE(57)];
	int n;

	if (c->group_len == 0)
		return 0;
	n = base64_encode(c->group, c->group_len, line, sizeof(line));
	c->group_len = 0;
	return n == -1 || out(c, line, (size_t)n) == -1 ? -1 : out_str(c, "\r\n");
}

static int
b64(struct recode *c, const char *p, size_t len)
{
	while (len > 0) {
		size_t n = sizeof(c->group) - c->group_len;

		if (n > len)
			n = len;
		memcpy(c->group + c->group_len, p, n);
		c->group_len += n;
		p += n;
		len -= n;
		if (c->group_len == sizeof(c->group) && b64_flush(c) == -1)
			return -1;
	}
	return 0;
}

/* An octet that the result may not have. */
static bool
forbidden(const struct recode *c, char ch)
{
	return ch == '\0' || (c->to == RECODE_7BIT && (unsigned char)ch >= 0x80);
}

/* Such octets in what should have none and cannot be encoded. */
static int
without(struct recode *c, const char *p, size_t len, bool as_qp, char instead)
{
	char buf[4];

	for (size_t i = 0, from = 0;; i++) {
		if (i < len && !forbidden(c, p[i]))
			continue;
		if (out(c, p + from, i - from) == -1)
			return -1;
		if (i == len)
			return 0;
		from = i + 1;
		if (as_qp)
			snprintf(buf, sizeof(buf), "=%02X", (unsigned char)p[i]);
		else
			snprintf(buf, sizeof(buf), "%c", instead);
		if (out_str(c, buf) == -1)
			return -1;
	}
}

/* ---- leaves ---- */

static void
mark(struct recode *c)
{
	c->any = true;
	if (c->leaf < RECODE_LEAVES_MAX)
		c->needs[c->leaf / 8] |= (uint8_t)(1u << c->leaf % 8);
}

/* A NUL in a leaf: can base64 or an escape of quoted-printable hold it? */
static void
mark_nul(struct recode *c)
{
	c->impossible |= c->cte == CTE_BASE64 || c->cte == CTE_UUENCODE ||
			 c->cte == CTE_UNKNOWN ||
			 (c->leaf >= RECODE_LEAVES_MAX && c->cte != CTE_BINARY);
	mark(c);
}

static bool
needed(const struct recode *c)
{
	if (c->leaf >= RECODE_LEAVES_MAX)
		return c->cte == CTE_BINARY ||
		       (c->cte == CTE_8BIT && c->to == RECODE_7BIT);
	return (c->needs[c->leaf / 8] >> c->leaf % 8 & 1) != 0;
}

static int
text(struct recode *c, const char *p, size_t len)
{
	if (c->scanning && c->to == RECODE_8BIT) {
		if (len > 0 && memchr(p, '\0', len) != NULL) {
			if (c->mode == IN_LEAF)
				mark_nul(c);
			else
				c->impossible = true;
		}
		return 0;
	}
	if (c->scanning) {
		c->column += len;
		if (c->mode != IN_LEAF) {
			for (size_t i = 0; i < len; i++)
				c->any |= (unsigned char)p[i] >= 0x80 || p[i] == '\0';
			return 0;
		}
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)p[i] >= 0x80 || p[i] == '\0')
				mark(c);
		if (c->column > LINE_MAX_OUT)
			mark(c);
		return 0;
	}
	if (c->mode == IN_MULTI)
		return without(c, p, len, false, '?');
	switch (c->encoding) {
	case TO_QP:
		return qp_text(c, p, len);
	case TO_BASE64:
		return b64(c, p, len);
	case WITHIN_QP:
		return without(c, p, len, true, '\0');
	case WITHIN_BASE64:
		return without(c, p, len, false, '=');
	default:
		return out(c, p, len);
	}
}

/* The line end that was held back belongs to the leaf after all. */
static int
eol_out(struct recode *c)
{
	size_t n = c->eol_len;

	c->eol_len = 0;
	c->column = 0;
	if (n == 0)
		return 0;
	if (c->mode == IN_LEAF && c->encoding == TO_QP && !c->scanning)
		return qp_eol(c);
	if (c->mode == IN_LEAF && c->encoding == TO_BASE64 && !c->scanning)
		return b64(c, c->eol, n);
	return out(c, c->eol, n);
}

/* No more of this part: what its encoding holds back. */
static int
leaf_end(struct recode *c)
{
	int rc = 0;

	if (c->mode == IN_LEAF) {
		if (c->encoding == TO_QP)
			rc = qp_space(c, true);
		/* Its last line end is the boundary's. */
		else if (c->encoding == TO_BASE64 && !c->scanning && b64_flush(c) == -1)
			rc = -1;
		c->leaf++;
	}
	c->out_column = 0;
	return rc;
}

/* ---- headers ---- */

struct field {
	size_t from, to;
};

/* The first field of that name in the header; to is behind its last line. */
static bool
find_field(const struct recode *c, const char *name, struct field *f, size_t *value)
{
	size_t at = 0, n = strlen(name);

	while (at < c->header_len) {
		size_t end = at;

		do {
			char *nl = memchr(c->header + end, '\n', c->header_len - end);

			end = nl != NULL ? (size_t)(nl - c->header) + 1 : c->header_len;
		} while (end < c->header_len &&
			 (c->header[end] == ' ' || c->header[end] == '\t'));
		if (end - at > n && ascii_equal(c->header + at, n, name)) {
			size_t k = at + n;

			while (k < end && (c->header[k] == ' ' || c->header[k] == '\t'))
				k++;
			if (k < end && c->header[k] == ':') {
				f->from = at;
				f->to = end;
				*value = k + 1;
				return true;
			}
		}
		at = end;
	}
	return false;
}

struct type {
	bool there;
	char name[128];
	char boundary[MIME_BOUNDARY_MAX + 1];
};

static void
read_type(const struct recode *c, struct type *t)
{
	struct mime_param params[16];
	char store[2048];
	struct field f;
	size_t v;
	unsigned int n;
	const char *b;

	memset(t, 0, sizeof(*t));
	strlcpy(t->name, "text/plain", sizeof(t->name));
	if (!(t->there = find_field(c, "Content-Type", &f, &v)))
		return;
	n = mime_split_params(c->header + v, f.to - v, t->name, sizeof(t->name), params,
	    16, store, sizeof(store));
	b = mime_param_raw(params, n, "boundary");
	if (b != NULL)
		strlcpy(t->boundary, b, sizeof(t->boundary));
}

static enum cte
read_cte(const struct recode *c)
{
	struct field f;
	size_t v, end;

	if (!find_field(c, "Content-Transfer-Encoding", &f, &v))
		return CTE_7BIT;
	for (end = f.to; end > v && strchr(" \t\r\n", c->header[end - 1]) != NULL;)
		end--;
	while (v < end && strchr(" \t\r\n", c->header[v]) != NULL)
		v++;
	return cte_by_name(c->header + v, end - v);
}

static enum encoding
choose(const struct recode *c, const struct type *t)
{
	if (!needed(c))
		return AS_IT_IS;
	if (c->cte == CTE_QP)
		return WITHIN_QP;
	if (c->cte == CTE_BASE64)
		return WITHIN_BASE64;
	if (c->to == RECODE_8BIT)
		return c->cte == CTE_UUENCODE || c->cte == CTE_UNKNOWN ? AS_IT_IS
								       : TO_BASE64;
	return strncmp(t->name, "text/", 5) == 0 || strncmp(t->name, "message/", 8) == 0
		   ? TO_QP
		   : TO_BASE64;
}

/* The header with another encoding; the empty line is not in it. */
static int
header_out(struct recode *c, const struct type *t, const char *cte)
{
	struct field old = { c->header_len, c->header_len }, f;
	size_t v;

	if (cte == NULL)
		return out(c, c->header, c->header_len);
	(void)find_field(c, "Content-Transfer-Encoding", &old, &v);
	if (out(c, c->header, old.from) == -1)
		return -1;
	/* A message without MIME that has 8-bit content all the same (RFC 1428). */
	if (c->top && !find_field(c, "MIME-Version", &f, &v) &&
	    out_str(c, "MIME-Version: 1.0\r\n") == -1)
		return -1;
	if (c->top && !t->there &&
	    out_str(c, "Content-Type: text/plain; charset=unknown-8bit\r\n") == -1)
		return -1;
	if (out_str(c, "Content-Transfer-Encoding: ") == -1 || out_str(c, cte) == -1 ||
	    out_str(c, "\r\n") == -1)
		return -1;
	return old.to < c->header_len ? out(c, c->header + old.to, c->header_len - old.to)
				      : 0;
}

/* Is the encoding that the part names more than the result has? */
static bool
to_be_said(const struct recode *c)
{
	return c->cte == CTE_BINARY || (c->cte == CTE_8BIT && c->to == RECODE_7BIT);
}

static int
header_end(struct recode *c, const char *empty, size_t empty_len)
{
	struct type t;
	const char *cte = NULL, *plain = c->to == RECODE_7BIT ? "7bit" : "8bit";
	bool nested, multi, over = c->header_over;

	if (over)
		t = (struct type){ .there = true, .name = "application/octet-stream" };
	else
		read_type(c, &t);
	c->cte = over ? CTE_UNKNOWN : read_cte(c);
	c->encoding = AS_IT_IS;
	nested = strcmp(t.name, "message/rfc822") == 0 && c->cte != CTE_QP &&
		 c->cte != CTE_BASE64;
	multi = strncmp(t.name, "multipart/", 10) == 0;
	if (multi && t.boundary[0] != '\0' && c->depth < RECODE_DEPTH_MAX &&
	    c->cte != CTE_QP && c->cte != CTE_BASE64) {
		c->mode = IN_MULTI;
		strlcpy(c->boundaries[c->depth++], t.boundary, sizeof(c->boundaries[0]));
	} else if (!nested)
		c->mode = IN_LEAF;
	if (c->mode == IN_LEAF) {
		/* base64 would hide its parts */
		if (multi && c->to == RECODE_8BIT)
			c->cte = CTE_UNKNOWN;
		if (c->scanning && c->cte == CTE_BINARY)
			mark(c);
		c->encoding = choose(c, &t);
		if (over)
			c->encoding = AS_IT_IS;
		cte = c->encoding == TO_QP       ? "quoted-printable"
		      : c->encoding == TO_BASE64 ? "base64"
						 : NULL;
		/* It says 8bit and has none of it. */
		if (c->encoding == AS_IT_IS && to_be_said(c))
			cte = plain;
	} else if (to_be_said(c))
		cte = plain;
	if (c->scanning && to_be_said(c))
		c->any = true;
	if (header_out(c, &t, cte) == -1 || out(c, empty, empty_len) == -1)
		return -1;
	c->header_len = 0;
	c->header_over = false;
	c->top = false;
	return 0;
}

static int
header_add(struct recode *c, const char *p, size_t len)
{
	if (c->scanning && len > 0 && memchr(p, '\0', len) != NULL)
		c->impossible = true;
	if (c->header_over)
		return out(c, p, len);
	if (c->header_len + len > RECODE_HEADER_MAX) {
		c->header_over = true;
		if (out(c, c->header, c->header_len) == -1)
			return -1;
		c->header_len = 0;
		return out(c, p, len);
	}
	if (c->header_len + len > c->header_cap) {
		size_t cap = c->header_cap == 0 ? 4096 : c->header_cap;
		char *n;

		while (cap < c->header_len + len)
			cap *= 2;
		if ((n = realloc(c->header, cap)) == NULL)
			return -1;
		c->header = n;
		c->header_cap = cap;
	}
	memcpy(c->header + c->header_len, p, len);
	c->header_len += len;
	return 0;
}

/* ---- lines ---- */

/* The innermost multipart whose boundary the line is; -1: none. */
static int
boundary(const struct recode *c, const char *p, size_t len, bool *closing)
{
	int best = -1;
	size_t best_len = 0;

	if (len < 3 || p[0] != '-' || p[1] != '-')
		return -1;
	for (unsigned int i = c->depth; i-- > 0;) {
		size_t n = strlen(c->boundaries[i]);

		if (n > best_len && len - 2 >= n &&
		    memcmp(p + 2, c->boundaries[i], n) == 0) {
			best = (int)i;
			best_len = n;
		}
	}
	if (best >= 0)
		*closing = len >= best_len + 4 && p[2 + best_len] == '-' &&
			   p[3 + best_len] == '-';
	return best;
}

static int
boundary_line(struct recode *c, int which, bool closing, const char *p, size_t len,
    const char *eol, size_t eol_len)
{
	/* Encoded text ends its own last line but for quoted-printable. */
	bool ended = c->mode == IN_LEAF && c->encoding == TO_BASE64 && !c->scanning;
	size_t held = c->eol_len;

	if (c->scanning && memchr(p, '\0', len) != NULL)
		c->impossible = true;
	if (c->mode == IN_HEADER && header_end(c, NULL, 0) == -1)
		return -1;
	if (leaf_end(c) == -1)
		return -1;
	c->eol_len = 0;
	if (held > 0 && !ended && out(c, c->eol, held) == -1)
		return -1;
	c->depth = (unsigned int)which + (closing ? 0 : 1);
	c->mode = closing ? IN_MULTI : IN_HEADER;
	c->encoding = AS_IT_IS;
	if (without(c, p, len, false, '?') == -1)
		return -1;
	return out(c, eol, eol_len);
}

/* A line, or what there is of one that is too long to be held. */
static int
take_line(struct recode *c, const char *p, size_t len, const char *eol, size_t eol_len)
{
	bool closing = false;
	int which = c->in_line ? -1 : boundary(c, p, len, &closing);

	if (which >= 0)
		return boundary_line(c, which, closing, p, len, eol, eol_len);
	if (c->mode == IN_HEADER) {
		if (len == 0 && !c->in_line && eol_len > 0)
			return header_end(c, eol, eol_len);
		return header_add(c, p, len) == -1 ? -1 : header_add(c, eol, eol_len);
	}
	if (!c->in_line && eol_out(c) == -1)
		return -1;
	if (text(c, p, len) == -1)
		return -1;
	memcpy(c->eol, eol, eol_len);
	c->eol_len = eol_len;
	return 0;
}

static int
take(struct recode *c, const char *p, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(p, '\n', len);
		size_t n = nl != NULL ? (size_t)(nl - p) + 1 : len;
		size_t room = sizeof(c->line) - c->line_len;

		if (n > room) {
			nl = NULL;
			n = room;
		}
		memcpy(c->line + c->line_len, p, n);
		c->line_len += n;
		p += n;
		len -= n;
		if (nl != NULL) {
			size_t e =
			    c->line_len >= 2 && c->line[c->line_len - 2] == '\r' ? 2 : 1;
			size_t text_len = c->line_len - e;

			c->line_len = 0;
			if (take_line(c, c->line, text_len, c->line + text_len, e) == -1)
				return -1;
			c->in_line = false;
		} else if (c->line_len == sizeof(c->line)) {
			/* A CR may belong to a line end. */
			size_t keep = c->line[c->line_len - 1] == '\r';

			if (take_line(c, c->line, c->line_len - keep, "", 0) == -1)
				return -1;
			c->in_line = true;
			c->line[0] = '\r';
			c->line_len = keep;
		}
	}
	return 0;
}

static int
finish(struct recode *c)
{
	size_t n = c->line_len;

	c->line_len = 0;
	if (n > 0 && take_line(c, c->line, n, "", 0) == -1)
		return -1;
	if (c->mode == IN_HEADER)
		return header_end(c, "", 0);
	if (eol_out(c) == -1)
		return -1;
	return leaf_end(c);
}

int
recode_scan(struct recode *c, const void *p, size_t len)
{
	return take(c, p, len);
}

bool
recode_scanned(struct recode *c)
{
	if (finish(c) == -1)
		c->any = true;
	c->scanning = false;
	c->mode = IN_HEADER;
	c->leaf = 0;
	c->depth = 0;
	c->top = true;
	c->header_len = c->line_len = c->eol_len = c->column = 0;
	c->header_over = c->in_line = false;
	c->encoding = AS_IT_IS;
	c->space = '\0';
	c->out_column = 0;
	c->group_len = 0;
	return c->any;
}

bool
recode_impossible(const struct recode *c)
{
	return c->impossible;
}

int
recode_push(struct recode *c, const void *p, size_t len)
{
	return take(c, p, len);
}

int
recode_end(struct recode *c)
{
	return finish(c);
}
