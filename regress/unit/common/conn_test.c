/* SPDX-License-Identifier: ISC */
/* Connections over socket pairs: plain, TLS, the switch, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/daemon.h"

static struct event_base *base;
static SSL_CTX *server_ctx, *client_ctx;

/* What an owner has been told. */
struct seen {
	int events[CONN_ERROR + 1];
	char input[1 << 20];
	size_t len;
	int free_on;        /* event at which to free, or -1 */
	int starttls;       /* switch when a line has come */
	int close_on_input; /* conn_close() from inside */
	int keep;           /* leave the input where it is */
	char error[160];
};

static void
seen_cb(struct conn *c, enum conn_event ev, void *arg)
{
	struct seen *s = arg;

	s->events[ev]++;
	if (ev == CONN_ERROR)
		strlcpy(s->error, conn_error(c), sizeof(s->error));
	if (ev == CONN_INPUT && !s->keep) {
		struct evbuffer *in = conn_input(c);

		if (s->starttls) {
			char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);

			if (line != NULL) {
				s->starttls = 0;
				assert_string_equal(line, "STARTTLS");
				free(line);
				assert_int_equal(conn_write(c, "220 go\r\n", 8), 0);
				assert_int_equal(conn_tls_server(c, server_ctx), 0);
				assert_int_equal(evbuffer_get_length(in), 0);
				assert_int_equal(conn_tls_server(c, server_ctx), -1);
				assert_int_equal(conn_write(c, "secret", 6), 0);
			}
		} else {
			int n = evbuffer_remove(
			    in, s->input + s->len, sizeof(s->input) - s->len);

			assert_true(n >= 0);
			s->len += (size_t)n;
		}
		if (s->close_on_input) {
			conn_write(c, "bye\r\n", 5);
			conn_close(c, 1000);
			return;
		}
	}
	if (s->free_on == (int)ev)
		conn_free(c);
}

static struct seen *
seen_new(void)
{
	struct seen *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->free_on = -1;
	return s;
}

static EVP_PKEY *key;
static X509 *cert;

static int
setup(void **state)
{
	X509_NAME *name;
	X509_EXTENSION *ext;

	base = event_base_new();
	key = EVP_EC_gen("P-256");
	cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"mail.example", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	ext = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, "DNS:mail.example,IP:127.0.0.1");
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	server_ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(server_ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, key), 1);
	client_ctx = SSL_CTX_new(TLS_client_method());
	X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), cert);
	return 0;
}

static int
teardown(void **state)
{
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	X509_free(cert);
	EVP_PKEY_free(key);
	event_base_free(base);
	return 0;
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Until *what is at least n, or two seconds have passed. */
static void
until(const int *what, int n)
{
	uint64_t end = now_ms() + 2000;

	while (*what < n && now_ms() < end) {
		turn();
		usleep(200);
	}
	assert_true(*what >= n);
}

static void
pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	fcntl(sv[1], F_SETFL, O_NONBLOCK);
}

static void
test_plain(void **state)
{
	struct seen *s = seen_new();
	struct conn *c;
	char buf[64];
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 4096, seen_cb, s);
	assert_int_equal(write(sv[1], "hello", 5), 5);
	until(&s->events[CONN_INPUT], 1);
	assert_memory_equal(s->input, "hello", 5);
	conn_write(c, "a", 1);
	conn_write(c, "b", 1);
	assert_int_equal(conn_unsent(c), 2);
	until(&s->events[CONN_LOW_WATER], 1);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 2);
	assert_int_equal(conn_is_tls(c), 0);
	assert_string_equal(conn_tls_cipher(c), "");
	assert_int_equal(write(sv[1], "last", 4), 4);
	shutdown(sv[1], SHUT_WR);
	until(&s->events[CONN_EOF], 1);
	assert_int_equal(s->len, 9);
	/* The other direction still works. */
	conn_write(c, "c", 1);
	until(&s->events[CONN_LOW_WATER], 2);
	assert_int_equal(read(sv[1], buf, sizeof(buf)), 1);
	for (int i = 0; i < 5; i++)
		turn();
	assert_int_equal(s->events[CONN_EOF], 1);
	conn_free(c);
	close(sv[1]);
	free(s);
}

