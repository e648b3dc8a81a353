/* SPDX-License-Identifier: ISC */
/*
 * Handshakes signed by another process: a child has the keys and speaks keyd's
 * side of the channel with keyd's own code, the parent is the front and its client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"
#include "common/keyclient.h"
#include "common/tls.h"
#include "keyd/keys.h"
#include "keyd/sign.h"

enum {
	RSA_KEY,
	EC256_KEY,
	EC384_KEY,
	ED_KEY,
	N_KEYS
};

static const char *const hosts[N_KEYS] = { "rsa.test", "p256.test", "p384.test",
	"ed.test" };
static EVP_PKEY *keys[N_KEYS];
static X509 *certs[N_KEYS];
static struct event_base *base;
static struct channel *keyd;
static pid_t child;

/* The child. */

static void
keyd_message(struct channel *ch, struct msg *m, void *arg)
{
	const struct msg_sign *sign = &m->p.sign;
	EVP_PKEY *key = keys_find(sign->key);
	uint8_t sig[SIGN_SIGNATURE_MAX];
	size_t len = sizeof(sig);
	struct msg_signature answer = { .status = MSG_DENIED, .signature = sig };

	if (sign->key == 99) /* a keyd that hangs */
		return;
	if (key != NULL && sign_make(key, sign->scheme, sign->tbs, sign->tbs_len, sig,
			       &len) == SIGN_OK) {
		answer.status = MSG_OK;
		answer.signature_len = len;
	}
	channel_send(ch, MSG_KEYD_FRONT_SIGNED, m->id, &answer, -1);
}

static void
keyd_lost(struct channel *ch, const char *why, void *arg)
{
	_exit(0);
}

static void
front_message(struct channel *ch, struct msg *m, void *arg)
{
	fail();
}

static void
front_lost(struct channel *ch, const char *why, void *arg)
{
	keyd = NULL;
}

static struct channel *
peer(void)
{
	return keyd;
}

static void
start_keyd(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	if ((child = fork()) == 0) {
		struct event_base *b = event_base_new();

		close(sv[0]);
		for (uint32_t i = 0; i < N_KEYS; i++) {
			int fd = compat_memfd_create("key");
			FILE *f = fdopen(dup(fd), "w");

			PEM_write_PrivateKey(f, keys[i], NULL, NULL, 0, NULL, NULL);
			fclose(f);
			if (keys_add(fd, i) == -1)
				_exit(1);
		}
		keys_switch();
		if (channel_new(b, sv[1], ROLE_KEYD, 0, ROLE_SMTPD, keyd_message,
			keyd_lost, NULL) == NULL)
			_exit(1);
		event_base_dispatch(b);
		_exit(1);
	}
	close(sv[1]);
	keyd = channel_new(
	    base, sv[0], ROLE_SMTPD, 0, ROLE_KEYD, front_message, front_lost, NULL);
	assert_non_null(keyd);
}

/* The parent. */

static X509 *
make_cert(EVP_PKEY *key, const char *host, int days)
{
	X509 *cert = X509_new();
	char san[64];
	X509_EXTENSION *ext;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	snprintf(san, sizeof(san), "DNS:%s,DNS:*.%s", host, host);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, key,
			EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")
			    ? NULL
			    : EVP_sha256()) > 0);
	return cert;
}

