/*
 * A spool with rot in it: what verify finds, and that repair loses nothing that
 * can be read.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queued/spool.h"
#include "queued/verify.h"

static char dir[64];

static struct spool *
reopen(void)
{
	struct spool_conf c = { .root = dir, .segment_size = JOURNAL_SEGMENT_MIN };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 0, why, sizeof(why));

	if (sp == NULL)
		fail_msg("%s", why);
	return sp;
}

static uint64_t
add(struct spool *sp, uint32_t size, int in_file)
{
	struct rec_rcpt rc = {
		.state = RCPT_LIVE, .has = REC_R_ADDRESS, .address = "r@a.test"
	};
	struct spool_message sm = { .fd = -1 };
	uint8_t list[256], *content = malloc(size);
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	uint64_t id = spool_id(sp);
	int wr, rd;

	memset(content, (int)(id & 0xff), size);
	rec_rcpt_encode(&rc, &o);
	sm.rec.size = size;
	sm.rec.sender = "s@x.test";
	sm.rec.nrcpt = 1;
	sm.rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
	sm.data = content;
	if (in_file) {
		assert_int_equal(spool_body_create(sp, id, &wr, &rd), 0);
		assert_int_equal(write(wr, content, size), size);
		assert_int_equal(spool_checksum(rd, size, &sm.rec.crc), 0);
		close(wr);
		close(rd);
		sm.rec.flags = QM_FILE;
	}
	assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
	assert_non_null(spool_put_message(sp, id, &sm, 0));
	index_find(spool_index(sp), id)->flags &= ~(uint32_t)QM_PENDING;
	spool_commit(sp, 1, NULL, NULL);
	free(content);
	return id;
}

static struct loc
defer(struct spool *sp, uint64_t id)
{
	struct rec_rcpt rc = { .state = RCPT_LIVE,
		.attempts = 1,
		.has = REC_R_RESULT,
		.enhanced = "4.4.1",
		.mta = "mx.test",
		.text = "timed out" };
	uint8_t list[256];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	struct qmsg *m = index_find(spool_index(sp), id);

	rec_rcpt_encode(&rc, &o);
	m = spool_change(sp, m, m->flags & QM_ON_DISK, 1, list, o.len);
	assert_non_null(m);
	return m->rcpt[0].result;
}

static void
rot(struct loc at, uint32_t more)
{
	char path[128];
	uint8_t c;
	int fd;

	snprintf(path, sizeof(path), "%s/journal/%08x.seg", dir, at.seg);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &c, 1, at.off + more), 1);
	c ^= 0x41;
	assert_int_equal(pwrite(fd, &c, 1, at.off + more), 1);
	close(fd);
}

static void
sh(const char *fmt)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), fmt, dir);
	assert_int_equal(system(cmd), 0);
}

static void
on_orphan(void *arg, const char *qid)
{
	(void)qid;
	++*(int *)arg;
}

/* As verify does it; the number that is damaged. */
static uint64_t
repair_all(struct spool *sp, uint64_t *repaired, int *orphans)
{
	struct qmsg *m;
	const char *what;
	uint64_t damaged = 0, id;

	*repaired = 0;
	*orphans = 0;
	for (id = 0; (m = index_next(spool_index(sp), id)) != NULL;) {
		int rv;

		id = m->id + 1;
		rv = spool_repair(sp, m, &what);
		damaged += rv == -1;
		*repaired += rv == 1;
	}
	spool_orphans(sp, 1, on_orphan, orphans);
	assert_int_equal(spool_repair_end(sp, damaged), 0);
	return damaged;
}