static void
test_input_bound(void **state)
{
	struct seen *s = seen_new();
	struct conn *c;
	char big[3000];
	int sv[2];

	pair(sv);
	s->keep = 1;
	memset(big, 'x', sizeof(big));
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	assert_int_equal(write(sv[1], big, sizeof(big)), sizeof(big));
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(evbuffer_get_length(conn_input(c)), 1000);
	evbuffer_drain(conn_input(c), 1);
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(evbuffer_get_length(conn_input(c)), 1000);
	conn_pause(c);
	evbuffer_drain(conn_input(c), 1000);
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(evbuffer_get_length(conn_input(c)), 0);
	conn_resume(c);
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(evbuffer_get_length(conn_input(c)), 1000);
	conn_free(c);
	close(sv[1]);
	free(s);
}

static void
test_deadline(void **state)
{
	struct seen *s = seen_new();
	struct conn *c;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	conn_deadline(c, 20);
	conn_deadline(c, 0);
	usleep(30000);
	turn();
	assert_int_equal(s->events[CONN_TIMEOUT], 0);
	conn_deadline(c, 10);
	s->free_on = CONN_TIMEOUT;
	until(&s->events[CONN_TIMEOUT], 1);
	close(sv[1]);
	free(s);
}

/* Freed from inside each callback; the sanitizer watches. */
static void
test_free_inside(void **state)
{
	static const enum conn_event at[] = { CONN_INPUT, CONN_EOF, CONN_LOW_WATER };

	for (size_t i = 0; i < 3; i++) {
		struct seen *s = seen_new();
		struct conn *c;
		int sv[2];

		pair(sv);
		s->free_on = (int)at[i];
		c = conn_new(base, sv[0], 1000, seen_cb, s);
		conn_write(c, "x", 1);
		assert_int_equal(write(sv[1], "y", 1), 1);
		shutdown(sv[1], SHUT_WR);
		until(&s->events[at[i]], 1);
		for (int n = 0; n < 5; n++)
			turn();
		assert_int_equal(s->events[at[i]], 1);
		close(sv[1]);
		free(s);
	}
}

/* More output than the socket takes: it all arrives, and then the end. */
static void
test_close_pending(void **state)
{
	struct seen *s = seen_new();
	size_t total = 3 << 20, got = 0;
	char *big = calloc(1, total), buf[8192];
	uint64_t end = now_ms() + 5000;
	struct conn *c;
	ssize_t n;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	assert_int_equal(conn_write(c, big, total), 0);
	conn_close(c, 4000);
	/* The peer talks on and is not read by anybody: no reset, no loss. */
	assert_int_equal(write(sv[1], buf, 4000), 4000);
	while (now_ms() < end) {
		turn();
		if ((n = read(sv[1], buf, sizeof(buf))) == 0)
			break;
		if (n > 0)
			got += (size_t)n;
	}
	assert_int_equal(got, total);
	assert_int_equal(s->events[CONN_LOW_WATER], 0);
	close(sv[1]);
	for (int i = 0; i < 5; i++)
		turn();
	assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	free(big);
	free(s);
}

/* A peer that never reads costs no more than the time given. */
static void
test_close_stuck(void **state)
{
	struct seen *s = seen_new();
	char *big = calloc(1, 3 << 20);
	uint64_t start = now_ms();
	struct conn *c;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	conn_write(c, big, 3 << 20);
	conn_close(c, 50);
	event_base_dispatch(base);
	assert_in_range(now_ms() - start, 40, 1000);
	close(sv[1]);
	free(big);
	free(s);
}

static void
test_close_inside(void **state)
{
	struct seen *s = seen_new();
	char buf[64];
	uint64_t end = now_ms() + 2000;
	ssize_t n;
	int sv[2];

	pair(sv);
	s->close_on_input = 1;
	assert_non_null(conn_new(base, sv[0], 1000, seen_cb, s));
	assert_int_equal(write(sv[1], "QUIT\r\n", 6), 6);
	do
		turn();
	while ((n = read(sv[1], buf, sizeof(buf))) == -1 && now_ms() < end);
	assert_int_equal(n, 5);
	close(sv[1]);
	event_base_dispatch(base);
	free(s);
}

