/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_HTTP_H
#define FIFE_POLICYD_HTTP_H

/*
 * The answer of a web server (RFC 9112), octets in, the body of one text/plain
 * document out; pure and bounded. Redirections are refused (RFC 8461, 3.3), so is every
 * status but 200.
 */

#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 4096
#define HTTP_HEAD_MAX 32768
#define HTTP_BODY_MAX 65536

enum http_state {
	HTTP_STATUS,
	HTTP_HEADER,
	HTTP_BODY, /* of known length */
	HTTP_UNTIL_CLOSE,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK,
	HTTP_CHUNK_END,
	HTTP_TRAILER,
	HTTP_DONE,
	HTTP_BAD
};

struct http {
	enum http_state state;
	int status;
	int posted; /* the status is all that counts, and 2xx is good */
	int plain;  /* text/plain */
	int chunked;
	int has_length;
	uint64_t left; /* of the body or the chunk */
	char line[HTTP_LINE_MAX + 1];
	size_t line_len;
	size_t head; /* octets of lines so far */
	size_t body_len;
	char body[HTTP_BODY_MAX];
	const char *why; /* HTTP_BAD */
};

void http_init(struct http *, int posted);
/* 1: done, 0: needs more, -1: bad. */
int http_push(struct http *, const uint8_t *, size_t);
/* The server closed: 1 or -1. */
int http_eof(struct http *);

#endif
