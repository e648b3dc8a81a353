/* SPDX-License-Identifier: ISC */
/* A growing text; see post.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/rfc2047.h"
#include "listd/post.h"

#define TEXT_MAX (2 * POST_HEADER_MAX)

void
text_put(struct text *t, const char *s, size_t len)
{
	if (t->bad || len > TEXT_MAX - t->len) {
		t->bad = true;
		return;
	}
	if (t->len + len > t->cap) {
		size_t cap = t->cap == 0 ? 4096 : t->cap;
		char *p;

		while (cap < t->len + len)
			cap *= 2;
		if ((p = realloc(t->p, cap)) == NULL) {
			t->bad = true;
			return;
		}
		t->p = p;
		t->cap = cap;
	}
	if (len > 0)
		memcpy(t->p + t->len, s, len);
	t->len += len;
}

void
text_add(struct text *t, const char *fmt, ...)
{
	char buf[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf))
		t->bad = true;
	else
		text_put(t, buf, (size_t)n);
}

void
text_field(struct text *t, const char *name, const char *value)
{
	char clean[1024], out[4096];
	size_t n = 0;

	/* Nothing in it begins another field. */
	for (; *value != '\0' && n + 1 < sizeof(clean); value++)
		clean[n++] = (unsigned char)*value < ' ' || *value == 0x7f ? ' ' : *value;
	clean[n] = '\0';
	if (rfc2047_encode(clean, n, strlen(name) + 2, out, sizeof(out)) == -1)
		t->bad = true;
	else
		text_add(t, "%s: %s\r\n", name, out);
}
