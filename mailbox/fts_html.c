/* SPDX-License-Identifier: ISC */
/* HTML as text, for searching; see fts_html.h. */
#include "mailbox/fts_html.h"

#include <stdint.h>
#include <string.h>

#include "common/proto/encoding.h"

/* Tags within a word: what stands on both sides belongs together. */
static const char *const inline_tags[] = { "a", "abbr", "acronym", "b", "bdi", "bdo",
	"big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
	"mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt",
	"u", "var", "wbr" };

/* U+00A0 to U+00FF */
static const char *const latin1[] = { "nbsp", "iexcl", "cent", "pound", "curren", "yen",
	"brvbar", "sect", "uml", "copy", "ordf", "laquo", "not", "shy", "reg", "macr",
	"deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil",
	"sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave",
	"Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave",
	"Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde",
	"Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave",
	"Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute",
	"acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute",
	"ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve",
	"oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute",
	"ucirc", "uuml", "yacute", "thorn", "yuml" };

static const struct {
	const char *name;
	uint32_t c;
} others[] = {
	{ "amp", '&' },
	{ "lt", '<' },
	{ "gt", '>' },
	{ "quot", '"' },
	{ "apos", '\'' },
	{ "OElig", 0x152 },
	{ "oelig", 0x153 },
	{ "Scaron", 0x160 },
	{ "scaron", 0x161 },
	{ "ensp", ' ' },
	{ "emsp", ' ' },
	{ "thinsp", ' ' },
	{ "zwnj", 0x200c },
	{ "zwj", 0x200d },
	{ "ndash", 0x2013 },
	{ "mdash", 0x2014 },
	{ "lsquo", 0x2018 },
	{ "rsquo", 0x2019 },
	{ "sbquo", 0x201a },
	{ "ldquo", 0x201c },
	{ "rdquo", 0x201d },
	{ "bdquo", 0x201e },
	{ "bull", 0x2022 },
	{ "hellip", 0x2026 },
	{ "euro", 0x20ac },
	{ "trade", 0x2122 },
};

void
fts_html_init(struct fts_html *h)
{
	memset(h, 0, sizeof(*h));
}

/* The character of "#39", "#x27" or "amp"; 0: none. */
static uint32_t
reference(const char *s)
{
	uint32_t v = 0, base = 10;

	if (s[0] != '#') {
		for (size_t i = 0; i < sizeof(latin1) / sizeof(latin1[0]); i++)
			if (strcmp(s, latin1[i]) == 0)
				return (uint32_t)(0xa0 + i);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			if (strcmp(s, others[i].name) == 0)
				return others[i].c;
		return 0;
	}
	if (*++s == 'x' || *s == 'X') {
		base = 16;
		s++;
	}
	for (; *s != '\0'; s++) {
		int c = ascii_lower((unsigned char)*s);
		uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0')
			     : c >= 'a'           ? (uint32_t)(c - 'a' + 10)
						  : 99;

		if (d >= base || v > 0x10ffff)
			return 0;
		v = v * base + d;
	}
	return v;
}

/* What a reference stands for, or itself. */
static size_t
put_reference(struct fts_html *h, bool ended, char *out)
{
	uint32_t c;
	size_t n;

	h->name[h->n] = '\0';
	h->state = FTS_HTML_TEXT;
	if (ended && (c = reference(h->name)) != 0) {
		/* What only says where a word may be broken or joined. */
		if (c == 0xad || c == 0x200c || c == 0x200d)
			return 0;
		if ((n = utf8_put(c, out)) > 0)
			return n;
	}
	out[0] = '&';
	memcpy(out + 1, h->name, h->n);
	n = h->n + 1;
	if (ended)
		out[n++] = ';';
	return n;
}

