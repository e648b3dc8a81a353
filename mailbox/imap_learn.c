/* SPDX-License-Identifier: ISC */
/* What clients ask of every new message, made while it comes in (store_set_learn()). */
#include <event2/buffer.h>

#include "common/proto/header.h"
#include "mailbox/imap_fetch.h"

void
imap_learn(const uint8_t *octets, size_t len,
    void (*put)(void *, int kind, const uint8_t *, size_t), void *arg)
{
	const char *msg = (const char *)octets;
	struct evbuffer *b = evbuffer_new();
	struct mime_tree *tree;

	if (b == NULL)
		return;
	imap_print_envelope(b, msg, header_section_len(msg, len));
	put(arg, IMAP_CACHE_ENVELOPE, evbuffer_pullup(b, -1), evbuffer_get_length(b));
	if ((tree = mime_parse(msg, len, NULL)) != NULL) {
		evbuffer_drain(b, evbuffer_get_length(b));
		imap_print_structure(b, msg, len, tree, true);
		put(arg, IMAP_CACHE_STRUCTURE, evbuffer_pullup(b, -1),
		    evbuffer_get_length(b));
		mime_free(tree);
	}
	evbuffer_free(b);
}
