/* SPDX-License-Identifier: ISC */
/* Access lists: what is an entry, which one counts, what a restart keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/access.h"
#include "common/compat/compat.h"

static char dir[64], path[80];
static struct directory *d;

static int
setup(void **state)
{
	strlcpy(dir, "/tmp/fife-access.XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	d = directory_open(path, 50050, 50053);
	assert_non_null(d);
	assert_int_equal(access_open(d, 0), DIR_OK);
	return 0;
}

static int
teardown(void **state)
{
	char lock[90];

	directory_close(d);
	unlink(path);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(lock);
	rmdir(dir);
	return 0;
}

static void
subjects(void **state)
{
	static const struct {
		const char *in, *out, *network;
	} rows[] = {
		{ "192.0.2.77", "192.0.2.77", "192.0.2.77" },
		{ "192.0.2.77/24", "192.0.2.0/24", NULL },
		{ "192.0.2.77/32", "192.0.2.77", NULL },
		{ "0.0.0.0/0", "0.0.0.0/0", NULL },
		{ "192.0.2.77/33", NULL, NULL },
		{ "192.0.2.77/", NULL, NULL },
		{ "192.0.2.77/-1", NULL, NULL },
		{ "2001:DB8:1:2:3::4", "2001:db8:1:2:3::4", "2001:db8:1:2::/64" },
		{ "2001:db8:1:2::/33", "2001:db8::/33", NULL },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "Example.ORG", "example.org", NULL },
		{ "Eve@Example.ORG", "eve@example.org", NULL },
		{ "a b", NULL, NULL },
		{ "@", NULL, NULL },
		{ "", NULL, NULL },
		{ "[192.0.2.1]", NULL, NULL },
	};
	char out[ACCESS_KEY_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = access_subject(rows[i].in, out, sizeof(out));

		if (rows[i].out == NULL) {
			if (rc == 0)
				fail_msg("%s is %s", rows[i].in, out);
		} else {
			assert_int_equal(rc, 0);
			assert_string_equal(out, rows[i].out);
		}
		if (rows[i].network != NULL) {
			assert_int_equal(access_network(rows[i].in, out, sizeof(out)), 0);
			assert_string_equal(out, rows[i].network);
		}
	}
	assert_true(access_is_loopback("127.0.0.9"));
	assert_true(access_is_loopback("::1"));
	assert_false(access_is_loopback("::2"));
	assert_false(access_is_loopback("local"));
	assert_false(access_is_loopback("192.0.2.1"));
}

static enum access_kind
client(const char *ip, int64_t now)
{
	char subject[ACCESS_KEY_MAX];

	return access_client(d, ip, now, subject, sizeof(subject));
}

static enum access_kind
sender(const char *address)
{
	char subject[ACCESS_KEY_MAX];

	return access_sender(d, address, subject, sizeof(subject));
}

static void
clients(void **state)
{
	char subject[ACCESS_KEY_MAX];

	assert_int_equal(client("192.0.2.1", 0), ACCESS_NONE);
	access_put(d, ACCESS_DENY, "192.0.0.0/16", 0, "bad");
	access_put(d, ACCESS_ALLOW, "192.0.2.0/24", 0, "");
	access_put(d, ACCESS_DENY, "192.0.2.9", 0, "");
	access_put(d, ACCESS_DENY, "2001:db8::/32", 0, "");
	access_put(d, ACCESS_BAN, "198.51.100.7", 1000, "20 failed logins");
	access_put(d, ACCESS_BAN, "2001:db9:1:2::/64", 1000, "20 failed logins");
	assert_int_equal(client("192.0.1.1", 0), ACCESS_DENY);
	assert_int_equal(client("192.0.2.1", 0), ACCESS_ALLOW);
	assert_int_equal(client("192.0.2.9", 0), ACCESS_DENY);
	assert_int_equal(client("192.1.2.9", 0), ACCESS_NONE);
	assert_int_equal(client("2001:db8:ffff::1", 0), ACCESS_DENY);
	assert_int_equal(client("2001:db9:1:2:3:4:5:6", 0), ACCESS_BAN);
	assert_int_equal(client("local", 0), ACCESS_NONE);
	assert_int_equal(client("198.51.100.7", 999), ACCESS_BAN);
	assert_int_equal(
	    access_client(d, "192.0.1.1", 0, subject, sizeof(subject)), ACCESS_DENY);
	assert_string_equal(subject, "192.0.0.0/16");
	/* All of it outlives a restart, bans that are over do not. */
	directory_close(d);
	d = directory_open(path, 50050, 50053);
	assert_int_equal(access_open(d, 999), DIR_OK);
	assert_int_equal(client("192.0.2.9", 999), ACCESS_DENY);
	assert_int_equal(client("198.51.100.7", 999), ACCESS_BAN);
	assert_int_equal(client("198.51.100.7", 1000), ACCESS_NONE);
	assert_int_equal(access_open(d, 1000), DIR_OK);
	assert_int_equal(access_del(d, ACCESS_BAN, "2001:db9:1:2::/64"), DIR_NONE);
	assert_int_equal(access_del(d, ACCESS_DENY, "192.0.2.9"), DIR_OK);
	assert_int_equal(access_del(d, ACCESS_DENY, "192.0.2.9"), DIR_NONE);
	assert_int_equal(client("192.0.2.9", 0), ACCESS_ALLOW);
}

static void
senders(void **state)
{
	char subject[ACCESS_KEY_MAX];

	assert_int_equal(sender("eve@spam.example"), ACCESS_NONE);
	access_put(d, ACCESS_DENY, "spam.example", 0, "");
	access_put(d, ACCESS_ALLOW, "good.spam.example", 0, "");
	access_put(d, ACCESS_DENY, "eve@good.spam.example", 0, "");
	assert_int_equal(sender("eve@spam.example"), ACCESS_DENY);
	assert_int_equal(sender("eve@sub.SPAM.example"), ACCESS_DENY);
	assert_int_equal(sender("bob@good.spam.example"), ACCESS_ALLOW);
	assert_int_equal(sender("Eve@good.spam.example"), ACCESS_DENY);
	assert_int_equal(sender("eve@notspam.example"), ACCESS_NONE);
	assert_int_equal(sender(""), ACCESS_NONE);
	assert_int_equal(access_sender(d, "x@a.b.spam.example", subject, sizeof(subject)),
	    ACCESS_DENY);
	assert_string_equal(subject, "spam.example");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subjects),
		cmocka_unit_test_setup_teardown(clients, setup, teardown),
		cmocka_unit_test_setup_teardown(senders, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
