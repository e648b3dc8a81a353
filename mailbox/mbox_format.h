/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_MBOX_FORMAT_H
#define FIFE_MAILBOX_MBOX_FORMAT_H

/*
 * The mbox form (RFC 4155) in its mboxrd kind: every line of ">"s and "From " gets one
 * more ">". Lines end in LF there and in CRLF here. Flags go as Status, X-Status and
 * X-Keywords fields that are the first of the message; the reader takes those away
 * again. Without them it understands those of other programs further down, which stay.
 * Both sides work on pieces of any size. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

struct mbox_writer {
	size_t quotes; /* ">"s at the beginning of this line that are held back */
	int matched;   /* octets of "From " after them; -1: the line goes as it is */
	bool cr;       /* held back */
	bool text;     /* something is on this line */
};
/* keywords: separated by a space, "" for none. internal: seconds since 1970. text: how
 * the message begins, at least its first 16 octets. */
void mbox_write_begin(struct mbox_writer *, struct evbuffer *, const char *sender,
    int64_t internal, uint8_t flags, const char *keywords, const uint8_t *text, size_t);
void mbox_write(struct mbox_writer *, struct evbuffer *, const uint8_t *, size_t);
void mbox_write_end(struct mbox_writer *, struct evbuffer *);

#define MBOX_LINE_MAX 1024 /* that much of a line is looked at */
#define MBOX_KEYWORDS_MAX 1024

/* Nonzero: enough; the reader passes it on. */
struct mbox_sink {
	/* internal: of the From line, -1 when it has none. */
	int (*begin)(void *, int64_t internal);
	int (*data)(void *, const uint8_t *, size_t);
	int (*end)(void *, uint8_t flags, const char *keywords);
};

struct mbox_reader {
	const struct mbox_sink *sink;
	void *arg;
	uint8_t line[MBOX_LINE_MAX];
	size_t len;
	bool started; /* the file's first line was a From line */
	bool mid;     /* line is the rest of a longer one */
	bool blank;   /* an empty line is held back: it may be the separator's */
	bool leading; /* only From and status lines so far */
	bool in_header;
	bool fresh, crlf; /* its first line tells how all of them end */
	int last_status;  /* of the leading ones */
	uint8_t flags;
	char keywords[MBOX_KEYWORDS_MAX];
};
void mbox_reader_init(struct mbox_reader *, const struct mbox_sink *, void *arg);
/* 0; -1: not an mbox; or what the sink returned. */
int mbox_reader_feed(struct mbox_reader *, const uint8_t *, size_t);
int mbox_reader_finish(struct mbox_reader *);

/* "From sender date": the date, or -1 when the line does not begin a message. */
int mbox_from_line(const char *, size_t, int64_t *internal);

#endif
