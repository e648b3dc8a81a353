/* SPDX-License-Identifier: ISC */
/* GETQUOTA and SETQUOTA of an administrator: what authd is asked, and what becomes of its
 * answers. */
#include "regress/unit/mailbox/imap_fixture.h"

#include <sys/socket.h>

#include <event2/event.h>

#include "common/compat/compat.h"
#include "mailbox/imap_share.h"
#include "mailbox/imap_sleep.h"
#include "mailbox/quota_asks.h"

#define OWNER "root@example.test"

static struct event_base *base;
static struct channel *ours, *theirs;
static struct msg_quota_ask asked; /* last */
static unsigned int n_asked;
static struct msg_quota_is next; /* the answer */
static int silent;               /* there is none */
static uint64_t waiting;

static void
on_ask(struct channel *ch, struct msg *m, void *arg)
{
	assert_int_equal(m->type, MSG_MAILBOX_MBOXD_QUOTA);
	asked = m->p.quota_ask;
	n_asked++;
	waiting = m->id;
	if (!silent)
		channel_send(ch, MSG_MBOXD_MAILBOX_QUOTA_IS, m->id, &next, -1);
}

static void
no_message(struct channel *ch, struct msg *m, void *arg)
{
}

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	quota_asks_init(NULL);
	ours = NULL;
}

static int
setup_channel(void **state)
{
	int p[2];

	if (setup(state) == -1 || (base = event_base_new()) == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) == -1)
		return -1;
	ours = channel_new(
	    base, p[0], ROLE_MAILBOX, 0, ROLE_MBOXD, no_message, on_lost, NULL);
	theirs = channel_new(base, p[1], ROLE_MBOXD, 0, ROLE_MAILBOX, on_ask, NULL, NULL);
	quota_asks_init(ours);
	n_asked = 0;
	silent = 0;
	memset(&asked, 0, sizeof(asked));
	next = (struct msg_quota_is){ .status = MSG_OK,
		.octets = 1025,
		.messages = 3,
		.octets_max = 4096,
		.messages_max = 9 };
	return 0;
}

static int
teardown_channel(void **state)
{
	quota_asks_init(NULL);
	if (ours != NULL)
		channel_free(ours);
	if (theirs != NULL)
		channel_free(theirs);
	event_base_free(base);
	return teardown(state);
}

static struct imap *
administrator(void)
{
	struct imap_offer offer = { .quotaset = true };
	struct imap *s = imap_new(store, NULL, NULL);

	imap_set_owner(s, OWNER);
	imap_set_offer(s, &offer);
	imap_set_login(s, 0x0102030405060708ull);
	return s;
}

/* As say(), with the world going on while a command waits. */
static void
talk(struct imap *s, size_t step, const char *in, const char *want)
{
	struct evbuffer *out = evbuffer_new();
	size_t len = strlen(in);

	for (size_t at = 0; at < len && !imap_ended(s);) {
		size_t end = at + step < len ? at + step : len;

		at += imap_input(s, (const uint8_t *)in + at, end - at);
		while (imap_run(s, 0))
			;
		for (int i = 0; i < 1000 && !imap_idle(s) && !imap_ended(s); i++) {
			event_base_loop(base, EVLOOP_NONBLOCK);
			while (imap_run(s, 0))
				;
		}
		evbuffer_add_buffer(out, imap_output(s));
		if (!imap_idle(s))
			break;
	}
	evbuffer_add(out, "", 1);
	like((char *)evbuffer_pullup(out, -1), want);
	evbuffer_free(out);
}

static void
was_asked(const char *address, int set, uint64_t octets, uint64_t messages)
{
	assert_true(n_asked > 0);
	assert_int_equal(asked.login, 0x0102030405060708ull);
	assert_string_equal(asked.address, address);
	assert_string_equal(asked.mailbox, "");
	assert_int_equal(asked.set, set);
	assert_int_equal(asked.octets, octets);
	assert_int_equal(asked.messages, messages);
	n_asked = 0;
}

