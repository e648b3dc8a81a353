/*
 * A taken-over smtpd: it invents logins, sends as others, and leaves the question for a
 * recipient out. authd, asked by queued, does not agree.
 *
 * SPDX-License-Identifier: ISC
 */
#include "regress/unit/queued/neighbours.h"

/* What COMMIT is answered for a message of that login to so many. */
static int
send_as(uint64_t login, const char *sender, uint32_t nrcpt)
{
	begin_as(sender, 100, login);
	assert_int_equal(seen.open_status, MSG_OK);
	assert_int_equal(write(seen.fd, TEXT, strlen(TEXT)), strlen(TEXT));
	assert_int_equal(compat_seal(seen.fd), 0);
	for (uint32_t i = 0; i < nrcpt; i++)
		rcpt("bob@example.test", 0);
	commit(strlen(TEXT));
	close(seen.fd);
	return seen.commit_status;
}

static void
test_lies(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.granted = 5;
	assert_int_equal(send_as(42, "alice@example.test", 2), MSG_OK);
	assert_int_equal(seen.granted, 3);
	UNTIL(nmsgs() == 0);
	/* A login that there is not. */
	assert_int_equal(send_as(43, "alice@example.test", 1), MSG_TEMP);
	/* Somebody else's name. */
	assert_int_equal(send_as(42, "bob@example.test", 1), MSG_PERM);
	/* More recipients than were asked for. */
	assert_int_equal(send_as(42, "alice@example.test", 4), MSG_TEMP);
	assert_int_equal(nmsgs(), 0);
	assert_int_equal(seen.granted, 3);
	assert_int_equal(send_as(42, "alice@example.test", 3), MSG_OK);
	UNTIL(nmsgs() == 0);
	assert_int_equal(txn_count(), 0);
	/* Without a login nobody is asked, and none is claimed. */
	seen.sender_asks = 0;
	assert_int_equal(send_as(0, "eve@x.test", 1), MSG_OK);
	assert_int_equal(seen.sender_asks, 0);
}

/* The question is there before the content: COMMIT does not wait for it. */
static void
test_asked_early(void **state)
{
	(void)state;
	seen.result = JOB_DELIVERED;
	seen.granted = 10;
	begin_as("alice@example.test", 100, 42);
	UNTIL(seen.sender_asks == 1);
	close(seen.fd);
	/* Recipients that come later are asked for as well. */
	begin_as("alice@example.test", 100, 42);
	turn(20);
	rcpt("bob@example.test", 0);
	rcpt("carol@example.test", 0);
	assert_int_equal(write(seen.fd, TEXT, strlen(TEXT)), strlen(TEXT));
	assert_int_equal(compat_seal(seen.fd), 0);
	commit(strlen(TEXT));
	close(seen.fd);
	assert_int_equal(seen.commit_status, MSG_OK);
	assert_int_equal(seen.granted, 8);
}

/* The large ones, whose content is read and synced meanwhile. */
static void
test_large(void **state)
{
	static char part[500000];

	(void)state;
	for (int login = 42; login <= 43; login++) {
		seen.granted = 1;
		begin_as("alice@example.test", sizeof(part), (uint64_t)login);
		assert_int_equal(pwrite(seen.fd, part, sizeof(part), 0), sizeof(part));
		rcpt("bob@example.test", 0);
		final(sizeof(part));
		commit(sizeof(part));
		close(seen.fd);
		assert_int_equal(seen.commit_status, login == 42 ? MSG_OK : MSG_TEMP);
	}
	assert_int_equal(nmsgs(), 1);
	assert_int_equal(txn_count(), 0);
}

static void
test_authd_away(void **state)
{
	(void)state;
	seen.granted = 5;
	seen.sender_mute = 1;
	begin_as("alice@example.test", 100, 42);
	assert_int_equal(compat_seal(seen.fd), 0);
	close(seen.fd);
	rcpt("bob@example.test", 0);
	UNTIL(seen.sender_asks == 1);
	channel_free(theirs[AUTHD]);
	theirs[AUTHD] = NULL;
	UNTIL(ours[AUTHD] == NULL);
	commit(0);
	assert_int_equal(seen.commit_status, MSG_TEMP);
	/* Nor does a transaction that is gone mind the answer. */
	peer_up(AUTHD);
	begin_as("alice@example.test", 100, 42);
	close(seen.fd);
	UNTIL(seen.sender_asks == 2);
	channel_free(theirs[SMTPD]);
	theirs[SMTPD] = NULL;
	UNTIL(txn_count() == 0);
	channel_free(theirs[AUTHD]);
	theirs[AUTHD] = NULL;
	UNTIL(ours[AUTHD] == NULL);
}

/* An account that looks stolen: its mail waits for the postmaster. */
static void
test_hold(void **state)
{
	struct qmsg *m;

	(void)state;
	seen.granted = 5;
	seen.sender_hold = 1;
	assert_int_equal(send_as(42, "alice@example.test", 1), MSG_OK);
	m = index_next(spool_index(queued.spool), 0);
	assert_non_null(m);
	assert_true(m->flags & QM_HELD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asked_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_authd_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
