/*
 * A process that ends before, within or after each durable system call of the spool in
 * turn: nothing acknowledged is lost, nothing removed comes back, and a message and
 * its bounce are never both there nor both gone.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/spool.h"
#include "queued/sys.h"

#define IDS_MAX 20000

static char dir[64];
static int report = -1;
static long countdown;
static int torn;

enum what {
	BEGIN_ADD,
	ADDED,
	BEGIN_REMOVE,
	REMOVED,
	BEGIN_BOUNCE,
	BOUNCED,
	END
};

struct line {
	uint64_t id;
	uint64_t other; /* BOUNCE: the id of the bounce */
	uint32_t size;
	enum what what;
};

static struct known {
	uint64_t id, bounce;
	uint32_t size;
	enum what what;
} known[IDS_MAX];
static size_t nknown;

static void
tell(enum what what, uint64_t id, uint64_t other, uint32_t size)
{
	struct line l = { id, other, size, what };

	if (write(report, &l, sizeof(l)) != sizeof(l))
		_exit(3);
}

static int
fault(const char *op, int fd, const void *buf, size_t len, off_t off)
{
	(void)op;
	if (--countdown > 0)
		return 0;
	/* Torn: half of it, in the size of sectors. */
	if (torn && buf != NULL && len > 512 && strcmp(op, "pwrite") == 0)
		(void)!pwrite(fd, buf, len / 1024 * 512, off);
	_exit(9);
}

static struct spool *
reopen(void)
{
	struct spool_conf c = { .root = dir, .segment_size = JOURNAL_SEGMENT_MIN };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 5, why, sizeof(why));

	if (sp == NULL) {
		fprintf(stderr, "%s\n", why);
		_exit(4);
	}
	return sp;
}

static void
message_make(struct spool_message *sm, uint64_t id, uint32_t size, uint8_t *list,
    size_t cap, uint8_t *content)
{
	struct bytes_out o = { .p = list, .cap = cap };
	struct rec_rcpt rc = {
		.state = RCPT_LIVE, .has = REC_R_ADDRESS, .address = "r@a.test"
	};

	memset(sm, 0, sizeof(*sm));
	memset(content, (int)(id & 0xff), size);
	rec_rcpt_encode(&rc, &o);
	sm->fd = -1;
	sm->data = content;
	sm->rec.size = size;
	sm->rec.nrcpt = 1;
	sm->rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
}

static void
on_acked(int error, void *arg)
{
	int *acked = arg;

	if (error == 0)
		*acked = 1;
}

static void
work(struct spool *sp)
{
	static uint8_t content[300000];
	uint8_t list[256];
	uint64_t mine[64];
	size_t n = 0;

	for (int op = 0; op < 60; op++) {
		int what = rand() % 10, acked = 0;
		struct spool_message sm;

		if (n == 0 || what < 5) {
			uint32_t size = rand() % 4 == 0 ? 1000 : 200000;
			uint64_t id = spool_id(sp);
			int wr, rd;

			message_make(&sm, id, size, list, sizeof(list), content);
			tell(BEGIN_ADD, id, 0, size);
			if (what == 0) {
				if (spool_body_create(sp, id, &wr, &rd) == -1 ||
				    sys_pwrite(wr, content, size, 0) == -1 ||
				    spool_checksum(rd, size, &sm.rec.crc) == -1 ||
				    spool_body_sync(sp, id, rd, on_acked, &acked) == -1 ||
				    !acked)
					_exit(5);
				close(wr);
				close(rd);
				sm.rec.flags |= QM_FILE;
				acked = 0;
			}
			if (spool_room(sp, spool_message_len(&sm), 0) == -1 ||
			    spool_put_message(sp, id, &sm, 0) == NULL)
				_exit(5);
			index_find(spool_index(sp), id)->flags &= ~(uint32_t)QM_PENDING;
			spool_commit(sp, 1, on_acked, &acked);
			if (!acked)
				_exit(5);
			tell(ADDED, id, 0, size);
			mine[n++] = id;
		} else if (what < 8) {
			uint64_t id = mine[--n];

			tell(BEGIN_REMOVE, id, 0, 0);
			if (spool_remove(sp, index_find(spool_index(sp), id)) == -1)
				_exit(5);
			tell(REMOVED, id, 0, 0);
		} else if (what == 8) {
			uint64_t id = mine[--n], bounce = spool_id(sp);

			message_make(&sm, bounce, 700, list, sizeof(list), content);
			tell(BEGIN_BOUNCE, id, bounce, 700);
			if (spool_room(sp, spool_message_len(&sm) + spool_removed_len(),
				1) == -1 ||
			    spool_put_message(sp, bounce, &sm, 1) == NULL ||
			    spool_put_removed(sp, index_find(spool_index(sp), id), 0) ==
				-1)
				_exit(5);
			spool_commit(sp, 1, on_acked, &acked);
			if (!acked)
				_exit(5);
			tell(BOUNCED, id, bounce, 700);
		} else
			spool_tick(sp, (uint64_t)op + 1);
	}
	for (int i = 0; i < 20; i++)
		spool_tick(sp, 100 + (uint64_t)i);
}

