/* SPDX-License-Identifier: ISC */
/* Marks in the stream of a connection over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <unistd.h>

#include "common/conn.h"

static struct event_base *base;

/* What an owner has been told; the input stays where it is. */
struct seen {
	int events[CONN_ERROR + 1];
	size_t len; /* of the input when the mark came */
};

static void
seen_cb(struct conn *c, enum conn_event ev, void *arg)
{
	struct seen *s = arg;

	s->events[ev]++;
	if (ev == CONN_MARK)
		s->len = evbuffer_get_length(conn_input(c));
}

static int
setup(void **state)
{
	return (base = event_base_new()) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	event_base_free(base);
	return 0;
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* A mark lies exactly where it was sent, whatever is around it, and leaves no descriptor.
 */
static void
test_mark(void **state)
{
	struct seen a = { 0 }, b = { 0 };
	struct conn *from, *to;
	int sv[2], before, after;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from = conn_new(base, sv[0], 65536, seen_cb, &a);
	to = conn_new(base, sv[1], 65536, seen_cb, &b);
	before = dup(0);
	close(before);
	conn_expect_mark(to);
	conn_write(from, "before", 6);
	assert_int_equal(conn_send_mark(from), -1); /* something is unsent */
	while (conn_unsent(from) > 0)
		turn();
	assert_int_equal(conn_send_mark(from), 0);
	conn_write(from, "after", 5);
	for (int i = 0; i < 1000 && b.events[CONN_MARK] == 0; i++)
		turn();
	assert_int_equal(b.events[CONN_MARK], 1);
	assert_int_equal(b.len, 6);
	for (int i = 0; i < 1000 && evbuffer_get_length(conn_input(to)) < 11; i++)
		turn();
	assert_memory_equal(evbuffer_pullup(conn_input(to), -1), "beforeafter", 11);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	/* A second one is not expected: an octet like others, and the descriptor is lost.
	 */
	assert_int_equal(conn_send_mark(from), 0);
	for (int i = 0; i < 1000 && evbuffer_get_length(conn_input(to)) < 12; i++)
		turn();
	assert_int_equal(evbuffer_get_length(conn_input(to)), 12);
	assert_int_equal(b.events[CONN_MARK], 1);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	conn_free(from);
	for (int i = 0; i < 1000 && b.events[CONN_EOF] == 0; i++)
		turn();
	assert_int_equal(b.events[CONN_EOF], 1);
	conn_free(to);
}

/* Nor is one lost when its descriptor finds no room. */
static void
test_mark_without_room(void **state)
{
	struct seen a = { 0 }, b = { 0 };
	struct conn *from, *to;
	struct rlimit had, now;
	int sv[2], next;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	from = conn_new(base, sv[0], 65536, seen_cb, &a);
	to = conn_new(base, sv[1], 65536, seen_cb, &b);
	next = dup(0);
	close(next);
	conn_expect_mark(to);
	conn_write(from, "before", 6);
	while (conn_unsent(from) > 0)
		turn();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	now = (struct rlimit){ (rlim_t)next, had.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(conn_send_mark(from), 0);
	while (b.events[CONN_MARK] == 0 && evbuffer_get_length(conn_input(to)) < 7)
		turn();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
	assert_int_equal(b.events[CONN_MARK], 1);
	assert_memory_equal(evbuffer_pullup(conn_input(to), -1), "before", 6);
	assert_int_equal(evbuffer_get_length(conn_input(to)), 6);
	conn_free(from);
	conn_free(to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_without_room),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
