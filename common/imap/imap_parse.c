/* SPDX-License-Identifier: ISC */
/* Tokens of IMAP commands; see imap_parse.h. */
#include "common/imap/imap_parse.h"

#include <string.h>

#include "common/proto/encoding.h"

bool
imap_is_atom_char(int c)
{
	return c > 0x20 && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

static bool
is_astring_char(int c)
{
	return imap_is_atom_char(c) || c == ']';
}

static bool
is_list_char(int c)
{
	/* 8-bit is not legal here without UTF8=ACCEPT, but lets the name's own check say
	 * so. */
	return is_astring_char(c) || c == '%' || c == '*' || c >= 0x80;
}

bool
imap_is_tag_char(int c)
{
	return is_astring_char(c) && c != '+';
}

void
imap_args_init(struct imap_args *a, char *buf, size_t len)
{
	a->buf = buf;
	a->len = len;
	a->pos = 0;
	a->error = NULL;
}

int
imap_fail(struct imap_args *a, const char *error)
{
	if (a->error == NULL)
		a->error = error;
	return -1;
}

int
imap_peek(const struct imap_args *a)
{
	return a->pos < a->len ? (unsigned char)a->buf[a->pos] : -1;
}

int
imap_end(struct imap_args *a)
{
	return a->pos == a->len ? 0 : imap_fail(a, "Unexpected extra arguments");
}

int
imap_try_char(struct imap_args *a, int c)
{
	if (imap_peek(a) != c)
		return 0;
	a->pos++;
	return 1;
}

int
imap_char(struct imap_args *a, int c)
{
	if (imap_try_char(a, c))
		return 0;
	return imap_fail(
	    a, a->pos == a->len ? "Missing argument" : "Syntax error in arguments");
}

int
imap_sp(struct imap_args *a)
{
	if (imap_try_char(a, ' '))
		return 0;
	return imap_fail(a, a->pos == a->len ? "Missing argument" : "Space expected");
}

static int
span(struct imap_args *a, bool (*is)(int), const char *error, struct imap_str *out)
{
	size_t start = a->pos;

	while (a->pos < a->len && is((unsigned char)a->buf[a->pos]))
		a->pos++;
	if (a->pos == start)
		return imap_fail(a, a->pos == a->len ? "Missing argument" : error);
	out->s = a->buf + start;
	out->len = a->pos - start;
	return 0;
}

int
imap_tag(struct imap_args *a, struct imap_str *out)
{
	if (span(a, imap_is_tag_char, "Invalid tag", out) == -1)
		return -1;
	if (out->len > IMAP_TAG_MAX)
		return imap_fail(a, "Tag too long");
	return 0;
}

int
imap_atom(struct imap_args *a, struct imap_str *out)
{
	return span(a, imap_is_atom_char, "Atom expected", out);
}

static int
quoted(struct imap_args *a, struct imap_str *out)
{
	char *to = a->buf + a->pos + 1, *start = to;
	size_t i = a->pos + 1;

	for (; i < a->len && a->buf[i] != '"'; i++) {
		char c = a->buf[i];

		if (c == '\\') {
			if (++i == a->len || (a->buf[i] != '"' && a->buf[i] != '\\'))
				return imap_fail(a, "Invalid escape in quoted string");
			c = a->buf[i];
		} else if (c == '\r' || c == '\n' || c == '\0')
			return imap_fail(a, "Line end in quoted string");
		*to++ = c;
	}
	if (i == a->len)
		return imap_fail(a, "Quoted string without its end");
	a->pos = i + 1;
	out->s = start;
	out->len = (size_t)(to - start);
	return 0;
}

static int
literal(struct imap_args *a, struct imap_str *out)
{
	size_t i = a->pos + 1;
	uint64_t n = 0;

	for (; i < a->len && a->buf[i] >= '0' && a->buf[i] <= '9'; i++) {
		n = n * 10 + (uint64_t)(a->buf[i] - '0');
		if (n > a->len)
			return imap_fail(a, "Invalid literal");
	}
	if (i < a->len && a->buf[i] == '+')
		i++;
	if (a->len - i < 3 || memcmp(a->buf + i, "}\r\n", 3) != 0 || n > a->len - i - 3)
		return imap_fail(a, "Invalid literal");
	out->s = a->buf + i + 3;
	out->len = (size_t)n;
	a->pos = i + 3 + (size_t)n;
	return 0;
}

int
imap_string(struct imap_args *a, struct imap_str *out)
{
	switch (imap_peek(a)) {
	case '"':
		return quoted(a, out);
	case '{':
		return literal(a, out);
	case -1:
		return imap_fail(a, "Missing argument");
	default:
		return imap_fail(a, "String expected");
	}
}

int
imap_astring(struct imap_args *a, struct imap_str *out)
{
	int c = imap_peek(a);

	if (c == '"' || c == '{')
		return imap_string(a, out);
	return span(a, is_astring_char, "Invalid characters in atom", out);
}

int
imap_list_mailbox(struct imap_args *a, struct imap_str *out)
{
	int c = imap_peek(a);

	if (c == '"' || c == '{')
		return imap_string(a, out);
	return span(a, is_list_char, "Invalid characters in mailbox pattern", out);
}

int
imap_number(struct imap_args *a, uint32_t *out)
{
	uint64_t n = 0;
	size_t start = a->pos;

	while (a->pos < a->len && a->buf[a->pos] >= '0' && a->buf[a->pos] <= '9') {
		n = n * 10 + (uint64_t)(a->buf[a->pos++] - '0');
		if (n > UINT32_MAX)
			return imap_fail(a, "Number too large");
	}
	if (a->pos == start)
		return imap_fail(a, "Number expected");
	*out = (uint32_t)n;
	return 0;
}

int
imap_modseq(struct imap_args *a, uint64_t *out)
{
	uint64_t n = 0;
	size_t start = a->pos;

	while (a->pos < a->len && a->buf[a->pos] >= '0' && a->buf[a->pos] <= '9') {
		n = n * 10 + (uint64_t)(a->buf[a->pos++] - '0');
		if (n > INT64_MAX || a->pos - start > 19)
			return imap_fail(a, "Number too large");
	}
	if (a->pos == start)
		return imap_fail(a, "Number expected");
	*out = n;
	return 0;
}

int
imap_flag(struct imap_args *a, struct imap_str *out)
{
	size_t start = a->pos;
	struct imap_str name;

	imap_try_char(a, '\\');
	if (span(a, imap_is_atom_char, "Invalid flag", &name) == -1)
		return -1;
	out->s = a->buf + start;
	out->len = a->pos - start;
	return 0;
}

bool
imap_str_is(const struct imap_str *s, const char *word)
{
	return ascii_equal(s->s, s->len, word);
}

int
imap_str_copy(const struct imap_str *s, char *out, size_t cap)
{
	if (s->len >= cap || memchr(s->s, '\0', s->len) != NULL)
		return -1;
	memcpy(out, s->s, s->len);
	out[s->len] = '\0';
	return 0;
}
