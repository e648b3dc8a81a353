/* SPDX-License-Identifier: ISC */
/* Sessions without a process: what a mailbox process that was taken over may hand in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/msg.h"
#include "mboxd/sleepers.h"

static struct event_base *base;
static int n_woken;

static int
wake(const struct sleeper_cell *cell)
{
	n_woken++;
	return 0;
}

static int
setup(void **state)
{
	base = event_base_new();
	if (base == NULL)
		return -1;
	n_woken = 0;
	sleepers_start(base, wake);
	return 0;
}

static int
teardown(void **state)
{
	event_base_free(base);
	return 0;
}

static struct sleeper_cell
cell_of(const char *mailbox)
{
	struct sleeper_cell c = { .uid = 60000 };

	strlcpy(c.mailbox, mailbox, sizeof(c.mailbox));
	return c;
}

/* The peer of what mboxd was given; -1: it did not take it. */
static int
rest(const char *mailbox, const char *octets)
{
	struct sleeper_cell c = cell_of(mailbox);
	struct msg m = { .type = MSG_MAILBOX_MBOXD_REST };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	m.fd = pair[0];
	m.p.mbox_rest.state = (const uint8_t *)octets;
	m.p.mbox_rest.state_len = strlen(octets);
	if (sleepers_take(&c, &m) == 0) {
		assert_int_equal(m.fd, -1);
		return pair[1];
	}
	assert_int_equal(m.fd, pair[0]);
	close(pair[0]);
	close(pair[1]);
	return -1;
}

static int
give(int fd, const uint8_t *octets, size_t len, void *arg)
{
	assert_int_equal(len, 5);
	assert_memory_equal(octets, "state", 5);
	close(fd);
	++*(int *)arg;
	return 0;
}

static void
test_wakes(void **state)
{
	int session = rest("a", "state"), watch = rest("a", ""), n = 0;

	assert_int_not_equal(session, -1);
	assert_int_not_equal(watch, -1);
	assert_int_equal(sleepers_sessions(), 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(n_woken, 0);
	assert_int_equal(write(watch, "x", 1), 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(n_woken, 1);
	/* What is another's stays. */
	sleepers_give("b", give, &n);
	assert_int_equal(n, 0);
	sleepers_give("a", give, &n);
	assert_int_equal(n, 1);
	assert_int_equal(sleepers_sessions(), 0);
	close(session);
	close(watch);
}

/* Descriptors are few: nothing without a session, and few watches with one. */
static void
test_watches(void **state)
{
	int watches[64], session, n = 0;

	assert_int_equal(rest("a", ""), -1);
	assert_int_not_equal(session = rest("a", "state"), -1);
	for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
		watches[i] = rest("a", "");
		n += watches[i] != -1;
	}
	assert_in_range(n, 1, 8);
	/* With the last session they go. */
	close(session);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(sleepers_sessions(), 0);
	for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
		char c;

		if (watches[i] == -1)
			continue;
		assert_int_equal(recv(watches[i], &c, 1, MSG_DONTWAIT), 0);
		close(watches[i]);
	}
	assert_int_equal(rest("a", ""), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watches, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
