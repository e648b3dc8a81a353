/* SPDX-License-Identifier: ISC */
/* UTF-8 (RFC 3629) and the modified UTF-7 of IMAP mailbox names (RFC 3501, 5.1.3). */
#include <limits.h>
#include <string.h>

#include "common/proto/encoding.h"

static const char utf7_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

size_t
utf8_get(const char *s, size_t len, uint32_t *c)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;
	uint32_t v;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
		v = p[0] & 0x1f;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		v = p[0] & 0x0f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		v = p[0] & 0x07;
	} else
		return 0;
	if (len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && (v < 0x800 || (v >= 0xd800 && v <= 0xdfff))) ||
	    (n == 4 && (v < 0x10000 || v > 0x10ffff)))
		return 0;
	*c = v;
	return n;
}

size_t
utf8_put(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		if (c >= 0xd800 && c <= 0xdfff)
			return 0;
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	if (c > 0x10ffff)
		return 0;
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool
utf8_valid(const char *s, size_t len)
{
	uint32_t c;
	size_t i = 0, n;

	while (i < len) {
		if ((unsigned char)s[i] < 0x80) {
			i++;
			continue;
		}
		if ((n = utf8_get(s + i, len - i, &c)) == 0)
			return false;
		i += n;
	}
	return true;
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	size_t n = max;

	if (len <= max)
		return len;
	/* Step back to the first octet of the character that crosses max. */
	while (n > 0 && max - n < 3 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return ((unsigned char)s[n] & 0xc0) == 0x80 ? max : n;
}

/* Base64 of UTF-16BE units as they come. */
struct utf7_out {
	char *out;
	size_t cap, n;
	uint32_t bits;
	unsigned int nbits;
	bool shifted;
};

static int
utf7_byte(struct utf7_out *o, int c)
{
	if (o->n + 1 >= o->cap || o->n >= INT_MAX)
		return -1;
	o->out[o->n++] = (char)c;
	return 0;
}

static int
utf7_unit(struct utf7_out *o, uint32_t unit)
{
	if (!o->shifted && utf7_byte(o, '&') == -1)
		return -1;
	o->shifted = true;
	o->bits = o->bits << 16 | unit;
	for (o->nbits += 16; o->nbits >= 6; o->nbits -= 6) {
		if (utf7_byte(o, utf7_alphabet[o->bits >> (o->nbits - 6) & 63]) == -1)
			return -1;
	}
	/* At most 5 bits remain: the next unit makes 21. */
	o->bits &= (1U << o->nbits) - 1;
	return 0;
}

static int
utf7_unshift(struct utf7_out *o)
{
	if (!o->shifted)
		return 0;
	if (o->nbits > 0 &&
	    utf7_byte(o, utf7_alphabet[o->bits << (6 - o->nbits) & 63]) == -1)
		return -1;
	o->bits = 0;
	o->nbits = 0;
	o->shifted = false;
	return utf7_byte(o, '-');
}

int
utf7_from_utf8(const char *in, size_t len, char *out, size_t cap)
{
	struct utf7_out o = { .out = out, .cap = cap };
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		if ((n = utf8_get(in + i, len - i, &c)) == 0 || c < 0x20 || c == 0x7f)
			return -1;
		if (c < 0x7f) {
			if (utf7_unshift(&o) == -1 || utf7_byte(&o, (int)c) == -1 ||
			    (c == '&' && utf7_byte(&o, '-') == -1))
				return -1;
		} else if (c >= 0x10000) {
			c -= 0x10000;
			if (utf7_unit(&o, 0xd800 | c >> 10) == -1 ||
			    utf7_unit(&o, 0xdc00 | (c & 0x3ff)) == -1)
				return -1;
		} else if (utf7_unit(&o, c) == -1)
			return -1;
	}
	if (utf7_unshift(&o) == -1 || o.n >= cap)
		return -1;
	out[o.n] = '\0';
	return (int)o.n;
}

static int
utf7_value(int c)
{
	const char *p = c == '\0' ? NULL : strchr(utf7_alphabet, c);

	return p == NULL ? -1 : (int)(p - utf7_alphabet);
}

/* in is what stands between "&" and "-". */
static int
utf7_run(const char *in, size_t len, char *out, size_t cap, size_t *n)
{
	uint32_t bits = 0, unit, high = 0;
	unsigned int nbits = 0;
	int v;

	for (size_t i = 0; i < len; i++) {
		if ((v = utf7_value((unsigned char)in[i])) == -1)
			return -1;
		bits = (bits << 6 | (uint32_t)v) & 0x3fffff;
		if ((nbits += 6) < 16)
			continue;
		nbits -= 16;
		unit = bits >> nbits & 0xffff;
		if (high != 0) {
			if (unit < 0xdc00 || unit > 0xdfff)
				return -1;
			unit = 0x10000 + ((high & 0x3ff) << 10) + (unit & 0x3ff);
			high = 0;
		} else if (unit >= 0xd800 && unit <= 0xdbff) {
			high = unit;
			continue;
		}
		if (unit < 0x80 || (unit >= 0xdc00 && unit <= 0xdfff) || cap - *n < 5)
			return -1;
		*n += utf8_put(unit, out + *n);
	}
	if (high != 0 || nbits >= 6 || (bits & ((1U << nbits) - 1)) != 0)
		return -1;
	return 0;
}

int
utf7_to_utf8(const char *in, size_t len, char *out, size_t cap)
{
	const char *end;
	bool after_shift = false;
	size_t n = 0;

	if (cap == 0 || len > INT_MAX)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];

		if (c < 0x20 || c > 0x7e || cap - n < 2)
			return -1;
		if (c != '&') {
			out[n++] = (char)c;
			after_shift = false;
			continue;
		}
		if ((end = memchr(in + i, '-', len - i)) == NULL)
			return -1;
		if (end == in + i + 1) {
			out[n++] = '&';
			after_shift = false;
		} else {
			if (after_shift ||
			    utf7_run(in + i + 1, (size_t)(end - in) - i - 1, out, cap,
				&n) == -1)
				return -1;
			after_shift = true;
		}
		i = (size_t)(end - in);
	}
	out[n] = '\0';
	return (int)n;
}