static void
test_reply_lost(void **state)
{
	struct spool *sp = reopen();
	uint64_t a = add(sp, 1000, 0), b = add(sp, 2000, 0), n;
	struct loc at = defer(sp, a);
	struct spool_view v;
	const char *what;
	int orphans;

	(void)state;
	add(sp, 3000, 0);
	spool_close(sp);
	rot(at, 60);
	sp = reopen();
	assert_int_equal(spool_verify(sp, index_find(spool_index(sp), a), &what), 1);
	assert_int_equal(spool_verify(sp, index_find(spool_index(sp), b), &what), 0);
	assert_int_equal(repair_all(sp, &n, &orphans), 0);
	assert_int_equal(n, 1);
	assert_int_equal(spool_verify(sp, index_find(spool_index(sp), a), &what), 0);
	assert_int_equal(spool_view(sp, index_find(spool_index(sp), a), &v), 0);
	assert_int_equal(v.rcpts[0].attempts, 1);
	assert_string_equal(v.rcpts[0].address, "r@a.test");
	spool_view_clear(&v);
	spool_abandon(sp);
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 3);
	assert_null(spool_degraded(sp));
	spool_close(sp);
}

/* The journal is read whole, and a record in its middle is gone: the content of that
 * message is kept, the others move away from there. */
static void
test_record_lost(void **state)
{
	struct spool *sp = reopen();
	uint64_t a = add(sp, 300000, 1), n;
	struct loc at = index_find(spool_index(sp), a)->at;
	int orphans;

	(void)state;
	for (int i = 0; i < 30; i++)
		add(sp, 200000, 0);
	spool_close(sp);
	rot(at, 50);
	sh("rm -rf %s/index");
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 30);
	assert_non_null(spool_degraded(sp));
	sh("ls %s/body/*/* >/dev/null");
	assert_int_equal(repair_all(sp, &n, &orphans), 0);
	assert_true(n > 10);
	assert_int_equal(orphans, 1);
	sh("ls %s/body/lost.* >/dev/null");
	assert_null(spool_degraded(sp));
	spool_close(sp);
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 30);
	assert_int_equal(repair_all(sp, &n, &orphans), 0);
	assert_int_equal(n, 0);
	spool_close(sp);
	/* The damaged segment has gone: not even a reading of all finds it. */
	sh("rm -rf %s/index");
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 30);
	assert_null(spool_degraded(sp));
	spool_close(sp);
	sh("ls %s/body/lost.* >/dev/null");
}

static void
test_held(void **state)
{
	struct spool *sp = reopen();
	uint64_t a = add(sp, 300000, 1), b = add(sp, 5000, 0), c = add(sp, 500, 0), n;
	struct loc at = index_find(spool_index(sp), b)->at;
	struct qmsg *m;
	int orphans;

	(void)state;
	spool_close(sp);
	rot(at, 2000);
	sh("printf Y | dd of=$(find %s/body -type f) conv=notrunc bs=1 seek=1000 "
	   "2>/dev/null");
	sp = reopen();
	assert_int_equal(repair_all(sp, &n, &orphans), 2);
	spool_close(sp);
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 3);
	assert_true(index_find(spool_index(sp), a)->flags & QM_HELD);
	assert_true(index_find(spool_index(sp), b)->flags & QM_HELD);
	assert_false(index_find(spool_index(sp), c)->flags & QM_HELD);
	/* Removing them is what is left. */
	m = index_find(spool_index(sp), b);
	assert_int_equal(spool_remove(sp, m), 0);
	spool_close(sp);
}

static int
offline(int repair)
{
	char *argv[] = { (char *)"queued", (char *)"verify", dir,
		repair ? (char *)"--repair" : NULL, NULL };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(99);
		_exit(verify_main(repair ? 4 : 3, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_offline(void **state)
{
	struct spool *sp = reopen();
	uint64_t a = add(sp, 1000, 0);
	struct loc at = defer(sp, a);

	(void)state;
	/* Not while somebody has the lock. */
	assert_int_equal(offline(0), CTL_TEMPFAIL);
	spool_close(sp);
	assert_int_equal(offline(0), CTL_OK);
	rot(at, 60);
	assert_int_equal(offline(0), CTL_REFUSED);
	assert_int_equal(offline(1), CTL_OK);
	assert_int_equal(offline(0), CTL_OK);
	sp = reopen();
	assert_int_equal(spool_index(sp)->nmsgs, 1);
	spool_close(sp);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-repair.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	sh("rm -rf %s");
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reply_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offline, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