static int
setup(void **state)
{
	base = event_base_new();
	keys[RSA_KEY] = EVP_RSA_gen(2048);
	keys[EC256_KEY] = EVP_EC_gen("P-256");
	keys[EC384_KEY] = EVP_EC_gen("P-384");
	keys[ED_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (int i = 0; i < N_KEYS; i++)
		certs[i] = make_cert(keys[i], hosts[i], 100 + i);
	start_keyd();
	assert_int_equal(tls_init(), 0);
	assert_int_equal(tls_init(), 0);
	keyclient_set_peer(peer);
	return 0;
}

static int
teardown(void **state)
{
	channel_free(keyd);
	waitpid(child, NULL, 0);
	for (int i = 0; i < N_KEYS; i++) {
		X509_free(certs[i]);
		EVP_PKEY_free(keys[i]);
	}
	event_base_free(base);
	return 0;
}

static int
cert_file(X509 *cert, EVP_PKEY *with_key)
{
	int fd = compat_memfd_create("cert");
	FILE *f = fdopen(dup(fd), "w");

	PEM_write_X509(f, cert);
	if (with_key != NULL)
		PEM_write_PrivateKey(f, with_key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	return fd;
}

static struct tls_certs *
all_certs(uint32_t number_offset)
{
	struct tls_certs *set = tls_certs_new();

	assert_null(tls_certs_context(set));
	for (uint32_t i = 0; i < N_KEYS; i++)
		assert_int_equal(
		    tls_certs_add(set, cert_file(certs[i], NULL), i + number_offset,
			i == RSA_KEY ? "alias.test,*.wild.test" : "", i == EC256_KEY),
		    0);
	return set;
}

struct side {
	int ready, error;
	char text[160];
};

static void
side_cb(struct conn *c, enum conn_event ev, void *arg)
{
	struct side *s = arg;

	if (ev == CONN_TLS_READY)
		s->ready = 1;
	if (ev == CONN_ERROR) {
		s->error = 1;
		strlcpy(s->text, conn_error(c), sizeof(s->text));
	}
}

static SSL_CTX *
client_ctx(int version, const char *sigalgs)
{
	SSL_CTX *ctx = tls_client_context("");

	assert_non_null(ctx);
	for (int i = 0; i < N_KEYS; i++)
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certs[i]);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, sigalgs), 1);
	return ctx;
}

/* 1: both sides are ready, 0: the handshake failed. */
static int
handshake(SSL_CTX *server, SSL_CTX *client, const char *host, int verify)
{
	struct side s = { 0 }, t = { 0 };
	struct conn *c, *d;
	uint64_t end = now_ms() + 5000;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	c = conn_new(base, sv[0], 4096, side_cb, &s);
	d = conn_new(base, sv[1], 4096, side_cb, &t);
	assert_int_equal(conn_tls_server(c, server), 0);
	assert_int_equal(conn_tls_client(d, client, host, verify), 0);
	while (!(s.ready && t.ready) && !(s.error && t.error) && now_ms() < end)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	conn_free(c);
	conn_free(d);
	assert_true((s.ready && t.ready) || (s.error && t.error));
	return s.ready && t.ready;
}

static void
test_handshakes(void **state)
{
	struct tls_certs *set = all_certs(0);
	SSL_CTX *server = tls_certs_context(set);
	int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	assert_non_null(server);
	assert_true(tls_certs_expiry(set) > time(NULL) + 99 * 86400);
	assert_true(tls_certs_expiry(set) < time(NULL) + 101 * 86400);
	for (int v = 0; v < 2; v++) {
		SSL_CTX *client = client_ctx(versions[v], NULL);

		for (int i = 0; i < N_KEYS; i++)
			assert_int_equal(handshake(server, client, hosts[i], 1), 1);
		/* Names: by the certificate's wildcard, by configuration, by default. */
		assert_int_equal(handshake(server, client, "mx.p384.test", 1), 1);
		assert_int_equal(handshake(server, client, "unknown.test", 1), 0);
		assert_int_equal(handshake(server, client, "unknown.test", 0), 1);
		assert_int_equal(handshake(server, client, "", 0), 1);
		SSL_CTX_free(client);
	}
	tls_certs_free(set);
}

