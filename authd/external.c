/* SPDX-License-Identifier: ISC */
/* What a client's certificate says; see external.h. */
#include "authd/external.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define PEM_MAX (1024 * 1024)
#define AUTHORITIES_MAX 200

struct x509_store_st *
external_authorities(int fd)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new(BIO_s_mem());
	const char *wrong = NULL;
	char buf[8192];
	off_t at = 0;
	ssize_t len;
	X509 *x;
	int n = 0;

	while (
	    bio != NULL && wrong == NULL && (len = pread(fd, buf, sizeof(buf), at)) > 0)
		if ((at += len) > PEM_MAX || BIO_write(bio, buf, (int)len) != (int)len)
			wrong = "too large";
	if (fd != -1)
		close(fd);
	while (bio != NULL && store != NULL && wrong == NULL &&
	       (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (n++ == AUTHORITIES_MAX || X509_STORE_add_cert(store, x) != 1)
			wrong = "too many certificates";
		X509_free(x);
	}
	if (wrong == NULL && n == 0)
		wrong = "no certificate in it";
	BIO_free(bio);
	ERR_clear_error();
	if (store == NULL || bio == NULL || wrong != NULL) {
		log_warnx("client-ca: %s", wrong != NULL ? wrong : "no memory");
		X509_STORE_free(store);
		return NULL;
	}
	return store;
}

struct x509_st *
external_parse(const uint8_t *der, size_t len)
{
	const unsigned char *p = der;
	X509 *x;

	if (len == 0 || len > INT32_MAX)
		return NULL;
	x = d2i_X509(NULL, &p, (long)len);
	if (x != NULL && p != der + len) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

struct x509_st *
external_parse_pem(const char *text, size_t len)
{
	BIO *bio = len > PEM_MAX ? NULL : BIO_new_mem_buf(text, (int)len);
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

int
external_fingerprint(const struct x509_st *x, char out[FINGERPRINT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char md[SHA256_DIGEST_LENGTH], *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	if (len <= 0)
		return -1;
	SHA256(der, (size_t)len, md);
	OPENSSL_free(der);
	for (size_t i = 0; i < sizeof(md); i++) {
		out[2 * i] = hex[md[i] >> 4];
		out[2 * i + 1] = hex[md[i] & 15];
	}
	out[2 * sizeof(md)] = '\0';
	return 0;
}

int
external_fingerprint_parse(const char *text, char out[FINGERPRINT_SIZE])
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		char c = *text;

		if (c == ':' && n > 0 && n % 2 == 0 && text[1] != '\0')
			continue;
		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (n == FINGERPRINT_SIZE - 1 ||
		    !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == FINGERPRINT_SIZE - 1 ? 0 : -1;
}

int
external_is_current(const struct x509_st *x, int64_t now_s)
{
	time_t now = (time_t)now_s;

	return X509_cmp_time(X509_get0_notBefore(x), &now) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(x), &now) > 0;
}

int
external_is_issued(struct x509_st *x, struct x509_store_st *authorities, int64_t now_s)
{
	X509_STORE_CTX *c = authorities == NULL ? NULL : X509_STORE_CTX_new();
	int ok = 0;

	if (c != NULL && X509_STORE_CTX_init(c, authorities, x, NULL) == 1 &&
	    X509_STORE_CTX_set_purpose(c, X509_PURPOSE_SSL_CLIENT) == 1) {
		X509_STORE_CTX_set_time(c, 0, (time_t)now_s);
		/* An issuer in the middle may stand in the file, too. */
		X509_VERIFY_PARAM_set_flags(
		    X509_STORE_CTX_get0_param(c), X509_V_FLAG_PARTIAL_CHAIN);
		ok = X509_verify_cert(c) == 1;
	}
	X509_STORE_CTX_free(c);
	ERR_clear_error();
	return ok;
}

int
external_address(const struct x509_st *x, int i, char *out, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int found = 0;

	for (int k = 0; names != NULL && k < sk_GENERAL_NAME_num(names); k++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, k);
		const unsigned char *p;
		int len;

		if (n->type != GEN_EMAIL || i-- > 0)
			continue;
		p = ASN1_STRING_get0_data(n->d.rfc822Name);
		len = ASN1_STRING_length(n->d.rfc822Name);
		out[0] = '\0'; /* one that cannot be ours is nobody's */
		if (len > 0 && (size_t)len < cap &&
		    memchr(p, '\0', (size_t)len) == NULL) {
			memcpy(out, p, (size_t)len);
			out[len] = '\0';
		}
		found = 1;
		break;
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return found;
}
