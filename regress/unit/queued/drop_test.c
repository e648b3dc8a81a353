/*
 * Messages that sendmail(8) left in the drop directory.
 *
 * SPDX-License-Identifier: ISC
 */
#include "queued/drop.h"
#include "regress/unit/queued/neighbours.h"

static void
test_drop(void **state)
{
	FILE *f;

	(void)state;
	seen.result = JOB_DELIVERED;
	f = fopen("drop/t.1", "w");
	fprintf(
	    f, "F bob@example.test\nR alice\nR carol@example.test\n\nSubject: x\n\nhi\n");
	fclose(f);
	assert_int_equal(rename("drop/t.1", "drop/m.1"), 0);
	f = fopen("drop/m.2", "w");
	fprintf(f, "nonsense\n\n");
	fclose(f);
	for (int i = 0; i < 3000 && seen.njobs == 0; i++)
		turn(1);
	assert_true(seen.njobs > 0);
	assert_string_equal(seen.content, "Subject: x\r\n\r\nhi\r\n");
	UNTIL(access("drop/m.1", F_OK) == -1);
	UNTIL(access("drop/bad.m.2", F_OK) == 0);
}

static void
drop_put(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* Killed between the commit and the removal of the file: not twice, not never. */
static void
test_drop_after_a_crash(void **state)
{
	static const char text[] = "F a@x.test\nR alice\n\nSubject: x\n\nhi\n";
	char path[64];

	(void)state;
	seen.result = 0;
	submit("a@x.test", "alice@example.test", 0);
	snprintf(path, sizeof(path), "drop/q.%s.m.1", seen.qid);
	drop_put(path, text, sizeof(text) - 1);
	drop_put("drop/q.zzzzzzz.m.2", text, sizeof(text) - 1);
	/* At the start, before the message can be delivered and forgotten. */
	drop_stop();
	assert_int_equal(drop_start(queued.spool), 0);
	assert_int_equal(access(path, F_OK), -1);
	UNTIL(access("drop/q.zzzzzzz.m.2", F_OK) == -1);
	UNTIL(nmsgs() == 2);
	turn(50);
	assert_int_equal(nmsgs(), 2);
}

/* What can never be taken is moved away, and what is odd is made plain. */
static void
test_drop_hostile(void **state)
{
	static const char nul[] = "F a@x.test\nR alice\n\nSubject: \0x\n\nhi\n";
	static const char cr[] = "F a@x.test\nR alice\n\nSubject: x\n\nhi\r.\rQUIT\r\n\n";
	char longest[400] = "F a@x.test\nR ";

	(void)state;
	memset(longest + strlen(longest), 'x', 315);
	strlcat(longest, "\n\nhi\n", sizeof(longest));
	drop_put("drop/m.1", nul, sizeof(nul) - 1);
	drop_put("drop/m.2", longest, strlen(longest));
	seen.result = JOB_DELIVERED;
	for (int i = 0; i < 3000 && nmsgs() + (size_t)seen.njobs == 0; i++) {
		if (i == 0)
			drop_put("drop/m.3", cr, sizeof(cr) - 1);
		turn(1);
	}
	UNTIL(seen.njobs == 1);
	assert_string_equal(seen.content, "Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n\r\n");
	UNTIL(access("drop/m.1", F_OK) == -1 && access("drop/m.2", F_OK) == -1);
	assert_int_equal(
	    system("ls drop | grep -c '^bad[.]q[.][^.]*[.]m[.][12]$' | grep -qx 2"), 0);
}

/* Mail of the drop directory is judged as all mail is. */
static void
test_drop_is_judged(void **state)
{
	static const char text[] = "F bob@example.test\nR x@remote.test\n\nS: x\n\nhi\n";

	(void)state;
	seen.result = JOB_DELIVERED;
	seen.verdict = VERDICT_DEFER;
	drop_put("drop/m.1", text, sizeof(text) - 1);
	UNTIL(seen.checks == 1);
	turn(20);
	assert_int_equal(nmsgs(), 0);
	/* With more fields than a job can carry it would stay in the queue for ever. */
	seen.verdict = VERDICT_ACCEPT;
	seen.long_headers = 1;
	for (int i = 0; i < 8000 && seen.checks == 1; i++)
		turn(1);
	turn(20);
	assert_int_equal(nmsgs(), 0);
	seen.long_headers = 0;
	/* Rejected: its writer is told. */
	seen.verdict = VERDICT_REJECT;
	for (int i = 0; i < 8000 && seen.njobs == 0; i++)
		turn(1);
	assert_int_equal(seen.njobs, 1);
	assert_string_equal(seen.job.sender, "");
	assert_string_equal(seen.rcpts[0].address, "bob@example.test");
	assert_non_null(strstr(seen.content, "no such thing here"));
	UNTIL(nmsgs() == 0);
	UNTIL(system("test -z \"$(ls drop)\"") == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_is_judged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
