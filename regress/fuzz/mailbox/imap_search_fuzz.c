/* SPDX-License-Identifier: ISC */
/* SEARCH arguments of the first line; each text of them in the message after it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/imap_search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
texts(const struct imap_key *k, const char *msg, size_t len, const struct mime_tree *tree)
{
	for (; k != NULL; k = k->next) {
		if (k->text != NULL) {
			imap_text_find(msg, len, tree, true, k->text, k->text_len);
			imap_header_find(msg, len, k->name, k->text, k->text_len);
		}
		texts(k->child, msg, len, tree);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A NUL, since literals hold line ends. */
	const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
	size_t line = nul == NULL ? size : (size_t)(nul - data);
	size_t len = nul == NULL ? 0 : size - line - 1;
	const char *msg = (const char *)data + size - len;
	char *copy = malloc(line + 1);
	struct imap_args a;
	struct imap_search s;
	struct mime_tree *tree;

	memcpy(copy, data, line);
	imap_args_init(&a, copy, line);
	if (imap_search_parse(&a, &s) == 0) {
		tree = mime_parse(msg, len, NULL);
		texts(s.root, msg, len, tree);
		mime_free(tree);
	} else if (a.error == NULL)
		abort();
	imap_search_clear(&s);
	free(copy);
	return 0;
}
