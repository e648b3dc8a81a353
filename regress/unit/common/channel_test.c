/* SPDX-License-Identifier: ISC */
/* Channels: questions and answers, deadlines, and what breaks one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"

static struct event_base *base;
static struct channel *a, *b; /* a: queued, b: authd */
static int lost_a, lost_b, answers, nothing, seen;
static char why_a[128];

static void
quiet(enum log_kind kind, enum log_level level, int64_t t, const char *text)
{
}

static void
on_message_b(struct channel *ch, struct msg *m, void *arg)
{
	struct msg_route r = { .rclass = RCLASS_REMOTE };

	seen++;
	assert_int_equal(m->type, MSG_QUEUED_AUTHD_ROUTE);
	if (strcmp(m->p.route_ask.domain, "silence.test") == 0)
		return;
	strlcpy(r.url, m->p.route_ask.domain, sizeof(r.url));
	channel_send(ch, MSG_AUTHD_QUEUED_ROUTE_IS, m->id, &r, -1);
}

static void
on_message_a(struct channel *ch, struct msg *m, void *arg)
{
	seen++;
}

static void
on_lost_a(struct channel *ch, const char *why, void *arg)
{
	lost_a++;
	a = NULL;
	strlcpy(why_a, why, sizeof(why_a));
}

static void
on_lost_b(struct channel *ch, const char *why, void *arg)
{
	lost_b++;
	b = NULL;
}

static int
setup(void **state)
{
	int fds[2];

	lost_a = lost_b = answers = nothing = seen = 0;
	base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	a = channel_new(
	    base, fds[0], ROLE_QUEUED, 0, ROLE_AUTHD, on_message_a, on_lost_a, NULL);
	b = channel_new(
	    base, fds[1], ROLE_AUTHD, 3, ROLE_QUEUED, on_message_b, on_lost_b, NULL);
	return 0;
}

static int
teardown(void **state)
{
	channel_free(a);
	channel_free(b);
	event_base_free(base);
	a = b = NULL;
	return 0;
}

/* Turn the loop until the condition holds; bounded. */
#define UNTIL(cond)                                                       \
	do {                                                              \
		for (int turns_ = 0; turns_ < 20000 && !(cond); turns_++) \
			event_base_loop(base, EVLOOP_ONCE);               \
		assert_true(cond);                                        \
	} while (0)

static void
on_answer(struct msg *m, void *arg)
{
	if (m == NULL) {
		nothing++;
		return;
	}
	assert_int_equal(m->type, MSG_AUTHD_QUEUED_ROUTE_IS);
	if (arg != NULL)
		assert_string_equal(m->p.route.url, arg);
	answers++;
}

static void
questions_find_their_askers(void **state)
{
	struct msg_route_ask d;
	char names[50][32];

	for (int i = 0; i < 50; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d.test", i);
		strlcpy(d.domain, names[i], sizeof(d.domain));
		assert_true(channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 60000,
				on_answer, names[i]) != 0);
	}
	UNTIL(answers == 50);
	assert_int_equal(channel_instance(a), 3);
	assert_int_equal(nothing, 0);
}

static void
deadline_and_late_answer(void **state)
{
	struct msg_route_ask d = { "silence.test" };
	uint64_t id;

	assert_true(
	    channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 20, on_answer, NULL) != 0);
	UNTIL(nothing == 1);
	id = channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 60000, on_answer, NULL);
	channel_forget(a, id);
	strlcpy(d.domain, "later.test", sizeof(d.domain));
	id = channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 60000, on_answer, NULL);
	channel_forget(a, id); /* its answer is dropped */
	channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 60000, on_answer, NULL);
	UNTIL(answers == 1);
	assert_int_equal(nothing, 1);
	assert_int_equal(lost_a, 0);
}

static void
waiters_hear_of_the_end(void **state)
{
	struct msg_route_ask d = { "silence.test" };

	for (int i = 0; i < 10; i++)
		channel_ask(a, MSG_QUEUED_AUTHD_ROUTE, &d, -1, 60000, on_answer, NULL);
	UNTIL(seen == 10);
	channel_free(b);
	b = NULL;
	UNTIL(lost_a == 1);
	assert_int_equal(nothing, 10);
	assert_string_equal(why_a, "closed");
}

static void
sending_what_does_not_belong(void **state)
{
	struct msg_none none;
	struct msg_route_ask d = { "x.test" };

	/* not in this direction, and not on this channel */
	assert_int_equal(channel_send(b, MSG_QUEUED_AUTHD_ROUTE, 0, &d, -1), -1);
	assert_int_equal(channel_send(a, MSG_QUEUED_MBOXD_SYNC, 0, &none, -1), -1);
	assert_int_equal(channel_send(a, MSG_QUEUED_AUTHD_ROUTE, 1, &d, dup(0)), -1);
}

/* A taken-over neighbour: raw imsgs on the other end. */
static int raw_fd;
static struct imsgbuf raw;

static int
setup_raw_as(enum role self)
{
	int fds[2];

	lost_a = seen = 0;
	base = event_base_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	a = channel_new(base, fds[0], self, 0, ROLE_AUTHD, on_message_a, on_lost_a, NULL);
	raw_fd = fds[1];
	imsgbuf_init(&raw, raw_fd);
	imsgbuf_allow_fdpass(&raw);
	return 0;
}

static int
setup_raw(void **state)
{
	return setup_raw_as(ROLE_QUEUED);
}

static int
setup_raw_smtpd(void **state)
{
	return setup_raw_as(ROLE_SMTPD);
}

static int
teardown_raw(void **state)
{
	imsgbuf_clear(&raw);
	close(raw_fd);
	return teardown(state);
}

