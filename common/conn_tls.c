/* SPDX-License-Identifier: ISC */
/*
 * The TLS part of conn.h: OpenSSL directly on the socket, driven by the events
 * of conn.c, and what a session wants to know of its TLS (names, bindings).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/compat/compat.h"
#include "common/conn_int.h"

#define RECORD_MAX 16384
/* Octets sent in one turn of the loop, so that others have theirs. */
#define TURN_MAX (16 * RECORD_MAX)

/* What OpenSSL or the kernel has to say about the last operation. */
static void
set_error(struct conn *c, const char *doing, int saved_errno)
{
	unsigned long e = ERR_peek_error();
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
	long verify = SSL_get_verify_result(c->ssl);

	if (reason != NULL && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
	    verify != X509_V_OK) {
		reason = X509_verify_cert_error_string(verify);
		c->bad_certificate = 1;
	}
	if (reason == NULL && e != 0)
		reason = "unknown error";
	if (reason == NULL)
		reason = saved_errno != 0 ? strerror(saved_errno) : "connection closed";
	snprintf(c->error, sizeof(c->error), "%s: %s", doing, reason);
	ERR_clear_error();
}

static void
cork(struct conn *c, int on)
{
#ifdef TCP_CORK
	if (setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) == 0)
		c->corked = on != 0;
#endif
}

void
conn_tls_uncork(struct conn *c)
{
	if (c->corked)
		cork(c, 0);
}

enum conn_io
conn_tls_handshake(struct conn *c)
{
	int rc, e;

	ERR_clear_error();
	/* A server's session ticket goes in one segment with its greeting. */
	if (c->flight && !c->corked && SSL_is_server(c->ssl))
		cork(c, 1);
	errno = 0;
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1)
		return CONN_IO_DONE; /* the owner may have something to say */
	e = errno;
	conn_tls_uncork(c);
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->flight = SSL_get_state(c->ssl) != TLS_ST_BEFORE;
		return CONN_IO_WAIT;
	case SSL_ERROR_WANT_WRITE:
		event_add(c->ev_write, NULL);
		return CONN_IO_WAIT;
	default:
		set_error(c, "TLS handshake", e);
		return CONN_IO_ERROR;
	}
}

enum conn_io
conn_tls_read(struct conn *c, uint8_t *chunk, size_t cap, size_t *got)
{
	size_t n;
	int rc, e;

	*got = 0;
	/* To the bottom of the SSL's own buffer, which no event would announce. */
	while (*got < cap) {
		ERR_clear_error();
		errno = 0;
		rc = SSL_read_ex(c->ssl, chunk, cap - *got, &n);
		e = errno;
		if (rc == 1) {
			if (!c->closing && evbuffer_add(c->in, chunk, n) == -1) {
				strlcpy(c->error, "out of memory", sizeof(c->error));
				return CONN_IO_ERROR;
			}
			*got += n;
			continue;
		}
		switch (SSL_get_error(c->ssl, rc)) {
		case SSL_ERROR_WANT_READ:
			return CONN_IO_WAIT;
		case SSL_ERROR_WANT_WRITE: /* the answer to a key update */
			c->read_wants_write = 1;
			event_add(c->ev_write, NULL);
			return CONN_IO_WAIT;
		case SSL_ERROR_ZERO_RETURN:
			return CONN_IO_EOF;
		default:
			set_error(c, "TLS read", e);
			return CONN_IO_ERROR;
		}
	}
	return CONN_IO_DONE;
}

enum conn_io
conn_tls_flush(struct conn *c)
{
	size_t len, n, sent = 0;
	int rc, e;

	while ((len = evbuffer_get_length(c->out)) > 0) {
		unsigned char *p;

		if (sent >= TURN_MAX) {
			event_add(c->ev_write, NULL);
			return CONN_IO_WAIT;
		}
		/* One full record, however small the pieces are that it is made of.
		 * A retry finds at least the same octets at the front. */
		if (len > RECORD_MAX)
			len = RECORD_MAX;
		if ((p = evbuffer_pullup(c->out, (ev_ssize_t)len)) == NULL) {
			strlcpy(c->error, "out of memory", sizeof(c->error));
			return CONN_IO_ERROR;
		}
		ERR_clear_error();
		errno = 0;
		rc = SSL_write_ex(c->ssl, p, len, &n);
		e = errno;
		if (rc == 1) {
			evbuffer_drain(c->out, n);
			sent += n;
			continue;
		}
		switch (SSL_get_error(c->ssl, rc)) {
		case SSL_ERROR_WANT_WRITE:
			event_add(c->ev_write, NULL);
			return CONN_IO_WAIT;
		case SSL_ERROR_WANT_READ:
			c->write_wants_read = 1;
			conn_update_read(c);
			return CONN_IO_WAIT;
		default:
			set_error(c, "TLS write", e);
			return CONN_IO_ERROR;
		}
	}
	return CONN_IO_DONE;
}