static void
test_schemes(void **state)
{
	static const struct {
		const char *sigalgs, *host;
		int version, ok;
	} rows[] = {
		{ "RSA+SHA256", "rsa.test", TLS1_2_VERSION, 1 },
		{ "RSA+SHA384", "rsa.test", TLS1_2_VERSION, 1 },
		{ "RSA+SHA512", "rsa.test", TLS1_2_VERSION, 1 },
		{ "rsa_pss_rsae_sha256", "rsa.test", TLS1_2_VERSION, 1 },
		{ "rsa_pss_rsae_sha384:RSA+SHA256", "rsa.test", TLS1_3_VERSION, 1 },
		{ "rsa_pss_rsae_sha512:RSA+SHA256", "rsa.test", TLS1_3_VERSION, 1 },
		{ "RSA+SHA224", "rsa.test", TLS1_2_VERSION, 0 },
		{ "ECDSA+SHA384:ECDSA+SHA256", "p256.test", TLS1_2_VERSION, 1 },
		{ "ECDSA+SHA384", "p384.test", TLS1_3_VERSION, 1 },
	};
	struct tls_certs *set = all_certs(0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL_CTX *client = client_ctx(rows[i].version, rows[i].sigalgs);

		assert_int_equal(
		    handshake(tls_certs_context(set), client, rows[i].host, 0),
		    rows[i].ok);
		SSL_CTX_free(client);
	}
	tls_certs_free(set);
}

