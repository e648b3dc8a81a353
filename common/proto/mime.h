/* SPDX-License-Identifier: ISC */
/*
 * The MIME structure of a message (RFC 2045, 2046, 2183, 2231, 3282, 2557, 1864): a
 * bounded tree of parts with octet offsets into the message, read in one linear pass;
 * enough for IMAP BODYSTRUCTURE and BODY[section] (RFC 9051, 6.4.5 and 7.5.2).
 *
 * Boundaries: a line matches when it begins with "--" and a boundary that is open (RFC
 * 2046, 5.1.1); of several the longest wins, then the innermost.  An outer boundary
 * closes all parts within.  A closed boundary matches no more: what follows is epilogue.
 * The line end before a boundary line belongs to the boundary.  A multipart without a
 * boundary parameter, without any boundary line, or beyond the bounds has no children and
 * is reported as it is.
 */
#ifndef FIFE_MIME_H
#define FIFE_MIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto/encoding.h"

#define MIME_DEPTH_MAX 50
#define MIME_PARTS_MAX 1000
#define MIME_PARAMS_MAX 64   /* of one field */
#define MIME_STRING_MAX 2048 /* of one value; longer ones are cut */
#define MIME_STRINGS_MAX \
	(1024 * 1024)         /* of all values together; then they are left out */
#define MIME_BOUNDARY_MAX 250 /* RFC 2046 says 70; longer ones are in use */

struct mime_limits {
	unsigned int depth; /* 0 in a member means the default above */
	unsigned int parts;
};

/*
 * Strings belong to the tree, end in NUL, hold no CR, LF or NUL, but may hold octets
 * above 127 in any charset, as the message does.  NULL is absent (NIL).
 */
struct mime_param {
	const char *name;  /* in lower case, "*" suffixes of RFC 2231 kept */
	const char *value; /* quotes removed, RFC 2231 and 2047 not decoded */
};

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,
	MIME_MESSAGE
};

struct mime_part {
	enum mime_kind kind; /* MIME_MESSAGE: its one child is the message within */
	/* Numbers of parts in tree->parts, -1 for none. */
	int parent, child, next;
	unsigned int children;
	unsigned int depth;

	size_t header_off; /* the header runs to body_off, empty line included */
	size_t body_off;
	size_t body_end; /* excluding the line end that belongs to a boundary */
	uint32_t header_lines, body_lines; /* line ends (LF) in each */

	bool has_type;    /* false: type and subtype are the default of RFC 2045, 5.2 */
	const char *type; /* lower case; never NULL */
	const char *subtype; /* lower case; never NULL */
	const struct mime_param *params;
	unsigned int nparams;
	const char *disposition; /* lower case */
	const struct mime_param *disposition_params;
	unsigned int ndisposition_params;
	const char *encoding; /* as written, lower case; NULL: 7bit */
	enum cte cte;
	const char *id;          /* with its angle brackets */
	const char *description; /* unfolded, not decoded */
	const char *md5;
	const char *location;
	const char *language; /* tags, comma and no space between */
};

struct mime_tree {
	struct mime_part *parts; /* parts[0] is the message itself */
	unsigned int nparts;
	bool truncated; /* a bound was reached: some part has no children though it has
			   text */
	bool malformed; /* a boundary was missing or a header incomplete */
	struct mime_arena *arena; /* private */
};

/*
 * Parses all of (buf, len), which is needed no more afterwards except for the offsets.
 * limits may be NULL.  NULL only without memory.  The caller frees.
 */
struct mime_tree *mime_parse(
    const char *buf, size_t len, const struct mime_limits *limits);
void mime_free(struct mime_tree *t);

/*
 * The part of an IMAP section such as 2.1.3 (path of numbers, RFC 9051, 6.4.5.1), or -1.
 * An empty path is the message itself.  A path's last step into something that is no
 * multipart is 1 and names the body: *self is then true and the answer is the
 * message part whose body is meant (BODY[1] of a plain message).
 */
int mime_find(const struct mime_tree *t, const uint32_t *path, size_t n, bool *self);

/* Octets that BODY[...] yields for a part: the text of a message part, the body of
 * others. */
size_t mime_body_len(const struct mime_part *p);

/*
 * Value of a parameter in UTF-8: RFC 2231 continuations and charsets resolved, RFC 2047
 * words in values decoded too (not legal, but common).  The length, or -1 when absent.
 * Cut when cap is too small.
 */
int mime_param_get(const struct mime_param *params, unsigned int n, const char *name,
    char *out, size_t cap);
/* The raw value without any decoding, or NULL. */
const char *mime_param_raw(
    const struct mime_param *params, unsigned int n, const char *name);
/* The file name of a part: filename of the disposition, else name of the type.  As above.
 */
int mime_part_filename(const struct mime_part *p, char *out, size_t cap);

/*
 * Splits "token; name=value; ..." for other fields of this shape (Authentication-Results
 * is not).  The token goes to token in lower case.  Returns the number of parameters;
 * strings are written to store, which params point into.
 */
unsigned int mime_split_params(const char *value, size_t len, char *token,
    size_t token_cap, struct mime_param *params, unsigned int max, char *store,
    size_t store_cap);

#endif
