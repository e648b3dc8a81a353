/* SPDX-License-Identifier: ISC */
/* A message's text for searching, piece by piece; see fts_text.h. */
#include "mailbox/fts_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/proto/addrlist.h"
#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/fts_html.h"

#define PIECE 8192
#define FIELD_MAX 65536
#define NAME_MAX_OCTETS 256
#define FILENAME_MAX_OCTETS 2048

_Static_assert(PIECE + FTS_HTML_MORE <= FTS_PIECE_MAX, "a piece of HTML fits");

/* Any length, cut between characters. */
static bool
feed_all(const struct fts_sink *sink, const char *s, size_t len)
{
	while (len > 0) {
		size_t piece = utf8_cut(s, len, PIECE);

		if (piece == 0)
			piece = len < PIECE ? len : PIECE;
		if (!sink->feed(sink->arg, s, piece))
			return false;
		s += piece;
		len -= piece;
	}
	return true;
}

bool
fts_text_fields(
    const struct fts_sink *sink, const char *header, size_t len, const char *name)
{
	struct header_scan scan;
	struct header_field f;

	header_scan_init(&scan, header, len, true);
	while (header_next(&scan, &f) == HEADER_FIELD) {
		size_t in = f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX,
		       cap = in * 3 + 4, n;
		char *value;
		bool more = true;

		if (name != NULL && (f.name_len == 0 || !header_name_is(&f, name)))
			continue;
		if ((value = malloc(cap)) == NULL)
			return false;
		n = header_decode(f.value, in, value, cap);
		sink->restart(sink->arg);
		if (name == NULL)
			more = sink->feed(sink->arg, f.name,
				   f.name_len < NAME_MAX_OCTETS ? f.name_len
								: NAME_MAX_OCTETS) &&
			       sink->feed(sink->arg, ": ", 2);
		more = more && feed_all(sink, value, n);
		free(value);
		if (!more)
			return false;
	}
	return true;
}

bool
fts_text_is_address_field(const char *name)
{
	static const char *const names[] = { "From", "To", "Cc", "Bcc", "Sender",
		"Reply-To" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
wanted_addresses(const struct header_field *f, const char *name)
{
	char own[16];

	if (f->name_len == 0 || (memchr(f->value, '(', f->value_len) == NULL &&
				    memchr(f->value, '"', f->value_len) == NULL))
		return false;
	if (name != NULL)
		return header_name_is(f, name);
	if (f->name_len >= sizeof(own))
		return false;
	memcpy(own, f->name, f->name_len);
	own[f->name_len] = '\0';
	return fts_text_is_address_field(own);
}

bool
fts_text_addresses(
    const struct fts_sink *sink, const char *header, size_t len, const char *name)
{
	struct header_scan scan;
	struct header_field f;
	struct addrlist_item it;
	struct addrlist l;
	char text[1100];

	header_scan_init(&scan, header, len, true);
	while (header_next(&scan, &f) == HEADER_FIELD) {
		if (!wanted_addresses(&f, name))
			continue;
		addrlist_init(
		    &l, f.value, f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX);
		while (addrlist_next(&l, &it) == 1) {
			int n;

			if (it.kind != ADDRLIST_MAILBOX)
				continue;
			n = snprintf(text, sizeof(text), it.has_host ? "<%s@%s>" : "<%s>",
			    it.local, it.host);
			sink->restart(sink->arg);
			if (n > 0 && (size_t)n < sizeof(text) &&
			    !sink->feed(sink->arg, text, (size_t)n))
				return false;
		}
	}
	return true;
}

/* ---- text parts ---- */

struct leaf {
	const struct fts_sink *sink;
	struct charset_conv conv;
	struct fts_html html;
	bool is_html;
};

static bool
feed_utf8(struct leaf *l, const char *utf8, size_t len)
{
	char text[PIECE + FTS_HTML_MORE];

	if (!l->is_html)
		return len == 0 || l->sink->feed(l->sink->arg, utf8, len);
	len = fts_html_feed(&l->html, utf8, len, text);
	return len == 0 || l->sink->feed(l->sink->arg, text, len);
}

static bool
feed_decoded(struct leaf *l, const char *s, size_t len, bool last)
{
	char utf8[PIECE];
	size_t used, made;

	do {
		charset_conv_feed(
		    &l->conv, s, len, last, utf8, sizeof(utf8), &used, &made);
		if (!feed_utf8(l, utf8, made))
			return false;
		s += used;
		len -= used;
	} while ((len > 0 || (last && made > 0)) && (used > 0 || made > 0));
	return true;
}

static bool
feed_leaf(const struct fts_sink *sink, const char *msg, const struct mime_part *p)
{
	struct leaf l = { .sink = sink };
	struct cte_decoder cte;
	const char *charset = mime_param_raw(p->params, p->nparams, "charset");
	const char *s = msg + p->body_off;
	size_t len = p->body_end - p->body_off, n;
	char plain[PIECE], rest[FTS_HTML_MORE];

	if (charset == NULL)
		charset = "us-ascii";
	charset_conv_init(&l.conv, charset, strlen(charset));
	fts_html_init(&l.html);
	l.is_html = strcmp(p->type, "text") == 0 && strcmp(p->subtype, "html") == 0;
	cte_init(&cte, p->cte);
	sink->restart(sink->arg);
	while (len > 0) {
		size_t used, made;

		cte_feed(&cte, s, len < PIECE ? len : PIECE, plain, sizeof(plain), &used,
		    &made);
		if (!feed_decoded(&l, plain, made, false))
			return false;
		if (used == 0 && made == 0)
			break;
		s += used;
		len -= used;
	}
	n = cte_finish(&cte, plain, sizeof(plain));
	if (!feed_decoded(&l, plain, n, true))
		return false;
	n = l.is_html ? fts_html_finish(&l.html, rest) : 0;
	return n == 0 || sink->feed(sink->arg, rest, n);
}

/* Names that RFC 2231 encodes are not in the fields as anybody would type them. */
static bool
feed_filename(const struct fts_sink *sink, const struct mime_part *p)
{
	char name[FILENAME_MAX_OCTETS];
	int n = mime_part_filename(p, name, sizeof(name));

	if (n <= 0)
		return true;
	sink->restart(sink->arg);
	return feed_all(sink, name, strnlen(name, sizeof(name)));
}

bool
fts_text_message(const struct fts_sink *sink, const char *msg, size_t len,
    const struct mime_tree *tree, bool headers)
{
	for (unsigned int i = 0; i < tree->nparts; i++) {
		const struct mime_part *p = &tree->parts[i];

		if ((i > 0 || headers) && !fts_text_fields(sink, msg + p->header_off,
					      p->body_off - p->header_off, NULL))
			return false;
		if (!feed_filename(sink, p))
			return false;
		if (p->kind == MIME_LEAF &&
		    (strcmp(p->type, "text") == 0 || strcmp(p->type, "message") == 0) &&
		    !feed_leaf(sink, msg, p))
			return false;
	}
	return true;
}
