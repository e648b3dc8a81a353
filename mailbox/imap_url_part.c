/* SPDX-License-Identifier: ISC */
/* What an IMAP URL names of a message; see imap_url.h. */
#include <event2/buffer.h>
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_url.h"

/* A header is no part: it is told as what it is when it stands for itself. */
static void
print_header_structure(struct evbuffer *out, const struct imap_octets *octets)
{
	size_t lines = 0;
	bool high = false;

	for (size_t i = 0; i < octets->len; i++) {
		lines += octets->data[i] == '\n';
		high |= (unsigned char)octets->data[i] >= 0x80;
	}
	evbuffer_add_printf(out,
	    "(\"text\" \"rfc822-headers\" NIL NIL NIL \"%s\" %zu %zu NIL NIL NIL NIL)",
	    high ? "8bit" : "7bit", octets->len, lines);
}

static int
get(const struct imap_section *sec, unsigned int items, const struct content *c,
    struct imap_octets *out, struct evbuffer *structure)
{
	const char *msg = (const char *)c->data;
	bool part = sec->kind == IMAP_SECTION_ALL || sec->kind == IMAP_SECTION_TEXT;
	bool asked = (items & IMAP_URL_STRUCTURE) != 0;
	struct mime_tree *tree = NULL;
	int rv = -1;

	if ((sec->n_path > 0 || (asked && part)) &&
	    (tree = mime_parse(msg, c->len, NULL)) == NULL)
		return -1;
	if (imap_section_get(sec, msg, c->len, tree, out) == 0)
		rv = out->nil && !out->unknown_cte ? -1 : 0;
	if (rv == 0 && asked && part)
		imap_print_part_structure(
		    structure, msg, tree, imap_section_part(sec, tree), out);
	else if (rv == 0 && asked)
		print_header_structure(structure, out);
	mime_free(tree);
	return rv;
}

int
imap_url_items(const struct imap_url *u, unsigned int items, const struct content *c,
    struct imap_octets *out, struct evbuffer *structure)
{
	struct imap_section sec = { 0 };
	char text[IMAP_URL_MAX];
	struct imap_args a;
	int rv = -1;

	(void)strlcpy(text, u->section, sizeof(text));
	imap_args_init(&a, text, strlen(text));
	if (imap_section_parse(&a, &sec) == 0 && imap_end(&a) == 0) {
		sec.binary = (items & IMAP_URL_BINARY) != 0;
		sec.partial = u->has_partial;
		sec.offset = u->offset;
		sec.count = u->count == 0 ? UINT32_MAX : u->count;
		rv = get(&sec, items, c, out, structure);
	}
	imap_section_clear(&sec);
	return rv;
}

int
imap_url_octets(
    const struct imap_url *u, const struct content *c, struct imap_octets *out)
{
	return imap_url_items(u, IMAP_URL_BODY, c, out, NULL);
}
