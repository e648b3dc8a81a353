/* SPDX-License-Identifier: ISC */
/* Logging in at relays: the examples of RFC 5802 and 7677, and the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keyd/sasl_client.h"

static struct sasl_client c;
static char out[SASL_CLIENT_OUT_MAX];
static size_t len;
static const char *why;

static void
begin(const char *mechanism, const char *user, const char *secret, const char *nonce)
{
	memset(&c, 0, sizeof(c));
	snprintf(c.user, sizeof(c.user), "%s", user);
	snprintf(c.secret, sizeof(c.secret), "%s", secret);
	snprintf(c.host, sizeof(c.host), "relay.test");
	c.port = 587;
	assert_int_equal(sasl_client_init(&c, mechanism, nonce, "", NULL, 0), 0);
}

static int
next(const char *in)
{
	int rc = sasl_client_next(&c, in, strlen(in), out, &len, &why);

	if (rc == 0)
		out[len] = '\0';
	return rc;
}

static void
scram(void **state)
{
	static const struct {
		const char *mechanism, *nonce, *first, *challenge, *final, *last;
	} rows[] = {
		{ "SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
		    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
		    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
		    "i=4096",
		    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		    "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
		{ "SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
		    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
		    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
	};

	for (size_t i = 0; i < 2; i++) {
		begin(rows[i].mechanism, "user", "pencil", rows[i].nonce);
		assert_int_equal(sasl_client_first(&c, out, &len), 1);
		assert_int_equal(len, strlen(rows[i].first));
		assert_memory_equal(out, rows[i].first, len);
		assert_int_equal(next(rows[i].challenge), 0);
		assert_string_equal(out, rows[i].final);
		assert_false(c.proved);
		assert_int_equal(next(rows[i].last), 0);
		assert_true(c.proved);
		assert_int_equal(len, 0);
		assert_int_equal(next(""), -1);
	}
}

static void
scram_refuses(void **state)
{
	static const char *const rows[] = { "", "r=", "r=abc,s=QSXC,i=4096",
		"r=nonce,s=QSXC,i=4096", "r=nonceX,s=!,i=4096", "r=nonceX,s=QSXC",
		"r=nonceX,s=QSXC,i=1", "r=nonceX,s=QSXC,i=999999999",
		"r=nonceX,s=QSXC,i=x", "m=x,r=nonceX,s=QSXC,i=4096" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin("SCRAM-SHA-256", "user", "pencil", "nonce");
		assert_int_equal(sasl_client_first(&c, out, &len), 1);
		if (next(rows[i]) != -1)
			fail_msg("%s", rows[i]);
	}
	begin("SCRAM-SHA-256", "user", "pencil", "nonce");
	(void)sasl_client_first(&c, out, &len);
	assert_int_equal(next("r=nonceX,s=QSXC,i=4096"), 0);
	assert_int_equal(next("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), -1);
	assert_false(c.proved);
}

static void
others(void **state)
{
	begin("PLAIN", "user", "pencil", "x");
	assert_int_equal(sasl_client_first(&c, out, &len), 1);
	assert_int_equal(len, 12);
	assert_memory_equal(out, "\0user\0pencil", 12);
	begin("LOGIN", "user", "pencil", "x");
	assert_int_equal(sasl_client_first(&c, out, &len), 0);
	assert_int_equal(next("Username:"), 0);
	assert_string_equal(out, "user");
	assert_int_equal(next("Password:"), 0);
	assert_string_equal(out, "pencil");
	assert_int_equal(next("Shoe size:"), -1);
	begin("XOAUTH2", "user", "tok", "x");
	assert_int_equal(sasl_client_first(&c, out, &len), 1);
	assert_int_equal(len, strlen("user=user\001auth=Bearer tok\001\001"));
	assert_memory_equal(out, "user=user\001auth=Bearer tok\001\001", len);
	begin("OAUTHBEARER", "a,b", "tok", "x");
	assert_int_equal(sasl_client_first(&c, out, &len), 1);
	out[len] = '\0';
	assert_string_equal(
	    out, "n,a=a=2Cb,\001host=relay.test\001port=587\001auth=Bearer tok\001\001");
	assert_int_equal(next("{\"status\":\"invalid_token\"}"), 0);
	assert_string_equal(out, "\001");
	sasl_client_clear(&c);
}

static void
choice(void **state)
{
	static const struct {
		const char *offered, *only;
		bool bound, shown, token;
		const char *want;
	} rows[] = {
		{ "PLAIN LOGIN", "", false, true, false, "PLAIN" },
		{ "LOGIN", "", false, true, false, "LOGIN" },
		{ "PLAIN LOGIN", "", false, false, false, NULL },
		{ "plain scram-sha-256", "", false, true, false, "SCRAM-SHA-256" },
		{ "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "", true, true, false,
		    "SCRAM-SHA-256-PLUS" },
		{ "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "", false, false, false,
		    "SCRAM-SHA-256" },
		{ "PLAIN XOAUTH2", "", false, true, true, "XOAUTH2" },
		{ "PLAIN XOAUTH2", "", false, true, false, "PLAIN" },
		{ "PLAIN SCRAM-SHA-256", "PLAIN", false, true, false, "PLAIN" },
		{ "SCRAM-SHA-256", "PLAIN", false, true, false, NULL },
		{ "PLAINER", "", false, true, false, NULL },
		{ "", "", false, true, false, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = sasl_client_choose(rows[i].offered, rows[i].only,
		    rows[i].bound, rows[i].shown, rows[i].token);

		if ((got == NULL) != (rows[i].want == NULL) ||
		    (got != NULL && strcmp(got, rows[i].want) != 0))
			fail_msg("row %zu: %s", i, got == NULL ? "none" : got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(scram),
		cmocka_unit_test(scram_refuses), cmocka_unit_test(others),
		cmocka_unit_test(choice) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