static bool
is_name(int c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void
tag_name(struct fts_html *h, int c)
{
	bool sign = h->n == 0 && (c == '/' || c == '!' || c == '?');

	if (!sign && !is_name(c) && !(c == '-' && h->name[0] == '!')) {
		h->named = true;
		return;
	}
	if (h->n < FTS_HTML_NAME)
		h->name[h->n++] = (char)ascii_lower(c);
	else
		h->named = true; /* no tag that matters */
	h->name[h->n] = '\0';
	if (strcmp(h->name, "!--") == 0) {
		h->state = FTS_HTML_COMMENT;
		h->dashes = 2;
	}
}

/* After ">". */
static size_t
tag_end(struct fts_html *h, char *out)
{
	const char *name = h->name + (h->name[0] == '/');

	h->state = FTS_HTML_TEXT;
	if (strcmp(h->name, "style") == 0 || strcmp(h->name, "script") == 0) {
		h->state = FTS_HTML_SKIP;
		h->end = 0;
	}
	for (size_t i = 0; i < sizeof(inline_tags) / sizeof(inline_tags[0]); i++)
		if (strcmp(name, inline_tags[i]) == 0)
			return 0;
	out[0] = ' ';
	return 1;
}

static size_t
tag_char(struct fts_html *h, int c, char *out)
{
	if (!h->named)
		tag_name(h, c);
	if (h->state != FTS_HTML_TAG || !h->named)
		return 0;
	if (c == '>')
		return tag_end(h, out);
	if (h->value && (c == '"' || c == '\'')) {
		h->state = FTS_HTML_QUOTE;
		h->quote = (char)c;
	}
	if (c == '=')
		h->value = true;
	else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
		h->value = false;
	return 0;
}

static void
skip_char(struct fts_html *h, int c)
{
	c = ascii_lower(c);
	if (c == '<')
		h->end = 1;
	else if (h->end == 1 && c == '/')
		h->end = 2;
	else if (h->end >= 2 && h->name[h->end - 2] == c)
		h->end++;
	else
		h->end = 0;
	if (h->end < 2 || h->end - 2 < h->n)
		return;
	memmove(h->name + 1, h->name, h->n + 1);
	h->name[0] = '/';
	h->state = FTS_HTML_TAG;
	h->named = true;
	h->value = false;
}

/* One octet; true: it was not taken, the state is another. */
static bool
feed_char(struct fts_html *h, int c, char *out, size_t *n)
{
	switch (h->state) {
	case FTS_HTML_TEXT:
		h->n = 0;
		h->name[0] = '\0';
		if (c == '<')
			h->state = FTS_HTML_OPEN;
		else if (c == '&')
			h->state = FTS_HTML_REFERENCE;
		else
			out[(*n)++] = (char)c;
		return false;
	case FTS_HTML_OPEN:
		if ((is_name(c) && (c < '0' || c > '9')) || c == '/' || c == '!' ||
		    c == '?') {
			h->state = FTS_HTML_TAG;
			h->named = h->value = false;
			return true;
		}
		h->state = FTS_HTML_TEXT;
		out[(*n)++] = '<';
		return true;
	case FTS_HTML_TAG:
		*n += tag_char(h, c, out + *n);
		return false;
	case FTS_HTML_QUOTE:
		if (c == h->quote)
			h->state = FTS_HTML_TAG;
		return false;
	case FTS_HTML_COMMENT:
		if (c == '>' && h->dashes >= 2)
			h->state = FTS_HTML_TEXT;
		h->dashes = c == '-' ? h->dashes + 1 : 0;
		return false;
	case FTS_HTML_SKIP:
		skip_char(h, c);
		return false;
	case FTS_HTML_REFERENCE:
		if (h->n < FTS_HTML_NAME && (is_name(c) || (c == '#' && h->n == 0))) {
			h->name[h->n++] = (char)c;
			return false;
		}
		*n += put_reference(h, c == ';', out + *n);
		return c != ';';
	}
	return false;
}

size_t
fts_html_feed(struct fts_html *h, const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		while (feed_char(h, (unsigned char)in[i], out, &n))
			;
	return n;
}

size_t
fts_html_finish(struct fts_html *h, char *out)
{
	if (h->state == FTS_HTML_REFERENCE)
		return put_reference(h, false, out);
	if (h->state == FTS_HTML_OPEN) {
		out[0] = '<';
		return 1;
	}
	return 0;
}
