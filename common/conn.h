/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CONN_H
#define FIFE_CONN_H

/*
 * A stream connection on libevent, with or without TLS: buffers with high and
 * low water, a deadline, and a handful of events. It knows no protocol. Freed
 * by its owner at any time, also from inside its callback.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct event_base;
struct evbuffer;
struct conn;
struct ssl_ctx_st; /* SSL_CTX */

enum conn_event {
	CONN_CONNECTED, /* conn_connect() succeeded */
	CONN_TLS_READY, /* handshake done */
	CONN_INPUT,     /* there is (more) input in conn_input() */
	CONN_LOW_WATER, /* all output has been handed to the kernel */
	CONN_EOF,       /* the peer closed its side; input that came before was told */
	CONN_MARK,      /* the peer's conn_send_mark(): input before it was told */
	CONN_TIMEOUT,   /* the deadline passed; it is unset then */
	CONN_ERROR      /* socket or TLS error, conn_error() says what; nothing follows */
};

typedef void (*conn_cb)(struct conn *, enum conn_event, void *arg);

/* Takes fd (non-blocking from here on). input_max: reading stops while that many
 * octets lie unread. NULL: no memory, fd closed. */
struct conn *conn_new(struct event_base *, int fd, size_t input_max, conn_cb, void *arg);
/* Start connecting; source may be NULL. CONN_CONNECTED or CONN_ERROR follows. */
struct conn *conn_connect(struct event_base *, const struct sockaddr *to, socklen_t,
    const struct sockaddr *source, socklen_t, size_t input_max, conn_cb, void *arg);
/* Frees it and hands its descriptor back: a plain connection with nothing unsent or
 * unread, and not at its end. -1: it is not one; nothing is changed. */
int conn_detach(struct conn *);
/* Closes at once; unsent output is lost. NULL is fine. */
void conn_free(struct conn *);
/* Free it after the output has been sent, or after timeout_ms; the callback is
 * not called again. The owner must forget the pointer. */
void conn_close(struct conn *, uint32_t timeout_ms);
/* The same, when the peer has said good-bye and nothing of it lies unread: a plain
 * connection does not wait for the peer's end then. */
void conn_part(struct conn *, uint32_t timeout_ms);

/*
 * A place in the stream of a socket between two of our processes that no content can
 * look like. Sent when nothing is unsent; 0, or -1 with errno. The other side must
 * expect it, and gets CONN_MARK once; what comes later is input again.
 */
int conn_send_mark(struct conn *);
void conn_expect_mark(struct conn *);

/* What has come in; the owner drains it. */
struct evbuffer *conn_input(struct conn *);
/* 0, or -1 without memory. */
int conn_write(struct conn *, const void *, size_t);
/* Moves everything out of the evbuffer. */
int conn_write_buffer(struct conn *, struct evbuffer *);
size_t conn_unsent(const struct conn *);
/* Stop and go on reading, e.g. while the other side's output is full. */
void conn_pause(struct conn *);
void conn_resume(struct conn *);
/* CONN_TIMEOUT after that many ms from now; 0: no deadline. */
void conn_deadline(struct conn *, uint32_t timeout_ms);
/* Our end of it. 0 or -1. */
int conn_local_address(const struct conn *, struct sockaddr_storage *);

/*
 * Begin TLS. Whatever lies in the plain input buffer is thrown away (RFC 3207,
 * 6; command injection). Output queued before is sent first in plain. Refused
 * (-1) when it is TLS already. The context is borrowed (up-ref'd). For the client side:
 * name for SNI and, when verify is set, for the certificate check (RFC 6125).
 */
int conn_tls_server(struct conn *, struct ssl_ctx_st *);
int conn_tls_client(struct conn *, struct ssl_ctx_st *, const char *name, int verify);
/* Before conn_tls_server(): the client is asked for a certificate. Any will do here, and
 * none: what it is worth is decided by whom it is shown to. */
void conn_tls_ask_certificate(struct conn *);
/* The one that the client has shown, in DER; 0: none, or it does not fit. */
size_t conn_tls_peer_certificate(const struct conn *, uint8_t *out, size_t cap);
/*
 * The client side where TLSA records decide (RFC 7672, 3): base is the name for SNI
 * and the first that a certificate below a trust anchor (usage 2) may have, names are
 * others. -1 also when OpenSSL can use none of the records.
 */
struct conn_tlsa {
	uint8_t usage, selector, matching;
	const uint8_t *data;
	size_t len;
};
int conn_tls_client_dane(struct conn *, struct ssl_ctx_st *, const char *base,
    const char *const *names, size_t n_names, const struct conn_tlsa *, size_t n);
int conn_is_tls(const struct conn *);
/* Why the peer's certificate is not trusted, "" when it is; also where nothing hangs on
 * it. */
const char *conn_tls_trust(const struct conn *);
/* After CONN_ERROR: it was about the certificate. */
int conn_tls_certificate_failed(const struct conn *);
/* X509_V_... of the peer's certificate, 0 when it is trusted. */
long conn_tls_verify_result(const struct conn *);
/* SHA-256 of the peer's SubjectPublicKeyInfo. 0 or -1. */
int conn_tls_peer_key(const struct conn *, uint8_t out[32]);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" without TLS. */
const char *conn_tls_cipher(const struct conn *);
const char *conn_tls_version(const struct conn *);
/* Channel bindings of RFC 9266 / RFC 5929; -1 if there is none. */
int conn_tls_binding(
    const struct conn *, const char *type, uint8_t *out, size_t cap, size_t *len);
/* The binding that a SCRAM client's first message asks for (RFC 5802, 7: "p=TYPE,"): its
 * type, or "" and *len 0. */
void conn_tls_binding_wanted(const struct conn *, const uint8_t *message,
    size_t message_len, char *type, size_t type_cap, uint8_t *out, size_t cap,
    size_t *len);

const char *conn_error(const struct conn *);
int conn_fd(const struct conn *);
/* "192.0.2.1" or "2001:db8::1" (IPv4-mapped shown as IPv4), and the port. */
void conn_peer(const struct conn *, char *address, size_t cap, uint16_t *port);
void conn_local(const struct conn *, char *address, size_t cap, uint16_t *port);
void conn_set_callback(struct conn *, conn_cb, void *arg);

/*
 * Listeners. A struct acceptor accepts in bounded batches from a descriptor
 * that fifed opened, and backs off when descriptors run out (EMFILE). The
 * callback takes fd.
 */
struct acceptor;
struct acceptor *acceptor_new(struct event_base *, int listen_fd,
    void (*)(int fd, const struct sockaddr *, socklen_t, void *arg), void *arg);
void acceptor_free(struct acceptor *); /* closes the listening descriptor */

#endif
