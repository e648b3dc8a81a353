/* SPDX-License-Identifier: ISC */
/* Connections of a front before the login, against clients that mean no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/front/front_int.h"
#include "common/log.h"

static struct event_base *base;
static struct msg_conf conf;
static size_t answered, free_count;

/* In place of daemon.c. */
struct event_base *
daemon_base(void)
{
	return base;
}

const struct msg_conf *
daemon_conf(void)
{
	return &conf;
}

struct channel *
daemon_peer(enum role role)
{
	return NULL;
}

void
daemon_stopped(void)
{
}

int
daemon_run(const struct daemon *d)
{
	return 0;
}

int64_t
wall_s(void)
{
	return 0;
}

/* A machine that answers each octet with a hundred. */
static struct login *
machine_new(const struct login_facts *facts)
{
	struct login *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	assert_int_equal(login_init(l, facts), 0);
	return l;
}

static void
machine_free(struct login *l)
{
	free_count++;
	login_clear(l);
	free(l);
}

static size_t
machine_input(struct login *l, const uint8_t *in, size_t len)
{
	static const char reply[100] = "x";

	for (size_t i = 0; i < len; i++)
		evbuffer_add(l->out, reply, sizeof(reply));
	answered += len;
	return len;
}

static void
machine_bye(struct login *l, const char *text)
{
}

static const struct front_protocol proto = {
	.role = ROLE_IMAPD,
	.name = "test",
	.too_many = "no\r\n",
	.stopping = "",
	.idle = "",
	.login_new = machine_new,
	.login_free = machine_free,
	.login_input = machine_input,
	.login_bye = machine_bye,
};

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static int
setup(void **state)
{
	log_set_sink(quiet);
	log_set_stderr(0);
	base = event_base_new();
	front.proto = &proto;
	front.limit = limit_new();
	return base == NULL || front.limit == NULL ? -1 : 0;
}

static void
turn(int times)
{
	for (int i = 0; i < times; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static int
client_new(void)
{
	static const struct msg_listener listener = { .kind = LISTENER_IMAP };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
	front_session_new(p[1], (struct sockaddr *)&sin, &listener);
	return p[0];
}

/* A stranger sends and sends and reads nothing: what is kept for it is bounded,
 * and all is answered once it reads. */
static void
client_that_does_not_read(void **state)
{
	static uint8_t buf[65536];
	size_t sent = 0, got = 0;
	int fd = client_new();
	ssize_t n;

	memset(buf, 'a', sizeof(buf));
	for (int i = 0; i < 200; i++) {
		if ((n = write(fd, buf, sizeof(buf))) > 0)
			sent += (size_t)n;
		turn(5);
	}
	assert_true(sent > 65536);
	/* The kernel's buffer, ours, and one step. */
	assert_true(answered < 10000);
	for (int i = 0; i < 100000 && got < sent * 100; i++) {
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			got += (size_t)n;
		turn(2);
	}
	assert_int_equal(got, sent * 100);
	close(fd);
	turn(5);
	assert_int_equal(free_count, 1);
	assert_int_equal(front_counts().connections, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_that_does_not_read),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
