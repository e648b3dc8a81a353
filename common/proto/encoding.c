/* SPDX-License-Identifier: ISC */
/*
 * Encodings of whole strings: base64, quoted-printable and Q, xtext, hex.
 * The streaming decoder of bodies is in encoding_cte.c, UTF-8 and UTF-7 in
 * encoding_utf.c.
 */
#include <limits.h>
#include <string.h>

#include "common/proto/encoding.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_upper[] = "0123456789ABCDEF";

int
ascii_lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool
ascii_equal(const char *a, size_t alen, const char *b)
{
	if (strlen(b) != alen)
		return false;
	for (size_t i = 0; i < alen; i++) {
		if (ascii_lower((unsigned char)a[i]) != ascii_lower((unsigned char)b[i]))
			return false;
	}
	return true;
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
base64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* n is 1 to 3. */
static void
base64_group(const unsigned char *in, size_t n, char out[4])
{
	uint32_t v = (uint32_t)in[0] << 16;

	if (n > 1)
		v |= (uint32_t)in[1] << 8;
	if (n > 2)
		v |= in[2];
	out[0] = base64_alphabet[v >> 18];
	out[1] = base64_alphabet[v >> 12 & 63];
	out[2] = n > 1 ? base64_alphabet[v >> 6 & 63] : '=';
	out[3] = n > 2 ? base64_alphabet[v & 63] : '=';
}

int
base64_encode(const void *in, size_t len, char *out, size_t cap)
{
	const unsigned char *p = in;
	size_t n = 0;

	if (len > INT_MAX / 2 || BASE64_ENCODED_SIZE(len) > cap)
		return -1;
	for (size_t i = 0; i < len; i += 3, n += 4)
		base64_group(p + i, len - i < 3 ? len - i : 3, out + n);
	out[n] = '\0';
	return (int)n;
}

int
base64_encode_lines(const void *in, size_t len, char *out, size_t cap)
{
	const unsigned char *p = in;
	size_t n = 0, left;

	if (len > INT_MAX / 2 || BASE64_ENCODED_SIZE(len) + (len + 56) / 57 * 2 > cap)
		return -1;
	for (size_t i = 0; i < len; i += 3) {
		left = len - i < 3 ? len - i : 3;
		base64_group(p + i, left, out + n);
		n += 4;
		if ((i + 3) % 57 == 0 || i + left == len) {
			out[n++] = '\r';
			out[n++] = '\n';
		}
	}
	out[n] = '\0';
	return (int)n;
}

int
base64_decode(const char *in, size_t len, void *out, size_t cap)
{
	unsigned char *p = out;
	size_t n = 0, pad = 0, want;
	uint32_t v;
	int d;

	if (len % 4 != 0 || len > INT_MAX)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		v = 0;
		for (size_t j = 0; j < 4; j++) {
			d = base64_value((unsigned char)in[i + j]);
			if (d == -1) {
				/* Only in the last group, at its third or fourth place.
				 */
				if (in[i + j] != '=' || i + 4 != len || j < 2)
					return -1;
				pad++;
				d = 0;
			} else if (pad > 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
			return -1;
		want = 3 - pad;
		if (cap - n < want)
			return -1;
		p[n++] = (unsigned char)(v >> 16);
		if (want > 1)
			p[n++] = (unsigned char)(v >> 8);
		if (want > 2)
			p[n++] = (unsigned char)v;
	}
	return (int)n;
}

/* The length of a line end at in, or 0. */
static size_t
line_end(const char *in, size_t len)
{
	if (len >= 1 && in[0] == '\n')
		return 1;
	return len >= 2 && in[0] == '\r' && in[1] == '\n' ? 2 : 0;
}

static bool
qp_literal(const char *in, size_t len, size_t column)
{
	unsigned char c = (unsigned char)in[0];

	if (column == 0 &&
	    (c == '.' || (c == 'F' && len >= 5 && memcmp(in, "From ", 5) == 0)))
		return false;
	if (c == ' ' || c == '\t')
		return len > 1 && line_end(in + 1, len - 1) == 0;
	return c > 0x20 && c < 0x7f && c != '=';
}

int
qp_encode(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0, column = 0, i = 0, eol, width;

	while (i < len) {
		/* The most that one turn writes: soft break, escape, NUL. */
		if (cap < n + 7 || n > INT_MAX - 7)
			return -1;
		if ((eol = line_end(in + i, len - i)) > 0) {
			out[n++] = '\r';
			out[n++] = '\n';
			i += eol;
			column = 0;
			continue;
		}
		width = qp_literal(in + i, len - i, column) ? 1 : 3;
		if (column + width > 75) {
			memcpy(out + n, "=\r\n", 3);
			n += 3;
			column = 0;
			width = qp_literal(in + i, len - i, column) ? 1 : 3;
		}
		if (width == 1)
			out[n++] = in[i];
		else {
			out[n++] = '=';
			out[n++] = hex_upper[(unsigned char)in[i] >> 4];
			out[n++] = hex_upper[(unsigned char)in[i] & 15];
		}
		column += width;
		i++;
	}
	if (n >= cap)
		return -1;
	out[n] = '\0';
	return (int)n;
}

int
qp_decode_word(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0;
	int hi, lo;

	for (size_t i = 0; i < len; i++) {
		if (n >= cap || n >= INT_MAX)
			return -1;
		if (in[i] == '=' && len - i > 2 &&
		    (hi = hex_digit((unsigned char)in[i + 1])) != -1 &&
		    (lo = hex_digit((unsigned char)in[i + 2])) != -1) {
			out[n++] = (char)(hi << 4 | lo);
			i += 2;
		} else
			out[n++] = in[i] == '_' ? ' ' : in[i];
	}
	return (int)n;
}

int
xtext_encode(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];

		if (cap < n + 4 || n > INT_MAX - 4)
			return -1;
		if (c > 0x20 && c < 0x7f && c != '+' && c != '=')
			out[n++] = (char)c;
		else {
			out[n++] = '+';
			out[n++] = hex_upper[c >> 4];
			out[n++] = hex_upper[c & 15];
		}
	}
	if (n >= cap)
		return -1;
	out[n] = '\0';
	return (int)n;
}

