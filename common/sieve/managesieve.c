/* SPDX-License-Identifier: ISC */
/* Commands of ManageSieve: RFC 5804, 4; see managesieve.h. */
#include "common/sieve/managesieve.h"

#include <ctype.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/sieve/sieve_extension.h"

#define QUOTED_MAX 1024

void
managesieve_init(struct managesieve_reader *r, size_t literal_max)
{
	memset(r, 0, sizeof(*r));
	r->literal_max = literal_max;
}

static void
forget(struct managesieve_reader *r)
{
	freezero(r->buf, r->cap);
	r->buf = NULL;
	r->len = r->cap = r->line_len = 0;
	r->too_long = r->done = r->quoted = r->escaped = 0;
	r->verb = NULL;
	r->n_args = 0;
}

void
managesieve_clear(struct managesieve_reader *r)
{
	forget(r);
}

static int
append(struct managesieve_reader *r, const uint8_t *s, size_t n)
{
	if (r->cap - r->len < n + 1) {
		size_t cap = (r->len + n) * 2 + 256;
		char *p = malloc(cap);

		if (p == NULL)
			return -1;
		if (r->len > 0)
			memcpy(p, r->buf, r->len);
		freezero(r->buf, r->cap);
		r->buf = p;
		r->cap = cap;
	}
	memcpy(r->buf + r->len, s, n);
	r->len += n;
	r->buf[r->len] = '\0';
	return 0;
}

/* "{123+}" at the end of a line: 1 and its length; 0: none; -1: too large a number. */
static int
ends_in_literal(const char *s, size_t len, size_t *n)
{
	size_t i = len, v = 0;

	if (len < 4 || s[len - 1] != '}' || s[len - 2] != '+')
		return 0;
	for (i = len - 2; i > 0 && isdigit((unsigned char)s[i - 1]); i--)
		;
	if (i == 0 || i == len - 2 || s[i - 1] != '{')
		return 0;
	if (len - 2 - i > 9)
		return -1;
	for (; i < len - 2; i++)
		v = v * 10 + (size_t)(s[i] - '0');
	*n = v;
	return 1;
}

/* ---- a complete command ---- */

static int
fail(struct managesieve_reader *r, const char *why)
{
	r->error = why;
	return -1;
}

static int
take_quoted(
    struct managesieve_reader *r, char **p, const char *end, struct managesieve_arg *a)
{
	char *s = *p + 1, *out = s;

	a->kind = MANAGESIEVE_STRING;
	a->s = s;
	for (;; s++) {
		if (s >= end || *s == '\r' || *s == '\n' || *s == '\0')
			return fail(r, "a quoted string is malformed");
		if (*s == '"')
			break;
		if (*s == '\\' && ++s >= end)
			return fail(r, "a quoted string is malformed");
		*out++ = *s;
	}
	a->len = (size_t)(out - a->s);
	*out = '\0';
	*p = s + 1;
	return a->len > QUOTED_MAX * 8 ? fail(r, "a quoted string is too long") : 0;
}

/* The literal begins behind its line's end, and the line goes on behind it. */
static int
take_literal(
    struct managesieve_reader *r, char **p, const char *end, struct managesieve_arg *a)
{
	char *nl = memchr(*p, '\n', (size_t)(end - *p));
	size_t n = 0, head;

	if (nl == NULL)
		return fail(r, "a literal is malformed");
	head = (size_t)(nl - *p);
	if (head > 0 && nl[-1] == '\r')
		head--;
	if (ends_in_literal(*p, head, &n) != 1 || n > (size_t)(end - nl - 1))
		return fail(r, "a literal is malformed");
	a->kind = MANAGESIEVE_STRING;
	/* Moved down by one, so that there is room for its NUL. */
	memmove(nl, nl + 1, n);
	a->s = nl;
	a->len = n;
	nl[n] = '\0';
	*p = nl + 1 + n;
	return 0;
}

static int
take_word(
    struct managesieve_reader *r, char **p, const char *end, struct managesieve_arg *a)
{
	char *s = *p;
	int digits = 1;

	a->s = s;
	for (; s < end && *s != ' ' && *s != '\r' && *s != '\n'; s++) {
		if (*s == '"' || *s == '(' || *s == ')' || (unsigned char)*s < 0x20)
			return fail(r, "an unexpected character");
		digits = digits && isdigit((unsigned char)*s);
	}
	a->len = (size_t)(s - a->s);
	a->kind = digits ? MANAGESIEVE_NUMBER : MANAGESIEVE_WORD;
	a->number = 0;
	for (size_t i = 0; digits && i < a->len; i++) {
		if (a->number > 400000000)
			return fail(r, "a number is too large");
		a->number = a->number * 10 + (uint64_t)(a->s[i] - '0');
	}
	*p = s;
	return a->len == 0 ? fail(r, "an unexpected character") : 0;
}

