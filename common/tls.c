/* SPDX-License-Identifier: ISC */
/*
 * TLS contexts for both sides; see tls.h. The server side offers TLS 1.2 with
 * ECDHE and TLS 1.3 only: there is no RSA key exchange, for which keyd would have
 * to decrypt. The client side is left OpenSSL's wider choice, since its TLS is
 * often opportunistic and the next best is none.
 */
#include "common/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <strings.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/keyclient.h"
#include "common/log.h"

#define CERTS_MAX 256
#define CHAIN_MAX 10
#define PEM_MAX (256 * 1024)
#define TICKET_LIFE_S (12 * 3600)

#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!PSK:!MD5"
/* keyd knows these and no others. */
#define GROUPS "X25519:P-256:P-384:P-521"
#define SIGALGS                                                                       \
	"ed25519:ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_" \
	"rsae_sha384:"                                                                \
	"rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

struct entry {
	SSL_CTX *ctx;
	char *names;
};

struct tls_certs {
	struct entry entries[CERTS_MAX];
	size_t n;
	size_t first; /* the default */
	int have_default;
	int built;
	int64_t expiry;
};

/*
 * What the SNI callback looks at. It belongs to the default context (ex_data), not
 * to the tls_certs, because a handshake may outlive a reload.
 */
struct sni {
	size_t n;
	/* The default first, which is not referenced: it would never be freed. */
	struct entry entries[];
};

static int sni_index = -1;
/*
 * Keys of session tickets (RFC 5077, 4), for all contexts of the process, so that a
 * reload keeps sessions. They change, so that who learns the present ones cannot open
 * what was recorded long ago; those before are good for one more turn.
 */
static struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
	time_t born; /* monotonic seconds; 0: none */
} ticket_keys[2];

static void
log_openssl(const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);

	log_warnx("%s: %s", what, reason != NULL ? reason : "unknown error");
	ERR_clear_error();
}

static void
sni_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct sni *sni = ptr;

	if (sni == NULL)
		return;
	for (size_t i = 0; i < sni->n; i++) {
		if (i > 0)
			SSL_CTX_free(sni->entries[i].ctx);
		free(sni->entries[i].names);
	}
	free(sni);
}

static time_t
uptime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + 1;
}

static int
ticket_key_new(struct ticket_key *k)
{
	if (RAND_bytes(k->name, sizeof(k->name)) != 1 ||
	    RAND_priv_bytes(k->aes, sizeof(k->aes)) != 1 ||
	    RAND_priv_bytes(k->hmac, sizeof(k->hmac)) != 1)
		return -1;
	k->born = uptime();
	return 0;
}

static void
ticket_keys_age(time_t now)
{
	struct ticket_key fresh;

	if (ticket_keys[1].born != 0 && now - ticket_keys[1].born > 2 * TICKET_LIFE_S)
		explicit_bzero(&ticket_keys[1], sizeof(ticket_keys[1]));
	if (now - ticket_keys[0].born <= TICKET_LIFE_S || ticket_key_new(&fresh) == -1)
		return;
	/* After a long silence the last one is too old for another turn. */
	if (now - ticket_keys[0].born <= 2 * TICKET_LIFE_S)
		ticket_keys[1] = ticket_keys[0];
	ticket_keys[0] = fresh;
	explicit_bzero(&fresh, sizeof(fresh));
}

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypting)
{
	OSSL_PARAM params[] = { OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END };
	char digest[] = "SHA256";
	struct ticket_key *k = &ticket_keys[0];
	int old = 0;

	ticket_keys_age(uptime());
	if (encrypting) {
		if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
		memcpy(name, k->name, sizeof(k->name));
	} else {
		while (old < 2 &&
		       (ticket_keys[old].born == 0 ||
			   memcmp(name, ticket_keys[old].name, sizeof(k->name)) != 0))
			old++;
		if (old == 2)
			return 0; /* a full handshake */
		k = &ticket_keys[old];
	}
	params[0] = OSSL_PARAM_construct_octet_string(
	    OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac));
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, encrypting) !=
		1 ||
	    EVP_MAC_CTX_set_params(mac, params) != 1)
		return -1;
	return old == 0 ? 1 : 2; /* 2: the client gets a new one */
}

