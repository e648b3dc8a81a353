/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_REPLY_H
#define FIFE_DELIVERD_REPLY_H

/*
 * Replies of an SMTP server (RFC 5321, 4.2), octets in, one reply out. Pure and
 * bounded: text beyond the room is dropped, endless replies are broken. A bare LF ends a
 * line as well: there is nothing to smuggle in a reply, and mail waits.
 */

#include <stddef.h>
#include <stdint.h>

#define REPLY_TEXT_MAX 4095
#define REPLY_OCTETS_MAX 65536
#define REPLY_ENHANCED_MAX 15

struct reply {
	int code;                              /* 200 to 599 */
	char enhanced[REPLY_ENHANCED_MAX + 1]; /* RFC 3463, "" when there is none */
	/* The lines without codes, each but the last ended by '\n'; printable UTF-8. */
	char text[REPLY_TEXT_MAX + 1];

	/* While it comes in. */
	size_t len;    /* of text */
	size_t octets; /* of the whole reply so far */
	size_t column; /* of the present line */
	char head[4];  /* its first octets */
	unsigned int lines;
	int cr;
	int complete;
};

void reply_init(struct reply *);
/*
 * Takes octets up to the end of the reply; *used is set. 1: complete (reply_init()
 * before the next), 0: needs more, -1: this is not SMTP.
 */
int reply_push(struct reply *, const uint8_t *, size_t len, size_t *used);

/* "550 5.1.1 no such user" on one line; truncates between characters. */
void reply_format(const struct reply *, char *out, size_t cap);

#endif
