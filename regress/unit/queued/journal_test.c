/*
 * The journal: what a replay finds after each way in which writing may stop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/journal.h"
#include "common/crc32c.h"
#include "queued/qid.h"
#include "queued/retry.h"
#include "queued/select.h"

#define SEGMENT JOURNAL_SEGMENT_MIN
#define GENERATION 0x1234567890abcdefULL

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-journal.XXXXXX");
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

static struct journal *
reopen(uint64_t generation)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	assert_true(fd != -1);
	return journal_open(NULL, fd, generation, SEGMENT);
}

struct seen {
	uint64_t ids[100000];
	size_t n;
};
static struct seen seen;

static int
on_record(struct loc at, const struct rec_header *h, const uint8_t *body, void *arg)
{
	struct seen *s = arg;

	(void)at;
	if (h->type != REC_MESSAGE)
		return 0;
	/* The body is the id, again and again. */
	for (uint32_t i = 0; i < h->len - REC_HEADER; i++)
		assert_int_equal(body[i], (uint8_t)h->id);
	s->ids[s->n++] = h->id;
	return 0;
}

static void
replay(struct journal *j)
{
	seen.n = 0;
	assert_int_equal(journal_replay(j, 0, 0, on_record, &seen), 0);
}

static struct loc
put(struct journal *j, uint64_t id, uint32_t len, int more)
{
	uint8_t *p;

	assert_int_equal(journal_room(j, REC_PAD(REC_HEADER + len), 0), 0);
	p = journal_body(j, REC_MESSAGE, more, id, len);
	assert_non_null(p);
	memset(p, (int)(uint8_t)id, len);
	return journal_put(j);
}

static void
seg_name(char *out, size_t cap, uint32_t seq)
{
	snprintf(out, cap, "%s/%08x.seg", dir, seq);
}

static void
test_order_and_segments(void **state)
{
	struct journal *j = reopen(GENERATION);
	struct rec_header h;
	struct loc at[100];
	uint8_t *buf;

	(void)state;
	replay(j);
	assert_int_equal(journal_start(j, 1, 0), 0);
	/* 100 of 100 KB: several segments. */
	for (uint64_t i = 0; i < 100; i++)
		at[i] = put(j, i + 1, 100 * 1024 + (uint32_t)i, 0);
	assert_int_equal(journal_sync(j), 0);
	assert_true(at[99].seg > at[0].seg + 1);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(journal_read(j, at[i], &h, &buf), 0);
		assert_int_equal(h.id, i + 1);
		free(buf);
	}
	at[0].off += 8;
	assert_int_equal(journal_read(j, at[0], &h, &buf), -1);
	journal_close(j);
	j = reopen(GENERATION);
	replay(j);
	assert_int_equal(seen.n, 100);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(seen.ids[i], i + 1);
	assert_int_equal(journal_damaged(j), 0);
	journal_close(j);
	/* Of another spool: nothing is taken. */
	j = reopen(GENERATION + 1);
	replay(j);
	assert_int_equal(seen.n, 0);
	journal_close(j);
}

/* Cut the tail at every byte, and zero or spoil what follows: what was whole before
 * it is found, what is written then is found too, and nothing else ever. */
