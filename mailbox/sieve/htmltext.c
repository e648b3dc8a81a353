/* SPDX-License-Identifier: ISC */
/* The text of HTML in one pass; see htmltext.h. */
#include "mailbox/sieve/htmltext.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/proto/encoding.h"

static const struct {
	const char *name;
	uint32_t c;
} entities[] = {
	{ "amp", '&' },
	{ "lt", '<' },
	{ "gt", '>' },
	{ "quot", '"' },
	{ "apos", '\'' },
	{ "nbsp", ' ' },
	{ "copy", 0xa9 },
	{ "reg", 0xae },
	{ "euro", 0x20ac },
	{ "pound", 0xa3 },
	{ "auml", 0xe4 },
	{ "ouml", 0xf6 },
	{ "uuml", 0xfc },
	{ "Auml", 0xc4 },
	{ "Ouml", 0xd6 },
	{ "Uuml", 0xdc },
	{ "szlig", 0xdf },
	{ "eacute", 0xe9 },
	{ "egrave", 0xe8 },
	{ "agrave", 0xe0 },
	{ "aacute", 0xe1 },
	{ "ccedil", 0xe7 },
	{ "ntilde", 0xf1 },
	{ "hellip", 0x2026 },
	{ "mdash", 0x2014 },
	{ "ndash", 0x2013 },
	{ "lsquo", 0x2018 },
	{ "rsquo", 0x2019 },
	{ "ldquo", 0x201c },
	{ "rdquo", 0x201d },
};

/* "&name;" or "&#1;" at s: octets read, and its character; 0: it is none. */
static size_t
entity(const char *s, size_t len, uint32_t *c)
{
	size_t n = 1;

	while (n < len && n < 12 && (isalnum((unsigned char)s[n]) || s[n] == '#'))
		n++;
	if (n < 3 || n >= len || s[n] != ';')
		return 0;
	if (s[1] == '#') {
		uint32_t v = 0;
		bool hex = s[2] == 'x' || s[2] == 'X';

		for (size_t i = hex ? 3 : 2; i < n; i++) {
			int d = ascii_lower((unsigned char)s[i]);

			if (hex ? !isxdigit(d) : !isdigit(d))
				return 0;
			v = v * (hex ? 16 : 10) +
			    (uint32_t)(isdigit(d) ? d - '0' : d - 'a' + 10);
			if (v > 0x10ffff)
				return 0;
		}
		*c = v == 0xa0 ? ' ' : v;
		return v == 0 ? 0 : n + 1;
	}
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (strlen(entities[i].name) == n - 1 &&
		    memcmp(entities[i].name, s + 1, n - 1) == 0) {
			*c = entities[i].c;
			return n + 1;
		}
	return 0;
}

static bool
is_tag(const char *s, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && ascii_equal(s, n, name) && !isalnum((unsigned char)s[n]);
}

/* Behind the end tag of what is not shown, or the end. */
static size_t
skip_element(const char *s, size_t len, size_t at, const char *name)
{
	for (; at + 2 < len; at++)
		if (s[at] == '<' && s[at + 1] == '/' &&
		    is_tag(s + at + 2, len - at - 2, name))
			return at;
	return len;
}

/* The octet after the tag at s[at], quotes heeded. */
static size_t
skip_tag(const char *s, size_t len, size_t at)
{
	char quote = 0;
	size_t start = at;

	if (len - at >= 4 && memcmp(s + at, "<!--", 4) == 0) {
		const char *end = memmem(s + at + 4, len - at - 4, "-->", 3);

		return end != NULL ? (size_t)(end - s) + 3 : len;
	}
	for (at++; at < len; at++) {
		if (quote != 0) {
			if (s[at] == quote)
				quote = 0;
		} else if (s[at] == '"' || s[at] == '\'')
			quote = s[at];
		else if (s[at] == '>')
			return at + 1;
		if (at - start > 65536)
			break;
	}
	/* A quote that does not end: the tag ends with the next ">". */
	for (at = start + 1; at < len; at++)
		if (s[at] == '>')
			return at + 1;
	return len;
}

size_t
html_text(const char *s, size_t len, char *out)
{
	size_t n = 0, i = 0, k;
	uint32_t c;

	while (i < len) {
		if (s[i] == '<' && i + 1 < len &&
		    (isalpha((unsigned char)s[i + 1]) || s[i + 1] == '/' ||
			s[i + 1] == '!' || s[i + 1] == '?')) {
			const char *tag = s + i + 1;
			size_t left = len - i - 1;
			bool script = is_tag(tag, left, "script"),
			     style = is_tag(tag, left, "style"),
			     space = is_tag(tag, left, "br") || is_tag(tag, left, "p") ||
				     is_tag(tag, left, "td") ||
				     is_tag(tag, left, "div") ||
				     is_tag(tag, left, "li") || is_tag(tag, left, "tr");

			i = skip_tag(s, len, i);
			if (script || style)
				i = skip_element(s, len, i, script ? "script" : "style");
			if (space && n > 0 && out[n - 1] != '\n' && out[n - 1] != ' ')
				out[n++] = ' ';
			continue;
		}
		if (s[i] == '&' && (k = entity(s + i, len - i, &c)) != 0) {
			char buf[4];
			size_t m = utf8_put(c, buf);

			if (m > 0 && m <= k) {
				memcpy(out + n, buf, m);
				n += m;
				i += k;
				continue;
			}
		}
		out[n++] = s[i++];
	}
	return n;
}
