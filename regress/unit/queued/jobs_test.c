/*
 * Jobs: given out, answered, retried, lost and given up.
 *
 * SPDX-License-Identifier: ISC
 */
#include "regress/unit/queued/neighbours.h"

static void
test_local(void **state)
{
	(void)state;
	seen.sync_answers = 0;
	seen.result = JOB_DELIVERED;
	submit("a@x.test", "alice@example.test", 0);
	UNTIL(seen.syncs == 1);
	assert_int_equal(seen.job_role, LOCAL);
	assert_string_equal(seen.content, TEXT);
	assert_string_equal(seen.rcpts[0].address, "alice@example.test");
	assert_int_equal(seen.job.prefix_len, 16);
	/* Not done before the sync. */
	turn(20);
	assert_int_equal(nmsgs(), 1);
	/* What comes while a sync runs waits for the next. */
	submit("a@x.test", "bob@example.test", 0);
	UNTIL(seen.njobs == 2);
	turn(10);
	assert_int_equal(seen.syncs, 1);
	{
		struct msg_status ok = { .status = MSG_OK };

		channel_send(
		    theirs[MBOXD], MSG_MBOXD_QUEUED_SYNCED, seen.sync_id, &ok, -1);
		seen.sync_answers = 1;
	}
	UNTIL(seen.syncs == 2);
	UNTIL(nmsgs() == 0);
	assert_int_equal(seen.njobs, 2);
}

static void
test_retry_and_expiry(void **state)
{
	struct qmsg *m;

	(void)state;
	seen.result = JOB_DEFERRED;
	seen.reply = "450 4.2.0 Come back later";
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	turn(50);
	assert_int_equal(seen.njobs, 1);
	deliver_hurry(index_next(spool_index(queued.spool), 0));
	UNTIL(seen.njobs == 2);
	/* Past its time: the next failure is the last. */
	m = index_next(spool_index(queued.spool), 0);
	m->created -= 4000;
	deliver_hurry(m);
	seen.njobs = 0;
	UNTIL(seen.njobs == 1);
	seen.result = JOB_DELIVERED;
	UNTIL(seen.njobs == 2);
	assert_string_equal(seen.job.sender, "");
	assert_non_null(strstr(seen.content, "Come back later"));
	UNTIL(nmsgs() == 0);
}

static void
test_lost_neighbours(void **state)
{
	(void)state;
	submit("bob@example.test", "alice@example.test", 0);
	UNTIL(seen.njobs == 1);
	/* deliverd dies with the job in hand: the next gets it at once. */
	channel_free(theirs[LOCAL]);
	theirs[LOCAL] = NULL;
	UNTIL(ours[LOCAL] == NULL);
	turn(20);
	assert_int_equal(seen.njobs, 1);
	seen.result = JOB_DELIVERED;
	peer_up(LOCAL);
	UNTIL(seen.njobs == 2);
	UNTIL(nmsgs() == 0);
	/* authd is away: the message waits for it. */
	channel_free(theirs[AUTHD]);
	theirs[AUTHD] = NULL;
	UNTIL(ours[AUTHD] == NULL);
	submit("bob@example.test", "alice@example.test", 0);
	turn(20);
	assert_int_equal(seen.njobs, 2);
	peer_up(AUTHD);
	UNTIL(seen.njobs == 3);
	UNTIL(nmsgs() == 0);
	/* smtpd is gone before the end: nothing is left of it. */
	begin("a@x.test", 100);
	close(seen.fd);
	assert_int_equal(txn_count(), 1);
	channel_free(theirs[SMTPD]);
	theirs[SMTPD] = NULL;
	UNTIL(txn_count() == 0);
	assert_int_equal(nmsgs(), 0);
}

static void
test_expand(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.expand = "far@remote.test";
	submit("bob@example.test", "alias@example.test", 0);
	UNTIL(seen.njobs == 2);
	assert_int_equal(seen.job_role, REMOTE);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_int_equal(seen.rcpts[0].rcpt, 1);
	UNTIL(nmsgs() == 0);
}

static void
on_etrn(struct msg *m, void *arg)
{
	*(int *)arg = m == NULL ? -1 : m->p.status.status;
}

static void
etrn(const char *domain, int want)
{
	struct msg_domain q = { "" };
	int status = -2;

	strlcpy(q.domain, domain, sizeof(q.domain));
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_ETRN, &q, -1, 5000, on_etrn, &status);
	UNTIL(status != -2);
	assert_int_equal(status, want);
}

