/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: characters to tokens. In quotes only \" is special; any other
 * backslash stays with the character after it, so that patterns are written as
 * PCRE wants them. A backslash at the end of a line joins it with the next.
 */
#include "common/conf/conf_int.h"

#include <string.h>

void
conf_lex_init(struct conf_lex *l, const char *text, size_t len)
{
	memset(l, 0, sizeof(*l));
	l->p = text;
	l->end = text + len;
	l->next_line = l->line = 1;
	l->token = TOK_EOF;
}

static enum conf_token
bad(struct conf_lex *l, const char *why)
{
	size_t n = strlen(why);

	memcpy(l->text, why, n + 1);
	l->len = n;
	return l->token = TOK_BAD;
}

static int
is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static int
is_word(char c)
{
	return !is_control(c) && strchr(" \t\"{};,", c) == NULL;
}

/* Blanks, comments and joined lines. */
static void
skip_blanks(struct conf_lex *l)
{
	while (l->p < l->end) {
		if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r') {
			l->p++;
		} else if (*l->p == '#') {
			while (l->p < l->end && *l->p != '\n')
				l->p++;
		} else if (*l->p == '\\' && l->end - l->p > 1 && l->p[1] == '\n') {
			l->p += 2;
			l->next_line++;
		} else {
			break;
		}
	}
}

static int
put(struct conf_lex *l, char c)
{
	if (l->len >= CONF_TEXT_MAX)
		return -1;
	l->text[l->len++] = c;
	return 0;
}

static enum conf_token
string(struct conf_lex *l)
{
	char c;

	l->p++;
	for (;;) {
		if (l->p == l->end || *l->p == '\n')
			return bad(l, "text without its closing quote");
		c = *l->p++;
		if (c == '"')
			break;
		if (is_control(c))
			return bad(l, "control character in text");
		if (c == '\\' && l->p < l->end && *l->p != '\n') {
			if (*l->p != '"' && put(l, c) == -1)
				return bad(l, "text is too long");
			c = *l->p++;
			if (is_control(c))
				return bad(l, "control character in text");
		}
		if (put(l, c) == -1)
			return bad(l, "text is too long");
	}
	l->text[l->len] = '\0';
	return l->token = TOK_STRING;
}

/* Nothing could be written in quotes that reads as such a word. */
static int
ends_in_backslash(const struct conf_lex *l)
{
	size_t n = 0;

	while (n < l->len && l->text[l->len - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

enum conf_token
conf_lex_next(struct conf_lex *l)
{
	char c;

	skip_blanks(l);
	l->line = l->next_line;
	l->len = 0;
	l->text[0] = '\0';
	if (l->p == l->end)
		return l->token = TOK_EOF;
	c = *l->p;
	switch (c) {
	case '\n':
		l->next_line++;
		/* FALLTHROUGH */
	case ';':
		l->p++;
		return l->token = TOK_EOL;
	case '{':
		l->p++;
		return l->token = TOK_OPEN;
	case '}':
		l->p++;
		return l->token = TOK_CLOSE;
	case ',':
		l->p++;
		return l->token = TOK_COMMA;
	case '"':
		return string(l);
	}
	if (!is_word(c))
		return bad(l, "control character");
	while (l->p < l->end && is_word(*l->p)) {
		if (put(l, *l->p) == -1)
			return bad(l, "word is too long");
		l->p++;
	}
	if (ends_in_backslash(l))
		return bad(l, "a backslash at the end of a word");
	l->text[l->len] = '\0';
	return l->token = TOK_WORD;
}
