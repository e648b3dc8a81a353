/* SPDX-License-Identifier: ISC */
/* Encoded words, read tolerantly, written strictly. */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/rfc2047.h"

#define WORD_TEXT 63 /* of 75, less "=?UTF-8?Q?" and "?=" */

struct word {
	const char *charset, *text;
	size_t charset_len, text_len;
	char encoding; /* 'b' or 'q' */
	size_t len;    /* of the whole */
};

struct sink {
	char *out;
	size_t cap, n; /* cap without the NUL */
	bool full;
};

/* Control characters from encoded words must not break the line they end up in. */
static void
put(struct sink *k, const char *s, size_t len)
{
	size_t fit = utf8_cut(s, len, k->cap - k->n);

	if (k->full)
		return;
	k->full = fit < len;
	for (size_t i = 0; i < fit; i++) {
		unsigned char c = (unsigned char)s[i];

		k->out[k->n++] = (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c;
	}
}

/*
 * s starts with "=?".  The text may hold spaces, which RFC 2047 forbids and people send,
 * and is looked for only up to the next "?", which keeps the whole linear.
 */
static bool
word_parse(const char *s, size_t len, struct word *w)
{
	const char *p = s + 2, *end = s + len, *q, *star;

	if ((q = memchr(p, '?', (size_t)(end - p) < 128 ? (size_t)(end - p) : 128)) ==
		NULL ||
	    q == p)
		return false;
	w->charset = p;
	w->charset_len = (size_t)(q - p);
	if ((star = memchr(p, '*', w->charset_len)) != NULL)
		w->charset_len = (size_t)(star - p);
	p = q + 1;
	if (end - p < 4 || p[1] != '?')
		return false;
	w->encoding = (char)ascii_lower((unsigned char)p[0]);
	if (w->encoding != 'b' && w->encoding != 'q')
		return false;
	w->text = p + 2;
	if ((q = memchr(w->text, '?', (size_t)(end - w->text))) == NULL || q + 1 == end ||
	    q[1] != '=')
		return false;
	w->text_len = (size_t)(q - w->text);
	w->len = (size_t)(q + 2 - s);
	return true;
}

static void
convert(struct charset_conv *conv, const char *in, size_t len, bool last, struct sink *k)
{
	char tmp[512];
	size_t used, made;

	do {
		charset_conv_feed(conv, in, len, last, tmp, sizeof(tmp), &used, &made);
		put(k, tmp, made);
		in += used;
		len -= used;
	} while (len > 0 && (used > 0 || made > 0));
}

/* In pieces, so that a word of any length needs no room. */
static void
word_decode(const struct word *w, struct charset_conv *conv, struct sink *k)
{
	struct cte_decoder d;
	char bytes[600];
	size_t i = 0, used, made;
	int n;

	if (w->encoding == 'b') {
		cte_init(&d, CTE_BASE64);
		for (; i < w->text_len; i += used) {
			cte_feed(&d, w->text + i, w->text_len - i, bytes, sizeof(bytes),
			    &used, &made);
			convert(conv, bytes, made, false, k);
		}
		return;
	}
	while (i < w->text_len) {
		used = w->text_len - i < 512 ? w->text_len - i : 512;
		/* Do not cut an escape. */
		if (used == 512 && w->text[i + 511] == '=')
			used -= 1;
		else if (used == 512 && w->text[i + 510] == '=')
			used -= 2;
		n = qp_decode_word(w->text + i, used, bytes, sizeof(bytes));
		made = 0;
		for (int j = 0; j < n; j++) {
			if (bytes[j] != '\r' && bytes[j] != '\n')
				bytes[made++] = bytes[j];
		}
		convert(conv, bytes, made, false, k);
		i += used;
	}
}

/* Text outside of words; line ends of folds are left out. */
static void
put_raw(struct sink *k, const char *s, size_t len)
{
	char tmp[1024];
	struct charset_conv conv;
	const char *charset = utf8_valid(s, len) ? "utf-8" : "windows-1252";
	size_t n;

	charset_conv_init(&conv, charset, strlen(charset));
	for (size_t i = 0; i < len;) {
		for (n = 0; i < len && n < sizeof(tmp); i++) {
			if (s[i] != '\r' && s[i] != '\n' && s[i] != '\0')
				tmp[n++] = s[i];
		}
		convert(&conv, tmp, n, i == len, k);
	}
}

static bool
is_blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '\n')
			return false;
	}
	return true;
}