/* Those who are none do not even ask. */
static void
test_ordinary(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);

	imap_set_owner(s, OWNER);
	imap_set_login(s, 5);
	talk(s, 1,
	    "a SETQUOTA \"\" (STORAGE 1)\r\nb SETQUOTA user/bob@example.test ()\r\n"
	    "c GETQUOTA user/bob@example.test\r\nd SETQUOTA \"\" (NOTHING 0)\r\n"
	    "e CAPABILITY\r\n",
	    "a NO [NOPERM] @\r\nb NO [NOPERM] @\r\nc NO [NONEXISTENT] @\r\n"
	    "d NO [NOPERM] @\r\n* CAPABILITY " IMAP_CAPABILITY_LOGGED_IN
	    "\r\ne OK CAPABILITY completed\r\n");
	assert_int_equal(n_asked, 0);
	imap_free(s);
}

static void
test_looks(void **state)
{
	static const size_t steps[] = { 1, 7, 100000 };

	for (size_t i = 0; i < 3; i++) {
		struct imap *s = administrator();

		talk(s, steps[i], "a GETQUOTA user/bob@example.test\r\n",
		    "* QUOTA \"user/bob@example.test\" (STORAGE 2 4 MESSAGE 3 9)\r\n"
		    "a OK GETQUOTA completed\r\n");
		was_asked("bob@example.test", 0, 0, 0);
		talk(s, steps[i], "a GETQUOTA {8+}\r\nuser/bob\r\nb NOOP\r\n",
		    "* QUOTA \"user/bob\" (STORAGE 2 4 MESSAGE 3 9)\r\n"
		    "a OK GETQUOTA completed\r\nb OK NOOP completed\r\n");
		was_asked("bob", 0, 0, 0);
		/* Its own is told from here. */
		talk(s, steps[i], "a GETQUOTA \"\"\r\n", "a NO [NONEXISTENT] @\r\n");
		/* What nobody's root can be called. */
		talk(s, steps[i],
		    "a GETQUOTA bob@example.test\r\nb GETQUOTA {3+}\r\na b\r\n"
		    "c GETQUOTA USER/bob\r\n",
		    "a NO [NONEXISTENT] @\r\nb NO [NONEXISTENT] @\r\n"
		    "c NO [NONEXISTENT] @\r\n");
		assert_int_equal(n_asked, 0);
		imap_free(s);
	}
}

static void
test_sets(void **state)
{
	static const size_t steps[] = { 1, 7, 100000 };

	for (size_t i = 0; i < 3; i++) {
		struct imap *s = administrator();

		next.octets_max = 522240;
		next.messages_max = 0;
		talk(s, steps[i],
		    "a setquota \"user/bob@example.test\" (storage 510)\r\n",
		    "* QUOTA \"user/bob@example.test\" (STORAGE 2 510)\r\n"
		    "a OK SETQUOTA completed\r\n");
		was_asked("bob@example.test", 1, 522240, 0);
		talk(s, steps[i],
		    "a SETQUOTA user/bob@example.test (MESSAGE 7 STORAGE 1)\r\n",
		    "* QUOTA \"user/bob@example.test\" (STORAGE 2 510)\r\n"
		    "a OK SETQUOTA completed\r\n");
		was_asked("bob@example.test", 1, 1024, 7);
		/* Nothing is left of them. */
		next.octets_max = 0;
		talk(s, steps[i], "a SETQUOTA user/bob@example.test ()\r\n",
		    "a OK No limit is left\r\n");
		was_asked("bob@example.test", 1, 0, 0);
		talk(s, steps[i], "a GETQUOTA user/bob@example.test\r\n",
		    "a NO [NONEXISTENT] @\r\n");
		was_asked("bob@example.test", 0, 0, 0);
		/* The limits of his own mailbox. */
		next.messages_max = 1ull << 40;
		next.messages = UINT64_MAX >> 1;
		talk(s, steps[i], "a SETQUOTA \"\" (MESSAGE 1099511627776)\r\n",
		    "* QUOTA \"\" (MESSAGE 9223372036854775807 1099511627776)\r\n"
		    "a OK SETQUOTA completed\r\n");
		was_asked(OWNER, 1, 0, 1ull << 40);
		imap_free(s);
		next.messages = 3;
	}
}

