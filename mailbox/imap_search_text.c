/* SPDX-License-Identifier: ISC */
/*
 * Text search in headers and bodies. Bodies are decoded and compared piece by piece: the
 * memory needed depends on the text that is looked for, not on the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/proto/addrlist.h"
#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/imap_search.h"
#include "mailbox/sieve/casemap.h"

#define PIECE 8192
#define FIELD_MAX 65536

/* Han, Kana, Hangul and what lies between: no case, and never taken apart here. */
static bool
is_plain(uint32_t c)
{
	return (c >= 0x3130 && c <= 0xa63f) || (c >= 0xac00 && c <= 0xd7ff);
}

/* i;unicode-casemap (RFC 5051); ASCII comes out small, which is as good. */
static size_t
fold_char(uint32_t c, char *out)
{
	uint32_t to[CASEMAP_MAX];
	size_t n = 0, k = 1;

	if (is_plain(c))
		to[0] = c;
	else
		k = casemap_fold(c, to);
	for (size_t i = 0; i < k; i++) {
		if (to[i] >= 'A' && to[i] <= 'Z')
			to[i] += 'a' - 'A';
		n += utf8_put(to[i], out + n);
	}
	return n;
}

size_t
imap_fold(const char *in, size_t len, char *out, bool *space)
{
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		unsigned char a = (unsigned char)in[i];
		size_t used;
		uint32_t c;

		if (a > ' ' && a < 0x80) {
			out[n++] = (char)(a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a);
			*space = false;
			i++;
			continue;
		}
		used = utf8_get(in + i, len - i, &c);
		if (used == 0) { /* not UTF-8: as it is */
			out[n++] = in[i++];
			*space = false;
			continue;
		}
		i += used;
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xa0) {
			if (!*space)
				out[n++] = ' ';
			*space = true;
			continue;
		}
		*space = false;
		n += fold_char(c, out + n);
	}
	return n;
}

/* A window over folded text: what a match could begin with is kept. */
struct window {
	const char *text;
	size_t text_len;
	char *buf; /* what is kept, and a folded piece */
	size_t len;
	bool space;
	bool found;
};

static int
window_init(struct window *w, const char *text, size_t text_len)
{
	memset(w, 0, sizeof(*w));
	w->text = text;
	w->text_len = text_len;
	w->found = text_len == 0;
	w->buf = malloc(text_len + IMAP_FOLD_SIZE(PIECE));
	return w->buf == NULL ? -1 : 0;
}

/* At most PIECE octets at once. */
static void
window_feed(struct window *w, const char *s, size_t len)
{
	size_t keep;

	w->len += imap_fold(s, len, w->buf + w->len, &w->space);
	if (memmem(w->buf, w->len, w->text, w->text_len) != NULL)
		w->found = true;
	keep = w->text_len == 0 ? 0 : w->text_len - 1;
	if (keep > w->len)
		keep = w->len;
	memmove(w->buf, w->buf + w->len - keep, keep);
	w->len = keep;
}

static void
window_restart(struct window *w)
{
	w->len = 0;
	w->space = false;
}

static void
find_in_fields(struct window *w, const char *header, size_t len, const char *name)
{
	struct header_scan scan;
	struct header_field f;

	header_scan_init(&scan, header, len, true);
	while (!w->found && header_next(&scan, &f) == HEADER_FIELD) {
		size_t in = f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX,
		       cap = in * 3 + 4, n;
		char *value;

		if (name != NULL && (f.name_len == 0 || !header_name_is(&f, name)))
			continue;
		if ((value = malloc(cap)) == NULL)
			return;
		n = header_decode(f.value, in, value, cap);
		window_restart(w);
		if (name == NULL) {
			window_feed(w, f.name, f.name_len < 256 ? f.name_len : 256);
			window_feed(w, ": ", 2);
		}
		for (size_t at = 0; at < n && !w->found;) {
			size_t piece = utf8_cut(value + at, n - at, PIECE);

			if (piece == 0)
				piece = n - at < PIECE ? n - at : PIECE;
			window_feed(w, value + at, piece);
			at += piece;
		}
		free(value);
	}
}

