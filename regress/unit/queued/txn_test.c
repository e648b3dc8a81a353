/*
 * Transactions: what smtpd may do, and what it may not.
 *
 * SPDX-License-Identifier: ISC
 */
#include "queued/checksum.h"
#include "regress/unit/queued/neighbours.h"

static void
test_content_rules(void **state)
{
	char *big;

	(void)state;
	seen.result = JOB_DELIVERED;
	/* A large one goes into a file, and spills from memory. */
	big = malloc(400000);
	memset(big, 'x', 400000);
	begin("a@x.test", 100);
	assert_int_equal(write(seen.fd, big, 300000), 300000);
	{
		struct msg_txn t = { next_txn - 1 };

		close(seen.fd);
		seen.fd = -1;
		channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_SPILL, &t, -1, 5000,
		    on_spilled, NULL);
		UNTIL(seen.spilled);
	}
	assert_true(seen.fd != -1);
	assert_int_equal(write(seen.fd, big, 400000), 400000);
	rcpt("alice@example.test", 0);
	final(700000);
	close(seen.fd);
	commit(700000);
	assert_int_equal(seen.commit_status, MSG_OK);
	UNTIL(seen.njobs == 1);
	assert_int_equal(seen.job.size, 700000);
	UNTIL(nmsgs() == 0);
	/* Too large. */
	begin("a@x.test", 2000000);
	assert_int_equal(seen.open_status, MSG_PERM);
	/* No recipient. */
	begin("a@x.test", 100);
	assert_int_equal(compat_seal(seen.fd), 0);
	close(seen.fd);
	commit(0);
	assert_int_equal(seen.commit_status, MSG_PERM);
	/* Changed between its end and COMMIT: not what was judged. */
	begin("a@x.test", 500000);
	assert_int_equal(write(seen.fd, big, 300000), 300000);
	rcpt("alice@example.test", 0);
	final(300000);
	assert_int_equal(pwrite(seen.fd, "y", 1, 1000), 1);
	commit(300000);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	close(seen.fd);
	UNTIL(ours[SMTPD] == NULL);
	/* Its sync may last longer than the judgement. */
	UNTIL(txn_count() == 0);
	assert_int_equal(nmsgs(), 0);
	free(big);
}

static void
whole(uint8_t is_whole, const char *part1, const char *part2, uint64_t size)
{
	struct msg_txn_begin b = { .txn = next_txn++, .whole = is_whole };
	struct msg_txn_commit c = { .txn = b.txn, .size = size, .qid_at = 10 };
	const char *parts[] = { part1, part2 };

	strlcpy(b.sender, "a@x.test", sizeof(b.sender));
	seen.committed = 0;
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_BEGIN, 0, &b, -1);
	rcpt("alice@example.test", 0);
	for (int i = 0; i < 2; i++) {
		struct msg_txn_content t = { .txn = b.txn,
			.content = (const uint8_t *)parts[i],
			.content_len = strlen(parts[i]) };

		channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_CONTENT, 0, &t, -1);
	}
	c.prefix = (const uint8_t *)"Trace: id ; x\r\n";
	c.prefix_len = 15;
	channel_ask(
	    theirs[SMTPD], MSG_SMTPD_QUEUED_COMMIT, &c, -1, 5000, on_committed, NULL);
	UNTIL(seen.committed);
}

/* Envelope and content in one go. */
static void
test_whole(void **state)
{
	char expected[64];

	(void)state;
	seen.result = JOB_DELIVERED;
	whole(1, "Subject: hello\r\n\r\n", "How are you?\r\n", strlen(TEXT));
	assert_int_equal(seen.commit_status, MSG_OK);
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.content, TEXT);
	assert_string_equal(seen.rcpts[0].address, "alice@example.test");
	assert_string_equal(seen.text, seen.job.qid);
	snprintf(expected, sizeof(expected), "Trace: id %s; x\r\n", seen.job.qid);
	assert_int_equal(seen.job.prefix_len, strlen(expected));
	UNTIL(nmsgs() == 0);

	/* The disk is full: the client hears so at the end. */
	spool_set_reserve(queued.spool, UINT64_MAX / 2);
	whole(1, "x", "y", 2);
	assert_int_equal(seen.commit_status, MSG_FULL);
	spool_set_reserve(queued.spool, 0);
	assert_int_equal(txn_count(), 0);
	assert_true(txn_oldest() == UINT64_MAX);
	whole(1, "x", "y", 2);
	assert_int_equal(seen.commit_status, MSG_OK);
	UNTIL(nmsgs() == 0);
}