static void
test_truncation(void **state)
{
	struct journal *j = reopen(GENERATION);
	struct loc last, end;
	char name[128];
	uint8_t *image;
	size_t len;
	int fd;

	(void)state;
	replay(j);
	assert_int_equal(journal_start(j, 1, 0), 0);
	put(j, 1, 50, 0);
	assert_int_equal(journal_sync(j), 0);
	last = put(j, 2, 61, 0);
	end = put(j, 3, 17, 0);
	assert_int_equal(journal_sync(j), 0);
	len = journal_position(j).off;
	journal_close(j);
	seg_name(name, sizeof(name), last.seg);
	fd = open(name, O_RDWR);
	assert_true(fd != -1);
	image = malloc(len);
	assert_int_equal(pread(fd, image, len, 0), len);
	for (size_t cut = last.off; cut < len; cut++) {
		for (int how = 0; how < 2; how++) {
			uint8_t *copy = malloc(len);
			size_t expect = 1;

			/* Garbage or nothing in place of the rest; the padding of the
			 * last is not part of it. */
			memcpy(copy, image, cut);
			memset(copy + cut, how ? 0xee : 0, len - cut);
			if (cut < end.off && how == 1)
				/* The later record made it to the disk, the earlier did
				 * not. */
				memcpy(copy + end.off, image + end.off, len - end.off);
			if (memcmp(copy, image, last.off + REC_HEADER + 61) == 0)
				expect += 1 + (memcmp(copy + end.off, image + end.off,
						   REC_HEADER + 17) == 0);
			assert_int_equal(pwrite(fd, copy, len, 0), len);
			free(copy);
			j = reopen(GENERATION);
			replay(j);
			assert_int_equal(seen.n, expect);
			assert_int_equal(journal_start(j, 1, 0), 0);
			put(j, 77, 61, 0);
			assert_int_equal(journal_sync(j), 0);
			journal_close(j);
			j = reopen(GENERATION);
			replay(j);
			assert_int_equal(seen.n, expect + 1);
			assert_int_equal(seen.ids[expect], 77);
			journal_close(j);
			/* Back to the beginning, behind it too. */
			assert_int_equal(pwrite(fd, image, len, 0), len);
			{
				uint8_t zeros[1024] = { 0 };

				assert_int_equal(
				    pwrite(fd, zeros, sizeof(zeros), (off_t)len), 1024);
			}
		}
	}
	free(image);
	close(fd);
}

/* Rot in the durable part is passed over and counted; what follows is kept. */
static void
test_rot(void **state)
{
	struct journal *j = reopen(GENERATION);
	struct loc at[5];
	char name[128];
	int fd;

	(void)state;
	replay(j);
	assert_int_equal(journal_start(j, 1, 0), 0);
	for (uint64_t i = 0; i < 5; i++) {
		at[i] = put(j, i + 1, 1000, 0);
		assert_int_equal(journal_sync(j), 0);
	}
	journal_close(j);
	seg_name(name, sizeof(name), at[2].seg);
	fd = open(name, O_RDWR);
	assert_int_equal(pwrite(fd, "\xff", 1, at[2].off + 500), 1);
	close(fd);
	j = reopen(GENERATION);
	replay(j);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.ids[2], 4);
	assert_int_equal(journal_damaged(j), 1);
	journal_close(j);
}

static void
test_groups(void **state)
{
	struct journal *j = reopen(GENERATION);

	(void)state;
	replay(j);
	assert_int_equal(journal_start(j, 1, 0), 0);
	put(j, 1, 100, 0);
	put(j, 2, 100, REC_F_MORE);
	put(j, 3, 100, 0);
	put(j, 4, 100, REC_F_MORE);
	assert_int_equal(journal_sync(j), 0);
	journal_close(j);
	j = reopen(GENERATION);
	replay(j);
	assert_int_equal(seen.n, 3);
	assert_int_equal(journal_start(j, 1, 0), 0);
	put(j, 5, 100, 0);
	assert_int_equal(journal_sync(j), 0);
	journal_close(j);
	j = reopen(GENERATION);
	replay(j);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.ids[3], 5);
	journal_close(j);
}

/* A segment comes back under a new number: nothing of its old life does. */
static void
test_recycled(void **state)
{
	struct journal *j = reopen(GENERATION);
	struct loc first, at;
	uint64_t id = 1;

	(void)state;
	replay(j);
	assert_int_equal(journal_start(j, 1, 0), 0);
	first = put(j, id++, 5000, 0);
	do
		at = put(j, id++, 5000, 0);
	while (at.seg < first.seg + 3);
	assert_int_equal(journal_sync(j), 0);
	assert_int_equal(journal_recycle(j, first.seg), 0);
	assert_int_equal(journal_recycle(j, first.seg + 1), 0);
	assert_int_equal(journal_recycle(j, journal_position(j).seg), -1);
	/* Into the recycled ones: a few records only, so that old ones lie behind. */
	do
		at = put(j, id++, 5000, 0);
	while (at.seg < first.seg + 6);
	assert_int_equal(journal_sync(j), 0);
	journal_close(j);
	j = reopen(GENERATION);
	replay(j);
	assert_int_equal(journal_damaged(j), 0);
	assert_true(seen.n > 10);
	for (size_t i = 1; i < seen.n; i++)
		assert_int_equal(seen.ids[i], seen.ids[i - 1] + 1);
	assert_int_equal(seen.ids[seen.n - 1], id - 1);
	journal_close(j);
}

