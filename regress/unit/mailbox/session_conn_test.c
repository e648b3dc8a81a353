/* SPDX-License-Identifier: ISC */
/* A session on its socket, with a machine that is slow (session_conn.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "common/daemon.h"
#include "mailbox/session_conn.h"

#define N 20

static struct {
	struct evbuffer *out;
	int taken, ended;
} m;

/* One octet is a command, and takes longer than a turn. */
static size_t
input(void *arg, const uint8_t *in, size_t len)
{
	uint64_t until = now_ms() + SESSION_TURN_MS + 1;

	while (now_ms() < until)
		;
	m.taken++;
	return 1;
}

static int
run(void *arg, size_t unsent)
{
	return 0;
}

static int
idle(void *arg)
{
	return 1;
}

static struct evbuffer *
output(void *arg)
{
	return m.out;
}

static int
has_ended(void *arg)
{
	return 0;
}

static void
machine_free(void *arg)
{
}

static const struct session_machine machine = { .input = input,
	.run = run,
	.idle = idle,
	.output = output,
	.ended = has_ended,
	.free = machine_free,
	.high_water = 1000 };

static void
on_end(void *arg)
{
	m.ended = 1;
}

/* Of many commands that came at once all are done, but not in one turn. */
static void
test_turns(void **state)
{
	struct session_conns list = LIST_HEAD_INITIALIZER(list);
	struct event_base *base = event_base_new();
	char text[N];
	int pair[2], turns = 0;

	memset(text, 'x', sizeof(text));
	m.out = evbuffer_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_non_null(
	    session_conn_start(base, pair[0], &list, &machine, &m, on_end, NULL));
	assert_int_equal(write(pair[1], text, N), N);
	for (; m.taken < N && turns < 10 * N; turns++) {
		int before = m.taken;

		event_base_loop(base, EVLOOP_ONCE);
		assert_true(m.taken <= before + 2);
	}
	assert_int_equal(m.taken, N);
	assert_true(turns >= N / 2);
	close(pair[1]);
	while (!m.ended)
		event_base_loop(base, EVLOOP_ONCE);
	evbuffer_free(m.out);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_turns) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
