/*
 * What senders ask for by extensions of SMTP, in the queue: time of release, time of
 * delivery, TLS, priority and the recipient's owner.
 *
 * SPDX-License-Identifier: ISC
 */
#include "regress/unit/queued/neighbours.h"

#include "queued/job.h"

/* Seconds have to pass. */
#define UNTIL2(cond)                                       \
	do {                                               \
		for (int n_ = 0; n_ < 20 && !(cond); n_++) \
			turn(500);                         \
		assert_true(cond);                         \
	} while (0)

static void
by(uint8_t mode, int64_t in, uint8_t trace)
{
	asks.by = queue_now() + in;
	asks.by_mode = mode;
	asks.by_trace = trace;
}

/* RFC 2852, 4.1.3: not in time, so back to the sender. */
static void
test_by_return(void **state)
{
	(void)state;
	seen.result = JOB_DEFERRED;
	seen.reply = "451 4.2.0 later";
	by('R', 3, 0);
	submit("bob@example.test", "far@remote.test", 0);
	UNTIL(seen.njobs == 1);
	assert_int_equal(seen.job.by, asks.by);
	assert_int_equal(seen.job.by_mode, 'R');
	assert_int_equal(nmsgs(), 1);
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	UNTIL2(seen.njobs == 2);
	assert_int_equal(seen.job_role, LOCAL);
	assert_string_equal(seen.rcpts[0].address, "bob@example.test");
	assert_says("Action: failed\r\n");
	assert_says("Status: 5.4.7\r\n");
	assert_says("Deliver-By-Date: ");
	assert_true(queue_now() >= asks.by);
	/* The report itself has no such time. */
	assert_int_equal(seen.job.by_mode, 0);
	UNTIL(nmsgs() == 0);
}

/* Never tried, since nobody knows the way: all the same. */
static void
test_by_return_unroutable(void **state)
{
	(void)state;
	seen.route = RCLASS_TEMP;
	seen.result = JOB_DELIVERED;
	by('R', 1, 0);
	submit("bob@example.test", "far@remote.test", NOTIFY_NEVER);
	assert_int_equal(nmsgs(), 1);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 0);
}

/* The journal's octets on the disk: kept aside and wiped, or put back. */
static void
journal_wipe(int back)
{
	const char *cmd =
	    back ? "for f in */*.kept; do cp \"$f\" \"${f%.kept}\"; done"
		 : "for f in $(find . -type f -size +0 -path '*journal*'); do "
		   "cp --sparse=always $f $f.kept; "
		   "dd if=/dev/zero of=$f bs=64k count=1 conv=notrunc "
		   "2>/dev/null; done";

	assert_int_equal(system(cmd), 0);
}

/* A message that cannot be read now: the others go on, and its time comes again. */
static void
test_by_return_unreadable(void **state)
{
	(void)state;
	seen.result = JOB_DEFERRED;
	by('R', 2, 0);
	submit("bob@example.test", "far@remote.test", 0);
	UNTIL(seen.njobs == 1);
	turn(20);
	journal_wipe(0);
	alarm(60);
	UNTIL2(queue_now() > asks.by + 2);
	turn(20);
	alarm(0);
	assert_int_equal(nmsgs(), 1);
	assert_string_equal(deliver_degraded(), "");
	journal_wipe(1);
	deliver_hurry(index_next(spool_index(queued.spool), 0));
	UNTIL(seen.njobs >= 2);
	seen.result = JOB_DELIVERED;
	UNTIL2(seen.job_role == LOCAL);
	assert_says("Status: 5.4.7\r\n");
}

/* Told once, and tried on. */
static void
test_by_notify(void **state)
{
	struct qmsg *m;

	(void)state;
	seen.result = JOB_DEFERRED;
	by('N', 3, 0);
	submit("bob@remote.test", "alice@example.test", 0);
	UNTIL(seen.njobs == 1);
	seen.result = JOB_DELIVERED;
	UNTIL2(seen.njobs == 2);
	assert_string_equal(seen.job.sender, "");
	assert_says("Action: delayed\r\n");
	assert_says("Status: 4.4.7\r\n");
	assert_says("Deliver-By-Date: ");
	UNTIL(nmsgs() == 1);
	m = index_next(spool_index(queued.spool), 0);
	assert_true(m->flags & QM_BY_TOLD);
	/* Also after a restart. */
	stop();
	base = event_base_new();
	seen.result = JOB_DEFERRED;
	start();
	m = index_next(spool_index(queued.spool), 0);
	assert_non_null(m);
	assert_int_equal(m->by, asks.by);
	deliver_hurry(m);
	UNTIL(seen.njobs == 3);
	turn(1200);
	assert_int_equal(seen.njobs, 3);
	assert_int_equal(nmsgs(), 1);
}

