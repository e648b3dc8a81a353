/* SPDX-License-Identifier: ISC */
/*
 * Parameters of Content-Type and Content-Disposition: splitting (RFC 2045, 5.1),
 * continuations and charsets (RFC 2231), and the encoded words people use instead.
 */
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/mime.h"
#include "common/proto/rfc2047.h"

#define SEGMENTS_MAX MIME_PARAMS_MAX
#define JOINED_MAX 4096 /* octets of all segments of one parameter */

struct reader {
	const char *s;
	size_t len, pos;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* White space and comments. */
static void
skip_cfws(struct reader *r)
{
	size_t depth = 0;

	for (; r->pos < r->len; r->pos++) {
		char c = r->s[r->pos];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			r->pos++;
		else if (depth == 0 && !is_space(c))
			return;
	}
	r->pos = r->len;
}

/* Bounded output of one string; n counts what was written without the NUL. */
struct out {
	char *s;
	size_t cap, n;
};

static void
put(struct out *o, char c)
{
	if (c != '\r' && c != '\n' && c != '\0' && o->n + 1 < o->cap)
		o->s[o->n++] = c;
}

/*
 * Only a quote and a backslash are taken as escaped: of "C:\TEMP\x", which some clients
 * send unescaped, a strict reading would leave C:TEMPx.
 */
static void
read_quoted(struct reader *r, struct out *o)
{
	for (r->pos++; r->pos < r->len; r->pos++) {
		char c = r->s[r->pos];

		if (c == '"') {
			r->pos++;
			return;
		}
		if (c == '\\' && r->pos + 1 < r->len &&
		    (r->s[r->pos + 1] == '"' || r->s[r->pos + 1] == '\\'))
			c = r->s[++r->pos];
		put(o, c);
	}
}

/* Up to ";".  Spaces within are kept (file names), a comment after a space is not. */
static void
read_bare(struct reader *r, struct out *o)
{
	while (r->pos < r->len && r->s[r->pos] != ';') {
		if (is_space(r->s[r->pos])) {
			size_t blank = r->pos;

			skip_cfws(r);
			if (r->pos < r->len && r->s[r->pos] != ';' && r->s[blank] != '\0')
				put(o, ' ');
			continue;
		}
		put(o, r->s[r->pos++]);
	}
	while (o->n > 0 && o->s[o->n - 1] == ' ')
		o->n--;
}

unsigned int
mime_split_params(const char *value, size_t len, char *token, size_t token_cap,
    struct mime_param *params, unsigned int max, char *store, size_t store_cap)
{
	struct reader r = { value, len, 0 };
	struct out t = { token, token_cap, 0 };
	unsigned int n = 0;
	size_t used = 0;

	skip_cfws(&r);
	while (r.pos < r.len && r.s[r.pos] != ';') {
		if (is_space(r.s[r.pos]) || r.s[r.pos] == '(')
			skip_cfws(&r);
		else
			put(&t, (char)ascii_lower((unsigned char)r.s[r.pos++]));
	}
	if (token_cap > 0)
		token[t.n] = '\0';
	while (r.pos < r.len && n < max && store_cap - used >= 4) {
		struct out name = { store + used, store_cap - used - 2, 0 };
		struct out v;
		size_t start;

		if (name.cap > 128)
			name.cap = 128;
		skip_cfws(&r);
		if (r.pos < r.len && r.s[r.pos] == ';') {
			r.pos++;
			continue;
		}
		start = r.pos;
		while (r.pos < r.len && r.s[r.pos] != '=' && r.s[r.pos] != ';') {
			if (is_space(r.s[r.pos]) || r.s[r.pos] == '(')
				skip_cfws(&r);
			else
				put(&name,
				    (char)ascii_lower((unsigned char)r.s[r.pos++]));
		}
		if (r.pos >= r.len || r.s[r.pos] == ';' || name.n == 0) {
			/* No value: not a parameter. */
			r.pos += r.pos == start || (r.pos < r.len && r.s[r.pos] == '=');
			continue;
		}
		r.pos++;
		name.s[name.n] = '\0';
		skip_cfws(&r);
		v = (struct out){ name.s + name.n + 1, store_cap - used - name.n - 1, 0 };
		if (v.cap > MIME_STRING_MAX)
			v.cap = MIME_STRING_MAX;
		if (r.pos < r.len && r.s[r.pos] == '"')
			read_quoted(&r, &v);
		else
			read_bare(&r, &v);
		v.s[v.n] = '\0';
		params[n].name = name.s;
		params[n].value = v.s;
		n++;
		used += name.n + 1 + v.n + 1;
	}
	return n;
}

const char *
mime_param_raw(const struct mime_param *params, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++) {
		if (ascii_equal(params[i].name, strlen(params[i].name), name))
			return params[i].value;
	}
	return NULL;
}