static bool
is_address_field(const char *name)
{
	static const char *const names[] = { "From", "To", "Cc", "Bcc", "Sender",
		"Reply-To" };

	for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Addresses as ENVELOPE has them, without comments and quotes inside: what people look
 * for (RFC 3501, 6.4.4: "in the envelope structure's FROM field"). */
static void
find_in_addresses(struct window *w, const char *header, size_t len, const char *name)
{
	struct header_scan scan;
	struct header_field f;
	struct addrlist_item it;
	struct addrlist l;
	char text[1100];

	header_scan_init(&scan, header, len, true);
	while (!w->found && header_next(&scan, &f) == HEADER_FIELD) {
		if (f.name_len == 0 || !header_name_is(&f, name) ||
		    (memchr(f.value, '(', f.value_len) == NULL &&
			memchr(f.value, '"', f.value_len) == NULL))
			continue;
		addrlist_init(
		    &l, f.value, f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX);
		while (!w->found && addrlist_next(&l, &it) == 1) {
			int n;

			if (it.kind != ADDRLIST_MAILBOX)
				continue;
			n = snprintf(text, sizeof(text), it.has_host ? "<%s@%s>" : "<%s>",
			    it.local, it.host);
			window_restart(w);
			if (n > 0 && (size_t)n < sizeof(text))
				window_feed(w, text, (size_t)n);
		}
	}
}

bool
imap_header_find(
    const char *header, size_t len, const char *name, const char *text, size_t text_len)
{
	struct window w;

	if (text_len == 0)
		return name == NULL || header_count(header, len, name) > 0;
	if (window_init(&w, text, text_len) == -1)
		return false;
	find_in_fields(&w, header, len, name);
	if (!w.found && is_address_field(name))
		find_in_addresses(&w, header, len, name);
	free(w.buf);
	return w.found;
}

static void
find_decoded(
    struct window *w, struct charset_conv *conv, const char *s, size_t len, bool last)
{
	char utf8[PIECE];
	size_t used, made;

	do {
		charset_conv_feed(conv, s, len, last, utf8, sizeof(utf8), &used, &made);
		window_feed(w, utf8, made);
		s += used;
		len -= used;
	} while (!w->found && (len > 0 || (last && made > 0)) && (used > 0 || made > 0));
}

static void
find_in_leaf(struct window *w, const char *msg, const struct mime_part *p)
{
	struct cte_decoder cte;
	struct charset_conv conv;
	const char *charset = mime_param_raw(p->params, p->nparams, "charset");
	const char *s = msg + p->body_off;
	size_t len = p->body_end - p->body_off;
	char plain[PIECE];

	if (charset == NULL)
		charset = "us-ascii";
	charset_conv_init(&conv, charset, strlen(charset));
	cte_init(&cte, p->cte);
	window_restart(w);
	while (len > 0 && !w->found) {
		size_t used, made;

		cte_feed(&cte, s, len < PIECE ? len : PIECE, plain, sizeof(plain), &used,
		    &made);
		find_decoded(w, &conv, plain, made, false);
		if (used == 0 && made == 0)
			break;
		s += used;
		len -= used;
	}
	if (!w->found)
		find_decoded(
		    w, &conv, plain, cte_finish(&cte, plain, sizeof(plain)), true);
}

bool
imap_text_find(const char *msg, size_t len, const struct mime_tree *tree, bool headers,
    const char *text, size_t text_len)
{
	struct window w;

	if (text_len == 0)
		return true;
	if (window_init(&w, text, text_len) == -1)
		return false;
	for (unsigned int i = 0; i < tree->nparts && !w.found; i++) {
		const struct mime_part *p = &tree->parts[i];

		if (i > 0 || headers)
			find_in_fields(
			    &w, msg + p->header_off, p->body_off - p->header_off, NULL);
		if (!w.found && p->kind == MIME_LEAF &&
		    (strcmp(p->type, "text") == 0 || strcmp(p->type, "message") == 0))
			find_in_leaf(&w, msg, p);
	}
	free(w.buf);
	return w.found;
}
