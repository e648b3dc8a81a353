/* SPDX-License-Identifier: ISC */
/* Charsets in which an octet's meaning hangs on what was before it: UTF-7 (RFC 2152),
 * ISO-2022-JP-2 (RFC 1554), ISO-2022-KR (RFC 1557). */
#include <string.h>

#include "common/proto/charset_table.h"

#define ESC 0x1b
#define SHIFT_OUT 0x0e
#define SHIFT_IN 0x0f
#define REPLACEMENT 0xfffd

/* ---- UTF-7 ---- */

static int
base64_digit(uint8_t c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

/* Sets D and O and white space, as glibc has them. */
static bool
utf7_direct(uint8_t c)
{
	return c == '\t' || c == '\n' || c == '\r' ||
	       (c >= 0x20 && c <= 0x7d && c != '+' && c != '\\');
}

/* A unit of UTF-16 is whole. */
static size_t
utf7_unit(struct charset_state *s, uint32_t unit, uint32_t out[2])
{
	size_t n = 0;

	if (s->high != 0 && unit >= 0xdc00 && unit <= 0xdfff) {
		out[0] = 0x10000 + ((s->high - 0xd800u) << 10) + (unit - 0xdc00);
		s->high = 0;
		return 1;
	}
	if (s->high != 0)
		out[n++] = REPLACEMENT;
	s->high = 0;
	if (unit >= 0xd800 && unit <= 0xdbff)
		s->high = (uint16_t)unit;
	else
		out[n++] = unit >= 0xdc00 && unit <= 0xdfff ? REPLACEMENT : unit;
	return n;
}

/* What ends base64 may not cut a character. */
static int
utf7_leave(struct charset_state *s, uint8_t c, uint32_t out[2], size_t *n_out)
{
	bool cut = s->high != 0 || s->n >= 6 || (s->bits & ((1u << s->n) - 1)) != 0;

	memset(s, 0, sizeof(*s));
	*n_out = 0;
	if (cut)
		out[(*n_out)++] = REPLACEMENT;
	if (c != '-')
		out[(*n_out)++] = utf7_direct(c) ? c : REPLACEMENT;
	return 1;
}

int
charset_utf7_get(struct charset_state *s, const uint8_t *p, size_t len, bool last,
    uint32_t out[2], size_t *n_out)
{
	int digit;

	if (!s->in64) {
		if (*p != '+') {
			*out = *p;
			return utf7_direct(*p);
		}
		if (len < 2 && !last)
			return CHARSET_MORE;
		if (len > 1 && p[1] == '-') {
			*out = '+';
			return 2;
		}
		*n_out = 0;
		s->in64 = 1;
		return 1;
	}
	if ((digit = base64_digit(*p)) == -1)
		return utf7_leave(s, *p, out, n_out);
	s->bits = s->bits << 6 | (uint32_t)digit;
	s->n += 6;
	*n_out = 0;
	if (s->n >= 16) {
		s->n -= 16;
		*n_out = utf7_unit(s, s->bits >> s->n & 0xffff, out);
	}
	return 1;
}

/* ---- ISO 2022 ---- */

static const struct escape {
	const char *text;
	enum charset_set set;
} japanese[] = {
	{ "\x1b(B", SET_ASCII },
	{ "\x1b(J", SET_ROMAN },
	{ "\x1b$@", SET_JIS },
	{ "\x1b$B", SET_JIS },
	{ "\x1b$A", SET_GB },
	{ "\x1b$(C", SET_KS },
	{ "\x1b$(D", SET_JIS_MORE },
	{ "\x1b.A", SET_LATIN },
	{ "\x1b.F", SET_GREEK },
	{ NULL, 0 },
}, korean_only[] = { { "\x1b$)C", SET_KS }, { NULL, 0 } };

/* Octets of an escape sequence, CHARSET_MORE, or 0: it is none. */
static int
escape_get(const struct escape *list, const uint8_t *p, size_t len, bool last,
    enum charset_set *set)
{
	for (; list->text != NULL; list++) {
		size_t n = strlen(list->text);

		if (memcmp(p, list->text, len < n ? len : n) != 0)
			continue;
		*set = list->set;
		if (len >= n)
			return (int)n;
		if (!last)
			return CHARSET_MORE;
	}
	return 0;
}

/* ESC N and one character. */
static int
single_get(size_t row, const struct charset_state *s, const uint8_t *p, size_t len,
    bool last, uint32_t *out)
{
	if (len < 3)
		return last ? 0 : CHARSET_MORE;
	if (s->single == 0 || p[2] < 0x20 || p[2] > 0x7f)
		return 0;
	*out = charset_set_get(row, s->single, p + 2, 1);
	return *out == 0 ? 0 : 3;
}

static int
wide_get(size_t row, enum charset_set set, const uint8_t *p, size_t len, bool last,
    uint32_t *out)
{
	if (len < 2)
		return last ? 0 : CHARSET_MORE;
	if (p[1] >= 0x80 || (*out = charset_set_get(row, set, p, 2)) == 0)
		return 0;
	return 2;
}

int
charset_2022_get(size_t row, bool korean, struct charset_state *s, const uint8_t *p,
    size_t len, bool last, uint32_t out[2], size_t *n_out)
{
	enum charset_set set;
	int n;

	if (*p >= 0x80)
		return 0;
	if (*p == ESC) {
		n = escape_get(korean ? korean_only : japanese, p, len, last, &set);
		*n_out = n > 0 ? 0 : 1;
		if (n > 0 && !korean) {
			if (set == SET_LATIN || set == SET_GREEK)
				s->single = (uint8_t)set;
			else
				s->set = (uint8_t)set;
		}
		if (n != 0)
			return n;
		if (!korean)
			return len > 1 && p[1] == 'N'
				   ? single_get(row, s, p, len, last, out)
				   : 0;
	}
	if (korean && (*p == SHIFT_OUT || *p == SHIFT_IN)) {
		s->set = *p == SHIFT_OUT ? SET_KS : SET_ASCII;
		*n_out = 0;
		return 1;
	}
	if (s->set == SET_ASCII || *p < 0x21 || *p == 0x7f) {
		*out = *p;
		return 1;
	}
	if (s->set == SET_ROMAN) {
		*out = charset_set_get(row, s->set, p, 1);
		return *out != 0;
	}
	return wide_get(row, s->set, p, len, last, out);
}