static int
parse(struct managesieve_reader *r)
{
	char *p = r->buf, *end = r->buf + r->len;
	struct managesieve_arg a;

	r->verb = NULL;
	r->n_args = 0;
	/* Only the one: a literal before it may end in others. */
	if (end > p && end[-1] == '\n')
		end--;
	if (end > p && end[-1] == '\r')
		end--;
	*end = '\0';
	for (size_t n = 0;; n++) {
		int k;

		memset(&a, 0, sizeof(a));
		while (p < end && *p == ' ')
			p++;
		if (p >= end)
			break;
		k = *p == '"'   ? take_quoted(r, &p, end, &a)
		    : *p == '{' ? take_literal(r, &p, end, &a)
				: take_word(r, &p, end, &a);
		if (k == -1)
			return -1;
		if (p < end && *p != ' ')
			return fail(r, "words are separated by a space");
		if (n == 0 && a.kind == MANAGESIEVE_WORD) {
			r->verb = a.s;
			if (p < end)
				*p++ = '\0';
			continue;
		}
		if (r->n_args == MANAGESIEVE_ARGS_MAX)
			return fail(r, "too many arguments");
		r->args[r->n_args++] = a;
		if (a.kind != MANAGESIEVE_STRING && p < end)
			*p++ = '\0';
	}
	if (r->verb == NULL && r->n_args == 0)
		return fail(r, "an empty line");
	return 0;
}

enum managesieve_event
managesieve_read(
    struct managesieve_reader *r, const uint8_t *in, size_t len, size_t *used)
{
	size_t i = 0;

	*used = 0;
	if (r->done)
		forget(r);
	while (i < len) {
		size_t n, start = i;
		int k;

		if (r->literal > 0 || r->skip > 0) {
			size_t *left = r->literal > 0 ? &r->literal : &r->skip;

			n = len - i < *left ? len - i : *left;
			if (r->literal > 0 && append(r, in + i, n) == -1)
				goto no_memory;
			*left -= n;
			i += n;
			continue;
		}
		while (i < len && in[i] != '\n')
			i++;
		if (i < len)
			i++;
		r->line_len += i - start;
		if (r->line_len > MANAGESIEVE_LINE_MAX) {
			r->error = "the line is too long";
			return MANAGESIEVE_FATAL;
		}
		if (append(r, in + start, i - start) == -1)
			goto no_memory;
		if (r->buf[r->len - 1] != '\n')
			continue;
		n = r->len - 1;
		if (n > 0 && r->buf[n - 1] == '\r')
			n--;
		if ((k = ends_in_literal(r->buf, n, &r->literal)) == -1 ||
		    (k == 1 && r->literal > 64 * 1024 * 1024)) {
			r->error = "the literal is too long";
			return MANAGESIEVE_FATAL;
		}
		if (k == 1) {
			if (r->literal > r->literal_max) {
				r->too_long = 1;
				r->skip = r->literal;
				r->literal = 0;
			}
			/* An empty one: the line goes on at once. */
			continue;
		}
		*used = i;
		r->done = 1;
		if (r->too_long) {
			r->error = "the string is too long";
			return MANAGESIEVE_BAD;
		}
		return parse(r) == -1 ? MANAGESIEVE_BAD : MANAGESIEVE_COMMAND;
	}
	*used = i;
	return MANAGESIEVE_MORE;
no_memory:
	r->error = "no memory";
	return MANAGESIEVE_FATAL;
}

/* ---- writing ---- */

void
managesieve_put_string(struct evbuffer *out, const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && s[i] != '\r' && s[i] != '\n' && s[i] != '\0')
		i++;
	if (i < len || len > QUOTED_MAX) {
		evbuffer_add_printf(out, "{%zu}\r\n", len);
		evbuffer_add(out, s, len);
		return;
	}
	evbuffer_add(out, "\"", 1);
	for (i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			evbuffer_add(out, "\\", 1);
		evbuffer_add(out, s + i, 1);
	}
	evbuffer_add(out, "\"", 1);
}

void
managesieve_reply(
    struct evbuffer *out, const char *what, const char *code, const char *text)
{
	evbuffer_add_printf(out, "%s", what);
	if (code != NULL)
		evbuffer_add_printf(out, " (%s)", code);
	if (text != NULL && *text != '\0') {
		evbuffer_add(out, " ", 1);
		managesieve_put_string(out, text, strlen(text));
	}
	evbuffer_add(out, "\r\n", 2);
}

void
managesieve_capabilities(
    struct evbuffer *out, const char *sasl, int starttls, const char *owner)
{
	char extensions[1024];

	sieve_extensions_print(0, extensions, sizeof(extensions));
	evbuffer_add_printf(out, "\"IMPLEMENTATION\" \"fife\"\r\n");
	if (sasl != NULL)
		evbuffer_add_printf(out, "\"SASL\" \"%s\"\r\n", sasl);
	evbuffer_add_printf(out, "\"SIEVE\" \"%s\"\r\n", extensions);
	evbuffer_add_printf(out, "\"NOTIFY\" \"mailto\"\r\n");
	evbuffer_add_printf(
	    out, "\"MAXREDIRECTS\" \"" MANAGESIEVE_REDIRECTS_MAX "\"\r\n");
	if (starttls)
		evbuffer_add_printf(out, "\"STARTTLS\"\r\n");
	if (owner != NULL) {
		evbuffer_add_printf(out, "\"OWNER\" ");
		managesieve_put_string(out, owner, strlen(owner));
		evbuffer_add(out, "\r\n", 2);
	}
	evbuffer_add_printf(out, "\"VERSION\" \"1.0\"\r\n");
}