/* RFC 2852, 4.1.4: who hears that it has left. */
static void
test_relayed(void **state)
{
	static const struct {
		uint8_t mode, trace, notify;
		const char *detail;
		int told;
	} rows[] = {
		{ 'N', 0, 0, "", 1 },
		{ 'N', 0, NOTIFY_FAILURE, "dsn", 1 },
		{ 'N', 0, NOTIFY_NEVER, "", 0 },
		{ 'N', 0, 0, "deliverby", 0 },
		{ 'N', 1, 0, "dsn deliverby", 1 },
		{ 'R', 0, 0, "deliverby", 0 },
		{ 'R', 1, NOTIFY_FAILURE, "deliverby", 1 },
		{ 'R', 1, NOTIFY_NEVER, "deliverby", 0 },
		{ 0, 0, 0, "", 0 },
	};

	(void)state;
	seen.result = JOB_DELIVERED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&asks, 0, sizeof(asks));
		if (rows[i].mode != 0)
			by(rows[i].mode, 100, rows[i].trace);
		seen.njobs = 0;
		seen.detail = rows[i].detail;
		submit("bob@remote.test", "far@remote.test", rows[i].notify);
		UNTIL(seen.njobs == 1 + rows[i].told && nmsgs() == 0);
		turn(10);
		assert_int_equal(seen.njobs, 1 + rows[i].told);
		if (rows[i].told)
			assert_says("Action: relayed\r\n");
	}
}

static void
test_release(void **state)
{
	struct qmsg *m;
	int64_t start_at = queue_now();

	(void)state;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 no";
	asks.release = start_at + 2;
	strlcpy(asks.hold, "for;2", sizeof(asks.hold));
	submit("bob@example.test", "far@remote.test", 0);
	turn(300);
	assert_true(seen.njobs == 0 || queue_now() >= asks.release);
	m = index_next(spool_index(queued.spool), 0);
	assert_int_equal(m->created, asks.release);
	/* Its time is the same after a restart. */
	stop();
	base = event_base_new();
	start();
	turn(20);
	assert_true(seen.njobs == 0 || queue_now() >= asks.release);
	UNTIL2(seen.njobs >= 1);
	assert_true(queue_now() >= asks.release);
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	UNTIL(nmsgs() == 0);
	assert_says("Future-Release-Request: for;2\r\n");
	assert_says("Arrival-Date: ");
}

/* Time of release does not count as waiting: what came after expires before it. */
static void
test_release_and_expiry(void **state)
{
	struct qmsg *m;

	(void)state;
	queued.conf.expire_s = 1;
	asks.release = queue_now() + 3600;
	strlcpy(asks.hold, "for;3600", sizeof(asks.hold));
	submit("bob@example.test", "far@remote.test", 0);
	m = index_next(spool_index(queued.spool), 0);
	assert_true(m->ext & QX_RELEASE);
	turn(1200);
	expire_sweep();
	assert_int_equal(nmsgs(), 1);
}

static void
test_carried(void **state)
{
	(void)state;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 no";
	asks.require_tls = 1;
	asks.priority = (uint8_t)-7;
	asks.ret = RET_FULL;
	tls_optional = 1; /* counts for nothing beside REQUIRETLS */
	rrvs = 1396566060;
	submit("bob@remote.test", "far@remote.test", 0);
	UNTIL(seen.njobs >= 1);
	assert_int_equal(seen.job.require_tls, 1);
	assert_int_equal(seen.job.tls_optional, 0);
	assert_int_equal((int8_t)seen.job.priority, -7);
	assert_int_equal(seen.rcpts[0].rrvs, 1396566060);
	assert_int_equal(seen.rcpts[0].rrvs_action, 'C');
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	UNTIL(seen.njobs == 2 && nmsgs() == 0);
	/* The report: as the message, and nothing of its content. */
	assert_string_equal(seen.job.sender, "");
	assert_int_equal(seen.job.require_tls, 1);
	assert_int_equal((int8_t)seen.job.priority, -7);
	assert_int_equal(seen.rcpts[0].rrvs_action, 0);
	assert_says("Content-Type: text/rfc822-headers\r\n");
	assert_null(strstr(seen.content, "How are you?"));
	/* TLS-Required: No. */
	memset(&asks, 0, sizeof(asks));
	rrvs = 0;
	submit("bob@remote.test", "far@remote.test", 0);
	UNTIL(seen.njobs == 3 && nmsgs() == 0);
	assert_int_equal(seen.job.tls_optional, 1);
	assert_int_equal(seen.job.require_tls, 0);
	/* An alias: all of it but the owner goes on. */
	tls_optional = 0;
	asks.require_tls = 1;
	rrvs = 1396566060;
	seen.expand = "far@remote.test";
	submit("bob@remote.test", "alias@example.test", 0);
	UNTIL(seen.njobs == 5 && nmsgs() == 0);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_int_equal(seen.job.require_tls, 1);
	assert_int_equal(seen.rcpts[0].rrvs_action, 0);
}

