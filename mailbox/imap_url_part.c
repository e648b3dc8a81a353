/* SPDX-License-Identifier: ISC */
/* The octets that an IMAP URL names; see imap_url.h. */
#include <stdlib.h>

#include "common/compat/compat.h"
#include "mailbox/imap_fetch.h"
#include "mailbox/imap_url.h"

int
imap_url_octets(const struct imap_url *u, bool binary, const struct content *c,
    struct imap_octets *out)
{
	struct imap_section sec = { 0 };
	struct mime_tree *tree = NULL;
	char text[IMAP_URL_MAX];
	struct imap_args a;
	int rv = -1;

	(void)strlcpy(text, u->section, sizeof(text));
	imap_args_init(&a, text, strlen(text));
	if (imap_section_parse(&a, &sec) == 0 && imap_end(&a) == 0) {
		sec.binary = binary;
		sec.partial = u->has_partial;
		sec.offset = u->offset;
		sec.count = u->count == 0 ? UINT32_MAX : u->count;
		if (sec.n_path > 0)
			tree = mime_parse((const char *)c->data, c->len, NULL);
		if (sec.n_path == 0 || tree != NULL)
			rv = imap_section_get(
			    &sec, (const char *)c->data, c->len, tree, out);
		if (rv == 0 && out->nil)
			rv = -1;
		mime_free(tree);
	}
	imap_section_clear(&sec);
	return rv;
}