static void
test_cannot_be(void **state)
{
	struct imap *s = administrator();

	talk(s, 1,
	    "a SETQUOTA user/bob (MAILBOX 5)\r\nb SETQUOTA user/bob (STORAGE 0)\r\n"
	    "c SETQUOTA user/bob (MESSAGE 0)\r\n"
	    "d SETQUOTA user/bob (STORAGE 9223372036854775807)\r\n"
	    "e SETQUOTA user/bob (STORAGE 1 STORAGE 2)\r\n"
	    "f SETQUOTA user/bob (STORAGE)\r\ng SETQUOTA user/bob (STORAGE -1)\r\n"
	    "h SETQUOTA user/bob STORAGE 1\r\ni SETQUOTA user/bob (STORAGE 1\r\n"
	    "j SETQUOTA user/bob (STORAGE 9223372036854775808)\r\nk SETQUOTA user/bob\r\n"
	    "l SETQUOTA user/bob (STORAGE 1) x\r\nm SETQUOTA nobody ()\r\n"
	    "n SETQUOTA user/bob (MESSAGE 1 MESSAGE 1)\r\n",
	    "a NO [CANNOT] @\r\nb NO [CANNOT] @\r\nc NO [CANNOT] @\r\nd NO [CANNOT] @\r\n"
	    "e BAD @\r\nf BAD @\r\ng BAD @\r\nh BAD @\r\ni BAD @\r\nj BAD @\r\nk BAD "
	    "@\r\nl BAD @\r\nm NO [NONEXISTENT] @\r\nn BAD @\r\n");
	assert_int_equal(n_asked, 0);
	imap_free(s);
}

static void
test_refusals(void **state)
{
	static const struct {
		enum answer_status status;
		const char *text;
	} some[] = {
		{ MSG_UNKNOWN, "a NO [NONEXISTENT] @\r\n" },
		{ MSG_FULL, "a NO [LIMIT] @\r\n" },
		{ MSG_PERM, "a NO [CANNOT] @\r\n" },
		{ MSG_TEMP, "a NO [UNAVAILABLE] @\r\n" },
		{ (enum answer_status)77, "a NO [UNAVAILABLE] @\r\n" },
		{ MSG_DENIED, "a NO [NOPERM] @\r\n" },
	};
	struct imap *s = administrator();

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		next.status = (uint8_t)some[i].status;
		talk(s, 7, "a SETQUOTA user/bob (STORAGE 1)\r\n", some[i].text);
		assert_int_equal(n_asked, i + 1);
	}
	/* Once the right has ended it is not asked for again, nor announced. */
	n_asked = 0;
	talk(s, 7, "a SETQUOTA user/bob (STORAGE 1)\r\nb CAPABILITY\r\n",
	    "a NO [NOPERM] @\r\n* CAPABILITY " IMAP_CAPABILITY_LOGGED_IN
	    "\r\nb OK CAPABILITY completed\r\n");
	assert_int_equal(n_asked, 0);
	imap_free(s);
}

static void
forget(void *arg)
{
}

/* A tree of shared folders that is called like an administrator's roots. */
static void
test_shared_tree(void **state)
{
	static const struct imap_share_ops ops = { .forget = forget };
	struct imap *s = administrator();

	assert_int_equal(imap_set_share(s, &ops, NULL, "user"), 0);
	talk(s, 7, "a GETQUOTA user/bob@example.test\r\n",
	    "* QUOTA \"user/bob@example.test\" (STORAGE 2 4 MESSAGE 3 9)\r\n"
	    "a OK GETQUOTA completed\r\n");
	was_asked("bob@example.test", 0, 0, 0);
	talk(s, 7, "a SETQUOTA user ()\r\nb SETQUOTA \"user x\" ()\r\n",
	    "a NO [NONEXISTENT] @\r\nb NO [NONEXISTENT] @\r\n");
	assert_int_equal(n_asked, 0);
	imap_free(s);
}

