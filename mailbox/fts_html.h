/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FTS_HTML_H
#define FIFE_FTS_HTML_H

/*
 * HTML as text, for searching: tags and comments go, those that break a line or a cell
 * become a space, the content of style and script is left out, and character references
 * are resolved. Streaming: the result does not depend on how the input is cut. Malformed
 * input gives some text, never an error.
 */

#include <stdbool.h>
#include <stddef.h>

#define FTS_HTML_NAME 12
#define FTS_HTML_MORE 32 /* what can be held from an earlier piece */

struct fts_html {
	enum {
		FTS_HTML_TEXT,
		FTS_HTML_OPEN, /* after "<" */
		FTS_HTML_TAG,
		FTS_HTML_QUOTE,
		FTS_HTML_COMMENT,
		FTS_HTML_SKIP, /* in style or script */
		FTS_HTML_REFERENCE
	} state;
	char name[FTS_HTML_NAME + 1]; /* of the tag, or of the reference */
	size_t n;
	bool named;    /* the tag's name is complete */
	bool value;    /* an attribute's value comes */
	char quote;    /* that ends it */
	size_t dashes; /* in a row, in a comment */
	size_t end;    /* octets of the end tag that were seen, while skipping */
};

void fts_html_init(struct fts_html *);
/* UTF-8 to UTF-8; out has room for len + FTS_HTML_MORE. Returns the octets written. */
size_t fts_html_feed(struct fts_html *, const char *in, size_t len, char *out);
/* At the end: what was held; out has room for FTS_HTML_MORE. */
size_t fts_html_finish(struct fts_html *, char *out);

#endif
