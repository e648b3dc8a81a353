/*
 * Which results are reported to the sender, and how.
 *
 * SPDX-License-Identifier: ISC
 */
#include "regress/unit/queued/neighbours.h"

static void
test_bounce(void **state)
{
	char *p;

	(void)state;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 No such user here";
	submit("bob@example.test", "nobody@remote.test", 0);
	UNTIL(seen.njobs == 1);
	assert_int_equal(seen.job_role, REMOTE);
	assert_string_equal(seen.job.route, "");
	assert_string_equal(seen.job.domain, "remote.test");
	seen.result = JOB_DELIVERED;
	seen.reply = NULL;
	UNTIL(seen.njobs == 2);
	assert_int_equal(seen.job_role, LOCAL);
	assert_string_equal(seen.job.sender, "");
	assert_string_equal(seen.rcpts[0].address, "bob@example.test");
	p = strstr(seen.content, "550 5.1.1 No such user here");
	assert_non_null(p);
	assert_non_null(strstr(seen.content, "Status: 5.1.1"));
	assert_non_null(strstr(seen.content, "Subject: hello"));
	UNTIL(nmsgs() == 0);
	/* A bounce that fails is dropped. */
	seen.result = JOB_FAILED;
	submit("", "nobody@remote.test", 0);
	UNTIL(seen.njobs == 3);
	UNTIL(nmsgs() == 0);
	/* NOTIFY=NEVER. */
	submit("bob@example.test", "nobody@remote.test", NOTIFY_NEVER);
	UNTIL(seen.njobs == 4);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 4);
}

/* RFC 3461: who asked hears of success, by what is known of it. */
static void
test_success_reports(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.sync_answers = 1;
	/* A mailbox. */
	submit("a@remote.test", "alice@example.test", NOTIFY_SUCCESS);
	UNTIL(seen.njobs == 2 && nmsgs() == 0);
	assert_string_equal(seen.job.sender, "");
	assert_says("Action: delivered\r\n");
	assert_says("Content-Type: text/rfc822-headers\r\n");
	/* Another host, which does not know of it, and one that does. */
	submit("b@remote.test", "far@remote.test", NOTIFY_SUCCESS | NOTIFY_DELAY);
	UNTIL(seen.njobs == 4 && nmsgs() == 0);
	assert_says("Action: relayed\r\n");
	seen.detail = "dsn";
	submit("b@remote.test", "far@remote.test", NOTIFY_SUCCESS);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 5);
	assert_int_equal(seen.rcpts[0].notify, NOTIFY_SUCCESS);
	/* Not asked, and from nobody. */
	submit("b@remote.test", "alice@example.test", NOTIFY_FAILURE);
	submit("", "alice@example.test", NOTIFY_SUCCESS);
	UNTIL(nmsgs() == 0);
	turn(20);
	assert_int_equal(seen.njobs, 7);
}

/* RFC 3461, 5.2.7. */
static void
test_success_of_an_alias(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.sync_answers = 1;
	seen.detail = "dsn";
	/* For one address: the wish goes on, nothing is said here. */
	seen.expand = "far@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS | NOTIFY_DELAY);
	UNTIL(seen.njobs == 2 && nmsgs() == 0);
	assert_string_equal(seen.rcpts[0].address, "far@remote.test");
	assert_int_equal(seen.rcpts[0].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	/* For two: it ends here. */
	seen.njobs = 0;
	seen.expand = "far@remote.test";
	seen.expand2 = "near@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS);
	UNTIL(seen.njobs == 3 && nmsgs() == 0);
	assert_string_equal(seen.report_action, "expanded");
	assert_int_equal(seen.last_notify, NOTIFY_NEVER);
	/* A mailbox, and on to another. */
	seen.njobs = 0;
	seen.detail = "mailbox dsn";
	seen.expand = "far@remote.test";
	submit("bob@remote.test", "alias@example.test", NOTIFY_SUCCESS | NOTIFY_FAILURE);
	UNTIL(seen.njobs == 3 && nmsgs() == 0);
	assert_string_equal(seen.report_action, "delivered");
	assert_int_equal(seen.last_notify, NOTIFY_FAILURE);
}

/* A bounce that fails goes to the postmaster, and what fails then to nobody. */
static void
test_double_bounce(void **state)
{
	(void)state;
	queued.conf.double_bounce = 1;
	seen.result = JOB_FAILED;
	seen.reply = "550 5.1.1 nobody here";
	submit("", "x@remote.test", 0);
	UNTIL(nmsgs() == 0 && seen.njobs == 2);
	assert_string_equal(seen.rcpts[0].address, "postmaster@mail.example.test");
	assert_string_equal(seen.job.sender, "");
	assert_non_null(strstr(seen.content, "x@remote.test"));
	turn(20);
	assert_int_equal(seen.njobs, 2);
	queued.conf.double_bounce = 0;
	submit("", "x@remote.test", 0);
	UNTIL(nmsgs() == 0 && seen.njobs == 3);
	turn(20);
	assert_int_equal(seen.njobs, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_success_reports, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_success_of_an_alias, setup, teardown),
		cmocka_unit_test_setup_teardown(test_double_bounce, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
