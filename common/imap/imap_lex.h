/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_LEX_H
#define FIFE_IMAP_LEX_H

/*
 * The lowest layer of IMAP (RFC 9051, 2.2 and 4.3; RFC 7888): bytes to commands. A
 * command is collected as it came, literals included ("{5}\r\nhello"), without its
 * last CRLF, for imap_parse.h to read. Line ends, NUL and sizes are decided here,
 * once. A literal is first announced, and its owner says what becomes of it, so
 * that a message need not be held in memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAP_LINE_MAX 65536
#define IMAP_LITERAL_MAX 65536 /* one held in memory */
#define IMAP_COMMAND_MAX (256 * 1024)
/* A non-synchronising literal up to this size is read and dropped when it is not
 * wanted; beyond that only closing the connection helps (RFC 7888, 4). */
#define IMAP_SKIP_MAX (64 * 1024 * 1024)

enum imap_lex_event {
	IMAP_LEX_MORE,    /* all input was taken, nothing is complete */
	IMAP_LEX_LITERAL, /* announced: literal_size, literal_sync; say what to do with it
			   */
	IMAP_LEX_DATA, /* of a streamed literal: data, data_len, borrowed from the input
			*/
	IMAP_LEX_COMMAND, /* buf, len; then imap_lex_reset() */
	IMAP_LEX_BAD, /* the command was dropped, error says why; then imap_lex_reset() */
	IMAP_LEX_CLOSE, /* what was sent cannot be skipped; error says why */
};

enum imap_lex_state {
	IMAP_LEX_IN_LINE,
	IMAP_LEX_DECIDE,
	IMAP_LEX_IN_LITERAL,
	IMAP_LEX_IN_STREAM,
	IMAP_LEX_IN_SKIP,
};

struct imap_lex {
	char *buf;
	size_t len, cap;
	size_t line; /* where the current line starts in buf */
	size_t line_max, literal_max, command_max;
	enum imap_lex_state state;
	const char *error; /* static text; set while the command is being dropped */
	uint64_t literal_size;
	uint64_t left;
	bool literal_sync;
	const uint8_t *data;
	size_t data_len;
	char tail[32]; /* the end of a line that is being dropped */
	size_t tail_len;
};

void imap_lex_init(
    struct imap_lex *, size_t line_max, size_t literal_max, size_t command_max);
void imap_lex_clear(struct imap_lex *); /* wipes what is held: it may be a password */
void imap_lex_reset(struct imap_lex *);
enum imap_lex_event imap_lex_next(
    struct imap_lex *, const uint8_t *in, size_t len, size_t *used);

/* After IMAP_LEX_LITERAL, one of these. The continuation line is the owner's to send.
 * accept: hold it in the command; -1 when it is beyond the bounds (nothing changed).
 * stream: hand it out as DATA.
 * refuse: the command is over. 0: nothing of the literal will come (reset was done);
 * 1: it comes anyway, and BAD with that error follows when it and the command's rest
 * were read; -1: as 1, but too large to skip: close. */
int imap_lex_accept(struct imap_lex *);
void imap_lex_stream(struct imap_lex *);
int imap_lex_refuse(struct imap_lex *, const char *error);

/* The tag at the start of the command, "*" when there is none that is valid. */
void imap_lex_tag(const struct imap_lex *, char *out, size_t cap);

#endif
