/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FTS_TEXT_H
#define FIFE_FTS_TEXT_H

/*
 * The text of a message as searching sees it, in UTF-8: header fields with encoded words
 * undone, names of attachments, text parts with transfer encoding and charset undone,
 * HTML as text. The scan and the search index both read it from here, so that they can
 * never differ.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/mime.h"

#define FTS_PIECE_MAX 8256 /* octets given at once */

struct fts_sink {
	/* What follows does not belong to what was before. */
	void (*restart)(void *);
	/* A piece, not folded. false: no more is wanted. */
	bool (*feed)(void *, const char *, size_t);
	void *arg;
};

/* All return false when the sink did, or without memory. */

/* Fields of that name, values only; NULL: all fields, as "Name: value". */
bool fts_text_fields(
    const struct fts_sink *, const char *header, size_t len, const char *name);
/* Is it one of those whose addresses are also searched as ENVELOPE has them? */
bool fts_text_is_address_field(const char *name);
/* The addresses in fields of that name as <local@host>, without comments and quotes
 * inside: what people look for (RFC 3501, 6.4.4: "in the envelope structure's FROM
 * field"). NULL: of all such fields. */
bool fts_text_addresses(
    const struct fts_sink *, const char *header, size_t len, const char *name);
/* Body and headers of parts; with headers also the message's own header. */
bool fts_text_message(const struct fts_sink *, const char *msg, size_t len,
    const struct mime_tree *, bool headers);

#endif
