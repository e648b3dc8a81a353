/* SPDX-License-Identifier: ISC */
/* Text that is safe to show; see escape.h. */
#include "fifectl/escape.h"

#include <stdint.h>

/* Octets of the character at s (RFC 3629, 4), 0 if it is none; *code is set. */
static size_t
utf8_next(const unsigned char *s, size_t len, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;
	uint32_t c;

	if (s[0] < 0x80) {
		*code = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

/* Characters that act instead of showing. */
static int
steers(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0xfeff;
}

static size_t
walk(FILE *f, const char *str, size_t len, enum escape_lines lines)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t width = 0, n;
	uint32_t c = 0;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_next(s + i, len - i, &c);
		if (n > 0 && (!steers(c) || (lines == ESCAPE_KEEP_LINES &&
						(c == '\n' || c == '\t')))) {
			if (f != NULL)
				fwrite(s + i, 1, n, f);
			width++;
			continue;
		}
		if (n == 0)
			n = 1;
		for (size_t k = 0; k < n; k++) {
			if (f != NULL)
				fprintf(f, "\\x%02x", s[i + k]);
			width += 4;
		}
	}
	return width;
}

size_t
escape_text(FILE *f, const char *s, size_t len, enum escape_lines lines)
{
	return walk(f, s, len, lines);
}

size_t
escape_width(const char *s, size_t len)
{
	return walk(NULL, s, len, ESCAPE_ONE_LINE);
}

void
escape_json(FILE *f, const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	uint32_t c = 0;
	size_t n;

	fputc('"', f);
	for (size_t i = 0; i < len; i += n) {
		n = utf8_next(s + i, len - i, &c);
		if (n == 0) {
			/* JSON has no octets: shown as in text. */
			fprintf(f, "\\\\x%02x", s[i]);
			n = 1;
		} else if (c == '"' || c == '\\')
			fprintf(f, "\\%c", (int)c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c == '\t')
			fputs("\\t", f);
		else if (steers(c))
			fprintf(f, "\\u%04x", (unsigned int)c);
		else
			fwrite(s + i, 1, n, f);
	}
	fputc('"', f);
}
