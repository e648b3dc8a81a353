/* SPDX-License-Identifier: ISC */
/* Decoded text of a message; see text.h. */
#include "filterd/text.h"

#include <stdlib.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/mime.h"

#define CHUNK 8192

struct sink {
	char *buf;
	size_t len;
	size_t cap; /* without the NUL */
};

static void
convert(struct sink *s, struct charset_conv *conv, const char *in, size_t len, int last)
{
	size_t at = 0;

	do {
		size_t used, made;

		if (s->cap - s->len < 64)
			return;
		charset_conv_feed(conv, in + at, len - at, last, s->buf + s->len,
		    s->cap - s->len, &used, &made);
		at += used;
		s->len += made;
		if (used == 0 && made == 0)
			return;
	} while (at < len);
}

static void
part_text(struct sink *s, const char *message, const struct mime_part *p)
{
	char charset[CHARSET_NAME_MAX + 1], plain[CHUNK];
	struct charset_conv conv;
	struct cte_decoder decoder;
	size_t at = p->body_off;
	int n =
	    mime_param_get(p->params, p->nparams, "charset", charset, sizeof(charset));

	charset_conv_init(
	    &conv, n > 0 ? charset : "us-ascii", n > 0 ? strlen(charset) : 8);
	cte_init(&decoder, p->cte);
	while (at < p->body_end && s->cap - s->len >= 64) {
		size_t used, made;

		cte_feed(&decoder, message + at, p->body_end - at, plain, sizeof(plain),
		    &used, &made);
		at += used;
		convert(s, &conv, plain, made, 0);
		if (used == 0 && made == 0)
			break;
	}
	convert(s, &conv, plain, cte_finish(&decoder, plain, sizeof(plain)), 1);
	if (s->len < s->cap)
		s->buf[s->len++] = '\n';
}

char *
filter_text(const char *message, size_t len, size_t max, size_t *out_len)
{
	struct mime_tree *tree = mime_parse(message, len, NULL);
	struct sink s = { .cap = max };

	*out_len = 0;
	if (tree == NULL || (s.buf = malloc(max + 1)) == NULL) {
		mime_free(tree);
		return NULL;
	}
	for (unsigned int i = 0; i < tree->nparts; i++)
		if (tree->parts[i].kind == MIME_LEAF &&
		    strcmp(tree->parts[i].type, "text") == 0)
			part_text(&s, message, &tree->parts[i]);
	mime_free(tree);
	s.buf[s.len] = '\0';
	*out_len = s.len;
	return s.buf;
}
