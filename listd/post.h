/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_POST_H
#define FIFE_LISTD_POST_H

/*
 * What the header of a message says to a mailing list, and the header that its members
 * get. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/listconf.h"

#define POST_HEADER_MAX (256 * 1024)
#define POST_SUBJECT_MAX 500
#define POST_NAME_MAX 200

struct post_facts {
	size_t header_len;            /* with its empty line */
	bool complete;                /* the header ends in the buffer */
	char author[ADDRESS_MAX + 1]; /* of From, printed; "": none that could be used */
	char name[POST_NAME_MAX + 1]; /* with it, in UTF-8; "": none */
	char subject[POST_SUBJECT_MAX + 1];
	char message_id[256];
	bool looped;           /* this list has sent it */
	bool auto_reply;       /* RFC 3834: an answer of a program */
	bool report;           /* multipart/report: of delivery, of reading */
	bool tagged;           /* the subject has the list's tag already */
	bool signed_by_author; /* DKIM-Signature of his domain */
};

/* Of buf, which begins with the header and has at most POST_HEADER_MAX octets of it.
 * list: its address. */
void post_read(const char *buf, size_t len, const char *list, const struct listconf *,
    struct post_facts *);

/* A growing text; free() p. bad: no memory, or more than a bound. */
struct text {
	char *p;
	size_t len, cap;
	bool bad;
};
void text_put(struct text *, const char *, size_t);
void text_add(struct text *, const char *, ...) __attribute__((format(printf, 2, 3)));
/* "Name: value" with CRLF, value in UTF-8, encoded where it must be. */
void text_field(struct text *, const char *name, const char *value);

/*
 * The header of the post: fields of this host (prefix), then those of the message but for
 * what a list replaces or removes, then the list's own (RFC 2369, RFC 2919). RFC 8058's
 * and List-Unsubscribe come with each delivery (common/proto/listpost.h).
 */
void post_header(struct text *, const char *prefix, size_t prefix_len, const char *buf,
    const struct post_facts *, const char *list, const struct listconf *);
/* Would the author be replaced in it? */
bool post_rewrites(const struct post_facts *, const char *list, const struct listconf *);

/* List-Id (RFC 2919, 3): LOCAL.DOMAIN. */
void post_list_id(const char *list, char *out, size_t cap);

#endif
