/* SPDX-License-Identifier: ISC */
/* The launcher (mboxd/launcher.h) and its mboxd never wait for each other. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "mboxd/launcher.h"

#define FORKS 450 /* more than a socket holds of what is said about them */
#define PATIENCE_S 60

static struct event_base *base;
static unsigned int started, ended;
static unsigned int first_end; /* how many had started by then */

void
launcher_started(uint64_t id, pid_t pid)
{
	assert_true(pid > 0);
	started++;
}

void
launcher_ended(uint64_t id, int status)
{
	if (ended++ == 0)
		first_end = started;
	if (ended == FORKS)
		event_base_loopbreak(base);
}

/* All at once, before anything that comes back is read. */
static void
test_many_at_once(void **state)
{
	/* There is no such directory, so that each process ends by itself. */
	struct launch l = { .mailbox = "no.such.test/mailbox" };
	int pair[2];

	base = event_base_new();
	assert_non_null(base);
	assert_int_equal(launcher_start(base), 0);
	alarm(PATIENCE_S);
	for (unsigned int i = 0; i < FORKS; i++) {
		l.id = i + 1;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		close(pair[0]);
		assert_int_equal(launcher_fork(&l, pair[1]), 0);
	}
	event_base_dispatch(base);
	alarm(0);
	assert_int_equal(started, FORKS);
	assert_int_equal(ended, FORKS);
	/* Those that have ended are told of before the last has started. */
	assert_in_range(first_end, 1, FORKS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_many_at_once) };

	log_init("launcher_test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