/* RFC 8689, 6: what a script sends on of it needs TLS as well. */
static void
test_script_sends_on(void **state)
{
	static const char text[] = "Subject: edited\r\n\r\nhi\r\n";
	struct msg_job_outlet o = { .kind = OUTLET_REDIRECT,
		.size = sizeof(text) - 1,
		.address = "far@remote.test" };
	int fd = compat_memfd_create("outlet");

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	asks.require_tls = 1;
	submit("bob@example.test", "alice@example.test", 0);
	UNTIL(seen.njobs == 1);
	o.job = seen.job.job;
	o.rcpt = seen.rcpts[0].rcpt;
	channel_send(theirs[LOCAL], MSG_LDELIVER_QUEUED_OUTLET, 0, &o, fd);
	job_answer(theirs[LOCAL], seen.job.job, JOB_DELIVERED);
	UNTIL(seen.njobs == 2);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_string_equal(seen.job.sender, "bob@example.test");
	assert_int_equal(seen.job.require_tls, 1);
	job_answer(theirs[REMOTE], seen.job.job, JOB_DELIVERED);
	UNTIL(nmsgs() == 0);
}

static void
send_with(uint64_t size, const char *text, size_t len)
{
	struct msg_job_outlet o = {
		.kind = OUTLET_NOTICE, .size = size, .address = "far@remote.test"
	};
	int fd = compat_memfd_create("outlet");

	assert_int_equal(write(fd, text, len), (ssize_t)len);
	o.job = seen.job.job;
	o.rcpt = seen.rcpts[0].rcpt;
	channel_send(theirs[LOCAL], MSG_LDELIVER_QUEUED_OUTLET, 0, &o, fd);
}

/* What one mailbox or list cannot send holds up itself and no other delivery. */
static void
test_script_sends_rubbish(void **state)
{
	struct channel *local = ours[LOCAL];

	(void)state;
	submit("bob@example.test", "alice@example.test", 0);
	UNTIL(seen.njobs == 1);
	send_with(5, "a\0b\r\n", 5);
	send_with(9, "ab\r\n", 4);
	send_with(0, "", 0);
	send_with(1u << 30, "ab\r\n", 4);
	for (int i = 0; i < 70; i++)
		send_with(4, "ab\r\n", 4);
	job_answer(theirs[LOCAL], seen.job.job, JOB_DELIVERED);
	/* Others' deliveries go on, and so does it when it is asked for again. */
	submit("bob@example.test", "eve@example.test", 0);
	UNTIL(seen.njobs == 2);
	assert_ptr_equal(ours[LOCAL], local);
	assert_string_equal(seen.rcpts[0].address, "eve@example.test");
	job_answer(theirs[LOCAL], seen.job.job, JOB_DELIVERED);
	UNTIL(nmsgs() == 1);
}

/* An smtpd that says what no smtpd says is cut off. */
static void
hostile(void)
{
	struct msg_txn_begin b = asks;

	b.txn = next_txn++;
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_BEGIN, 0, &b, -1);
	UNTIL(ours[SMTPD] == NULL);
	channel_free(theirs[SMTPD]);
	peer_up(SMTPD);
	memset(&asks, 0, sizeof(asks));
}

static void
test_hostile(void **state)
{
	(void)state;
	asks.priority = 10;
	hostile();
	asks.priority = (uint8_t)-10;
	hostile();
	asks.by_mode = 'X';
	hostile();
	asks.by_trace = 1;
	hostile();
	asks.release = -1;
	hostile();
	asks.release = INT64_MAX;
	hostile();
	assert_int_equal(txn_count(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_return, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_by_return_unroutable, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_by_return_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_notify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relayed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_release, setup, teardown),
		cmocka_unit_test_setup_teardown(test_release_and_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_carried, setup, teardown),
		cmocka_unit_test_setup_teardown(test_script_sends_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_script_sends_rubbish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
