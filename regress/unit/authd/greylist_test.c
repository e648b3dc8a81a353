/* SPDX-License-Identifier: ISC */
/* Greylisting: who waits and for how long, what is forgotten, what the file keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "authd/greylist.h"

#define T0 1800000000

static const struct greylist_conf usual = { .delay_s = 300,
	.retry_s = 86400,
	.keep_s = 30 * 86400,
	.hosts = 3,
	.ipv4_prefix = 24,
	.entries_max = 1000 };

static struct greylist *
make(void)
{
	struct greylist *g = greylist_new();

	greylist_set(g, &usual);
	return g;
}

#define A "192.0.2.1"
#define BOB "bob@remote.test"
#define ALICE "alice@example.test"

static void
test_delay(void **state)
{
	struct greylist *g = make();

	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0), 300);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 1), 299);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 299), 1);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 300), 0);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 301), 0);
	/* Each of the three counts; case and numbers of the sender do not. */
	assert_int_equal(
	    greylist_check(g, A, "BOB@Remote.test", "ALICE@example.test", T0 + 302), 0);
	assert_int_equal(greylist_check(g, "192.0.2.200", BOB, ALICE, T0 + 302), 0);
	assert_int_equal(greylist_check(g, "192.0.3.1", BOB, ALICE, T0 + 302), 300);
	assert_int_equal(greylist_check(g, A, "bob2@remote.test", ALICE, T0 + 302), 300);
	assert_int_equal(greylist_check(g, A, "bob77@remote.test", ALICE, T0 + 303), 299);
	assert_int_equal(greylist_check(g, A, BOB, "carol@example.test", T0 + 302), 300);
	assert_int_equal(greylist_check(g, A, "", ALICE, T0 + 302), 300);
	/* An IPv6 /64 is one network. */
	assert_int_equal(greylist_check(g, "2001:db8::1", BOB, ALICE, T0), 300);
	assert_int_equal(greylist_check(g, "2001:db8::2", BOB, ALICE, T0 + 300), 0);
	assert_int_equal(greylist_check(g, "2001:db8:0:1::2", BOB, ALICE, T0 + 300), 300);
	greylist_free(g);
}

static void
test_lifetimes(void **state)
{
	struct greylist *g = make();
	int64_t t = T0;

	/* Too late counts as new. */
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 300);
	t += 86401;
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 300);
	t += 86400;
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 0);
	/* It is kept from the last time on. */
	t += 29 * 86400;
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 0);
	t += 29 * 86400;
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 0);
	t += 31 * 86400;
	assert_int_equal(greylist_check(g, A, BOB, ALICE, t), 300);
	/* A clock that was put back makes nobody wait for ever. */
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 - 86400), 300);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 - 86400 + 300), 0);
	greylist_free(g);
}

static void
test_network(void **state)
{
	struct greylist *g = make();
	struct greylist_conf c = usual;
	char sender[40];

	for (int i = 0; i < 3; i++) {
		snprintf(sender, sizeof(sender), "%c@remote.test", 'a' + i);
		assert_int_equal(greylist_check(g, A, sender, ALICE, T0), 300);
		assert_int_equal(greylist_check(g, A, sender, ALICE, T0 + 300), 0);
	}
	/* Three have passed: the network is good, for as long as it comes. */
	assert_int_equal(
	    greylist_check(g, "192.0.2.9", "new@x.test", ALICE, T0 + 400), 0);
	assert_int_equal(
	    greylist_check(g, "192.0.3.9", "new@x.test", ALICE, T0 + 400), 300);
	assert_int_equal(greylist_check(g, A, "new2@y.test", ALICE, T0 + 29 * 86400), 0);
	assert_int_equal(greylist_check(g, A, "new3@z.test", ALICE, T0 + 58 * 86400), 0);
	assert_int_equal(
	    greylist_check(g, A, "new4@q.test", ALICE, T0 + 90 * 86400), 300);
	c.hosts = 0;
	greylist_set(g, &c);
	for (int i = 0; i < 10; i++) {
		int64_t t = T0 + 100 * 86400;

		snprintf(sender, sizeof(sender), "%c@other.test", 'a' + i);
		assert_int_equal(greylist_check(g, A, sender, ALICE, t), 300);
		assert_int_equal(greylist_check(g, A, sender, ALICE, t + 300), 0);
	}
	greylist_free(g);
}

static void
test_bound(void **state)
{
	struct greylist *g = make();
	struct greylist_conf c = usual;
	char rcpt[40];

	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0), 300);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 300), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(rcpt, sizeof(rcpt), "u%d@example.test", i);
		assert_int_equal(
		    greylist_check(g, "198.51.100.1", BOB, rcpt, T0 + 301), 300);
		assert_true(greylist_count(g) <= 1000);
	}
	/* The flood has pushed itself out, not what was good. */
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 302), 0);
	assert_int_equal(greylist_check(g, "198.51.100.1", BOB, rcpt, T0 + 302), 299);
	c.entries_max = 100;
	greylist_set(g, &c);
	assert_true(greylist_count(g) <= 100);
	greylist_free(g);
	greylist_free(NULL);
}

static void
test_file(void **state)
{
	char path[] = "/tmp/fife-greylist-XXXXXX";
	struct greylist *g = make();
	char rcpt[40];
	int fd = mkstemp(path);
	size_t n;

	assert_int_not_equal(fd, -1);
	close(fd);
	unlink(path);
	assert_int_equal(greylist_load(g, path, T0), 0);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0), 300);
	assert_int_equal(greylist_save(g), 0);
	assert_int_equal(greylist_is_changed(g), 0);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 300), 0);
	assert_int_equal(greylist_check(g, A, "carol@remote.test", ALICE, T0 + 300), 300);
	assert_int_equal(greylist_save(g), 0);
	n = greylist_count(g);
	greylist_close();
	greylist_free(g);

	g = make();
	assert_int_equal(greylist_load(g, path, T0 + 400), 0);
	assert_int_equal(greylist_count(g), n);
	assert_int_equal(greylist_check(g, A, BOB, ALICE, T0 + 400), 0);
	assert_int_equal(greylist_check(g, A, "carol@remote.test", ALICE, T0 + 400), 200);
	/* So many come and go that all is written anew. */
	for (int i = 0; i < 5000; i++) {
		snprintf(rcpt, sizeof(rcpt), "u%d@example.test", i);
		(void)greylist_check(g, "198.51.100.1", BOB, rcpt, T0 + 401);
	}
	assert_true(greylist_forgotten(g) > 2000);
	assert_int_equal(greylist_save(g), 0);
	assert_int_equal(greylist_forgotten(g), 0);
	greylist_close();
	greylist_free(g);

	/* Later what is too old is left out. */
	g = make();
	assert_int_equal(greylist_load(g, path, T0 + 2 * 86400), 0);
	assert_int_equal(greylist_count(g), 2); /* BOB's, and his network */
	greylist_close();
	greylist_free(g);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
