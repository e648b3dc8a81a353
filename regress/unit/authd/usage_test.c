/* SPDX-License-Identifier: ISC */
/* What an account sends: its limits, and the signs of a thief, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/usage.h"

#define DAY 86400
#define START (20000 * (int64_t)DAY)

static const struct usage_watch watch = {
	.window_s = 3600, .volume = 100, .volume_factor = 10, .refused = 20, .networks = 4
};

static void
windows(void **state)
{
	const uint64_t limits[USAGE_COUNTS] = { 2, 3, 5, 6 };
	struct usage *s = usage_new();
	int first;

	/* Two messages with two recipients each, then the third in that hour. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    usage_take(s, "a", i % 2 == 0, limits, 10000, &first), USAGE_COUNTS);
	assert_int_equal(usage_of(s, "a", USAGE_RECIPIENTS_HOUR, 10000), 4);
	assert_int_equal(usage_of(s, "a", USAGE_RECIPIENTS_HOUR, 20000), 0);
	assert_int_equal(usage_of(s, "nobody", USAGE_RECIPIENTS_HOUR, 10000), 0);
	assert_int_equal(
	    usage_take(s, "a", 1, limits, 10001, &first), USAGE_MESSAGES_HOUR);
	assert_int_equal(first, 1);
	assert_int_equal(
	    usage_take(s, "a", 1, limits, 10002, &first), USAGE_MESSAGES_HOUR);
	assert_int_equal(first, 0);
	/* More recipients of the one that is under way. */
	assert_int_equal(usage_take(s, "a", 0, limits, 10002, &first), USAGE_COUNTS);
	assert_int_equal(
	    usage_take(s, "a", 0, limits, 10002, &first), USAGE_RECIPIENTS_HOUR);
	/* Another account is another's business. */
	assert_int_equal(usage_take(s, "b", 1, limits, 10002, &first), USAGE_COUNTS);
	/* The next hour, up to the day's limits. */
	assert_int_equal(usage_take(s, "a", 1, limits, 13600, &first), USAGE_COUNTS);
	assert_int_equal(
	    usage_take(s, "a", 0, limits, 13600, &first), USAGE_RECIPIENTS_DAY);
	assert_int_equal(
	    usage_take(s, "a", 1, limits, 13600, &first), USAGE_MESSAGES_DAY);
	assert_int_equal(usage_take(s, "a", 1, limits, 96400, &first), USAGE_COUNTS);
	/* A clock that was put back does not lock anybody out. */
	assert_int_equal(usage_take(s, "a", 1, limits, 50, &first), USAGE_COUNTS);
	usage_free(s);
	usage_free(NULL);
}

static void
bounded(void **state)
{
	const uint64_t limits[USAGE_COUNTS] = { USAGE_UNLIMITED, USAGE_UNLIMITED,
		USAGE_UNLIMITED, USAGE_UNLIMITED };
	struct usage *s = usage_new();
	char name[32];
	int first;

	for (int i = 0; i < 100000; i++)
		assert_int_equal(usage_take(s, "a", 1, limits, 1, &first), USAGE_COUNTS);
	for (int i = 0; i < USAGE_ACCOUNTS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "user %d", i);
		assert_int_equal(usage_take(s, name, 1, limits, 1, &first), USAGE_COUNTS);
	}
	assert_int_equal(usage_accounts(s), USAGE_ACCOUNTS_MAX);
	usage_free(s);
}

static enum usage_alarm
alarm_of(struct usage *s, const char *name, int64_t now)
{
	uint32_t value, usual;

	return usage_alarm(s, name, &watch, now, &value, &usual);
}

static void
sends(struct usage *s, const char *name, int n, int64_t now)
{
	for (int i = 0; i < n; i++)
		usage_sent(s, name, watch.window_s, now);
}

static void
volume_against_history(void **state)
{
	struct usage *s = usage_new();
	uint32_t value, usual;

	/* A new account has what everybody has. */
	sends(s, "new", 100, START);
	assert_int_equal(alarm_of(s, "new", START), USAGE_QUIET);
	sends(s, "new", 1, START + 5);
	assert_int_equal(alarm_of(s, "new", START + 5), USAGE_VOLUME);
	assert_int_equal(alarm_of(s, "new", START + 3600), USAGE_QUIET);
	/* One that sends 50 an hour now and then may send 500. */
	for (int d = 0; d < 5; d++)
		sends(s, "busy", 50, START + d * DAY);
	sends(s, "busy", 500, START + 5 * DAY);
	assert_int_equal(alarm_of(s, "busy", START + 5 * DAY), USAGE_QUIET);
	sends(s, "busy", 1, START + 5 * DAY);
	assert_int_equal(usage_alarm(s, "busy", &watch, START + 5 * DAY, &value, &usual),
	    USAGE_VOLUME);
	assert_int_equal(value, 501);
	assert_int_equal(usual, 50);
	/* What is forgiven is no history. */
	usage_forgive(s, "busy");
	assert_int_equal(alarm_of(s, "busy", START + 5 * DAY), USAGE_QUIET);
	sends(s, "busy", 501, START + 5 * DAY + 4000);
	assert_int_equal(alarm_of(s, "busy", START + 5 * DAY + 4000), USAGE_VOLUME);
	/* History ends after a while. */
	sends(s, "once", 50, START);
	sends(s, "once", 101, START + 10 * DAY);
	assert_int_equal(alarm_of(s, "once", START + 10 * DAY), USAGE_QUIET);
	sends(s, "old", 50, START);
	sends(s, "old", 101, START + 15 * DAY);
	assert_int_equal(alarm_of(s, "old", START + 15 * DAY), USAGE_VOLUME);
	/* A clock that jumps back. */
	sends(s, "old", 1, START);
	assert_int_equal(alarm_of(s, "old", START), USAGE_QUIET);
	usage_free(s);
}

