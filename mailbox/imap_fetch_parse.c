/* SPDX-License-Identifier: ISC */
/* The arguments of FETCH (RFC 3501, 9: fetch-att); see imap_fetch.h. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"

static struct imap_item *
add(struct imap_args *a, struct imap_items *items, enum imap_item_kind kind)
{
	struct imap_item *it;

	if (items->n == IMAP_FETCH_ITEMS_MAX) {
		imap_fail(a, "Too many FETCH items");
		return NULL;
	}
	it = &items->v[items->n++];
	memset(it, 0, sizeof(*it));
	it->kind = kind;
	return it;
}

static struct imap_section *
add_section(struct imap_args *a, struct imap_items *items, enum imap_section_kind kind)
{
	struct imap_item *it = add(a, items, IMAP_ITEM_SECTION);

	if (it == NULL)
		return NULL;
	if ((it->section = calloc(1, sizeof(*it->section))) == NULL) {
		imap_fail(a, "Out of memory");
		return NULL;
	}
	it->section->kind = kind;
	return it->section;
}

int
imap_items_add(struct imap_items *items, enum imap_item_kind kind)
{
	struct imap_args none = { 0 };

	for (size_t i = 0; i < items->n; i++)
		if (items->v[i].kind == kind)
			return 0;
	if (add(&none, items, kind) == NULL)
		return -1;
	/* In front of any literal, where simple clients look for it. */
	if (kind == IMAP_ITEM_UID) {
		struct imap_item last = items->v[items->n - 1];

		memmove(items->v + 1, items->v, (items->n - 1) * sizeof(*items->v));
		items->v[0] = last;
	}
	return 0;
}

void
imap_section_clear(struct imap_section *sec)
{
	for (size_t k = 0; k < sec->n_fields; k++)
		free(sec->fields[k]);
	free(sec->fields);
	sec->fields = NULL;
	sec->n_fields = 0;
}

void
imap_items_clear(struct imap_items *items)
{
	for (size_t i = 0; i < items->n; i++) {
		struct imap_section *sec = items->v[i].section;

		free(items->v[i].label);
		if (sec != NULL)
			imap_section_clear(sec);
		free(sec);
	}
	items->n = 0;
}

/* "(" names ")"; each also goes to the label. */
static int
field_names(struct imap_args *a, struct imap_section *sec, struct evbuffer *label)
{
	if (imap_sp(a) == -1 || imap_char(a, '(') == -1)
		return -1;
	if ((sec->fields = calloc(IMAP_FETCH_FIELDS_MAX, sizeof(char *))) == NULL)
		return imap_fail(a, "Out of memory");
	evbuffer_add(label, " (", 2);
	do {
		struct imap_str v;

		if (sec->n_fields == IMAP_FETCH_FIELDS_MAX)
			return imap_fail(a, "Too many header field names");
		if (imap_astring(a, &v) == -1)
			return -1;
		if (v.len == 0 || v.len > 998 || memchr(v.s, '\0', v.len) != NULL)
			return imap_fail(a, "Invalid header field name");
		if ((sec->fields[sec->n_fields] = strndup(v.s, v.len)) == NULL)
			return imap_fail(a, "Out of memory");
		if (sec->n_fields++ > 0)
			evbuffer_add(label, " ", 1);
		for (size_t i = 0;; i++) {
			if (i == v.len) {
				evbuffer_add(label, v.s, v.len);
				break;
			}
			if (!imap_is_atom_char((unsigned char)v.s[i])) {
				imap_print_string(label, v.s, v.len);
				break;
			}
		}
	} while (imap_try_char(a, ' '));
	evbuffer_add(label, ")", 1);
	return imap_char(a, ')');
}

static int
section_text(struct imap_args *a, struct imap_section *sec, struct evbuffer *label)
{
	static const struct {
		const char *name;
		enum imap_section_kind kind;
	} kinds[] = {
		{ "HEADER", IMAP_SECTION_HEADER },
		{ "HEADER.FIELDS", IMAP_SECTION_FIELDS },
		{ "HEADER.FIELDS.NOT", IMAP_SECTION_FIELDS_NOT },
		{ "TEXT", IMAP_SECTION_TEXT },
		{ "MIME", IMAP_SECTION_MIME },
	};
	size_t start = a->pos;
	struct imap_str v;

	while (a->pos < a->len && imap_is_atom_char((unsigned char)a->buf[a->pos]))
		a->pos++;
	v.s = a->buf + start;
	v.len = a->pos - start;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!imap_str_is(&v, kinds[i].name))
			continue;
		sec->kind = kinds[i].kind;
		if (sec->kind == IMAP_SECTION_MIME && sec->n_path == 0)
			break;
		evbuffer_add_printf(label, "%s", kinds[i].name);
		if (sec->kind == IMAP_SECTION_FIELDS ||
		    sec->kind == IMAP_SECTION_FIELDS_NOT)
			return field_names(a, sec, label);
		return 0;
	}
	return imap_fail(a, "Unknown section");
}

