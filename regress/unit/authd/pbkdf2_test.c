/* SPDX-License-Identifier: ISC */
/* Our PBKDF2 beside libcrypto's, at every length around the edges of a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "authd/pbkdf2.h"

static uint8_t octets[300];

static void
same(size_t password_len, size_t salt_len, uint32_t iterations)
{
	uint8_t mine[PBKDF2_SHA256_LEN], theirs[PBKDF2_SHA256_LEN];

	pbkdf2_sha256(octets, password_len, octets + 100, salt_len, iterations, mine);
	assert_int_equal(
	    PKCS5_PBKDF2_HMAC((const char *)octets, (int)password_len, octets + 100,
		(int)salt_len, (int)iterations, EVP_sha256(), sizeof(theirs), theirs),
	    1);
	assert_memory_equal(mine, theirs, sizeof(mine));
}

static void
as_libcrypto(void **state)
{
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 37 + 11);
	for (size_t len = 0; len <= 140; len++) {
		same(len, 16, 2);
		same(12, len, 3);
	}
	same(12, 16, 1);
	same(12, 16, 4096);
}

/* RFC 7677, 3: SaltedPassword of "pencil" is not printed there, so RFC 7914, 11. */
static void
as_the_rfc(void **state)
{
	static const uint8_t want[] = { 0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f,
		0xec, 0x16, 0x91, 0xc2, 0x25, 0x44, 0xb6, 0x05, 0xf9, 0x41, 0x85, 0x21,
		0x6d, 0xde, 0x04, 0x65, 0xe6, 0x8b, 0x9d, 0x57, 0xc2, 0x0d, 0xac, 0xbc };
	uint8_t got[PBKDF2_SHA256_LEN];

	pbkdf2_sha256("passwd", 6, "salt", 4, 1, got);
	assert_memory_equal(got, want, sizeof(want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_libcrypto),
		cmocka_unit_test(as_the_rfc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
