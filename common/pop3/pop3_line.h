/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_LINE_H
#define FIFE_POP3_LINE_H

/* Octets to the command lines of POP3 (RFC 1939, 3): CRLF ends a line, nothing else does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POP3_LINE_MAX 512        /* RFC 2449, 4: 255; some clients send more */
#define POP3_AUTH_LINE_MAX 12288 /* base64 of a SASL response */

enum pop3_line_event {
	POP3_LINE_MORE, /* all input was taken */
	POP3_LINE,      /* buf, len: without CRLF, with a NUL; no NUL inside */
	POP3_LINE_BAD,  /* a line was dropped; error says why */
};

struct pop3_line {
	char *buf;
	size_t len, cap;
	size_t max; /* may be changed between lines */
	bool ended; /* buf is handed out */
	const char *error;
};

void pop3_line_init(struct pop3_line *, size_t max);
void pop3_line_clear(struct pop3_line *); /* wipes: it may be a password */
enum pop3_line_event pop3_line_next(
    struct pop3_line *, const uint8_t *in, size_t len, size_t *used);

/* Splits off the command word in place: returns the argument ("" if none). */
char *pop3_split(char *line);

#endif