/* Less than announced, or content of one that has a descriptor. */
static void
test_whole_hostile(void **state)
{
	(void)state;
	whole(1, "x", "y", 3);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	UNTIL(ours[SMTPD] == NULL);
	channel_free(theirs[SMTPD]);
	peer_up(SMTPD);
	whole(0, "x", "y", 2);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	UNTIL(ours[SMTPD] == NULL);
	assert_int_equal(nmsgs(), 0);
	assert_int_equal(txn_count(), 0);
}

static void
test_unsealed(void **state)
{
	(void)state;
	/* Not sealed: that smtpd is not to be trusted any more. */
	begin("a@x.test", 100);
	assert_int_equal(write(seen.fd, "x", 1), 1);
	rcpt("alice@example.test", 0);
	commit(1);
	assert_int_not_equal(seen.commit_status, MSG_OK);
	close(seen.fd);
	UNTIL(ours[SMTPD] == NULL);
	assert_int_equal(nmsgs(), 0);
}

/* A mailbox must not forget deliveries of a message that began before. */
static void
test_oldest_counts_open_transactions(void **state)
{
	uint64_t first, second;

	(void)state;
	begin("a@x.test", 100);
	assert_int_equal(qid_parse(seen.qid, &first), 0);
	close(seen.fd);
	submit("a@x.test", "alice@example.test", 0);
	assert_int_equal(qid_parse(seen.qid, &second), 0);
	assert_true(first < second);
	UNTIL(seen.njobs == 1);
	assert_true(seen.job.queue_id == second);
	assert_true(seen.job.oldest_live <= first);
}

#define LARGE (50U * 1000 * 1000)

/* Write it, as smtpd does. */
static void
fill(int fd, uint64_t size)
{
	static char part[1000000];

	memset(part, 'x', sizeof(part));
	for (uint64_t off = 0; off < size; off += sizeof(part))
		assert_int_equal(
		    pwrite(fd, part, sizeof(part), (off_t)off), sizeof(part));
}

static struct {
	int fd, answers, status;
} large;

static void
on_large(struct msg *m, void *arg)
{
	(void)arg;
	large.answers++;
	assert_non_null(m);
	large.status = m->p.txn_status.status;
	if (m->type == MSG_QUEUED_SMTPD_FINAL_IS)
		close(msg_take_fd(m));
}

/* How far the large one was when a small one was opened. */
static struct {
	uint64_t slices;
	int answers, njobs, opened;
} small;

static void
on_small(struct msg *m, void *arg)
{
	(void)arg;
	assert_non_null(m);
	close(msg_take_fd(m));
	small.slices = checksum_slices();
	small.answers = large.answers;
	small.njobs = seen.njobs;
	small.opened++;
}

static void
ask_small(void)
{
	struct msg_txn_begin b = { .txn = next_txn++, .size_hint = 100 };

	small.opened = 0;
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_BEGIN, &b, -1, 60000, on_small, NULL);
}

/* One that begins as soon as the large one is given out. */
static void
on_large_committed(struct msg *m, void *arg)
{
	on_large(m, arg);
	ask_small();
}

/*
 * While 50 MB are read back at their end and at COMMIT, and once more before they are
 * given out, a small message that begins then is taken after a few slices of it.
 */