/* What stands between "[" and "]"; at the end of the arguments it may be empty too. */
static int
section_spec(struct imap_args *a, struct imap_section *sec, struct evbuffer *label)
{
	bool dot = false;

	while (imap_peek(a) >= '0' && imap_peek(a) <= '9') {
		uint32_t n;

		if (imap_number(a, &n) == -1)
			return -1;
		if (n == 0 || sec->n_path == MIME_DEPTH_MAX)
			return imap_fail(a, "Invalid section");
		evbuffer_add_printf(label, "%s%u", dot ? "." : "", n);
		sec->path[sec->n_path++] = n;
		dot = imap_try_char(a, '.');
		if (!dot)
			break;
	}
	if (dot || (sec->n_path == 0 && imap_peek(a) != ']' && imap_peek(a) != -1)) {
		if (dot)
			evbuffer_add(label, ".", 1);
		return section_text(a, sec, label);
	}
	return 0;
}

int
imap_section_parse(struct imap_args *a, struct imap_section *sec)
{
	struct evbuffer *label = evbuffer_new();
	int rv;

	if (label == NULL)
		return imap_fail(a, "Out of memory");
	rv = section_spec(a, sec, label);
	evbuffer_free(label);
	return rv;
}

/* After "[": the section and "]", and perhaps "<offset.count>". */
static int
section(struct imap_args *a, struct imap_section *sec, struct evbuffer *label)
{
	if (section_spec(a, sec, label) == -1)
		return -1;
	if (imap_char(a, ']') == -1)
		return -1;
	evbuffer_add(label, "]", 1);
	if (imap_try_char(a, '<')) {
		if (imap_number(a, &sec->offset) == -1)
			return -1;
		sec->count = UINT32_MAX;
		/* Without a count it goes to the end; only for BINARY. */
		if ((!sec->binary || imap_peek(a) != '>') &&
		    (imap_char(a, '.') == -1 || imap_number(a, &sec->count) == -1))
			return -1;
		if (sec->count == 0)
			return imap_fail(a, "Zero octets asked for");
		sec->partial = true;
		evbuffer_add_printf(label, "<%u>", sec->offset);
		return imap_char(a, '>');
	}
	return 0;
}

/* What stands before "[". */
static const struct section_name {
	const char *name, *label;
	bool peek, binary, size;
} section_names[] = {
	{ "BODY", "BODY[", false, false, false },
	{ "BODY.PEEK", "BODY[", true, false, false },
	{ "BINARY", "BINARY[", false, true, false },
	{ "BINARY.PEEK", "BINARY[", true, true, false },
	{ "BINARY.SIZE", "BINARY.SIZE[", true, true, true },
};
#define N_SECTION_NAMES (sizeof(section_names) / sizeof(section_names[0]))

static int
body_section(
    struct imap_args *a, struct imap_items *items, const struct section_name *name)
{
	struct imap_section *sec = add_section(a, items, IMAP_SECTION_ALL);
	struct evbuffer *label;
	char *text;
	size_t len;
	int rv = -1;

	if (sec == NULL)
		return -1;
	sec->peek = name->peek;
	sec->binary = name->binary;
	if (name->size)
		items->v[items->n - 1].kind = IMAP_ITEM_BINARY_SIZE;
	if ((label = evbuffer_new()) == NULL)
		return imap_fail(a, "Out of memory");
	evbuffer_add_printf(label, "%s", name->label);
	if (section(a, sec, label) == 0) {
		len = evbuffer_get_length(label);
		if ((text = malloc(len + 1)) == NULL)
			imap_fail(a, "Out of memory");
		else {
			evbuffer_remove(label, text, len);
			text[len] = '\0';
			items->v[items->n - 1].label = text;
			rv = 0;
		}
	}
	evbuffer_free(label);
	return rv;
}

