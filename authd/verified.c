/* SPDX-License-Identifier: ISC */
/* Memory of verified passwords; see verified.h. */
#include "authd/verified.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "common/compat/compat.h"

#define SLOTS 4096
#define TAG_LEN 32

static unsigned char secret[32];
static uint64_t life_ms;
static struct {
	unsigned char tag[TAG_LEN];
	uint64_t until;
} slots[SLOTS];

int
verified_init(void)
{
	return RAND_bytes(secret, sizeof(secret)) == 1 ? 0 : -1;
}

void
verified_set_life(uint64_t ms)
{
	if (ms < life_ms)
		explicit_bzero(slots, sizeof(slots));
	life_ms = ms;
}

static int
tag_of(
    const char *address, const char *plain, const struct password *p, unsigned char *tag)
{
	char text[320 + PASSWORD_MAX + sizeof(*p) + 8];
	size_t len = 0;
	const char *parts[] = { address, plain, p->scram_sha256, p->crypt };
	unsigned int n;
	int ok;

	for (size_t i = 0; i < 4; i++) {
		size_t l = strlen(parts[i]) + 1;

		if (len + l > sizeof(text))
			return -1;
		memcpy(text + len, parts[i], l);
		len += l;
	}
	ok = HMAC(EVP_sha256(), secret, sizeof(secret), (unsigned char *)text, len, tag,
		 &n) != NULL;
	explicit_bzero(text, sizeof(text));
	return ok ? 0 : -1;
}

static size_t
slot_of(const unsigned char *tag)
{
	return ((size_t)tag[0] | (size_t)tag[1] << 8) % SLOTS;
}

int
verified_find(
    const char *address, const char *plain, const struct password *p, uint64_t now)
{
	unsigned char tag[TAG_LEN];
	size_t i;

	if (tag_of(address, plain, p, tag) == -1)
		return 0;
	i = slot_of(tag);
	return slots[i].until > now && CRYPTO_memcmp(slots[i].tag, tag, TAG_LEN) == 0;
}

void
verified_add(
    const char *address, const char *plain, const struct password *p, uint64_t now)
{
	unsigned char tag[TAG_LEN];
	size_t i;

	if (life_ms == 0 || tag_of(address, plain, p, tag) == -1)
		return;
	i = slot_of(tag);
	memcpy(slots[i].tag, tag, TAG_LEN);
	slots[i].until = now + life_ms;
}
