/* SPDX-License-Identifier: ISC */
/* Tokens of Sieve: RFC 5228, 8.1. Line ends within strings become CRLF. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/syntax.h"

#define NAME_MAX_LEN 32
#define STRING_MAX_LEN (256 * 1024)

void
sieve_lexer_init(struct sieve_lexer *l, struct arena *arena, const char *s, size_t len)
{
	memset(l, 0, sizeof(*l));
	l->s = s;
	l->len = len;
	l->line = 1;
	l->arena = arena;
	/* Editors of one system put a byte order mark before UTF-8. */
	if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		l->pos = 3;
}

static int
peek(const struct sieve_lexer *l)
{
	return l->pos < l->len ? (unsigned char)l->s[l->pos] : -1;
}

static void
newline(struct sieve_lexer *l)
{
	l->line++;
	l->line_start = l->pos;
}

static struct sieve_place
place(const struct sieve_lexer *l)
{
	size_t column = l->pos - l->line_start + 1;

	return (struct sieve_place){ l->line,
		column > UINT32_MAX ? UINT32_MAX : (uint32_t)column };
}

static int
bad(struct sieve_lexer *l, const char *why)
{
	l->token = TOKEN_BAD;
	snprintf(l->error, sizeof(l->error), "%s", why);
	return 0;
}

/* 0, or -1 when a comment does not end. */
static int
skip_space(struct sieve_lexer *l)
{
	for (;;) {
		int c = peek(l);

		if (c == ' ' || c == '\t' || c == '\r') {
			l->pos++;
		} else if (c == '\n') {
			l->pos++;
			newline(l);
		} else if (c == '#') {
			while ((c = peek(l)) != -1 && c != '\n' && c != '\0')
				l->pos++;
			if (c == '\0')
				return 0; /* told as a character that cannot stand */
		} else if (c == '/' && l->pos + 1 < l->len && l->s[l->pos + 1] == '*') {
			struct sieve_place at = place(l);

			l->pos += 2;
			for (;; l->pos++) {
				if ((c = peek(l)) == -1) {
					l->at = at;
					return -1;
				}
				if (c == '*' && l->pos + 1 < l->len &&
				    l->s[l->pos + 1] == '/')
					break;
				if (c == '\n') {
					l->pos++;
					newline(l);
					l->pos--;
				}
			}
			l->pos += 2;
		} else
			return 0;
	}
}

/* Room for what a string of n octets may become: each line end grows. */
static char *
string_room(struct sieve_lexer *l, size_t from, size_t to)
{
	size_t n = to - from + 1;

	for (size_t i = from; i < to; i++)
		n += l->s[i] == '\n';
	return arena_alloc(l->arena, n);
}

static int
lex_quoted(struct sieve_lexer *l)
{
	size_t start = ++l->pos, end = start, n = 0;
	char *out;
	bool nul = false;

	for (; end < l->len && l->s[end] != '"'; end++) {
		if (l->s[end] == '\\' && end + 1 < l->len)
			end++;
		nul |= l->s[end] == '\0';
	}
	if (end >= l->len) {
		l->pos = l->len;
		return bad(l, "the string that starts here does not end");
	}
	if ((out = string_room(l, start, end)) == NULL)
		return -1;
	for (; l->pos < end; l->pos++) {
		char c = l->s[l->pos];

		if (c == '\\')
			c = l->s[++l->pos];
		if (c == '\r' && l->pos + 1 < end && l->s[l->pos + 1] == '\n')
			continue;
		if (c == '\n') {
			out[n++] = '\r';
			l->pos++;
			newline(l);
			l->pos--;
		}
		out[n++] = c;
	}
	l->pos = end + 1;
	if (nul)
		return bad(l, "a NUL cannot stand in a string");
	if (n > STRING_MAX_LEN)
		return bad(l, "the string is too long");
	l->token = TOKEN_STRING;
	l->text = out;
	l->text_len = n;
	return 0;
}

