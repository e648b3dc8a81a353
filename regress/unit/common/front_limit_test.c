/* SPDX-License-Identifier: ISC */
/* front/limit.c: connections and failed logins by address. */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/front/limit.h"

static void
key6(const char *text, uint8_t key[LIMIT_KEY_SIZE])
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };

	inet_pton(AF_INET6, text, &sa.sin6_addr);
	limit_key((struct sockaddr *)&sa, key);
}

static void
key4(const char *text, uint8_t key[LIMIT_KEY_SIZE])
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &sa.sin_addr);
	limit_key((struct sockaddr *)&sa, key);
}

static void
test_keys(void **state)
{
	uint8_t a[LIMIT_KEY_SIZE], b[LIMIT_KEY_SIZE];

	key6("2001:db8::1", a);
	key6("2001:db8::ffff:1", b);
	assert_memory_equal(a, b, sizeof(a));
	key6("2001:db8:0:1::1", b);
	assert_memory_not_equal(a, b, sizeof(a));
	key4("192.0.2.1", a);
	key6("::ffff:192.0.2.1", b);
	assert_memory_equal(a, b, sizeof(a));
}

static void
test_connections(void **state)
{
	struct limit *l = limit_new();
	uint8_t a[LIMIT_KEY_SIZE], b[LIMIT_KEY_SIZE];

	key4("192.0.2.1", a);
	key4("192.0.2.2", b);
	assert_int_equal(limit_open(l, a, 2, 1), 0);
	assert_int_equal(limit_open(l, a, 2, 1), 0);
	assert_int_equal(limit_open(l, a, 2, 1), -1);
	assert_int_equal(limit_open(l, b, 2, 1), 0);
	limit_close(l, a);
	assert_int_equal(limit_open(l, a, 2, 1), 0);
	limit_free(l);
}

static void
test_delays(void **state)
{
	struct limit *l = limit_new();
	uint8_t a[LIMIT_KEY_SIZE];

	key4("192.0.2.1", a);
	limit_open(l, a, 0, 0);
	assert_int_equal(limit_failed(l, a, 1000), 1000);
	assert_int_equal(limit_failed(l, a, 2000), 2000);
	limit_close(l, a);
	/* another connection is no fresh start */
	limit_open(l, a, 0, 3000);
	assert_int_equal(limit_failed(l, a, 3000), 4000);
	for (int i = 0; i < 100; i++)
		assert_true(limit_failed(l, a, 4000) <= LIMIT_DELAY_MAX_MS);
	assert_int_equal(limit_failed(l, a, 5000), LIMIT_DELAY_MAX_MS);
	assert_int_equal(limit_failed(l, a, 5001 + LIMIT_FORGET_MS), 1000);
	limit_succeeded(l, a);
	assert_int_equal(limit_failed(l, a, 6000 + LIMIT_FORGET_MS), 1000);
	limit_free(l);
}

/* A flood of addresses that failed once never fills the table for good. */
static void
test_bound(void **state)
{
	struct limit *l = limit_new();
	struct sockaddr_in sa = { .sin_family = AF_INET };
	uint8_t key[LIMIT_KEY_SIZE];

	for (uint32_t i = 0; i < LIMIT_ENTRIES_MAX * 2; i++) {
		sa.sin_addr.s_addr = htonl(i);
		limit_key((struct sockaddr *)&sa, key);
		assert_int_equal(limit_open(l, key, 1, i), 0);
		limit_failed(l, key, i);
		limit_close(l, key);
	}
	for (uint32_t i = 0; i < LIMIT_ENTRIES_MAX; i++) {
		sa.sin_addr.s_addr = htonl(i);
		limit_key((struct sockaddr *)&sa, key);
		assert_int_equal(limit_open(l, key, 1, 0), 0);
	}
	sa.sin_addr.s_addr = htonl(LIMIT_ENTRIES_MAX);
	limit_key((struct sockaddr *)&sa, key);
	assert_int_equal(limit_open(l, key, 1, 0), -1);
	limit_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