int
xtext_decode(const char *in, size_t len, char *out, size_t cap)
{
	size_t n = 0;
	int c, hi, lo;

	for (size_t i = 0; i < len; i++) {
		c = (unsigned char)in[i];
		if (cap < n + 2 || n > INT_MAX - 2 || c <= 0x20 || c >= 0x7f || c == '=')
			return -1;
		if (c == '+') {
			/* hexchar is upper case only, but some write lower case. */
			if (len - i < 3 ||
			    (hi = hex_digit((unsigned char)in[i + 1])) == -1 ||
			    (lo = hex_digit((unsigned char)in[i + 2])) == -1)
				return -1;
			c = hi << 4 | lo;
			if (c == 0)
				return -1;
			i += 2;
		}
		out[n++] = (char)c;
	}
	if (n >= cap)
		return -1;
	out[n] = '\0';
	return (int)n;
}

int
hex_encode(const void *in, size_t len, char *out, size_t cap)
{
	const unsigned char *p = in;

	if (len > INT_MAX / 2 - 1 || cap < 2 * len + 1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = "0123456789abcdef"[p[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	out[2 * len] = '\0';
	return (int)(2 * len);
}

int
hex_decode(const char *in, size_t len, void *out, size_t cap)
{
	unsigned char *p = out;
	int hi, lo;

	if (len % 2 != 0 || len / 2 > cap || len / 2 > INT_MAX)
		return -1;
	for (size_t i = 0; i < len; i += 2) {
		if ((hi = hex_digit((unsigned char)in[i])) == -1 ||
		    (lo = hex_digit((unsigned char)in[i + 1])) == -1)
			return -1;
		p[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	return (int)(len / 2);
}