/* The peer has said its last words and gone before we write. */
static void
test_last_words(void **state)
{
	struct seen *s = seen_new();
	struct conn *c;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	assert_int_equal(write(sv[1], "421 gone\r\n", 10), 10);
	close(sv[1]);
	conn_write(c, "NOOP\r\n", 6);
	until(&s->events[CONN_ERROR], 1);
	assert_int_equal(s->len, 10);
	assert_string_equal(s->error, strerror(EPIPE));
	conn_close(c, 1000);
	free(s);
}

/* A TLS client whose octets the test carries by hand. */
struct hand {
	SSL *ssl;
	BIO *in, *out;
	int fd;
	size_t step; /* how many octets at a time, both ways */
	char text[65536];
	size_t len;
};

static void
hand_new(struct hand *h, int fd, size_t step, int version)
{
	memset(h, 0, sizeof(*h));
	h->fd = fd;
	h->step = step;
	h->ssl = SSL_new(client_ctx);
	SSL_set_max_proto_version(h->ssl, version);
	h->in = BIO_new(BIO_s_mem());
	h->out = BIO_new(BIO_s_mem());
	SSL_set_bio(h->ssl, h->in, h->out);
	SSL_set_connect_state(h->ssl);
}

static void
hand_pump(struct hand *h)
{
	char buf[16384];
	ssize_t n;
	int m;

	ERR_clear_error();
	if (!SSL_is_init_finished(h->ssl))
		SSL_do_handshake(h->ssl);
	while ((m = BIO_read(h->out, buf, (int)h->step)) > 0) {
		assert_int_equal(write(h->fd, buf, (size_t)m), m);
		turn();
	}
	turn();
	if ((n = read(h->fd, buf, h->step)) > 0)
		BIO_write(h->in, buf, (int)n);
	if (SSL_is_init_finished(h->ssl) &&
	    (m = SSL_read(h->ssl, h->text + h->len, (int)(sizeof(h->text) - h->len))) > 0)
		h->len += (size_t)m;
}

