/* SPDX-License-Identifier: ISC */
/* The octets behind BODY[section]<partial> (RFC 3501, 6.4.5). */
#include <stdlib.h>
#include <string.h>

#include "common/proto/header.h"
#include "mailbox/imap_fetch.h"

static bool
wanted(const struct imap_section *sec, const struct header_field *f)
{
	bool listed = false;

	for (size_t i = 0; i < sec->n_fields && !listed; i++)
		listed = f->name_len > 0 && header_name_is(f, sec->fields[i]);
	return listed == (sec->kind == IMAP_SECTION_FIELDS);
}

/* The chosen fields as they stand, and an empty line. */
static int
fields(const struct imap_section *sec, const char *header, size_t len,
    struct imap_octets *out)
{
	struct header_scan scan;
	struct header_field f;
	char *to;

	if ((to = out->owned = malloc(len + 4)) == NULL)
		return -1;
	header_scan_init(&scan, header, len, true);
	while (header_next(&scan, &f) == HEADER_FIELD) {
		if (!wanted(sec, &f))
			continue;
		memcpy(to, header + f.offset, f.length);
		to += f.length;
		/* a header that ends in the middle of a line */
		if (to[-1] != '\n') {
			memcpy(to, "\r\n", 2);
			to += 2;
		}
	}
	memcpy(to, "\r\n", 2);
	out->data = out->owned;
	out->len = (size_t)(to + 2 - out->owned);
	out->work = len;
	return 0;
}

static int
whole_message(
    const struct imap_section *sec, const char *msg, size_t len, struct imap_octets *out)
{
	size_t header = sec->kind == IMAP_SECTION_ALL ? 0 : header_section_len(msg, len);

	switch (sec->kind) {
	case IMAP_SECTION_ALL:
		out->data = msg;
		out->len = len;
		return 0;
	case IMAP_SECTION_TEXT:
		out->data = msg + header;
		out->len = len - header;
		return 0;
	case IMAP_SECTION_FIELDS:
	case IMAP_SECTION_FIELDS_NOT:
		return fields(sec, msg, header, out);
	default:
		out->data = msg;
		out->len = header;
		return 0;
	}
}

/* Without its transfer encoding (RFC 3516). */
static int
decode(const struct mime_part *p, struct imap_octets *out)
{
	size_t cap = out->len + 1024, used, made, n = 0;
	struct cte_decoder d;
	const char *s = out->data;
	size_t len = out->len;

	if (p->cte == CTE_UNKNOWN) {
		out->nil = out->unknown_cte = true;
		return 0;
	}
	if (p->kind != MIME_LEAF || p->cte == CTE_7BIT || p->cte == CTE_8BIT ||
	    p->cte == CTE_BINARY)
		return 0;
	if ((out->owned = malloc(cap)) == NULL)
		return -1;
	cte_init(&d, p->cte);
	while (len > 0) {
		cte_feed(&d, s, len, out->owned + n, cap - n, &used, &made);
		s += used;
		len -= used;
		n += made;
		if (used == 0 && made == 0)
			break;
	}
	if (cap - n >= 512)
		n += cte_finish(&d, out->owned + n, cap - n);
	out->work = out->len;
	out->data = out->owned;
	out->len = n;
	out->decoded = true;
	return 0;
}

const struct mime_part *
imap_section_part(const struct imap_section *sec, const struct mime_tree *tree)
{
	bool self;
	int i = sec->n_path == 0 ? 0 : mime_find(tree, sec->path, sec->n_path, &self);
	const struct mime_part *p = i < 0 ? NULL : &tree->parts[i];

	/* The header and text of the message within (RFC 3501, 6.4.5). */
	if (p != NULL && sec->n_path > 0 && sec->kind != IMAP_SECTION_ALL &&
	    sec->kind != IMAP_SECTION_MIME)
		p = p->kind == MIME_MESSAGE && p->child >= 0 ? &tree->parts[p->child]
							     : NULL;
	return p;
}

static int
part(const struct imap_section *sec, const char *msg, const struct mime_tree *tree,
    struct imap_octets *out)
{
	const struct mime_part *p = imap_section_part(sec, tree);

	if (p == NULL) {
		out->nil = true;
		return 0;
	}
	switch (sec->kind) {
	case IMAP_SECTION_ALL:
		out->data = msg + p->body_off;
		out->len = p->body_end - p->body_off;
		return sec->binary ? decode(p, out) : 0;
	case IMAP_SECTION_TEXT:
		out->data = msg + p->body_off;
		out->len = p->body_end - p->body_off;
		return 0;
	case IMAP_SECTION_FIELDS:
	case IMAP_SECTION_FIELDS_NOT:
		return fields(sec, msg + p->header_off, p->body_off - p->header_off, out);
	default:
		out->data = msg + p->header_off;
		out->len = p->body_off - p->header_off;
		return 0;
	}
}

int
imap_section_get(const struct imap_section *sec, const char *msg, size_t len,
    const struct mime_tree *tree, struct imap_octets *out)
{
	memset(out, 0, sizeof(*out));
	if (sec->n_path == 0) {
		if (whole_message(sec, msg, len, out) == -1)
			return -1;
	} else if (part(sec, msg, tree, out) == -1)
		return -1;
	out->whole = out->len;
	if (sec->partial && !out->nil) {
		size_t skip = sec->offset < out->len ? sec->offset : out->len;

		out->data += skip;
		out->len -= skip;
		if (out->len > sec->count)
			out->len = sec->count;
	}
	return 0;
}