int
tls_init(void)
{
	SSL_CTX *ctx;

	if (sni_index != -1)
		return 0;
	/* Reads openssl.cnf, as the administrator would expect. */
	if (OPENSSL_init_ssl(
		OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) != 1 ||
	    keyclient_init() == -1 || ticket_key_new(&ticket_keys[0]) == -1) {
		log_openssl("TLS");
		return -1;
	}
	/* Algorithms are fetched when the first context is made. */
	if ((ctx = SSL_CTX_new(TLS_method())) == NULL) {
		log_openssl("TLS");
		return -1;
	}
	SSL_CTX_free(ctx);
	sni_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, sni_free);
	return sni_index == -1 ? -1 : 0;
}

static void
common_settings(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

static SSL_CTX *
server_context(void)
{
	static const uint8_t id[] = "fife";
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	common_settings(ctx);
	SSL_CTX_set_options(
	    ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_num_tickets(ctx, 1);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 ||
	    SSL_CTX_set1_sigalgs_list(ctx, SIGALGS) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

struct tls_certs *
tls_certs_new(void)
{
	return calloc(1, sizeof(struct tls_certs));
}

void
tls_certs_free(struct tls_certs *certs)
{
	if (certs == NULL)
		return;
	for (size_t i = 0; i < certs->n; i++) {
		SSL_CTX_free(certs->entries[i].ctx);
		free(certs->entries[i].names);
	}
	free(certs);
}

/*
 * The whole file, from its start: the descriptor's position is shared with other
 * daemons that were given the same one. Closes fd. A file that holds the private
 * key as well is refused: that key has no business in this process.
 */
static BIO *
read_pem(int fd)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char buf[8192], *text;
	const char *wrong = NULL;
	off_t at = 0;
	ssize_t n;
	long len;

	while (
	    bio != NULL && wrong == NULL && (n = pread(fd, buf, sizeof(buf), at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			wrong = strerror(errno);
		else if ((at += n) > PEM_MAX)
			wrong = "file too large";
		else if (BIO_write(bio, buf, (int)n) != n)
			wrong = "out of memory";
	}
	close(fd);
	explicit_bzero(buf, sizeof(buf));
	if (bio != NULL && wrong == NULL && (len = BIO_get_mem_data(bio, &text)) > 0 &&
	    memmem(text, (size_t)len, "PRIVATE KEY-----", 16) != NULL)
		wrong = "the file holds a private key as well, which belongs in a file "
			"of its own";
	if (wrong != NULL) {
		log_warnx("certificate: %s", wrong);
		BIO_free(bio); /* wipes */
		bio = NULL;
	}
	return bio;
}

static int64_t
not_after(X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* Certificates after the first are the way to a known authority. */
static int
use_chain(SSL_CTX *ctx, BIO *bio)
{
	X509 *cert;
	int n;

	for (n = 0; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; n++)
		if (n == CHAIN_MAX || SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			return -1;
		}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -1;
	ERR_clear_error();
	return 0;
}

int
tls_certs_add(
    struct tls_certs *certs, int fd, uint32_t number, const char *names, int is_default)
{
	BIO *bio = read_pem(fd);
	struct entry *e = &certs->entries[certs->n];
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;
	SSL_CTX *ctx = NULL;
	int64_t expiry;
	int rc = -1;

	ERR_clear_error();
	if (bio == NULL)
		return -1;
	/* Certificates come with the configuration, before open() may have been called.
	 */
	if (tls_init() == -1)
		goto out;
	if (certs->n == CERTS_MAX) {
		log_warnx("certificate: more than %d", CERTS_MAX);
		goto out;
	}
	if ((leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL)) == NULL) {
		log_openssl("certificate");
		goto out;
	}
	if ((key = keyclient_key(leaf, number)) == NULL) {
		log_warnx("certificate: key is neither RSA nor EC nor Ed25519");
		ERR_clear_error();
		goto out;
	}
	if ((ctx = server_context()) == NULL || SSL_CTX_use_certificate(ctx, leaf) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1 || use_chain(ctx, bio) == -1) {
		log_openssl("certificate");
		goto out;
	}
	if ((e->names = strdup(names)) == NULL) {
		log_warn("certificate");
		goto out;
	}
	e->ctx = ctx;
	ctx = NULL;
	if (is_default && !certs->have_default) {
		certs->first = certs->n;
		certs->have_default = 1;
	}
	certs->n++;
	certs->built = 0;
	expiry = not_after(leaf);
	if (certs->expiry == 0 || expiry < certs->expiry)
		certs->expiry = expiry;
	rc = 0;
out:
	SSL_CTX_free(ctx);
	EVP_PKEY_free(key);
	X509_free(leaf);
	BIO_free(bio);
	return rc;
}

/* host is one of the comma-separated names; "*.x" stands for one label before x. */
static int
listed(const char *names, const char *host)
{
	const char *dot = strchr(host, '.');

	while (*names != '\0') {
		size_t len = strcspn(names, ",");

		if (len == strlen(host) && strncasecmp(names, host, len) == 0)
			return 1;
		if (len > 2 && names[0] == '*' && dot != NULL && len - 1 == strlen(dot) &&
		    strncasecmp(names + 1, dot, len - 1) == 0)
			return 1;
		names += len;
		names += strspn(names, ", ");
	}
	return 0;
}

static int
certified(const struct entry *e, const char *host)
{
	X509 *leaf = SSL_CTX_get0_certificate(e->ctx);

	return leaf != NULL && X509_check_host(leaf, host, 0,
				   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* What the configuration says goes before what the certificates say. Nobody is
 * refused for the name asked for: the default is as good as any. */
static int
on_servername(SSL *ssl, int *alert, void *arg)
{
	const struct sni *sni = arg;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	if (host == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (i = 0; i < sni->n && !listed(sni->entries[i].names, host); i++)
		;
	if (i == sni->n)
		for (i = 0; i < sni->n && !certified(&sni->entries[i], host); i++)
			;
	if (i == sni->n)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_SSL_CTX(ssl, sni->entries[i].ctx);
	return SSL_TLSEXT_ERR_OK;
}

static int
sni_add(struct sni *sni, const struct entry *from, int reference)
{
	struct entry *e = &sni->entries[sni->n];

	if ((e->names = strdup(from->names)) == NULL)
		return -1;
	e->ctx = from->ctx;
	if (reference)
		SSL_CTX_up_ref(e->ctx);
	sni->n++;
	return 0;
}

static int
build(struct tls_certs *certs)
{
	struct sni *sni = calloc(1, sizeof(*sni) + certs->n * sizeof(sni->entries[0]));
	SSL_CTX *first = certs->entries[certs->first].ctx;
	int ok = sni != NULL && sni_add(sni, &certs->entries[certs->first], 0) == 0;

	for (size_t i = 0; ok && i < certs->n; i++)
		if (i != certs->first)
			ok = sni_add(sni, &certs->entries[i], 1) == 0;
	if (!ok) {
		sni_free(NULL, sni, NULL, 0, 0, NULL);
		return -1;
	}
	sni_free(NULL, SSL_CTX_get_ex_data(first, sni_index), NULL, 0, 0, NULL);
	SSL_CTX_set_ex_data(first, sni_index, sni);
	SSL_CTX_set_tlsext_servername_callback(first, on_servername);
	SSL_CTX_set_tlsext_servername_arg(first, sni);
	certs->built = 1;
	return 0;
}

SSL_CTX *
tls_certs_context(struct tls_certs *certs)
{
	if (certs == NULL || certs->n == 0 || (!certs->built && build(certs) == -1))
		return NULL;
	return certs->entries[certs->first].ctx;
}

int64_t
tls_certs_expiry(const struct tls_certs *certs)
{
	return certs->expiry;
}

/* Bundles, since a directory of hashed names could not be read after a chroot. */
static int
load_system_authorities(SSL_CTX *ctx)
{
	static const char *const files[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian */
		"/etc/ssl/cert.pem",                  /* the BSDs */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
		"/usr/local/share/certs/ca-root-nss.crt",
	};

	if (SSL_CTX_load_verify_file(ctx, X509_get_default_cert_file()) == 1)
		return 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (SSL_CTX_load_verify_file(ctx, files[i]) == 1)
			return 0;
	return -1;
}

SSL_CTX *
tls_client_context(const char *ca_file)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		log_openssl("TLS");
		return NULL;
	}
	common_settings(ctx);
	if (SSL_CTX_dane_enable(ctx) <= 0)
		log_openssl("DANE");
	if (ca_file[0] != '\0') {
		if (SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
			log_openssl(ca_file);
			SSL_CTX_free(ctx);
			return NULL;
		}
	} else if (load_system_authorities(ctx) == -1)
		log_warnx(
		    "no certificates of authorities found: nobody's TLS can be verified");
	ERR_clear_error();
	return ctx;
}