/* RFC 1985: what waits for that domain is tried, and nothing else. */
static void
test_etrn(void **state)
{
	(void)state;
	seen.result = JOB_DEFERRED;
	seen.reply = "450 4.2.0 later";
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	submit("bob@example.test", "x@other.test", 0);
	UNTIL(seen.njobs == 2);
	turn(20);
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	etrn("remote.tes", MSG_OK);
	etrn("", MSG_PERM);
	turn(30);
	assert_int_equal(seen.njobs, 2);
	etrn("Remote.test", MSG_OK);
	UNTIL(nmsgs() == 1);
	assert_int_equal(seen.njobs, 3);
	assert_string_equal(seen.rcpts[0].address, "x@remote.test");
	etrn("other.test", MSG_OK);
	UNTIL(nmsgs() == 0);
}

static void
test_route_changes(void **state)
{
	struct msg_domain all = { "" };

	(void)state;
	seen.result = JOB_DELIVERED;
	strlcpy(seen.url, "smtp://127.0.0.1:2525", sizeof(seen.url));
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.job.route, "smtp://127.0.0.1:2525");
	UNTIL(nmsgs() == 0);
	seen.url[0] = '\0';
	channel_send(theirs[AUTHD], MSG_AUTHD_QUEUED_CHANGED, 0, &all, -1);
	turn(10);
	submit("bob@example.test", "x@remote.test", 0);
	UNTIL(seen.njobs == 2);
	assert_string_equal(seen.job.route, "");
	UNTIL(nmsgs() == 0);
}

static void
test_restart(void **state)
{
	(void)state;
	/* Nobody delivers; the process ends as by a crash, and another begins. */
	channel_free(theirs[LOCAL]);
	theirs[LOCAL] = NULL;
	UNTIL(ours[LOCAL] == NULL);
	submit("bob@example.test", "alice@example.test", 0);
	stop();
	stopped = 0;
	for (int i = 0; i < NPEERS; i++)
		ours[i] = NULL;
	base = event_base_new();
	seen.result = JOB_DELIVERED;
	start();
	assert_int_equal(nmsgs(), 1);
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.content, TEXT);
	UNTIL(nmsgs() == 0);
}

/* A message that ends deliverd each time is not tried at once for ever. */
static void
test_poison(void **state)
{
	int lost = 0;

	(void)state;
	seen.result = 0;
	submit("a@x.test", "alice@example.test", 0);
	for (; lost < 20; lost++) {
		for (int i = 0; i < 100 && seen.njobs == lost; i++)
			turn(1);
		if (seen.njobs == lost)
			break;
		channel_free(theirs[LOCAL]);
		theirs[LOCAL] = NULL;
		UNTIL(ours[LOCAL] == NULL);
		peer_up(LOCAL);
	}
	assert_in_range(lost, 2, 10);
	assert_int_equal(spool_index(queued.spool)->ndeferred, 1);
	assert_int_equal(nmsgs(), 1);
}

/* A freeze rule keeps a recipient back, not the others; without it all goes on. */
static void
test_freeze(void **state)
{
	struct freeze_rule r = { .to = (char *)(uintptr_t) "alice@example.test",
		.reason = (char *)(uintptr_t) "on holiday",
		.owner = (char *)(uintptr_t) "eve" };
	uint64_t id;

	(void)state;
	seen.result = JOB_DELIVERED;
	assert_non_null(freeze_add(&queued.freeze, &r));
	submit("a@x.test", "alice@example.test", 0);
	assert_int_equal(qid_parse(seen.qid, &id), 0);
	submit("a@x.test", "bob@example.test", 0);
	UNTIL(nmsgs() == 1);
	assert_int_equal(seen.njobs, 1);
	UNTIL(index_find(spool_index(queued.spool), id)->flags & QM_FROZEN);
	/* Nor does trying now help. */
	deliver_hurry(index_find(spool_index(queued.spool), id));
	turn(20);
	assert_int_equal(seen.njobs, 1);
	assert_int_equal(freeze_del(&queued.freeze, 1), 0);
	assert_int_equal(deliver_thaw(), 1);
	UNTIL(nmsgs() == 0);
	assert_int_equal(seen.njobs, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_and_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etrn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_route_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poison, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freeze, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
