/* SPDX-License-Identifier: ISC */
/* Verifiers, the memory of verified passwords, and the mechanisms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "authd/password.h"
#include "authd/sasl.h"
#include "authd/verified.h"
#include "common/compat/compat.h"

#define LIFE_MS 300000

static const struct sasl_binding none = { "", NULL, 0 };

static void
scram_keys(void **state)
{
	struct password p, q;

	assert_int_equal(password_make("pencil", 1, 4096, &p), 0);
	assert_true(
	    p.scram_sha256[0] != '\0' && p.scram_sha1[0] != '\0' && p.crypt[0] == '\0');
	assert_int_equal(password_check("pencil", &p), 1);
	assert_int_equal(password_check("Pencil", &p), 0);
	assert_int_equal(password_check("", &p), 0);
	password_make("pencil", 1, 4096, &q);
	assert_string_not_equal(p.scram_sha256, q.scram_sha256);
	strlcpy(p.scram_sha256, "4096$x$y$z", sizeof(p.scram_sha256));
	assert_int_equal(password_check("pencil", &p), -1);
}

/* RFC 7677, 3: the exchange's keys follow from this salt and password. */
static void
rfc7677_vector(void **state)
{
	struct password p = { 0 };

	strlcpy(p.scram_sha256,
	    "4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    sizeof(p.scram_sha256));
	assert_int_equal(password_check("pencil", &p), 1);
	assert_int_equal(password_check("pencils", &p), 0);
}

static void
yescrypt(void **state)
{
	struct password p;

	assert_int_equal(password_make("s3cret", 0, 0, &p), 0);
	assert_true(strncmp(p.crypt, "$y$", 3) == 0 && p.scram_sha256[0] == '\0');
	assert_int_equal(password_check("s3cret", &p), 1);
	assert_int_equal(password_check("s3creT", &p), 0);
}

static void
bounds(void **state)
{
	char longest[PASSWORD_MAX + 2];
	struct password p = { 0 };

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(password_make(longest, 1, 4096, &p), -1);
	assert_int_equal(password_make("", 1, 4096, &p), -1);
	memset(&p, 0, sizeof(p));
	assert_int_equal(password_check("x", &p), -1);
}

static void
memory_forgets(void **state)
{
	struct password p = { .crypt = "one" }, q = { .crypt = "two" };

	assert_int_equal(verified_init(), 0);
	verified_set_life(LIFE_MS);
	assert_int_equal(verified_find("a@x", "pw", &p, 1000), 0);
	verified_add("a@x", "pw", &p, 1000);
	assert_int_equal(verified_find("a@x", "pw", &p, 1000 + LIFE_MS - 1), 1);
	assert_int_equal(verified_find("a@x", "pw", &p, 1000 + LIFE_MS), 0);
	assert_int_equal(verified_find("a@x", "PW", &p, 1000), 0);
	assert_int_equal(verified_find("b@x", "pw", &p, 1000), 0);
	assert_int_equal(verified_find("a@x", "pw", &q, 1000), 0); /* it was changed */
	verified_set_life(0);
	assert_int_equal(verified_find("a@x", "pw", &p, 1000), 0);
	verified_add("a@x", "pw", &p, 1000);
	assert_int_equal(verified_find("a@x", "pw", &p, 1000), 0);
}

static void
plain(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum sasl_action action;
	} rows[] = {
		{ "\0alice\0pw", 9, SASL_CHECK },
		{ "alice\0alice\0pw", 14, SASL_CHECK },
		{ "bob\0alice\0pw", 12, SASL_FAIL },
		{ "\0alice\0", 7, SASL_FAIL },
		{ "\0\0pw", 4, SASL_FAIL },
		{ "alice", 5, SASL_FAIL },
		{ "\0alice", 6, SASL_FAIL },
		{ "\0alice\0p\0w", 10, SASL_FAIL },
		{ "\0al\xff\0pw", 7, SASL_FAIL },
		{ "", 0, SASL_FAIL },
	};
	const char *challenge, *why;
	struct sasl s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sasl_init(&s, "PLAIN", 0);
		assert_int_equal(sasl_input(&s, (const uint8_t *)rows[i].data,
				     rows[i].len, &none, &challenge, &why),
		    rows[i].action);
		if (rows[i].action == SASL_CHECK) {
			assert_string_equal(s.login, "alice");
			assert_string_equal(s.password, "pw");
		}
	}
	sasl_init(&s, "PLAIN", 0);
	assert_int_equal(sasl_input(&s, NULL, 0, &none, &challenge, &why), SASL_ASK);
	assert_string_equal(challenge, "");
	assert_int_equal(
	    sasl_input(&s, (const uint8_t *)"\0a\0b", 4, &none, &challenge, &why),
	    SASL_CHECK);
}

static void
login(void **state)
{
	const char *challenge, *why;
	struct sasl s;

	sasl_init(&s, "login", 0);
	assert_int_equal(sasl_input(&s, NULL, 0, &none, &challenge, &why), SASL_ASK);
	assert_string_equal(challenge, "Username:");
	assert_int_equal(
	    sasl_input(&s, (const uint8_t *)"alice", 5, &none, &challenge, &why),
	    SASL_ASK);
	assert_string_equal(challenge, "Password:");
	assert_int_equal(
	    sasl_input(&s, (const uint8_t *)"pw", 2, &none, &challenge, &why),
	    SASL_CHECK);
	assert_string_equal(s.login, "alice");
	assert_int_equal(sasl_mechanism("CRAM-MD5"), SASL_MECH_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(scram_keys),
		cmocka_unit_test(rfc7677_vector), cmocka_unit_test(yescrypt),
		cmocka_unit_test(bounds), cmocka_unit_test(memory_forgets),
		cmocka_unit_test(plain), cmocka_unit_test(login) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
