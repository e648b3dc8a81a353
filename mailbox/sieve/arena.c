/* SPDX-License-Identifier: ISC */
/* Chunks of growing size in a list, the newest first; see arena.h. */
#include "mailbox/sieve/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN (8 * 1024)
#define CHUNK_STEP (1024 * 1024)

struct chunk {
	struct chunk *next; /* older */
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *top;
	size_t total, max;
	int failed;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->max = max;
	return a;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_release(a, (struct arena_mark){ NULL, 0 });
	free(a);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct chunk *c = a->top;
	void *p;

	if (n > a->max)
		goto fail;
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (c == NULL || c->size - c->used < n) {
		size_t size = c == NULL ? CHUNK_MIN : c->size * 2;

		if (size > CHUNK_STEP)
			size = CHUNK_STEP;
		if (size < n)
			size = n;
		if (size > a->max - a->total || (c = malloc(sizeof(*c) + size)) == NULL)
			goto fail;
		c->size = size;
		c->used = 0;
		c->next = a->top;
		a->top = c;
		a->total += size;
	}
	p = c->data + c->used;
	c->used += n;
	memset(p, 0, n);
	return p;
fail:
	a->failed = 1;
	return NULL;
}

char *
arena_copy(struct arena *a, const char *s, size_t len)
{
	char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

	if (p != NULL && len > 0)
		memcpy(p, s, len);
	return p;
}

int
arena_failed(const struct arena *a)
{
	return a->failed;
}

struct arena_mark
arena_mark(struct arena *a)
{
	return (struct arena_mark){ a->top, a->top != NULL ? a->top->used : 0 };
}

void
arena_release(struct arena *a, struct arena_mark m)
{
	struct chunk *c;

	while ((c = a->top) != NULL && c != m.chunk) {
		a->top = c->next;
		a->total -= c->size;
		free(c);
	}
	if (c != NULL)
		c->used = m.used;
}
