/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "smtpd/limit.h"
#include "smtpd/policy.h"

static const struct sockaddr *
address(const char *text)
{
	static struct sockaddr_storage ss;
	struct sockaddr_in *in = (void *)&ss;
	struct sockaddr_in6 *in6 = (void *)&ss;

	memset(&ss, 0, sizeof(ss));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		ss.ss_family = AF_UNIX;
	return (const struct sockaddr *)&ss;
}

static int
take(const struct sockaddr *sa, uint32_t total, uint32_t per_client, uint32_t per_network)
{
	const struct limits l = { total, per_client, per_network };

	return limit_take(sa, &l);
}

static void
test_per_client(void **state)
{
	(void)state;
	assert_int_equal(take(address("192.0.2.1"), 100, 2, 0), 0);
	assert_int_equal(take(address("::ffff:192.0.2.1"), 100, 2, 0), 0);
	assert_int_equal(take(address("192.0.2.1"), 100, 2, 0), -1);
	assert_int_equal(take(address("192.0.2.1"), 100, 0, 0), 0);
	assert_int_equal(take(address("192.0.2.2"), 100, 2, 0), 0);
	limit_drop(address("192.0.2.1"));
	limit_drop(address("192.0.2.1"));
	assert_int_equal(take(address("192.0.2.1"), 100, 2, 0), 0);
	/* One /64 is one client. */
	assert_int_equal(take(address("2001:db8::1"), 100, 1, 0), 0);
	assert_int_equal(take(address("2001:db8::ffff:1"), 100, 1, 0), -1);
	assert_int_equal(take(address("2001:db8:0:1::1"), 100, 1, 0), 0);
	assert_int_equal(take(address("local"), 100, 1, 0), 0);
	/* 6 are there. */
	assert_int_equal(take(address("192.0.2.9"), 6, 0, 0), -1);
	assert_int_equal(take(address("192.0.2.9"), 7, 0, 0), 0);
	limit_drop(address("198.51.100.1")); /* was never counted */
	assert_int_equal(take(address("192.0.2.9"), 7, 0, 0), -1);
}

static void
test_per_network(void **state)
{
	assert_int_equal(take(address("203.0.113.1"), 100, 2, 3), 0);
	assert_int_equal(take(address("203.0.113.2"), 100, 2, 3), 0);
	assert_int_equal(take(address("203.0.113.254"), 100, 2, 3), 0);
	assert_int_equal(take(address("203.0.113.77"), 100, 2, 3), -1);
	assert_int_equal(take(address("203.0.112.77"), 100, 2, 3), 0);
	limit_drop(address("203.0.113.2"));
	assert_int_equal(take(address("203.0.113.77"), 100, 2, 3), 0);
	assert_int_equal(take(address("2001:db8:7:1::1"), 100, 1, 2), 0);
	assert_int_equal(take(address("2001:db8:7:2::1"), 100, 1, 2), 0);
	assert_int_equal(take(address("2001:db8:7:3::1"), 100, 1, 2), -1);
	assert_int_equal(take(address("2001:db8:8:3::1"), 100, 1, 2), 0);
}

static void
test_loopback(void **state)
{
	(void)state;
	assert_true(limit_is_loopback(address("127.0.0.1")));
	assert_true(limit_is_loopback(address("127.9.9.9")));
	assert_true(limit_is_loopback(address("::1")));
	assert_true(limit_is_loopback(address("::ffff:127.0.0.1")));
	assert_false(limit_is_loopback(address("::ffff:128.0.0.1")));
	assert_false(limit_is_loopback(address("192.0.2.1")));
	assert_false(limit_is_loopback(address("local")));
}

static void
test_policy(void **state)
{
	(void)state;
	assert_int_equal(policy_rcpt(POLICY_STRANGER, RCLASS_LOCAL), SMTP_REPLY_RCPT_OK);
	assert_int_equal(
	    policy_rcpt(POLICY_STRANGER, RCLASS_REMOTE), SMTP_REPLY_RELAY_DENIED);
	assert_int_equal(policy_rcpt(POLICY_LOGIN, RCLASS_REMOTE), SMTP_REPLY_RCPT_OK);
	assert_int_equal(policy_rcpt(POLICY_LOCAL, RCLASS_REMOTE), SMTP_REPLY_RCPT_OK);
	assert_int_equal(policy_rcpt(POLICY_LOCAL, RCLASS_FULL), SMTP_REPLY_RCPT_OK);
	assert_int_equal(policy_rcpt(POLICY_LOCAL, RCLASS_FULL_HARD), SMTP_REPLY_RCPT_OK);
	assert_int_equal(policy_rcpt(POLICY_STRANGER, RCLASS_FULL), SMTP_REPLY_RCPT_FULL);
	assert_int_equal(
	    policy_rcpt(POLICY_LOGIN, RCLASS_FULL_HARD), SMTP_REPLY_RCPT_FULL_HARD);
	assert_int_equal(
	    policy_rcpt(POLICY_LOGIN, RCLASS_UNKNOWN), SMTP_REPLY_RCPT_UNKNOWN);
	assert_int_equal(policy_rcpt(POLICY_LOGIN, RCLASS_TEMP), SMTP_REPLY_RCPT_TEMP);
	/* A class that a later authd may know is no acceptance. */
	assert_int_equal(
	    policy_rcpt(POLICY_LOGIN, (enum rclass)99), SMTP_REPLY_RCPT_TEMP);
	assert_int_equal(
	    policy_rcpt(POLICY_STRANGER, (enum rclass)0), SMTP_REPLY_RCPT_TEMP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_client),
		cmocka_unit_test(test_per_network),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