enum conn_io
conn_tls_shutdown(struct conn *c)
{
	int rc;

	ERR_clear_error();
	rc = SSL_shutdown(c->ssl);
	if (rc < 0 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_WRITE) {
		event_add(c->ev_write, NULL);
		return CONN_IO_WAIT;
	}
	ERR_clear_error();
	return CONN_IO_DONE;
}

static int
begin(struct conn *c, SSL *ssl)
{
	struct evbuffer *plain = NULL;

	if (ssl == NULL)
		return -1;
	if (SSL_set_fd(ssl, c->fd) != 1 || (plain = evbuffer_new()) == NULL ||
	    evbuffer_add_buffer(plain, c->out) == -1) {
		if (plain != NULL)
			evbuffer_free(plain);
		SSL_free(ssl);
		return -1;
	}
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Mail protocols mark their own ends, and many clients just close. */
	SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_set_read_ahead(ssl, 1);
	c->ssl = ssl;
	c->plain = plain;
	c->state = CONN_S_SWITCHING;
	conn_update_read(c);
	/* RFC 3207, 4.2: what was said in plain behind the command was perhaps not
	 * said by this peer. */
	evbuffer_drain(c->in, evbuffer_get_length(c->in));
	conn_kick_write(c);
	return 0;
}

void
conn_tls_ask_certificate(struct conn *c)
{
	c->ask_certificate = 1;
}

size_t
conn_tls_peer_certificate(const struct conn *c, uint8_t *out, size_t cap)
{
	X509 *cert = conn_is_tls(c) ? SSL_get0_peer_certificate(c->ssl) : NULL;
	int len = cert == NULL ? 0 : i2d_X509(cert, NULL);

	if (len <= 0 || (size_t)len > cap)
		return 0;
	return i2d_X509(cert, &out) == len ? (size_t)len : 0;
}

/* The signature over the handshake is checked all the same. */
static int
any_certificate(int ok, X509_STORE_CTX *ctx)
{
	return 1;
}

int
conn_tls_server(struct conn *c, SSL_CTX *ctx)
{
	SSL *ssl;

	if (c->state != CONN_S_PLAIN || c->closing || c->freed || c->eof)
		return -1;
	ERR_clear_error();
	if ((ssl = SSL_new(ctx)) != NULL)
		SSL_set_accept_state(ssl);
	if (ssl != NULL && c->ask_certificate)
		SSL_set_verify(
		    ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, any_certificate);
	return begin(c, ssl);
}

/* The name's check; an address literal is compared with address entries. */
static int
expect_name(SSL *ssl, const char *name, int verify)
{
	uint8_t addr[16];
	char host[256];
	size_t len = strlcpy(host, name, sizeof(host));
	int literal;

	if (len >= sizeof(host))
		return -1;
	if (len > 0 && host[len - 1] == '.')
		host[len - 1] = '\0';
	literal =
	    inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
	/* RFC 6066, 3: no literals in the server name. */
	if (!literal && host[0] != '\0' && SSL_set_tlsext_host_name(ssl, host) != 1)
		return -1;
	/* Without it the result is known all the same, and nothing hangs on it. */
	SSL_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (host[0] == '\0')
		return verify ? -1 : 0;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (literal)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? 0
										     : -1;
	return SSL_set1_host(ssl, host) == 1 ? 0 : -1;
}

int
conn_tls_client(struct conn *c, SSL_CTX *ctx, const char *name, int verify)
{
	SSL *ssl;

	if (c->state != CONN_S_PLAIN || c->closing || c->freed || c->eof)
		return -1;
	ERR_clear_error();
	if ((ssl = SSL_new(ctx)) == NULL)
		return -1;
	SSL_set_connect_state(ssl);
	if (expect_name(ssl, name == NULL ? "" : name, verify) == -1) {
		SSL_free(ssl);
		return -1;
	}
	return begin(c, ssl);
}

