/*
 * What the spool takes of the disk, and that it goes on when there is none left: results
 * and bounces find the reserve, and what they free is used again.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/spool.h"

#define KIB(n) ((uint64_t)(n)*1024)

static char dir[64];
static uint64_t used;

static struct spool *
reopen(uint32_t segment_size)
{
	struct spool_conf c = { .root = dir, .segment_size = segment_size };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 0, why, sizeof(why));

	if (sp == NULL)
		fail_msg("%s", why);
	return sp;
}

static int
on_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path;
	(void)flag;
	(void)ftw;
	used += (uint64_t)st->st_blocks * 512;
	return 0;
}

static uint64_t
disk_use(void)
{
	used = 0;
	assert_int_equal(nftw(dir, on_file, 8, FTW_PHYS), 0);
	return used;
}

/* Put one without a sync; 0: no room. */
static uint64_t
add(struct spool *sp, uint32_t size, int privileged)
{
	static uint8_t content[60000];
	struct rec_rcpt rc = { .state = RCPT_LIVE,
		.has = REC_R_ADDRESS,
		.address = "somebody@somewhere.example.org" };
	struct spool_message sm = { .fd = -1, .data = content };
	uint8_t list[256];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	uint64_t id = spool_id(sp);

	if (id == 0)
		return 0;
	memset(content, (int)(id & 0xff), size);
	rec_rcpt_encode(&rc, &o);
	sm.rec.size = size;
	sm.rec.sender = "somebody.else@elsewhere.example.net";
	sm.rec.client = "192.0.2.17";
	sm.rec.helo = "mx.elsewhere.example.net";
	sm.rec.prefix =
	    (const uint8_t *)"Received: from x by y with ESMTPS id Z; Tue, 24 Nov\r\n";
	sm.rec.prefix_len = 53;
	sm.rec.nrcpt = 1;
	sm.rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
	if (spool_room(sp, spool_message_len(&sm), privileged) == -1)
		return 0;
	assert_non_null(spool_put_message(sp, id, &sm, privileged));
	index_find(spool_index(sp), id)->flags &= ~(uint32_t)QM_PENDING;
	return id;
}

static void
defer(struct spool *sp, struct qmsg *m, uint16_t attempts)
{
	struct rec_rcpt rc = { .state = RCPT_LIVE,
		.attempts = attempts,
		.has = REC_R_RESULT,
		.enhanced = "4.4.1",
		.mta = "mx.somewhere.example.org",
		.text = "The connection to every host of the domain timed out" };
	uint8_t list[256];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };

	rec_rcpt_encode(&rc, &o);
	assert_int_equal(spool_room(sp, spool_state_len(o.len), 1), 0);
	assert_non_null(spool_put_state(sp, m, m->flags & QM_ON_DISK, 1, list, o.len, 0));
}

static void
settle(struct spool *sp)
{
	static uint64_t clock;

	for (int i = 0; i < 300; i++)
		spool_tick(sp, clock += 400000);
}

static void
test_deferred(void **state)
{
	int n = 50000;
	struct spool *sp = reopen(0);
	uint64_t each;

	(void)state;
	for (int i = 0; i < n; i++) {
		uint64_t id = add(sp, 4096, 0);

		assert_true(id != 0);
		defer(sp, index_find(spool_index(sp), id), 1);
		if (i % 500 == 0)
			spool_commit(sp, 1, NULL, NULL);
	}
	settle(sp);
	each = disk_use() / (uint64_t)n;
	printf("%d deferred messages of 4 KiB: %llu octets each\n", n,
	    (unsigned long long)each);
	assert_true(each <= KIB(6));
	/* Tried three times more: what is superseded goes. */
	for (uint16_t t = 2; t <= 4; t++) {
		struct qmsg *m;
		int k = 0;

		for (uint64_t id = 0; (m = index_next(spool_index(sp), id)) != NULL;) {
			id = m->id + 1;
			defer(sp, m, t);
			if (++k % 1000 == 0) {
				spool_commit(sp, 1, NULL, NULL);
				spool_tick(sp, 1);
			}
		}
		settle(sp);
	}
	each = disk_use() / (uint64_t)n;
	printf("after three more tries: %llu octets each\n", (unsigned long long)each);
	assert_true(each <= KIB(7));
	spool_close(sp);
}

static void
test_delivered(void **state)
{
	struct spool *sp = reopen(0);
	uint64_t ids[64] = { 0 }, most = 0, end;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t *slot = &ids[i % 64];

		if (*slot != 0) {
			struct qmsg *m = index_find(spool_index(sp), *slot);

			assert_int_equal(spool_room(sp, spool_removed_len(), 1), 0);
			/* The commit of each comes with the next sync. */
			assert_int_equal(spool_put_removed(sp, m, 0), 0);
		}
		*slot = add(sp, 4096, 0);
		assert_true(*slot != 0);
		if (i % 100 == 0) {
			spool_tick(sp, (uint64_t)i + 1);
			if (disk_use() > most)
				most = used;
		}
	}
	settle(sp);
	end = disk_use();
	printf("20000 delivered: at most %llu KiB, %llu KiB at the end\n",
	    (unsigned long long)most / 1024, (unsigned long long)end / 1024);
	assert_true(end <= KIB(80 * 1024));
	spool_close(sp);
}

static void
test_full(void **state)
{
	struct spool *sp;
	struct qmsg *m;
	uint64_t id;
	int n = 0, bounced = 0;

	(void)state;
	if (mount("tmpfs", dir, "tmpfs", 0, "size=40m") == -1) {
		print_message("no small file system can be mounted here\n");
		skip();
	}
	sp = reopen(JOURNAL_SEGMENT_MIN);
	while (add(sp, 50000, 0) != 0) {
		spool_commit(sp, 1, NULL, NULL);
		assert_true(++n < 1000);
	}
	assert_int_equal(errno, ENOSPC);
	assert_true(n > 300);
	/* Each result and its bounce in one group. */
	for (id = 0; (m = index_next(spool_index(sp), id)) != NULL && bounced < n;) {
		uint64_t note;

		id = m->id + 1;
		if (m->size != 50000)
			continue;
		assert_int_equal(spool_room(sp, 4096, 1), 0);
		note = add(sp, 1500, 1);
		assert_true(note != 0);
		m = index_find(spool_index(sp), id - 1);
		assert_int_equal(spool_put_removed(sp, m, 0), 0);
		bounced++;
	}
	assert_int_equal(bounced, n);
	settle(sp);
	/* Those are all there, and there is room again. */
	assert_int_equal(spool_index(sp)->nmsgs, n);
	for (int i = 0; i < 100; i++) {
		assert_true(add(sp, 50000, 0) != 0);
		spool_commit(sp, 1, NULL, NULL);
	}
	assert_null(spool_low(sp, 0));
	spool_close(sp);
	sp = reopen(JOURNAL_SEGMENT_MIN);
	assert_int_equal(spool_index(sp)->nmsgs, n + 100);
	spool_close(sp);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "%s/fife-space.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)state;
	(void)umount2(dir, MNT_DETACH);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deferred, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delivered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