static void
raw_send(uint32_t type, const void *payload_type_data, size_t len, int fd)
{
	assert_int_equal(imsg_compose(&raw, type, 0, 0, fd, payload_type_data, len), 1);
	while (imsgbuf_queuelen(&raw) > 0)
		imsgbuf_write(&raw);
}

static void
raw_hello(uint32_t version, uint8_t role)
{
	struct msg_hello h = { version, role, 0 };
	struct ibuf *buf = ibuf_dynamic(64, 1024);

	msg_encode(MSG_ANY_HELLO, 0, &h, buf);
	raw_send(MSG_ANY_HELLO, ibuf_data(buf), ibuf_size(buf), -1);
	ibuf_free(buf);
}

static void
raw_changed(int fd)
{
	struct msg_route_ask d = { "x.test" };
	struct ibuf *buf = ibuf_dynamic(64, 1024);

	msg_encode(MSG_AUTHD_QUEUED_CHANGED, 0, &d, buf);
	raw_send(MSG_AUTHD_QUEUED_CHANGED, ibuf_data(buf), ibuf_size(buf), fd);
	ibuf_free(buf);
}

static void
raw_good(void **state)
{
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_changed(-1);
	UNTIL(seen == 1);
	assert_int_equal(lost_a, 0);
}

/* A peer that answers with a payload of another kind: the asker must not see it. */
static void
raw_other_answer(void **state)
{
	struct msg_rcpt_class r = { .rclass = RCLASS_LOCAL,
		.text = "AAAAAAAAAAAAAAAAAAAAAAAA" };
	struct msg_sasl q = { .session = 1 };
	struct ibuf *buf = ibuf_dynamic(64, 1024);
	uint64_t id;

	nothing = answers = 0;
	id = channel_ask(a, MSG_FRONT_AUTHD_SASL, &q, -1, 60000, on_answer, NULL);
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	msg_encode(MSG_AUTHD_SMTPD_RCPT_CLASS, id, &r, buf);
	raw_send(MSG_AUTHD_SMTPD_RCPT_CLASS, ibuf_data(buf), ibuf_size(buf), -1);
	ibuf_free(buf);
	UNTIL(lost_a == 1);
	assert_string_equal(why_a, "answer to another question");
	assert_int_equal(answers, 0);
	assert_int_equal(nothing, 1);
}

static void
raw_no_hello(void **state)
{
	raw_changed(-1);
	UNTIL(lost_a == 1);
	assert_int_equal(seen, 0);
}

static void
raw_wrong_version(void **state)
{
	raw_hello(MSG_VERSION + 1, ROLE_AUTHD);
	UNTIL(lost_a == 1);
}

static void
raw_wrong_role(void **state)
{
	raw_hello(MSG_VERSION, ROLE_SMTPD);
	UNTIL(lost_a == 1);
}

static void
raw_two_hellos(void **state)
{
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	UNTIL(lost_a == 1);
}

static void
raw_unknown_type(void **state)
{
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_send(4711, "12345678", 8, -1);
	UNTIL(lost_a == 1);
}

static void
raw_wrong_direction(void **state)
{
	struct msg_route_ask d = { "x.test" };
	struct ibuf *buf = ibuf_dynamic(64, 1024);

	raw_hello(MSG_VERSION, ROLE_AUTHD);
	msg_encode(MSG_QUEUED_AUTHD_ROUTE, 0, &d, buf);
	raw_send(MSG_QUEUED_AUTHD_ROUTE, ibuf_data(buf), ibuf_size(buf), -1);
	ibuf_free(buf);
	UNTIL(lost_a == 1);
	assert_int_equal(seen, 0);
}

static void
raw_garbage_payload(void **state)
{
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_send(MSG_AUTHD_QUEUED_CHANGED, "xxxxxxxxxxxxxxxxxxxx", 20, -1);
	UNTIL(lost_a == 1);
	assert_int_equal(seen, 0);
}

static void
raw_empty_payload(void **state)
{
	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_send(MSG_AUTHD_QUEUED_CHANGED, NULL, 0, -1);
	UNTIL(lost_a == 1);
}

static int
open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
raw_surplus_descriptor(void **state)
{
	int before = open_files();

	raw_hello(MSG_VERSION, ROLE_AUTHD);
	raw_changed(open("/dev/null", O_RDONLY));
	UNTIL(lost_a == 1);
	assert_int_equal(seen, 0);
	assert_int_equal(
	    open_files(), before - 1); /* its socket; the surplus one is closed */
}

static void
raw_noise(void **state)
{
	unsigned int seed = 7;
	uint8_t noise[4096];

	for (size_t i = 0; i < sizeof(noise); i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = (uint8_t)(seed >> 16);
	}
	assert_int_equal(write(raw_fd, noise, sizeof(noise)), sizeof(noise));
	UNTIL(lost_a == 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TR(f) cmocka_unit_test_setup_teardown(f, setup_raw, teardown_raw)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(questions_find_their_askers),
		T(deadline_and_late_answer),
		T(waiters_hear_of_the_end),
		T(sending_what_does_not_belong),
		TR(raw_good),
		cmocka_unit_test_setup_teardown(
		    raw_other_answer, setup_raw_smtpd, teardown_raw),
		TR(raw_no_hello),
		TR(raw_wrong_version),
		TR(raw_wrong_role),
		TR(raw_two_hellos),
		TR(raw_unknown_type),
		TR(raw_wrong_direction),
		TR(raw_garbage_payload),
		TR(raw_empty_payload),
		TR(raw_surplus_descriptor),
		TR(raw_noise),
	};

	log_set_stderr(0);
	log_set_sink(quiet);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
