/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ARENA_H
#define FIFE_ARENA_H

/* Memory with a bound that is given back all at once, or down to a mark. */

#include <stddef.h>

struct arena;

struct arena_mark {
	void *chunk;
	size_t used;
};

/* NULL: no memory. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *);
/* Zeroed and aligned, or NULL: no memory, or beyond the bound. */
void *arena_alloc(struct arena *, size_t);
/* A copy with a NUL behind it. */
char *arena_copy(struct arena *, const char *, size_t);
/* Whether an allocation has failed for good. */
int arena_failed(const struct arena *);
struct arena_mark arena_mark(struct arena *);
void arena_release(struct arena *, struct arena_mark);

#endif