/*
 * A segment's number: name*N or name*N*, name* counts as 0.  -1: not of this name, or
 * the plain name.
 */
static int
segment_number(const char *s, const char *name, bool *extended)
{
	size_t len = strlen(name);
	int v = 0;

	if (strlen(s) <= len || !ascii_equal(s, len, name) || s[len] != '*')
		return -1;
	s += len + 1;
	*extended = *s == '\0';
	if (*extended)
		return 0;
	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (*s - '0');
		if (v >= SEGMENTS_MAX)
			return -1;
	}
	*extended = s[0] == '*' && s[1] == '\0';
	return s[0] == '\0' || *extended ? v : -1;
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
put_percent(struct out *o, const char *s)
{
	int hi, lo;

	for (; *s != '\0'; s++) {
		if (*s == '%' && (hi = hex_digit((unsigned char)s[1])) != -1 &&
		    (lo = hex_digit((unsigned char)s[2])) != -1) {
			put(o, (char)(hi << 4 | lo));
			s += 2;
		} else
			put(o, *s);
	}
}

int
mime_param_get(const struct mime_param *params, unsigned int n, const char *name,
    char *out, size_t cap)
{
	const char *segments[SEGMENTS_MAX] = { NULL }, *value, *lang, *text;
	bool extended[SEGMENTS_MAX] = { false }, ext;
	char joined[JOINED_MAX], charset[CHARSET_NAME_MAX + 1] = "";
	struct out o = { joined, sizeof(joined), 0 };
	size_t len;
	int k;

	if (cap == 0)
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		k = segment_number(params[i].name, name, &ext);
		if (k == -1 || segments[k] != NULL)
			continue;
		segments[k] = params[i].value;
		extended[k] = ext;
	}
	if (segments[0] == NULL) {
		if ((value = mime_param_raw(params, n, name)) == NULL)
			return -1;
		return (int)rfc2047_decode(value, strlen(value), out, cap);
	}
	for (k = 0; k < SEGMENTS_MAX && segments[k] != NULL; k++) {
		value = segments[k];
		if (!extended[k]) {
			for (; *value != '\0'; value++)
				put(&o, *value);
			continue;
		}
		/* charset'language'text, in the first one only. */
		if (k == 0 && (lang = strchr(value, '\'')) != NULL &&
		    (text = strchr(lang + 1, '\'')) != NULL) {
			if ((size_t)(lang - value) < sizeof(charset)) {
				memcpy(charset, value, (size_t)(lang - value));
				charset[lang - value] = '\0';
			}
			value = text + 1;
		}
		put_percent(&o, value);
	}
	/* Encoded words in a continuation: some clients do even that. */
	if (charset[0] == '\0')
		return (int)rfc2047_decode(joined, o.n, out, cap);
	charset_to_utf8(charset, strlen(charset), joined, o.n, out, cap, &len);
	return (int)len;
}

int
mime_part_filename(const struct mime_part *p, char *out, size_t cap)
{
	int n = mime_param_get(
	    p->disposition_params, p->ndisposition_params, "filename", out, cap);

	return n != -1 ? n : mime_param_get(p->params, p->nparams, "name", out, cap);
}