static void
test_large_is_read_in_slices(void **state)
{
	struct msg_txn_final f = { .size = LARGE };
	struct msg_txn_commit c = { .size = LARGE, .disposition = DISPOSITION_ACCEPT };
	uint64_t before, all = (LARGE + CHECKSUM_SLICE - 1) / CHECKSUM_SLICE;

	(void)state;
	queued.conf.message_size_max = 2 * LARGE;
	begin("a@x.test", LARGE);
	rcpt("alice@example.test", 0);
	f.txn = c.txn = next_txn - 1;
	large.fd = seen.fd;
	large.answers = 0;
	fill(large.fd, LARGE);
	before = checksum_slices();
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, &f, -1, 60000, on_large, NULL);
	ask_small();
	UNTIL(small.opened && large.answers == 1);
	assert_int_equal(small.answers, 0);
	assert_in_range(small.slices - before, 0, 20);
	assert_int_equal(large.status, MSG_OK);
	assert_int_equal(checksum_slices() - before, all);
	close(large.fd);

	before = checksum_slices();
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_COMMIT, &c, -1, 60000,
	    on_large_committed, NULL);
	ask_small();
	UNTIL(small.opened);
	assert_int_equal(small.answers, 1);
	assert_in_range(small.slices - before, 0, 20);
	small.opened = 0;
	UNTIL(large.answers == 2 && small.opened);
	assert_int_equal(large.status, MSG_OK);
	assert_int_equal(small.njobs, 0);
	assert_in_range(small.slices - before, all, all + 20);
	UNTIL(seen.njobs == 1);
	assert_int_equal(checksum_slices() - before, 2 * all);
	assert_int_equal(seen.job.size, LARGE);
}

/* What has changed on the disk is not given out but held, whatever its size. */
static void
test_altered_is_held(void **state)
{
	char path[64];
	struct qmsg *m;
	uint64_t id;
	int fd;

	(void)state;
	spool_set_held(queued.spool, 1);
	begin("a@x.test", 500000);
	fill(seen.fd, 1000000);
	rcpt("alice@example.test", 0);
	assert_int_equal(qid_parse(seen.qid, &id), 0);
	final(1000000);
	close(seen.fd);
	commit(1000000);
	assert_int_equal(seen.commit_status, MSG_OK);
	snprintf(path, sizeof(path), "body/%02x/%s", (unsigned int)(id & 0xff), seen.qid);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "y", 1, 999999), 1);
	close(fd);
	spool_set_held(queued.spool, 0);
	deliver_wake();
	m = index_find(spool_index(queued.spool), id);
	UNTIL(m->flags & QM_HELD);
	turn(20);
	assert_int_equal(seen.njobs, 0);
	/* One that goes while it is read. */
	assert_int_equal(
	    spool_change(queued.spool, m, m->flags & ~(uint32_t)QM_HELD, 0, NULL, 0), m);
	deliver_schedule(m);
	turn(1);
	assert_int_equal(spool_remove(queued.spool, m), 0);
	UNTIL(nmsgs() == 0);
	assert_int_equal(seen.njobs, 0);
}

/* A transaction that ends while its content is read back. */
static void
test_gone_while_read(void **state)
{
	struct msg_txn_final f = { .size = 10000000 };
	struct msg_txn t;

	(void)state;
	queued.conf.message_size_max = LARGE;
	begin("a@x.test", 10000000);
	fill(seen.fd, 10000000);
	close(seen.fd);
	rcpt("alice@example.test", 0);
	f.txn = t.txn = next_txn - 1;
	large.answers = 0;
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, &f, -1, 60000, on_large, NULL);
	turn(2);
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_ABORT, 0, &t, -1);
	UNTIL(txn_count() == 0);
	begin("a@x.test", 10000000);
	fill(seen.fd, 10000000);
	close(seen.fd);
	f.txn = next_txn - 1;
	channel_send(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, 77, &f, -1);
	turn(2);
	channel_free(theirs[SMTPD]);
	theirs[SMTPD] = NULL;
	UNTIL(txn_count() == 0);
}

/* A file of holes costs its writer nothing, and is not read. */
static void
test_huge_is_not_read(void **state)
{
	struct msg_txn_final f = { .size = UINT64_C(1) << 40 };
	uint64_t before = checksum_slices();

	(void)state;
	begin("a@x.test", 100000);
	assert_int_equal(ftruncate(seen.fd, (off_t)f.size), 0);
	close(seen.fd);
	f.txn = next_txn - 1;
	large.answers = 0;
	channel_ask(theirs[SMTPD], MSG_SMTPD_QUEUED_FINAL, &f, -1, 60000, on_large, NULL);
	UNTIL(large.answers == 1);
	assert_int_equal(large.status, MSG_TEMP);
	assert_int_equal(checksum_slices(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_content_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_oldest_counts_open_transactions, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_large_is_read_in_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_altered_is_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_while_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_huge_is_not_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
