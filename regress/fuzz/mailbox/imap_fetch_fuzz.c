/* SPDX-License-Identifier: ISC */
/* FETCH items of the first line against the message after it: sections stay inside. */
#include <event2/buffer.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/imap_fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
	size_t line = nl == NULL ? size : (size_t)(nl - data);
	size_t len = nl == NULL ? 0 : size - line - 1;
	const char *msg = (const char *)data + size - len;
	char *copy = malloc(line + 1);
	struct imap_args a;
	struct imap_items items;
	struct mime_tree *tree = mime_parse(msg, len, NULL);
	struct evbuffer *out = evbuffer_new();

	memcpy(copy, data, line);
	imap_args_init(&a, copy, line);
	if (imap_items_parse(&a, &items) == 0)
		for (size_t i = 0; i < items.n; i++) {
			struct imap_octets o;

			if (items.v[i].kind != IMAP_ITEM_SECTION ||
			    imap_section_get(items.v[i].section, msg, len, tree, &o) ==
				-1)
				continue;
			if (!o.nil && o.owned == NULL &&
			    (o.data < msg || o.data + o.len > msg + len))
				abort();
			if (!o.nil)
				evbuffer_add(out, o.data, o.len);
			free(o.owned);
		}
	else if (a.error == NULL)
		abort();
	imap_items_clear(&items);
	imap_print_envelope(out, msg, len);
	imap_print_structure(out, msg, len, tree, true);
	evbuffer_free(out);
	mime_free(tree);
	free(copy);
	return 0;
}