/* The answer comes when nobody waits any more, or not at all. */
static void
test_ends(void **state)
{
	struct imap *s = administrator();

	silent = 1;
	talk(s, 7, "a SETQUOTA user/bob (STORAGE 1)\r\n", "");
	assert_int_equal(n_asked, 1);
	imap_free(s);
	channel_send(theirs, MSG_MBOXD_MAILBOX_QUOTA_IS, waiting, &next, -1);
	for (int i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	s = administrator();
	talk(s, 7, "a SETQUOTA user/bob (STORAGE 1)\r\n", "");
	channel_free(theirs);
	theirs = NULL;
	talk(s, 1, "", "");
	for (int i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (imap_run(s, 0))
		;
	assert_true(imap_idle(s));
	assert_null(ours);
	evbuffer_drain(imap_output(s), evbuffer_get_length(imap_output(s)));
	talk(s, 7, "b SETQUOTA user/bob (STORAGE 1)\r\n", "b NO [UNAVAILABLE] @\r\n");
	imap_free(s);
}

static struct store *
open_nothing(void *arg)
{
	return NULL;
}

/* Who only sets limits has nothing read that lies in his mailbox. */
static void
test_opens_nothing(void **state)
{
	struct imap_offer offer = { .quotaset = true };
	struct imap *s = imap_new(NULL, NULL, NULL);

	imap_set_opener(s, open_nothing, NULL);
	imap_set_owner(s, OWNER);
	imap_set_offer(s, &offer);
	imap_set_login(s, 0x0102030405060708ull);
	talk(s, 7, "a SETQUOTA user/bob (STORAGE 4)\r\nb SETQUOTA \"\" ()\r\nc NOOP\r\n",
	    "* QUOTA \"user/bob\" (STORAGE 2 4 MESSAGE 3 9)\r\na OK SETQUOTA "
	    "completed\r\n"
	    "* QUOTA \"\" (STORAGE 2 4 MESSAGE 3 9)\r\nb OK SETQUOTA completed\r\n"
	    "c OK NOOP completed\r\n");
	was_asked(OWNER, 1, 0, 0);
	talk(s, 7, "d GETQUOTA \"\"\r\n", "* BYE @\r\n");
	imap_free(s);
}

/* The session that was put away is the same. */
static void
test_sleeps(void **state)
{
	struct evbuffer *b = evbuffer_new();
	struct imap *s = administrator(), *t = imap_new(store, NULL, NULL);

	assert_int_equal(imap_sleep(s, b), 0);
	imap_free(s);
	imap_set_owner(t, OWNER);
	assert_int_equal(imap_wake(t, evbuffer_pullup(b, -1), evbuffer_get_length(b)), 0);
	talk(t, 7, "a GETQUOTA user/bob\r\nb CAPABILITY\r\n",
	    "* QUOTA \"user/bob\" (STORAGE 2 4 MESSAGE 3 9)\r\na OK GETQUOTA "
	    "completed\r\n"
	    "* CAPABILITY " IMAP_CAPABILITY_LOGGED_IN
	    " QUOTASET\r\nb OK CAPABILITY completed\r\n");
	was_asked("bob", 0, 0, 0);
	imap_free(t);
	evbuffer_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_ordinary, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_looks, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_sets, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_cannot_be, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_refusals, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_shared_tree, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_ends, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_opens_nothing, setup_channel, teardown_channel),
		cmocka_unit_test_setup_teardown(
		    test_sleeps, setup_channel, teardown_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