static void
test_small_things(void **state)
{
	char qid[QID_SIZE];
	uint64_t id;
	struct retry r;
	struct select s;
	char why[100];
	char *words[] = { (char[]){ "--to" }, (char[]){ "a.test" }, (char[]){ "--older" },
		(char[]){ "2h" }, (char[]){ "1000000" } };

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283U);
	assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283U);
	assert_int_equal(crc32c_portable(crc32c(0, "1234", 4), "56789", 5), 0xe3069283U);
	qid_format(QID_FIRST, qid);
	assert_string_equal(qid, "1000000");
	qid_format(UINT64_MAX, qid);
	assert_int_equal(qid_parse(qid, &id), 0);
	assert_true(id == UINT64_MAX);
	assert_int_equal(qid_parse("gzzzzzzzzzzzz", &id), -1);
	assert_int_equal(qid_parse("", &id), -1);
	assert_int_equal(qid_parse("l", &id), -1);
	assert_int_equal(retry_parse("5m 15m 1h 1d", &r), 0);
	assert_int_equal(r.nsteps, 4);
	assert_int_equal(retry_delay(&r, 1), 300);
	assert_int_equal(retry_delay(&r, 99), 86400);
	assert_int_equal(retry_parse("5x", &r), -1);
	assert_int_equal(retry_parse("0", &r), -1);
	assert_int_equal(retry_parse("", &r), -1);
	assert_int_equal(retry_parse("99999999999d", &r), -1);
	assert_int_equal(select_parse(5, words, &s, why, sizeof(why)), 0);
	assert_int_equal(s.older_s, 7200);
	assert_int_equal(s.nids, 1);
	assert_int_equal(select_parse(1, words, &s, why, sizeof(why)), -1);
	assert_true(select_address("A.test", "x@a.TEST"));
	assert_true(select_address("x@a.test", "x@a.test"));
	assert_false(select_address("b.test", "x@a.test"));
	assert_true(select_address("News-*@*.TEST", "news-42@lists.test"));
	assert_false(select_address("news-*@*.test", "x-news-42@lists.test"));
	assert_true(select_address("<>", ""));
	assert_false(select_address("?*", ""));
	{
		char *set[] = { (char *)"--priority", (char *)"-9", (char *)"--dry-run",
			(char *)"--newer", (char *)"2h" };

		assert_int_equal(select_parse(5, set, &s, why, sizeof(why)), 0);
		assert_true(s.dry_run && s.has_priority && s.priority == -9);
		assert_true(select_quick(&s, 1, 0, 0, 0, 0, 7200));
		assert_false(select_quick(&s, 1, 0, 0, 0, 0, 7201));
		set[0] = (char *)"--state";
		set[1] = (char *)"quarantined";
		assert_int_equal(select_parse(2, set, &s, why, sizeof(why)), 0);
		assert_true(select_quick(&s, 1, QM_HELD | QM_QUARANTINE, 0, 0, 0, 0));
		assert_false(select_quick(&s, 1, QM_HELD, 0, 0, 0, 0));
		set[0] = (char *)"--priority";
		set[1] = (char *)"-10";
		assert_int_equal(select_parse(2, set, &s, why, sizeof(why)), -1);
		set[1] = (char *)"1x";
		assert_int_equal(select_parse(2, set, &s, why, sizeof(why)), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recycled, setup, teardown),
		cmocka_unit_test(test_small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