static void
refused_recipients(void **state)
{
	struct usage *s = usage_new();

	for (int i = 0; i < 19; i++)
		usage_refused(s, "a", watch.window_s, START + i);
	assert_int_equal(alarm_of(s, "a", START + 20), USAGE_QUIET);
	usage_refused(s, "a", watch.window_s, START + 20);
	assert_int_equal(alarm_of(s, "a", START + 20), USAGE_REFUSED);
	usage_forgive(s, "a");
	assert_int_equal(alarm_of(s, "a", START + 20), USAGE_QUIET);
	/* A few an hour are an old address book. */
	for (int i = 0; i < 100; i++)
		usage_refused(s, "b", watch.window_s, START + i * 600);
	assert_int_equal(alarm_of(s, "b", START + 100 * 600), USAGE_QUIET);
	usage_free(s);
}

static void
networks(void **state)
{
	struct usage *s = usage_new();

	/* Many addresses of one provider are one network. */
	for (int i = 0; i < 100; i++) {
		char client[32];

		snprintf(client, sizeof(client), "192.0.2.%d", i);
		usage_network(s, "a", client, START);
		snprintf(client, sizeof(client), "2001:db8:%x::1", i);
		usage_network(s, "a", client, START);
	}
	assert_int_equal(alarm_of(s, "a", START), USAGE_QUIET);
	usage_network(s, "a", "local", START);
	usage_network(s, "a", "198.51.100.1", START);
	assert_int_equal(alarm_of(s, "a", START), USAGE_QUIET);
	usage_network(s, "a", "203.0.113.1", START + 10);
	assert_int_equal(alarm_of(s, "a", START + 10), USAGE_NETWORKS);
	/* Not at once. */
	assert_int_equal(alarm_of(s, "a", START + 3700), USAGE_QUIET);
	for (int i = 0; i < 500; i++) {
		char client[32];

		snprintf(client, sizeof(client), "10.%d.0.1", i % 256);
		usage_network(s, "b", client, START + i * 2000);
	}
	assert_int_equal(alarm_of(s, "b", START + 500 * 2000), USAGE_QUIET);
	usage_free(s);
}

static void
kept_across_a_restart(void **state)
{
	const uint64_t limits[USAGE_COUNTS] = { 100, 100, 100, 100 };
	char path[] = "/tmp/fife-usage.XXXXXX", text[USAGE_TEXT_MAX];
	struct usage *s = usage_new(), *again;
	uint32_t value, usual;
	int fd = mkstemp(path), first;

	assert_int_not_equal(fd, -1);
	close(fd);
	unlink(path);
	assert_int_equal(usage_load(s, path, START), 0);
	assert_int_equal(usage_take(s, "a", 1, limits, START, &first), USAGE_COUNTS);
	sends(s, "a", 50, START);
	sends(s, "a", 501, START + DAY);
	usage_refused(s, "a", watch.window_s, START + DAY);
	usage_network(s, "a", "2001:db8::1", START + DAY);
	sends(s, "forgotten", 1, START - 20 * DAY);
	assert_int_equal(usage_save(s), 0);
	assert_false(usage_is_changed(s));
	usage_close();
	again = usage_new();
	assert_int_equal(usage_load(again, path, START + DAY + 5), 0);
	assert_int_equal(usage_accounts(again), 1);
	assert_int_equal(usage_of(again, "a", USAGE_MESSAGES_DAY, START + 6), 1);
	assert_int_equal(usage_alarm(again, "a", &watch, START + DAY + 5, &value, &usual),
	    USAGE_VOLUME);
	assert_int_equal(value, 501);
	assert_int_equal(usual, 50);
	sends(again, "a", 1, START + DAY + 5);
	assert_int_equal(usage_save(again), 0);
	usage_close();
	usage_free(again);
	/* Nonsense in the file is nobody's limit. */
	assert_int_equal(usage_restore(s, "x", "c 9 1 1\n", START), -1);
	assert_int_equal(usage_restore(s, "x", "p 99999999999999999 1\n", START), -1);
	assert_int_equal(usage_restore(s, "x", "n -5 ff\n", START), -1);
	assert_int_equal(usage_restore(s, "x", "hello\n", START), -1);
	assert_int_equal(usage_restore(s, "x", "c 0 9223372036854775807 1\n", START), 1);
	memset(text, 'n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(usage_restore(s, "x", text, START), -1);
	assert_int_equal(usage_accounts(s), 2);
	usage_free(s);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows),
		cmocka_unit_test(bounded),
		cmocka_unit_test(volume_against_history),
		cmocka_unit_test(refused_recipients),
		cmocka_unit_test(networks),
		cmocka_unit_test(kept_across_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
