/* SPDX-License-Identifier: ISC */
/* A front's half of a SASL exchange, and the login machines' common part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/front/login.h"

static void
initial_responses(void **state)
{
	struct sasl_exchange x = { 0 };

	assert_int_equal(sasl_exchange_begin(&x, "PLAIN", "AGEAYg==", 8), SASL_STEP_ASK);
	assert_int_equal(x.first, 1);
	assert_int_equal(x.len, 4);
	assert_memory_equal(x.data, "\0a\0b", 4);
	assert_int_equal(sasl_exchange_begin(&x, "PLAIN", "", 0), SASL_STEP_ASK);
	assert_int_equal(x.first, 2);
	assert_int_equal(x.len, 0);
	assert_int_equal(sasl_exchange_begin(&x, "PLAIN", NULL, 0), SASL_STEP_CHALLENGE);
	assert_int_equal(sasl_exchange_begin(&x, "LOGIN", NULL, 0), SASL_STEP_ASK);
	assert_int_equal(x.first, 1);
	assert_int_equal(x.len, 0);
	assert_int_equal(sasl_exchange_begin(&x, "PLAIN", "AGEAYg", 6), SASL_STEP_BASE64);
	assert_null(x.data);
	sasl_exchange_clear(&x);
}

static void
responses(void **state)
{
	struct sasl_exchange x = { 0 };

	assert_int_equal(
	    sasl_exchange_begin(&x, "SCRAM-SHA-256", NULL, 0), SASL_STEP_CHALLENGE);
	/* The first response of all, though not an initial one. */
	assert_int_equal(sasl_exchange_response(&x, "YQ==", 4), SASL_STEP_ASK);
	assert_int_equal(x.first, 1);
	sasl_exchange_given(&x);
	assert_int_equal(sasl_exchange_response(&x, "", 0), SASL_STEP_ASK);
	assert_int_equal(x.first, 0);
	assert_int_equal(sasl_exchange_response(&x, "*", 1), SASL_STEP_CANCELLED);
	assert_int_equal(sasl_exchange_response(&x, "**", 2), SASL_STEP_BASE64);
	sasl_exchange_clear(&x);
}

static void
bounds(void **state)
{
	struct sasl_exchange x = { 0 };
	char *text = malloc(16384);

	assert_non_null(text);
	memset(text, 'A', 16384);
	/* 8190 octets, 8193 and many. */
	assert_int_equal(
	    sasl_exchange_begin(&x, "PLAIN", text, 8190 / 3 * 4), SASL_STEP_ASK);
	assert_int_equal(x.len, 8190);
	assert_int_equal(
	    sasl_exchange_begin(&x, "PLAIN", text, 8193 / 3 * 4), SASL_STEP_TOO_LONG);
	assert_int_equal(
	    sasl_exchange_begin(&x, "PLAIN", text, 16384), SASL_STEP_TOO_LONG);
	assert_int_equal(sasl_exchange_password(&x, text, 8190, text, 0), SASL_STEP_ASK);
	assert_int_equal(x.len, SASL_RESPONSE_MAX);
	assert_int_equal(
	    sasl_exchange_password(&x, text, 8190, text, 1), SASL_STEP_TOO_LONG);
	assert_int_equal(
	    sasl_exchange_password(&x, text, 0, text, SIZE_MAX), SASL_STEP_TOO_LONG);
	sasl_exchange_clear(&x);
	free(text);
}

static void
challenges(void **state)
{
	char *text = sasl_exchange_challenge((const uint8_t *)"more", 4);

	assert_string_equal(text, "bW9yZQ==");
	free(text);
	text = sasl_exchange_challenge(NULL, 0);
	assert_string_equal(text, "");
	free(text);
}

/* authd hears of a cancelled exchange only when it has begun with it. */
static void
abort_is_told(void **state)
{
	struct login_facts facts = { "mx.example.test", false, false, true, false };
	struct login l = { 0 };
	struct login_sasl sasl;
	char *challenge;

	assert_int_equal(login_init(&l, &facts), 0);
	assert_int_equal(
	    login_authenticate(&l, "plain", 5, NULL, 0), SASL_STEP_CHALLENGE);
	assert_int_equal(login_response(&l, "*", 1), SASL_STEP_CANCELLED);
	assert_int_equal(login_action(&l, &sasl), LOGIN_NONE);
	assert_int_equal(login_authenticate(&l, "PLAIN", 5, "", 0), SASL_STEP_ASK);
	assert_false(login_wants_input(&l));
	assert_int_equal(login_action(&l, &sasl), LOGIN_SASL);
	assert_string_equal(sasl.mechanism, "PLAIN");
	login_answered(&l, LOGIN_CONTINUE, (const uint8_t *)"x", 1, &challenge);
	assert_string_equal(challenge, "eA==");
	free(challenge);
	assert_int_equal(login_response(&l, "*", 1), SASL_STEP_CANCELLED);
	assert_int_equal(login_action(&l, &sasl), LOGIN_ABORT);
	assert_int_equal(l.state, LOGIN_READY);
	assert_int_equal(login_authenticate(&l, "NTLM", 4, NULL, 0), SASL_STEP_MECHANISM);
	l.facts.plain_auth = false;
	assert_int_equal(login_authenticate(&l, "PLAIN", 5, NULL, 0), SASL_STEP_PRIVACY);
	assert_int_equal(login_password(&l, "a", 1, "b", 1), SASL_STEP_PRIVACY);
	login_clear(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initial_responses),
		cmocka_unit_test(responses),
		cmocka_unit_test(bounds),
		cmocka_unit_test(challenges),
		cmocka_unit_test(abort_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