size_t
rfc2047_decode(const char *in, size_t len, char *out, size_t cap)
{
	struct sink k = { .out = out, .cap = cap - 1 };
	struct charset_conv conv;
	struct word w, prev = { 0 };
	const char *p;
	bool in_word = false;
	size_t raw = 0, i = 0;

	if (cap == 0)
		return 0;
	while (i < len && !k.full) {
		if ((p = memchr(in + i, '=', len - i)) == NULL)
			break;
		i = (size_t)(p - in);
		if (len - i < 2 || p[1] != '?' || !word_parse(p, len - i, &w)) {
			i++;
			continue;
		}
		if (!in_word || !is_blank(in + raw, i - raw)) {
			if (in_word)
				convert(&conv, "", 0, true, &k);
			put_raw(&k, in + raw, i - raw);
			in_word = false;
		}
		if (in_word && (prev.charset_len != w.charset_len ||
				   memcmp(prev.charset, w.charset, w.charset_len) != 0)) {
			convert(&conv, "", 0, true, &k);
			in_word = false;
		}
		if (!in_word)
			charset_conv_init(&conv, w.charset, w.charset_len);
		in_word = true;
		prev = w;
		word_decode(&w, &conv, &k);
		i += w.len;
		raw = i;
	}
	if (in_word)
		convert(&conv, "", 0, true, &k);
	put_raw(&k, in + raw, len - raw);
	out[k.n] = '\0';
	return k.n;
}

static bool
needs_encoding(const char *in, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];

		if ((c < 0x20 && c != '\t') || c >= 0x7f ||
		    (c == '=' && i + 1 < len && in[i + 1] == '?'))
			return true;
	}
	return false;
}

/* Legal in a phrase as well as in text (RFC 2047, 5, (3)). */
static bool
q_literal(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || (c != '\0' && strchr("!*+-/", c) != NULL);
}

static size_t
q_width(unsigned char c)
{
	return q_literal(c) || c == ' ' ? 1 : 3;
}

/* Whole characters from in that fit one word whose text may have room octets. */
static size_t
word_take(const char *in, size_t len, bool b, size_t room)
{
	size_t n = 0, width = 0, step, w;
	uint32_t c;

	while (n < len) {
		if ((step = utf8_get(in + n, len - n, &c)) == 0)
			step = 1;
		w = 0;
		for (size_t i = 0; !b && i < step; i++)
			w += q_width((unsigned char)in[n + i]);
		width = b ? (n + step + 2) / 3 * 4 : width + w;
		if (width > room)
			break;
		n += step;
	}
	return n;
}

int
rfc2047_encode(const char *in, size_t len, size_t column, char *out, size_t cap)
{
	size_t n = 0, take, room, q = 0;
	bool b;
	int rc;

	if (!needs_encoding(in, len)) {
		if (len >= cap || len > INT_MAX)
			return -1;
		memcpy(out, in, len);
		out[len] = '\0';
		return (int)len;
	}
	for (size_t i = 0; i < len; i++)
		q += q_width((unsigned char)in[i]);
	b = q > (len + 2) / 3 * 4;
	for (size_t i = 0; i < len; i += take) {
		/* 12 octets of the word's frame; lines of at most 76. */
		room = column + 12 + 12 > 76 ? 0 : 76 - 12 - column;
		if (room > WORD_TEXT)
			room = WORD_TEXT;
		take = room == 0 ? 0 : word_take(in + i, len - i, b, room);
		if (cap - n < 3 + 12 + WORD_TEXT + 1 || n > INT_MAX - 100)
			return -1;
		if (i > 0 || take == 0) {
			memcpy(out + n, "\r\n ", 3);
			n += 3;
			take = word_take(in + i, len - i, b, WORD_TEXT);
		}
		memcpy(out + n, b ? "=?UTF-8?B?" : "=?UTF-8?Q?", 10);
		n += 10;
		if (b) {
			rc = base64_encode(in + i, take, out + n, cap - n);
			n += rc > 0 ? (size_t)rc : 0;
		}
		for (size_t j = i; !b && j < i + take; j++) {
			unsigned char c = (unsigned char)in[j];

			if (q_literal(c) || c == ' ')
				out[n++] = c == ' ' ? '_' : (char)c;
			else {
				out[n++] = '=';
				out[n++] = "0123456789ABCDEF"[c >> 4];
				out[n++] = "0123456789ABCDEF"[c & 15];
			}
		}
		memcpy(out + n, "?=", 2);
		n += 2;
		column = 76;
	}
	out[n] = '\0';
	return (int)n;
}
