/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_REPLY_H
#define FIFE_IMAP_REPLY_H

/*
 * What an IMAP server says, in pieces (RFC 9051, 7): the other half of imap_lex.h. A line
 * comes whole up to IMAP_REPLY_PIECE, a longer one in parts; octets of literals as they
 * are there. The server is another user's process: nothing of it is believed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

#define IMAP_REPLY_PIECE 65536

enum imap_reply_event {
	IMAP_REPLY_MORE, /* nothing to be had */
	IMAP_REPLY_LINE, /* s, len: with its line end when it has come; first, last */
	IMAP_REPLY_DATA, /* len octets of a literal */
};

struct imap_reply {
	/* the piece; in the buffer until it is taken */
	const char *s; /* NULL for DATA */
	size_t len;
	bool first;       /* a response begins with it */
	bool last;        /* and ends with it */
	uint64_t literal; /* a literal of that size follows; else 0 (also for "{0}") */
	bool has_literal;

	/* inside */
	bool inside; /* of a response */
	bool text;   /* it ends in text for people, where nothing is a literal */
	uint64_t left;
};

void imap_reply_init(struct imap_reply *);
/* Looks; the same again until it is taken. */
enum imap_reply_event imap_reply_next(struct imap_reply *, struct evbuffer *in);
/* Take the piece out of the buffer, to out, or NULL to drop it. At most max octets of
 * DATA; the rest comes as DATA again. */
void imap_reply_take(
    struct imap_reply *, struct evbuffer *in, struct evbuffer *out, size_t max);

/*
 * Is that the completion of a command with this tag ("" for a continuation)? The word
 * that follows it, "OK" and so on, and the text behind.
 */
bool imap_reply_is(const struct imap_reply *, const char *tag);
/* OK of a tagged line. */
bool imap_reply_ok(const struct imap_reply *, const char *tag);

/* What may be told to a client of an untagged response's first line. */
enum imap_reply_kind {
	IMAP_REPLY_BAD, /* nothing that may come here: the server is not to be trusted */
	IMAP_REPLY_IGNORE,   /* nothing for the client */
	IMAP_REPLY_STATUS,   /* OK, NO, BAD with a code that is harmless */
	IMAP_REPLY_SELECTED, /* of the selected mailbox */
	IMAP_REPLY_MAILBOX,  /* names a mailbox: see imap_reply_names() */
	IMAP_REPLY_BYE,
};
enum imap_reply_kind imap_reply_kind(const struct imap_reply *);
/* Of IMAP_REPLY_SELECTED: what a SEARCH, SORT or THREAD has found; of ESEARCH, which also
 * tells of changes, only with a tag that begins so. */
bool imap_reply_is_result(const struct imap_reply *, const char *tag_prefix);
/* Does a response of IMAP_REPLY_MAILBOX, or a quota root, name something below prefix (in
 * the form of the wire)? */
bool imap_reply_names(const struct imap_reply *, const char *prefix);
/* "[CODE ...]" of OK, NO and BAD that a client may see: not what makes it go elsewhere,
 * believe in other capabilities, or show a text in alarm. */
bool imap_reply_code_is_harmless(const char *text, size_t len);
/* One whole list in parentheses, of lists, strings and atoms, without the line's end. */
bool imap_reply_is_list(const char *, size_t len);

#endif
