/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FIFECTL_RENDER_H
#define FIFE_FIFECTL_RENDER_H

#include <stdio.h>

#include "fifectl/client.h"

/*
 * Rows of facts to text (aligned tables with a header line, «key: value» lines,
 * plain text) or to a JSON array of objects, with the same facts.
 */

struct render;

/* NULL: no memory. f is borrowed. */
struct render *render_new(FILE *f, int json);
/* Ends what is open: the last table, the array. */
void render_free(struct render *);

/* A row; its fields are copied where they must wait (tables are held back a
 * little for their widths). daemon: named in JSON, NULL for none. */
void render_row(struct render *, const char *daemon, enum ctl_form,
    const struct client_field *, size_t n);
/* Show what is held back. -1 when the output has failed. */
int render_flush(struct render *);
/* A row of kind 's' fields from key, value, ..., NULL. */
void render_words(struct render *, enum ctl_form, const char *key, ...);

#endif
