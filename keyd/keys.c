/* SPDX-License-Identifier: ISC */
/*
 * The private keys, by number; see keys.h. They come as descriptors from fifed,
 * at first before the sandbox and later, on a reload, inside it: hence read(2)
 * and lseek(2) alone. Their numbers live in OpenSSL's secure heap: locked,
 * not dumped, wiped when freed.
 */
#include "keyd/keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/compat/compat.h"
#include "common/log.h"

#define PEM_MAX (64 * 1024)
#define SECURE_HEAP (2 * 1024 * 1024)

struct key {
	uint32_t number;
	EVP_PKEY *pkey;
};

struct set {
	struct key keys[KEYS_MAX];
	size_t n;
};

static struct set current, next;

void
keys_init(void)
{
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, 32) != 1)
		log_warnx("keys may be written to swap: memory cannot be locked");
	/* What OpenSSL would otherwise look for with the first key, perhaps only
	 * after a reload in the sandbox. */
	OPENSSL_init_crypto(
	    OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
}

static void
set_clear(struct set *s)
{
	for (size_t i = 0; i < s->n; i++)
		EVP_PKEY_free(s->keys[i].pkey);
	explicit_bzero(s, sizeof(*s));
}

void
keys_round(void)
{
	set_clear(&next);
}

/* 0 and the length, or -1 with a reason. */
static int
read_all(int fd, char *buf, size_t cap, size_t *len, const char **why)
{
	ssize_t n;

	*len = 0;
	(void)lseek(fd, 0, SEEK_SET); /* somebody may have read it before */
	while (*len < cap) {
		if ((n = read(fd, buf + *len, cap - *len)) == 0)
			return 0;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			*why = strerror(errno);
			return -1;
		}
		*len += (size_t)n;
	}
	*why = "file too large";
	return -1;
}

/* Nobody is there to type a passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	*(int *)arg = 1;
	return -1;
}

static EVP_PKEY *
parse(const char *pem, size_t len, const char **why)
{
	EVP_PKEY *pkey = NULL;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	int encrypted = 0;

	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		*why = encrypted ? "it is encrypted; store it without a passphrase"
				 : "no private key in PEM form";
	else if (!EVP_PKEY_is_a(pkey, "RSA") && !EVP_PKEY_is_a(pkey, "EC") &&
		 !EVP_PKEY_is_a(pkey, "ED25519")) {
		*why = "neither RSA nor EC nor Ed25519";
		EVP_PKEY_free(pkey);
		pkey = NULL;
	} else if (EVP_PKEY_get_size(pkey) > 1024) {
		*why = "key too large";
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

int
keys_add(int fd, uint32_t number)
{
	char *pem = OPENSSL_secure_malloc(PEM_MAX);
	const char *why = "out of memory";
	EVP_PKEY *pkey = NULL;
	size_t len;

	if (next.n == KEYS_MAX)
		why = "too many keys";
	else if (pem != NULL && read_all(fd, pem, PEM_MAX, &len, &why) == 0)
		pkey = parse(pem, len, &why);
	OPENSSL_secure_clear_free(pem, PEM_MAX);
	close(fd);
	if (pkey == NULL) {
		log_warnx("key %u: %s", (unsigned int)number, why);
		return -1;
	}
	for (size_t i = 0; i < next.n; i++)
		if (next.keys[i].number == number) {
			EVP_PKEY_free(next.keys[i].pkey);
			next.keys[i].pkey = pkey;
			return 0;
		}
	next.keys[next.n].number = number;
	next.keys[next.n].pkey = pkey;
	next.n++;
	return 0;
}

void
keys_switch(void)
{
	set_clear(&current);
	current = next;
	explicit_bzero(&next, sizeof(next)); /* moved, not freed */
}

EVP_PKEY *
keys_find(uint32_t number)
{
	for (size_t i = 0; i < current.n; i++)
		if (current.keys[i].number == number)
			return current.keys[i].pkey;
	return NULL;
}

size_t
keys_count(void)
{
	return current.n;
}

void
keys_clear(void)
{
	set_clear(&current);
	set_clear(&next);
}
