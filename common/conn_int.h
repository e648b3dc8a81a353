/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CONN_INT_H
#define FIFE_CONN_INT_H

/* What conn.c and conn_tls.c share; nobody else includes it. */

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/conn.h"

enum conn_state {
	CONN_S_CONNECTING,
	CONN_S_PLAIN,
	CONN_S_SWITCHING, /* TLS is next, once the plain output is out */
	CONN_S_HANDSHAKE,
	CONN_S_TLS,
	CONN_S_LINGER, /* conn_close(): all is said, the peer's end is awaited */
	CONN_S_FAILED
};

struct conn {
	struct event_base *base;
	int fd;
	enum conn_state state;
	struct event *ev_read;
	struct event *ev_write;
	struct event *ev_timer;
	struct event *ev_again; /* input that lies in the SSL; made when needed */
	struct evbuffer *in;
	struct evbuffer *out;
	struct evbuffer *plain; /* what must go out before TLS begins */
	size_t input_max;
	conn_cb cb;
	void *arg;
	SSL *ssl;
	unsigned int busy; /* frames of ours on the stack: not to be released */
	unsigned int freed : 1;
	unsigned int reading : 1; /* ev_read is added */
	unsigned int writing : 1; /* inside on_write() */
	unsigned int paused : 1;
	unsigned int full : 1;
	unsigned int eof : 1;
	unsigned int closing : 1;
	unsigned int parting : 1; /* conn_part() */
	unsigned int ask_certificate : 1;
	unsigned int flight : 1; /* the handshake waits for the peer's */
	unsigned int corked : 1; /* a session ticket waits for what is said first */
	unsigned int read_wants_write : 1;
	unsigned int write_wants_read : 1;
	unsigned int bad_certificate : 1;
	unsigned int marks : 1;  /* one may come: conn_mark.c */
	unsigned int marked : 1; /* the last read ended with it */
	uint64_t close_at;       /* monotonic ms: the end of conn_close()'s patience */
	size_t discarded;        /* octets read while lingering */
	char error[160];
	char peer[46]; /* as text, once asked for */
	uint16_t peer_port;
};

/* read(2), and c->marked when the last octet is a mark's. */
ssize_t conn_mark_read(struct conn *, void *, size_t cap);

/* Results of one step of I/O. */
enum conn_io {
	CONN_IO_DONE,
	CONN_IO_WAIT,
	CONN_IO_EOF,
	CONN_IO_ERROR
};

/* Reads once, or as much as the SSL has: at most what is missing to input_max. *got:
 * octets. */
enum conn_io conn_tls_read(struct conn *, uint8_t *chunk, size_t cap, size_t *got);
/* Writes from c->out until it is empty (DONE) or a turn's share is out (WAIT). */
enum conn_io conn_tls_flush(struct conn *);
enum conn_io conn_tls_handshake(struct conn *);
/* Sends close_notify. DONE also when that cannot be. */
enum conn_io conn_tls_shutdown(struct conn *);

/* What was held back goes. */
void conn_tls_uncork(struct conn *);

/* From conn.c: set events according to the state. */
void conn_update_read(struct conn *);
void conn_kick_write(struct conn *);

#endif