static struct known *
known_find(uint64_t id)
{
	for (size_t i = nknown; i > 0; i--) {
		if (known[i - 1].id == id)
			return &known[i - 1];
	}
	assert_true(nknown < IDS_MAX);
	known[nknown].id = id;
	return &known[nknown++];
}

static void
learn(const struct line *l)
{
	struct known *k = known_find(l->id);

	k->what = l->what;
	if (l->size != 0 && l->what <= ADDED)
		k->size = l->size;
	if (l->what == BEGIN_BOUNCE || l->what == BOUNCED) {
		struct known *b = known_find(l->other);

		known_find(l->id)->bounce = l->other;
		b->what = l->what == BOUNCED ? ADDED : BEGIN_ADD;
		b->size = l->size;
	}
}

static int
there(struct spool *sp, uint64_t id, uint32_t size)
{
	struct qmsg *m = index_find(spool_index(sp), id);
	const char *what;

	if (m == NULL)
		return 0;
	if (spool_verify(sp, m, &what) == -1)
		fail_msg("%llx: %s", (unsigned long long)id, what);
	assert_int_equal(m->size, size);
	return 1;
}

/* What was in doubt is settled by what is found, once and for all. */
static void
check(struct spool *sp)
{
	size_t live = 0;

	for (size_t i = 0; i < nknown; i++) {
		struct known *k = &known[i];
		int is = there(sp, k->id, k->size);

		live += (size_t)is;
		switch (k->what) {
		case ADDED:
			assert_true(is);
			break;
		case REMOVED:
		case BOUNCED:
			assert_false(is);
			break;
		case BEGIN_BOUNCE:
			assert_int_equal(is, !there(sp, k->bounce, 700));
			k->what = is ? ADDED : BOUNCED;
			break;
		default:
			k->what = is ? ADDED : REMOVED;
		}
	}
	assert_int_equal(spool_index(sp)->nmsgs, live);
}

static int
run_child(long count, int tear, unsigned int seed)
{
	int p[2], status;
	struct line l;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		struct spool *sp;

		close(p[0]);
		report = p[1];
		countdown = count;
		torn = tear;
		srand(seed);
		sys_fault = fault;
		sp = reopen();
		work(sp);
		spool_close(sp);
		_exit(0);
	}
	close(p[1]);
	while (read(p[0], &l, sizeof(l)) == sizeof(l))
		learn(&l);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 9)
		fail_msg("the child ended with %d", WEXITSTATUS(status));
	return WEXITSTATUS(status) == 9;
}

static void
test_each_call(void **state)
{
	long step = getenv("FIFE_LONG") != NULL ? 1 : 5;
	int died = 1;

	(void)state;
	for (long n = 1; died && n < 400; n += n < 40 ? 1 : step) {
		for (int tear = 0; tear < 2; tear++) {
			struct spool *sp;
			struct qmsg *m;

			died = run_child(n, tear, (unsigned int)n);
			sp = reopen();
			check(sp);
			/* Room for the next round. */
			while (spool_index(sp)->nmsgs > 40 &&
			       (m = index_next(spool_index(sp), 0)) != NULL) {
				known_find(m->id)->what = REMOVED;
				assert_int_equal(spool_remove(sp, m), 0);
			}
			if (n % 3 == 0)
				spool_close(sp);
			else
				spool_abandon(sp);
		}
	}
	assert_true(nknown > 100);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-crash.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_call, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
