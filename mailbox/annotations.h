/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_ANNOTATIONS_H
#define FIFE_MAILBOX_ANNOTATIONS_H

/*
 * Annotations of a folder or of the whole mailbox (RFC 5464): names and values, in a
 * file fife-metadata of the folder's directory, or fife-metadata-server in Maildir.
 * Records: name, space, length, line end, that many octets, line end.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

#define ANNOTATIONS_MAX 200
#define ANNOTATION_NAME_MAX 255
#define ANNOTATION_VALUE_MAX 65536
#define ANNOTATIONS_BYTES (1024 * 1024) /* of one file */

struct annotation {
	char *name; /* "/private/..." or "/shared/...", in lower case */
	uint8_t *value;
	size_t len;
};

struct annotations {
	struct annotation v[ANNOTATIONS_MAX];
	size_t n;
};

/* folder NULL: of the mailbox as a whole. To be cleared in any case. */
enum store_error annotations_load(struct store *, struct folder *, struct annotations *);
/* On the disk before it returns. */
enum store_error annotations_save(
    struct store *, struct folder *, const struct annotations *);
void annotations_clear(struct annotations *);
/* value NULL: removed. STORE_LIMIT: too many. */
enum store_error annotations_set(
    struct annotations *, const char *name, const void *value, size_t len);

/* What a file holds. -1: not that. */
int annotations_parse(const uint8_t *, size_t, struct annotations *);
/* A name in lower case, or -1: not one (RFC 5464, 3.2). */
int annotation_name(const char *, size_t, char out[ANNOTATION_NAME_MAX + 1]);

#endif
