/* SPDX-License-Identifier: ISC */
/*
 * Text search in headers and bodies. Bodies are decoded and compared piece by piece: the
 * memory needed depends on the text that is looked for, not on the message.
 */
#include <stdlib.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/fts_text.h"
#include "mailbox/imap_search.h"
#include "mailbox/sieve/casemap.h"

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
	w->buf = malloc(text_len + IMAP_FOLD_SIZE(FTS_PIECE_MAX));
	return w->buf == NULL ? -1 : 0;
}

static bool
window_feed(void *arg, const char *s, size_t len)
{
	struct window *w = arg;
	size_t keep;

	w->len += imap_fold(s, len, w->buf + w->len, &w->space);
	if (memmem(w->buf, w->len, w->text, w->text_len) != NULL)
		w->found = true;
	keep = w->text_len == 0 ? 0 : w->text_len - 1;
	if (keep > w->len)
		keep = w->len;
	memmove(w->buf, w->buf + w->len - keep, keep);
	w->len = keep;
	return !w->found;
}

static void
window_restart(void *arg)
{
	struct window *w = arg;

	w->len = 0;
	w->space = false;
}

bool
imap_header_find(
    const char *header, size_t len, const char *name, const char *text, size_t text_len)
{
	struct window w;
	struct fts_sink sink = { window_restart, window_feed, &w };

	if (text_len == 0)
		return name == NULL || header_count(header, len, name) > 0;
	if (window_init(&w, text, text_len) == -1)
		return false;
	if (fts_text_fields(&sink, header, len, name) && name != NULL &&
	    fts_text_is_address_field(name))
		(void)fts_text_addresses(&sink, header, len, name);
	free(w.buf);
	return w.found;
}

bool
imap_text_find(const char *msg, size_t len, const struct mime_tree *tree, bool headers,
    const char *text, size_t text_len)
{
	struct window w;
	struct fts_sink sink = { window_restart, window_feed, &w };

	if (text_len == 0)
		return true;
	if (window_init(&w, text, text_len) == -1)
		return false;
	(void)fts_text_message(&sink, msg, len, tree, headers);
	free(w.buf);
	return w.found;
}