/* What old clients offer and we do not take. */
static void
test_policy(void **state)
{
	struct tls_certs *set = all_certs(0);
	SSL_CTX *client = client_ctx(TLS1_2_VERSION, NULL);

	SSL_CTX_set_security_level(client, 0);
	assert_int_equal(SSL_CTX_set_cipher_list(client, "kRSA:DHE"), 1);
	assert_int_equal(handshake(tls_certs_context(set), client, "rsa.test", 0), 0);
	assert_int_equal(SSL_CTX_set_cipher_list(client, "DEFAULT@SECLEVEL=0"), 1);
	assert_int_equal(handshake(tls_certs_context(set), client, "rsa.test", 0), 1);
	SSL_CTX_set_min_proto_version(client, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(client, TLS1_1_VERSION);
	assert_int_equal(handshake(tls_certs_context(set), client, "rsa.test", 0), 0);
	SSL_CTX_free(client);
	tls_certs_free(set);
}

/* The answer is no, or none comes, or nobody is there. */
static void
test_failures(void **state)
{
	struct tls_certs *set = all_certs(50), *deaf;
	SSL_CTX *client = client_ctx(TLS1_3_VERSION, NULL);
	struct channel *saved = keyd;
	uint64_t start;

	assert_int_equal(handshake(tls_certs_context(set), client, "p256.test", 0), 0);
	tls_certs_free(set);
	set = all_certs(99 - EC256_KEY);
	start = now_ms();
	assert_int_equal(handshake(tls_certs_context(set), client, "p256.test", 0), 0);
	assert_in_range(
	    now_ms() - start, KEYCLIENT_TIMEOUT_MS - 50, KEYCLIENT_TIMEOUT_MS + 900);
	deaf = set;
	set = all_certs(0);
	/* Two more in vain, then nobody waits any more. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    handshake(tls_certs_context(deaf), client, "p256.test", 0), 0);
	start = now_ms();
	assert_int_equal(handshake(tls_certs_context(deaf), client, "p256.test", 0), 0);
	assert_in_range(now_ms() - start, 0, 500);
	tls_certs_free(deaf);
	sleep(5);
	keyd = NULL;
	start = now_ms();
	assert_int_equal(handshake(tls_certs_context(set), client, "p256.test", 0), 0);
	assert_in_range(now_ms() - start, 0, 500);
	keyd = saved;
	/* All is well afterwards. */
	assert_int_equal(handshake(tls_certs_context(set), client, "p256.test", 0), 1);
	/* The wrong private key behind the number: the client notices. */
	tls_certs_free(set);
	set = tls_certs_new();
	assert_int_equal(
	    tls_certs_add(set, cert_file(certs[EC256_KEY], NULL), EC384_KEY, "", 0), 0);
	assert_int_equal(handshake(tls_certs_context(set), client, "", 0), 0);
	tls_certs_free(set);
	SSL_CTX_free(client);
}

static void
test_bad_files(void **state)
{
	struct tls_certs *set = tls_certs_new();
	EVP_PKEY *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	X509 *odd = make_cert(ed448, "odd.test", 1);
	int fd = compat_memfd_create("empty");

	assert_int_equal(tls_certs_add(set, fd, 0, "", 1), -1);
	fd = compat_memfd_create("junk");
	assert_int_equal(write(fd, "-----BEGIN CERTIFICATE-----\nAAAA\n", 33), 33);
	assert_int_equal(tls_certs_add(set, fd, 0, "", 1), -1);
	fd = compat_memfd_create("large");
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(tls_certs_add(set, fd, 0, "", 1), -1);
	assert_int_equal(tls_certs_add(set, cert_file(certs[0], keys[0]), 0, "", 1), -1);
	assert_int_equal(tls_certs_add(set, cert_file(odd, NULL), 0, "", 1), -1);
	assert_null(tls_certs_context(set));
	assert_null(tls_client_context("/nonexistent"));
	X509_free(odd);
	EVP_PKEY_free(ed448);
	tls_certs_free(set);
	tls_certs_free(NULL);
}

/* A handshake that began before a reload and ends after it. */
static void
test_reload_in_handshake(void **state)
{
	struct tls_certs *set = all_certs(0);
	SSL_CTX *client = client_ctx(TLS1_3_VERSION, NULL);
	struct side s = { 0 }, t = { 0 };
	struct conn *c, *d;
	uint64_t end = now_ms() + 5000;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	c = conn_new(base, sv[0], 4096, side_cb, &s);
	assert_int_equal(conn_tls_server(c, tls_certs_context(set)), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	tls_certs_free(set);
	d = conn_new(base, sv[1], 4096, side_cb, &t);
	assert_int_equal(conn_tls_client(d, client, "p384.test", 1), 0);
	while (!(s.ready && t.ready) && now_ms() < end)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_true(s.ready && t.ready);
	conn_free(c);
	conn_free(d);
	SSL_CTX_free(client);
}

static SSL_SESSION *session;

static int
keep_session(SSL *ssl, SSL_SESSION *s)
{
	SSL_SESSION_free(session);
	session = s;
	return 1;
}

/* Tickets outlive a reload, and a resumed handshake needs no keyd. */
static void
test_resumption(void **state)
{
	int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (int v = 0; v < 2; v++) {
		struct tls_certs *set = all_certs(0);
		SSL_CTX *client = client_ctx(versions[v], NULL);
		struct channel *saved = keyd;

		for (int round = 0; round < 2; round++) {
			SSL *a = SSL_new(client), *b = SSL_new(tls_certs_context(set));
			BIO *x, *y;
			char buf[4];

			BIO_new_bio_pair(&x, 0, &y, 0);
			SSL_set_bio(a, x, x);
			SSL_set_bio(b, y, y);
			SSL_CTX_set_session_cache_mode(
			    client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
			SSL_CTX_sess_set_new_cb(client, keep_session);
			SSL_set_connect_state(a);
			SSL_set_accept_state(b);
			if (round == 1)
				assert_int_equal(SSL_set_session(a, session), 1);
			for (int i = 0; i < 20; i++) {
				SSL_do_handshake(a);
				SSL_do_handshake(b);
			}
			assert_true(SSL_is_init_finished(a) && SSL_is_init_finished(b));
			SSL_read(a, buf, sizeof(buf)); /* takes the ticket of TLS 1.3 */
			assert_int_equal(SSL_session_reused(b), round);
			/* No compression, no renegotiation. */
			assert_null(SSL_get_current_compression(b));
			assert_int_equal(SSL_renegotiate(b), 0);
			/* Without it OpenSSL holds the session for broken. */
			SSL_shutdown(a);
			SSL_free(a);
			SSL_free(b);
			tls_certs_free(set);
			set = all_certs(0);
			keyd = NULL;
		}
		keyd = saved;
		SSL_SESSION_free(session);
		session = NULL;
		SSL_CTX_free(client);
		tls_certs_free(set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_schemes),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_reload_in_handshake),
		cmocka_unit_test(test_resumption),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