int
conn_tls_client_dane(struct conn *c, SSL_CTX *ctx, const char *base,
    const char *const *names, size_t n_names, const struct conn_tlsa *tlsa, size_t n)
{
	SSL *ssl;
	int usable = 0;

	if (c->state != CONN_S_PLAIN || c->closing || c->freed || c->eof)
		return -1;
	ERR_clear_error();
	if ((ssl = SSL_new(ctx)) == NULL)
		return -1;
	SSL_set_connect_state(ssl);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_dane_enable(ssl, base) <= 0)
		goto fail;
	/* RFC 7672, 3.1.1: with usage 3 neither names nor dates matter. */
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < n_names; i++)
		if (SSL_add1_host(ssl, names[i]) != 1)
			goto fail;
	for (size_t i = 0; i < n; i++)
		usable += SSL_dane_tlsa_add(ssl, tlsa[i].usage, tlsa[i].selector,
			      tlsa[i].matching, tlsa[i].data, tlsa[i].len) > 0;
	ERR_clear_error();
	if (usable > 0)
		return begin(c, ssl);
fail:
	SSL_free(ssl);
	return -1;
}

const char *
conn_tls_trust(const struct conn *c)
{
	long r = c->ssl == NULL ? X509_V_ERR_UNSPECIFIED : SSL_get_verify_result(c->ssl);

	return r == X509_V_OK ? "" : X509_verify_cert_error_string(r);
}

long
conn_tls_verify_result(const struct conn *c)
{
	return c->ssl == NULL ? X509_V_ERR_UNSPECIFIED : SSL_get_verify_result(c->ssl);
}

int
conn_tls_certificate_failed(const struct conn *c)
{
	return c->bad_certificate;
}

int
conn_tls_peer_key(const struct conn *c, uint8_t out[32])
{
	X509 *cert = c->ssl == NULL ? NULL : SSL_get0_peer_certificate(c->ssl);
	unsigned char *der = NULL;
	int len, rc = -1;

	if (cert == NULL ||
	    (len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der)) <= 0)
		return -1;
	if (EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1)
		rc = 0;
	OPENSSL_free(der);
	return rc;
}

int
conn_is_tls(const struct conn *c)
{
	return c->ssl != NULL && SSL_is_init_finished(c->ssl);
}

const char *
conn_tls_cipher(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get_cipher_name(c->ssl) : "";
}

const char *
conn_tls_version(const struct conn *c)
{
	return conn_is_tls(c) ? SSL_get_version(c->ssl) : "";
}

/* RFC 5929, 4: the server's certificate, hashed as its signature was, but with
 * SHA-256 in place of MD5 and SHA-1. */
static int
binding_end_point(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl)
					: SSL_get0_peer_certificate(ssl);
	const EVP_MD *md;
	unsigned int n;
	int nid;

	if (cert == NULL || X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return -1;
	if (nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	if ((md = EVP_get_digestbynid(nid)) == NULL ||
	    (size_t)EVP_MD_get_size(md) > cap || X509_digest(cert, md, out, &n) != 1)
		return -1;
	*len = n;
	return 0;
}

/* RFC 5929, 3: the first Finished; there is none like it in TLS 1.3. */
static int
binding_unique(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	int ours = SSL_is_server(ssl) == SSL_session_reused(ssl);

	if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1)
		return -1;
	*len =
	    ours ? SSL_get_finished(ssl, out, cap) : SSL_get_peer_finished(ssl, out, cap);
	return *len > 0 && *len <= cap ? 0 : -1;
}

/* RFC 9266. Before TLS 1.3 safe only with an extended master secret (RFC 7627). */
static int
binding_exporter(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (cap < 32 ||
	    (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1))
		return -1;
	if (SSL_export_keying_material(
		ssl, out, 32, label, sizeof(label) - 1, NULL, 0, 1) != 1)
		return -1;
	*len = 32;
	return 0;
}

int
conn_tls_binding(
    const struct conn *c, const char *type, uint8_t *out, size_t cap, size_t *len)
{
	static const struct {
		const char *type;
		int (*get)(SSL *, uint8_t *, size_t, size_t *);
	} kinds[] = {
		{ "tls-exporter", binding_exporter },
		{ "tls-server-end-point", binding_end_point },
		{ "tls-unique", binding_unique },
	};

	if (!conn_is_tls(c))
		return -1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].get(c->ssl, out, cap, len);
	return -1;
}

void
conn_tls_binding_wanted(const struct conn *c, const uint8_t *message, size_t message_len,
    char *type, size_t type_cap, uint8_t *out, size_t cap, size_t *len)
{
	const uint8_t *end = message_len == 0 ? NULL : memchr(message, ',', message_len);
	size_t n = end == NULL ? 0 : (size_t)(end - message);

	type[0] = '\0';
	*len = 0;
	if (n <= 2 || n - 2 >= type_cap || memcmp(message, "p=", 2) != 0 ||
	    memchr(message, '\0', n) != NULL)
		return;
	memcpy(type, message + 2, n - 2);
	type[n - 2] = '\0';
	if (conn_tls_binding(c, type, out, cap, len) == -1) {
		type[0] = '\0';
		*len = 0;
	}
}
