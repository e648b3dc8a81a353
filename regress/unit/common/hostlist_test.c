/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/proto/hostlist.h"

static int
has(const char *list, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		return hostlist_has(list, (const struct sockaddr *)(const void *)&in);
	assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	return hostlist_has(list, (const struct sockaddr *)(const void *)&in6);
}

static void
test_entries(void **state)
{
	static const char *const good[] = { "192.0.2.1", "192.0.2.0/24", "0.0.0.0/0",
		"::/0", "2001:db8::/32", "::1", "192.0.2.1/32", "2001:db8::1/128",
		"192.0.2.128/25" };
	static const char *const bad[] = { "", "a", "192.0.2", "192.0.2.1/24",
		"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "192.0.2.0/024",
		"192.0.2.0/-1", "/8", "::1/129", "2001:db8::1/32", "192.0.2.0/24/8",
		"192.0.2.1 192.0.2.2", "192.0.2.0/9999",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!hostlist_is_entry(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (hostlist_is_entry(bad[i]))
			fail_msg("%s", bad[i]);
}

static void
test_has(void **state)
{
	static const char list[] = "192.0.2.1 198.51.100.128/25 2001:db8:8000::/33 ::1";
	struct sockaddr none = { .sa_family = AF_UNIX };

	(void)state;
	assert_true(has(list, "192.0.2.1"));
	assert_true(has(list, "::ffff:192.0.2.1"));
	assert_false(has(list, "192.0.2.2"));
	assert_true(has(list, "198.51.100.255"));
	assert_false(has(list, "198.51.100.127"));
	assert_true(has(list, "2001:db8:ffff::1"));
	assert_false(has(list, "2001:db8:7fff::1"));
	assert_true(has(list, "::1"));
	assert_false(has(list, "::2"));
	assert_false(has("", "192.0.2.1"));
	assert_true(has("0.0.0.0/0", "192.0.2.1"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("::/0", "192.0.2.1"));
	assert_false(hostlist_has("0.0.0.0/0 ::/0", &none));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
