/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_LEX_H
#define FIFE_SMTP_LEX_H

/*
 * Octets to command lines (RFC 5321, 2.3.8): only CR LF ends a line. A bare CR or
 * LF, a NUL or too many octets make the line a fault, and reading goes on
 * behind its CR LF.
 */

#include <stddef.h>

/* Octets with CR LF. RFC 5321, 4.5.3.1.4 has 512 and lets extensions add to it;
 * RFC 4954, 4 wants 12288 for AUTH. */
#define SMTP_LINE_MAX 2048
#define SMTP_AUTH_LINE_MAX 12288

enum smtp_lex_result {
	SMTP_LEX_MORE, /* everything was taken, the line goes on */
	SMTP_LEX_LINE, /* buf and len hold it, without CR LF, with a NUL behind */
	SMTP_LEX_LONG,
	SMTP_LEX_NUL,
	SMTP_LEX_BARE_CR,
	/* Told at once, because who sends it waits for an answer and sends no CR LF. The
	 * rest up to CR LF is skipped without another word, unless there are more of
	 * them. */
	SMTP_LEX_BARE_LF,
	SMTP_LEX_MEMORY
};

struct smtp_lex {
	char *buf; /* valid until the next call */
	size_t len;
	size_t cap;
	int fault; /* of the present line: enum smtp_lex_result, 0 none */
	int cr;
	int done;
	int auth; /* set by the owner: the next lines are AUTH responses */
};

void smtp_lex_init(struct smtp_lex *);
void smtp_lex_clear(struct smtp_lex *);
/* Takes octets up to the end of one line at most. */
enum smtp_lex_result smtp_lex_feed(
    struct smtp_lex *, const char *in, size_t len, size_t *used);

#endif