static void
tls_case(size_t step, int version)
{
	struct seen *s = seen_new();
	struct hand h;
	struct conn *c;
	char big[40000];
	uint8_t a[64], b[64];
	size_t len;
	uint64_t end = now_ms() + 8000;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], sizeof(s->input), seen_cb, s);
	assert_int_equal(conn_tls_server(c, server_ctx), 0);
	assert_int_equal(conn_is_tls(c), 0);
	hand_new(&h, sv[1], step, version);
	while ((s->events[CONN_TLS_READY] == 0 || !SSL_is_init_finished(h.ssl)) &&
	       now_ms() < end)
		hand_pump(&h);
	assert_int_equal(s->events[CONN_TLS_READY], 1);
	assert_int_equal(conn_is_tls(c), 1);
	assert_string_equal(
	    conn_tls_version(c), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
	memset(big, 'q', sizeof(big));
	SSL_write(h.ssl, big, sizeof(big));
	conn_write(c, big, sizeof(big));
	while ((s->len < sizeof(big) || h.len < sizeof(big)) && now_ms() < end)
		hand_pump(&h);
	assert_int_equal(s->len, sizeof(big));
	assert_int_equal(h.len, sizeof(big));
	assert_memory_equal(h.text, big, sizeof(big));
	/* RFC 9266 and RFC 5929: both ends come to the same octets. */
	assert_int_equal(conn_tls_binding(c, "tls-exporter", a, sizeof(a), &len), 0);
	assert_int_equal(len, 32);
	SSL_export_keying_material(
	    h.ssl, b, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 1);
	assert_memory_equal(a, b, 32);
	assert_int_equal(
	    conn_tls_binding(c, "tls-server-end-point", a, sizeof(a), &len), 0);
	X509_digest(cert, EVP_sha256(), b, NULL);
	assert_int_equal(len, 32);
	assert_memory_equal(a, b, 32);
	assert_int_equal(conn_tls_binding(c, "tls-unique", a, sizeof(a), &len),
	    version == TLS1_2_VERSION ? 0 : -1);
	if (version == TLS1_2_VERSION) {
		assert_int_equal(SSL_get_finished(h.ssl, b, sizeof(b)), len);
		assert_memory_equal(a, b, len);
	}
	assert_int_equal(conn_tls_binding(c, "tls-foo", a, sizeof(a), &len), -1);
	/* The end: what is pending, then close_notify. */
	h.len = 0;
	conn_write(c, big, sizeof(big));
	conn_close(c, 5000);
	while (!(SSL_get_shutdown(h.ssl) & SSL_RECEIVED_SHUTDOWN) && now_ms() < end)
		hand_pump(&h);
	assert_true(SSL_get_shutdown(h.ssl) & SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(h.len, sizeof(big));
	close(sv[1]);
	event_base_dispatch(base);
	SSL_free(h.ssl);
	free(s);
}

static void
test_tls_chopped(void **state)
{
	static const size_t steps[] = { 1, 7, 16384 };

	for (size_t i = 0; i < 3; i++) {
		tls_case(steps[i], TLS1_2_VERSION);
		tls_case(steps[i], TLS1_3_VERSION);
	}
}

/* RFC 3207, 4.2: commands put behind STARTTLS by somebody in the middle. */
static void
test_starttls_injection(void **state)
{
	struct seen *s = seen_new();
	struct hand h;
	struct conn *c;
	char buf[64];
	uint64_t end = now_ms() + 2000;
	ssize_t n;
	int sv[2];

	pair(sv);
	s->starttls = 1;
	c = conn_new(base, sv[0], 4096, seen_cb, s);
	assert_int_equal(write(sv[1], "STARTTLS\r\nRSET\r\nMAIL FROM:<a@b>\r\n", 33), 33);
	until(&s->events[CONN_INPUT], 1);
	while ((n = read(sv[1], buf, sizeof(buf))) == -1 && now_ms() < end)
		turn();
	/* The reply in plain, but not what was written behind the switch. */
	assert_int_equal(n, 8);
	assert_memory_equal(buf, "220 go\r\n", 8);
	hand_new(&h, sv[1], 100, TLS1_3_VERSION);
	while ((s->events[CONN_TLS_READY] == 0 || h.len < 6) && now_ms() < end)
		hand_pump(&h);
	assert_memory_equal(h.text, "secret", 6);
	SSL_write(h.ssl, "EHLO x\r\n", 8);
	while (s->len == 0 && now_ms() < end)
		hand_pump(&h);
	assert_int_equal(s->len, 8);
	assert_memory_equal(s->input, "EHLO x\r\n", 8);
	conn_free(c);
	SSL_free(h.ssl);
	close(sv[1]);
	free(s);
}

/* Injected octets that arrive after the switch end as a TLS error, not as input. */
static void
test_starttls_late_injection(void **state)
{
	struct seen *s = seen_new();
	struct conn *c;
	int sv[2];

	pair(sv);
	s->starttls = 1;
	c = conn_new(base, sv[0], 4096, seen_cb, s);
	assert_int_equal(write(sv[1], "STARTTLS\r\n", 10), 10);
	until(&s->events[CONN_INPUT], 1);
	assert_int_equal(write(sv[1], "MAIL FROM:<a@b>\r\n", 17), 17);
	until(&s->events[CONN_ERROR], 1);
	assert_int_equal(s->len, 0);
	assert_int_equal(s->events[CONN_TLS_READY], 0);
	conn_free(c);
	close(sv[1]);
	free(s);
}

/* Both ends are ours. */
static void
client_case(const char *name, int verify, int ok)
{
	struct seen *s = seen_new(), *t = seen_new();
	struct conn *c, *d;
	int sv[2];

	pair(sv);
	c = conn_new(base, sv[0], 4096, seen_cb, s);
	d = conn_new(base, sv[1], 4096, seen_cb, t);
	assert_int_equal(conn_tls_server(c, server_ctx), 0);
	assert_int_equal(conn_tls_client(d, client_ctx, name, verify), 0);
	conn_write(d, "in TLS", 6);
	if (ok) {
		until(&s->events[CONN_INPUT], 1);
		assert_memory_equal(s->input, "in TLS", 6);
		assert_int_equal(t->events[CONN_TLS_READY], 1);
		conn_close(d, 1000);
		until(&s->events[CONN_EOF], 1);
		conn_close(c, 1000);
	} else {
		until(&t->events[CONN_ERROR], 1);
		until(&s->events[CONN_ERROR], 1);
		assert_non_null(strstr(t->error, "TLS handshake: "));
		assert_int_equal(t->events[CONN_TLS_READY], 0);
		conn_free(c);
		conn_free(d);
	}
	event_base_dispatch(base);
	free(s);
	free(t);
}

static void
test_tls_client(void **state)
{
	client_case("mail.example", 1, 1);
	client_case("MAIL.example.", 1, 1);
	client_case("other.example", 1, 0);
	client_case("other.example", 0, 1);
	client_case("127.0.0.1", 1, 1);
	client_case("127.0.0.2", 1, 0);
	client_case("", 0, 1);
}

/* What waits inside the SSL is not forgotten when the input was full. */
static void
test_tls_full(void **state)
{
	struct seen *s = seen_new(), *t = seen_new();
	struct conn *c, *d;
	char big[50000];
	size_t total = 0;
	uint64_t end = now_ms() + 3000;
	int sv[2];

	pair(sv);
	s->keep = 1;
	memset(big, 'x', sizeof(big));
	c = conn_new(base, sv[0], 1000, seen_cb, s);
	d = conn_new(base, sv[1], 4096, seen_cb, t);
	assert_int_equal(conn_tls_server(c, server_ctx), 0);
	assert_int_equal(conn_tls_client(d, client_ctx, "", 0), 0);
	conn_write(d, big, sizeof(big));
	while (total < sizeof(big) && now_ms() < end) {
		size_t len = evbuffer_get_length(conn_input(c));

		assert_true(len <= 1000);
		total += len;
		evbuffer_drain(conn_input(c), len);
		turn();
	}
	assert_int_equal(total, sizeof(big));
	conn_free(c);
	conn_free(d);
	free(s);
	free(t);
}

struct accepted {
	int count;
	int fd;
};

static void
accept_cb(int fd, const struct sockaddr *sa, socklen_t len, void *arg)
{
	struct accepted *a = arg;

	a->count++;
	a->fd = fd;
}

static void
test_connect_accept(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct accepted got = { 0, -1 };
	struct seen *s = seen_new(), *t = seen_new();
	struct acceptor *a;
	struct conn *c, *d;
	socklen_t len = sizeof(in);
	char text[64];
	uint16_t port;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listen(fd, 5), 0);
	a = acceptor_new(base, fd, accept_cb, &got);
	c = conn_connect(
	    base, (struct sockaddr *)&in, sizeof(in), NULL, 0, 1000, seen_cb, s);
	conn_write(c, "early", 5);
	until(&s->events[CONN_CONNECTED], 1);
	until(&got.count, 1);
	conn_peer(c, text, sizeof(text), &port);
	assert_string_equal(text, "127.0.0.1");
	assert_int_equal(port, ntohs(in.sin_port));
	d = conn_new(base, got.fd, 1000, seen_cb, t);
	until(&t->events[CONN_INPUT], 1);
	assert_memory_equal(t->input, "early", 5);
	conn_local(d, text, sizeof(text), &port);
	assert_int_equal(port, ntohs(in.sin_port));
	conn_close(d, 1000);
	until(&s->events[CONN_EOF], 1);
	conn_free(c);
	acceptor_free(a);
	event_base_dispatch(base);
	/* Nobody listens any more. */
	memset(s, 0, sizeof(*s));
	s->free_on = CONN_ERROR;
	c = conn_connect(
	    base, (struct sockaddr *)&in, sizeof(in), NULL, 0, 1000, seen_cb, s);
	assert_non_null(c);
	assert_int_equal(s->events[CONN_ERROR], 0);
	until(&s->events[CONN_ERROR], 1);
	assert_string_equal(s->error, strerror(ECONNREFUSED));
	free(s);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_input_bound),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_free_inside),
		cmocka_unit_test(test_close_pending),
		cmocka_unit_test(test_close_stuck),
		cmocka_unit_test(test_close_inside),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_tls_chopped),
		cmocka_unit_test(test_starttls_injection),
		cmocka_unit_test(test_starttls_late_injection),
		cmocka_unit_test(test_tls_client),
		cmocka_unit_test(test_tls_full),
		cmocka_unit_test(test_connect_accept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