/* "PREVIEW" has perhaps " (LAZY)" behind it (RFC 8970, 3.1). */
static int
preview(struct imap_args *a, struct imap_items *items)
{
	static const char lazy[] = " (LAZY)";
	struct imap_str v = { a->buf + a->pos, sizeof(lazy) - 1 };
	enum imap_item_kind kind = IMAP_ITEM_PREVIEW;

	if (a->len - a->pos >= v.len && imap_str_is(&v, lazy)) {
		a->pos += v.len;
		kind = IMAP_ITEM_PREVIEW_LAZY;
	}
	return add(a, items, kind) == NULL ? -1 : 0;
}

static int
item(struct imap_args *a, struct imap_items *items)
{
	static const struct {
		const char *name;
		enum imap_item_kind kind;
		enum imap_section_kind section;
		bool peek;
	} names[] = {
		{ "FLAGS", IMAP_ITEM_FLAGS, 0, false },
		{ "UID", IMAP_ITEM_UID, 0, false },
		{ "INTERNALDATE", IMAP_ITEM_INTERNALDATE, 0, false },
		{ "RFC822.SIZE", IMAP_ITEM_SIZE, 0, false },
		{ "ENVELOPE", IMAP_ITEM_ENVELOPE, 0, false },
		{ "BODY", IMAP_ITEM_BODY, 0, false },
		{ "BODYSTRUCTURE", IMAP_ITEM_BODYSTRUCTURE, 0, false },
		{ "MODSEQ", IMAP_ITEM_MODSEQ, 0, false },
		{ "EMAILID", IMAP_ITEM_EMAILID, 0, false },
		{ "THREADID", IMAP_ITEM_THREADID, 0, false },
		{ "SAVEDATE", IMAP_ITEM_SAVEDATE, 0, false },
		{ "PREVIEW", IMAP_ITEM_PREVIEW, 0, false },
		{ "RFC822", IMAP_ITEM_SECTION, IMAP_SECTION_ALL, false },
		{ "RFC822.HEADER", IMAP_ITEM_SECTION, IMAP_SECTION_HEADER, true },
		{ "RFC822.TEXT", IMAP_ITEM_SECTION, IMAP_SECTION_TEXT, false },
	};
	size_t start = a->pos;
	struct imap_str v;

	/* "[" is an atom character: a name ends there all the same. */
	while (a->pos < a->len && a->buf[a->pos] != '[' &&
	       imap_is_atom_char((unsigned char)a->buf[a->pos]))
		a->pos++;
	v.s = a->buf + start;
	v.len = a->pos - start;
	if (imap_peek(a) == '[') {
		for (size_t i = 0; i < N_SECTION_NAMES; i++)
			if (imap_str_is(&v, section_names[i].name)) {
				a->pos++;
				return body_section(a, items, &section_names[i]);
			}
		return imap_fail(a, "Unknown FETCH item");
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct imap_section *sec;

		if (!imap_str_is(&v, names[i].name))
			continue;
		if (names[i].kind == IMAP_ITEM_PREVIEW)
			return preview(a, items);
		if (names[i].kind != IMAP_ITEM_SECTION)
			return add(a, items, names[i].kind) == NULL ? -1 : 0;
		if ((sec = add_section(a, items, names[i].section)) == NULL)
			return -1;
		sec->peek = names[i].peek;
		if ((items->v[items->n - 1].label = strdup(names[i].name)) == NULL)
			return imap_fail(a, "Out of memory");
		return 0;
	}
	return imap_fail(a, v.len == 0 ? "Missing FETCH item" : "Unknown FETCH item");
}

/* ALL, FAST, FULL stand alone. */
static int
macro(struct imap_args *a, struct imap_items *items)
{
	size_t start = a->pos;
	struct imap_str v;
	int n;

	if (imap_atom(a, &v) == -1)
		return -1;
	n = imap_str_is(&v, "FAST") ? 3 : imap_str_is(&v, "ALL") ? 4 : 0;
	if (imap_str_is(&v, "FULL"))
		n = 5;
	if (n == 0) {
		a->pos = start;
		return item(a, items);
	}
	imap_items_add(items, IMAP_ITEM_FLAGS);
	imap_items_add(items, IMAP_ITEM_INTERNALDATE);
	imap_items_add(items, IMAP_ITEM_SIZE);
	if (n > 3)
		imap_items_add(items, IMAP_ITEM_ENVELOPE);
	if (n > 4)
		imap_items_add(items, IMAP_ITEM_BODY);
	return 0;
}

int
imap_items_parse(struct imap_args *a, struct imap_items *items)
{
	items->n = 0;
	if (!imap_try_char(a, '('))
		return macro(a, items);
	do {
		if (item(a, items) == -1)
			return -1;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}
