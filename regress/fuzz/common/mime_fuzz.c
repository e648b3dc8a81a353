/* SPDX-License-Identifier: ISC */
/* The tree is well formed and within the message; every part can be found and named. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
count_lf(const uint8_t *s, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\n';
	return n;
}

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static void
check_part(const struct mime_tree *t, const uint8_t *data, size_t size, int i)
{
	const struct mime_part *p = &t->parts[i];
	size_t from = p->body_off;
	unsigned int n = 0;
	char out[100];

	require(p->header_off <= p->body_off && p->body_off <= p->body_end &&
		p->body_end <= size);
	require(p->header_lines ==
		count_lf(data + p->header_off, p->body_off - p->header_off));
	require(p->body_lines == count_lf(data + p->body_off, mime_body_len(p)));
	require(
	    p->kind == MIME_MULTIPART || (p->kind == MIME_MESSAGE) == (p->children == 1));
	for (int c = p->child; c != -1; c = t->parts[c].next) {
		require(
		    c > i && t->parts[c].parent == i && t->parts[c].header_off >= from);
		from = t->parts[c].body_end;
		n++;
	}
	require(n == p->children);
	for (unsigned int k = 0; k < p->nparams; k++)
		mime_param_get(
		    p->params, p->nparams, p->params[k].name, out, sizeof(out));
	mime_part_filename(p, out, sizeof(out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mime_limits limits = { .depth = 6, .parts = 20 };
	struct mime_param params[4];
	struct mime_tree *t;
	char token[16], store[64];
	uint32_t path[4];
	bool self;

	t = mime_parse((const char *)data, size, size % 2 ? &limits : NULL);
	if (t == NULL)
		return 0;
	require(t->nparts >= 1);
	for (unsigned int i = 0; i < t->nparts; i++)
		check_part(t, data, size, (int)i);
	for (size_t i = 0; i < 4; i++)
		path[i] = size > i ? data[i] % 4 : 1;
	for (size_t n = 0; n <= 4; n++)
		require(mime_find(t, path, n, &self) < (int)t->nparts);
	mime_free(t);
	mime_split_params((const char *)data, size, token, sizeof(token), params, 4,
	    store, size % (sizeof(store) + 1));
	return 0;
}