/* After "text:": the rest of the line may hold a comment. */
static int
lex_multiline(struct sieve_lexer *l)
{
	size_t n = 0, end, start;
	char *out;

	while (peek(l) == ' ' || peek(l) == '\t')
		l->pos++;
	if (peek(l) == '#')
		while (peek(l) != -1 && peek(l) != '\n')
			l->pos++;
	if (peek(l) == '\r')
		l->pos++;
	if (peek(l) != '\n')
		return bad(l, "only a comment may follow text: on its line");
	l->pos++;
	newline(l);
	/* To the line of a lone dot. */
	for (start = end = l->pos;;) {
		const char *nl =
		    end < l->len ? memchr(l->s + end, '\n', l->len - end) : NULL;
		size_t len;

		if (end < l->len && l->s[end] == '.') {
			len = (nl != NULL ? (size_t)(nl - l->s) : l->len) - end;
			if (len > 1 && l->s[end + len - 1] == '\r')
				len--;
			if (len == 1)
				break;
		}
		if (nl == NULL) {
			l->pos = l->len;
			return bad(l,
			    "the text that starts here does not end with a line "
			    "of one dot");
		}
		end = (size_t)(nl - l->s) + 1;
	}
	if ((out = string_room(l, start, end)) == NULL)
		return -1;
	while (l->pos < end) {
		char c = l->s[l->pos];

		if (c == '.' && l->pos == l->line_start && l->s[l->pos + 1] == '.')
			c = l->s[++l->pos];
		l->pos++;
		if (c == '\0') {
			l->pos = end + 1;
			return bad(l, "a NUL cannot stand in a string");
		}
		if (c == '\r' && l->pos < end && l->s[l->pos] == '\n')
			continue;
		if (c == '\n') {
			out[n++] = '\r';
			newline(l);
		}
		out[n++] = c;
	}
	l->pos = end + 1; /* the dot */
	if (peek(l) == '\r')
		l->pos++;
	if (peek(l) == '\n') {
		l->pos++;
		newline(l);
	}
	if (n > STRING_MAX_LEN)
		return bad(l, "the string is too long");
	l->token = TOKEN_STRING;
	l->text = out;
	l->text_len = n;
	return 0;
}

static int
lex_number(struct sieve_lexer *l)
{
	uint64_t n = 0, times = 1;
	bool over = false;

	for (; isdigit(peek(l)); l->pos++)
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(peek(l) - '0'), &n))
			over = true;
	switch (peek(l)) {
	case 'k':
	case 'K':
		times = 1024;
		break;
	case 'm':
	case 'M':
		times = 1024 * 1024;
		break;
	case 'g':
	case 'G':
		times = 1024 * 1024 * 1024;
		break;
	default:
		break;
	}
	if (times > 1) {
		l->pos++;
		over |= __builtin_mul_overflow(n, times, &n);
	}
	if (isalnum(peek(l)) || peek(l) == '_') {
		while (isalnum(peek(l)) || peek(l) == '_')
			l->pos++;
		return bad(l, "a number ends with a digit, K, M or G");
	}
	if (over)
		return bad(l, "the number is too large");
	l->token = TOKEN_NUMBER;
	l->number = n;
	return 0;
}

static int
lex_name(struct sieve_lexer *l, bool tag)
{
	size_t start = l->pos, n;
	char *out;

	while (isalnum(peek(l)) || peek(l) == '_')
		l->pos++;
	n = l->pos - start;
	if (n > NAME_MAX_LEN)
		return bad(l, "the name is too long");
	if (!tag && n == 4 && peek(l) == ':' && ascii_equal(l->s + start, 4, "text")) {
		l->pos++;
		return lex_multiline(l);
	}
	if ((out = arena_copy(l->arena, l->s + start, n)) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)ascii_lower((unsigned char)out[i]);
	l->token = tag ? TOKEN_TAG : TOKEN_NAME;
	l->text = out;
	l->text_len = n;
	return 0;
}

int
sieve_lexer_next(struct sieve_lexer *l)
{
	int c;

	if (skip_space(l) == -1) {
		l->pos = l->len;
		return bad(l, "the comment that starts here does not end");
	}
	l->at = place(l);
	c = peek(l);
	if (c == -1) {
		l->token = TOKEN_END;
		return 0;
	}
	if (c == '"')
		return lex_quoted(l);
	if (isdigit(c))
		return lex_number(l);
	if (isalpha(c) || c == '_')
		return lex_name(l, false);
	if (c == ':') {
		l->pos++;
		if (!isalpha(peek(l)) && peek(l) != '_')
			return bad(l, "a name must follow the colon");
		return lex_name(l, true);
	}
	l->pos++;
	if (c != 0 && strchr("[]{}(),;", c) != NULL) {
		l->token = TOKEN_MARK;
		l->c = (char)c;
		return 0;
	}
	/* A run of what cannot stand here is one mistake. */
	if (c >= 0x80 || c < 0x20)
		while (peek(l) >= 0x80)
			l->pos++;
	l->token = TOKEN_BAD;
	if (c > 0x20 && c < 0x7f)
		snprintf(l->error, sizeof(l->error), "unexpected character '%c'", c);
	else
		snprintf(l->error, sizeof(l->error), "unexpected character 0x%02x", c);
	return 0;
}
