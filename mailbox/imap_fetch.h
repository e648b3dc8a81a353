/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_FETCH_H
#define FIFE_IMAP_FETCH_H

/* FETCH: the items as parsed, and what they say of a message (RFC 3501, 6.4.5 and 7.4.2).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/imap/imap_parse.h"
#include "common/proto/mime.h"

struct evbuffer;
struct imap;

#define IMAP_FETCH_ITEMS_MAX 100
#define IMAP_FETCH_FIELDS_MAX 200 /* names in one HEADER.FIELDS */

enum imap_item_kind {
	IMAP_ITEM_FLAGS,
	IMAP_ITEM_UID,
	IMAP_ITEM_INTERNALDATE,
	IMAP_ITEM_SIZE,
	IMAP_ITEM_ENVELOPE,
	IMAP_ITEM_BODY, /* without extension data */
	IMAP_ITEM_BODYSTRUCTURE,
	IMAP_ITEM_SECTION,
	IMAP_ITEM_BINARY_SIZE, /* with a section */
	IMAP_ITEM_MODSEQ,
	IMAP_ITEM_EMAILID, /* RFC 8474 */
	IMAP_ITEM_THREADID,
	IMAP_ITEM_SAVEDATE, /* RFC 8514 */
	IMAP_ITEM_PREVIEW,  /* RFC 8970 */
	IMAP_ITEM_PREVIEW_LAZY,
};

enum imap_section_kind {
	IMAP_SECTION_ALL,
	IMAP_SECTION_HEADER,
	IMAP_SECTION_FIELDS,
	IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_MIME,
	IMAP_SECTION_TEXT,
};

struct imap_section {
	enum imap_section_kind kind;
	uint32_t path[MIME_DEPTH_MAX];
	size_t n_path;
	char **fields;
	size_t n_fields;
	bool peek;
	bool binary; /* decoded (RFC 3516) */
	bool partial;
	uint32_t offset, count;
};

struct imap_item {
	enum imap_item_kind kind;
	char *label; /* as in the response; sections only */
	struct imap_section *section;
};

struct imap_items {
	struct imap_item v[IMAP_FETCH_ITEMS_MAX];
	size_t n;
};

/* One item, a list of them, or ALL, FAST, FULL. -1 with a->error; to be cleared in
 * both cases. */
int imap_items_parse(struct imap_args *, struct imap_items *);
int imap_items_add(struct imap_items *, enum imap_item_kind); /* once */
void imap_items_clear(struct imap_items *);

/* A section's text as it stands between "[" and "]"; to be cleared. */
int imap_section_parse(struct imap_args *, struct imap_section *);
void imap_section_clear(struct imap_section *);

/* The octets of a section: borrowed from the message, or made (owned, free()). */
struct imap_octets {
	const char *data;
	size_t len;
	char *owned;
	bool nil; /* there is no such part */
	bool unknown_cte;
	bool decoded;
	size_t whole; /* octets, before <partial> */
	size_t work;  /* octets that were gone through to make it */
};
/* tree: needed for sections with a path, otherwise NULL. -1: no memory. */
int imap_section_get(const struct imap_section *, const char *msg, size_t len,
    const struct mime_tree *, struct imap_octets *);
/* The part that a section is of, the message itself without a path; NULL: none. */
const struct mime_part *imap_section_part(
    const struct imap_section *, const struct mime_tree *);

/* Cached values of a message, by their numbers in the index. */
enum imap_cache {
	IMAP_CACHE_ENVELOPE = 1,
	IMAP_CACHE_STRUCTURE = 2,
	IMAP_CACHE_BODY = 3,
	IMAP_CACHE_EMAILID = 4,
	IMAP_CACHE_THREADID = 5,
	IMAP_CACHE_PREVIEW = 6,
	IMAP_CACHE_SORT = 7, /* imap_sortkey.h */
};

/* imap_learn.c: some of them, of a message that has just come; for store_set_learn(). */
void imap_learn(const uint8_t *, size_t,
    void (*put)(void *, int kind, const uint8_t *, size_t), void *arg);

/* imap_derived.c */
#define IMAP_OBJECTID_MAX 40
/* Told by the content alone, so that copies have the same; ends in NUL. */
void imap_make_emailid(const char *msg, size_t len, char out[IMAP_OBJECTID_MAX]);
/* The same for all messages that refer to the same first one. */
void imap_make_threadid(const char *msg, size_t len, char out[IMAP_OBJECTID_MAX]);
#define IMAP_PREVIEW_CHARS 200
/* The first words of the text, in UTF-8, one line. Returns their length; cap at least
 * IMAP_PREVIEW_CHARS * 4 + 1. */
size_t imap_make_preview(
    const char *msg, size_t len, const struct mime_tree *, char *out, size_t cap);

void imap_print_envelope(struct evbuffer *, const char *header, size_t len);
void imap_print_structure(struct evbuffer *, const char *msg, size_t len,
    const struct mime_tree *, bool extended);
/* Extended, of one part; octets: what is sent of it, perhaps decoded (RFC 5524, 3.2). */
void imap_print_part_structure(struct evbuffer *, const char *msg,
    const struct mime_tree *, const struct mime_part *, const struct imap_octets *);

/* Starts a task that sends the items for the UIDs (taken, also on failure), then "OK
 * done". */
void imap_fetch_start(
    struct imap *, struct imap_items *, uint32_t *uids, size_t n, const char *done);
/* The same without a reply, and without setting \Seen. */
void imap_fetch_announce(struct imap *, struct imap_items *, uint32_t *uids, size_t n);

#endif
