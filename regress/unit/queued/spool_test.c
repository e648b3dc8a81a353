/*
 * The spool as a whole against a simple model: random operations, stopped at random
 * points as by a crash, with and without its checkpoint.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "queued/spool.h"

#define MODEL_MAX 4000

static char dir[64];

struct model {
	uint64_t id;
	uint32_t size;
	uint32_t nrcpt;
	uint8_t state[6];
	uint16_t attempts[6];
	int held;
	int alive;
};
static struct model model[MODEL_MAX];
static size_t nmodel;

static void
sh(const char *fmt, const char *a, const char *b)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), fmt, a, b);
	assert_int_equal(system(cmd), 0);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-spool.XXXXXX");
	nmodel = 0;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	sh("rm -rf %s%s", dir, "");
	return 0;
}

static struct spool *
reopen(const char *root)
{
	struct spool_conf c = { .root = root, .segment_size = JOURNAL_SEGMENT_MIN };
	char why[256] = "";
	struct spool *sp = spool_open(NULL, &c, 0, why, sizeof(why));

	if (sp == NULL)
		fail_msg("%s", why);
	return sp;
}

static uint8_t
octet(uint64_t id, uint32_t i)
{
	return (uint8_t)(id * 31 + i * 7);
}

static void
add(struct spool *sp, uint32_t size, uint32_t nrcpt, int in_file)
{
	struct model *m = &model[nmodel++];
	struct spool_message sm = { .fd = -1 };
	uint8_t list[1024], *content = malloc(size + 1);
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	uint64_t id = spool_id(sp);
	int wr, rd;

	assert_true(id != 0);
	*m = (struct model){ .id = id, .size = size, .nrcpt = nrcpt, .alive = 1 };
	for (uint32_t i = 0; i < size; i++)
		content[i] = octet(id, i);
	for (uint32_t i = 0; i < nrcpt; i++) {
		char address[64];
		struct rec_rcpt rc = { .num = i,
			.state = RCPT_LIVE,
			.has = REC_R_ADDRESS,
			.address = address };

		snprintf(address, sizeof(address), "r%u.%llu@d%llu.test", i,
		    (unsigned long long)id, (unsigned long long)(id + i) % 50);
		rec_rcpt_encode(&rc, &o);
		m->state[i] = RCPT_LIVE;
	}
	sm.rec.size = size;
	sm.rec.created = 1700000000;
	sm.rec.sender = "s@x.test";
	sm.rec.nrcpt = nrcpt;
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
}

static struct model *
pick(void)
{
	for (int i = 0; i < 20 && nmodel > 0; i++) {
		struct model *m = &model[(size_t)rand() % nmodel];

		if (m->alive)
			return m;
	}
	return NULL;
}

static void
change(struct spool *sp, struct model *m)
{
	struct qmsg *q = index_find(spool_index(sp), m->id);
	uint32_t i = (uint32_t)rand() % m->nrcpt, n = 1;
	uint8_t list[512];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	struct rec_rcpt rc = {
		.num = i, .has = REC_R_RESULT, .enhanced = "4.0.0", .mta = "mx.test"
	};
	char text[64], address[64];
	uint32_t flags;

	assert_non_null(q);
	flags = q->flags;
	if (rand() % 8 == 0) {
		m->held = !m->held;
		flags ^= QM_HELD;
	}
	if (rand() % 4 == 0)
		m->state[i] = RCPT_DONE;
	m->attempts[i]++;
	snprintf(text, sizeof(text), "try %u of %u", m->attempts[i], i);
	rc.text = text;
	rc.state = m->state[i];
	rc.attempts = m->attempts[i];
	rec_rcpt_encode(&rc, &o);
	if (rand() % 10 == 0 && m->nrcpt < 6) {
		struct rec_rcpt add_rc = { .num = m->nrcpt,
			.state = RCPT_LIVE,
			.has = REC_R_ADDRESS,
			.address = address };

		snprintf(address, sizeof(address), "r%u.%llu@new.test", m->nrcpt,
		    (unsigned long long)m->id);
		rec_rcpt_encode(&add_rc, &o);
		m->state[m->nrcpt] = RCPT_LIVE;
		m->attempts[m->nrcpt++] = 0;
		n = 2;
	}
	assert_non_null(spool_change(sp, q, flags, n, list, o.len));
}

static void
drop(struct spool *sp, struct model *m)
{
	assert_int_equal(spool_remove(sp, index_find(spool_index(sp), m->id)), 0);
	m->alive = 0;
}

static void
compare(struct spool *sp)
{
	size_t alive = 0;
	const char *what = "";

	for (size_t i = 0; i < nmodel; i++) {
		struct model *m = &model[i];
		struct qmsg *q = index_find(spool_index(sp), m->id);
		struct spool_view v;
		uint8_t *buf;

		if (!m->alive) {
			assert_null(q);
			continue;
		}
		alive++;
		assert_non_null(q);
		assert_int_equal(q->nrcpt, m->nrcpt);
		assert_int_equal((q->flags & QM_HELD) != 0, m->held);
		if (spool_verify(sp, q, &what) == -1)
			fail_msg("%llu: %s", (unsigned long long)m->id, what);
		assert_int_equal(spool_view(sp, q, &v), 0);
		for (uint32_t k = 0; k < m->nrcpt; k++) {
			char text[64];

			snprintf(text, sizeof(text), "r%u.%llu@", k,
			    (unsigned long long)m->id);
			assert_int_equal(
			    strncmp(v.rcpts[k].address, text, strlen(text)), 0);
			assert_int_equal(v.rcpts[k].state, m->state[k]);
			assert_int_equal(v.rcpts[k].attempts, m->attempts[k]);
			if (m->attempts[k] > 0) {
				snprintf(text, sizeof(text), "try %u of %u",
				    m->attempts[k], k);
				assert_string_equal(v.rcpts[k].text, text);
			}
		}
		buf = malloc(m->size + 1);
		assert_int_equal(spool_read(sp, q, &v, buf, m->size + 1), m->size);
		for (uint32_t k = 0; k < m->size; k += 97)
			assert_int_equal(buf[k], octet(m->id, k));
		free(buf);
		spool_view_clear(&v);
	}
	assert_int_equal(spool_index(sp)->nmsgs, alive);
}

static void
test_model(void **state)
{
	struct spool *sp = reopen(dir);
	int rounds = getenv("FIFE_LONG") != NULL ? 20 : 3;

	(void)state;
	srand(7);
	for (int round = 0; round < rounds; round++) {
		char copy[96];
		struct spool *other;

		for (int op = 0; op < 1000 && nmodel < MODEL_MAX; op++) {
			struct model *m = pick();
			int what = rand() % 100;

			if (what < 40 || m == NULL)
				add(sp,
				    (uint32_t)(rand() % 10 == 0 ? rand() % 100000
								: rand() % 3000),
				    1 + (uint32_t)rand() % 4, rand() % 30 == 0);
			else if (what < 65)
				change(sp, m);
			else if (what < 98)
				drop(sp, m);
			else
				spool_tick(sp, (uint64_t)op * 1000 + 1);
		}
		for (int i = 0; i < 40; i++)
			spool_tick(sp, 1000000);
		compare(sp);
		/* Synchronous: everything that was done is on the disk. */
		snprintf(copy, sizeof(copy), "%s.copy", dir);
		{
			char cmd[512];

			for (int lose = 0; lose < 2; lose++) {
				snprintf(cmd, sizeof(cmd),
				    "rm -rf %s && cp -a %s %s && rm -rf %s%s", copy, dir,
				    copy, copy, lose ? "/index" : "/none");
				assert_int_equal(system(cmd), 0);
				other = reopen(copy);
				compare(other);
				spool_close(other);
				other = reopen(copy);
				compare(other);
				spool_abandon(other);
			}
			sh("rm -rf %s%s", copy, "");
		}
		if (round % 2 == 0)
			spool_abandon(sp);
		else
			spool_close(sp);
		sp = reopen(dir);
		compare(sp);
	}
	spool_close(sp);
}

/* Space comes back: what is gone leaves no more than a few segments. */
static void
test_space(void **state)
{
	struct spool *sp = reopen(dir);

	(void)state;
	for (int i = 0; i < 2000; i++) {
		add(sp, 50000, 1, 0);
		/* Every hundredth stays. */
		if (i % 100 != 0)
			drop(sp, &model[nmodel - 1]);
		spool_tick(sp, (uint64_t)i + 1);
	}
	for (int i = 0; i < 200; i++)
		spool_tick(sp, 10000 + (uint64_t)i);
	compare(sp);
	assert_true(journal_octets(spool_journal(sp)) < 8 * JOURNAL_SEGMENT_MIN);
	spool_close(sp);
	sp = reopen(dir);
	compare(sp);
	spool_abandon(sp);
	/* Without the checkpoint nothing that is gone comes back. */
	sh("rm -rf %s%s", dir, "/index");
	sp = reopen(dir);
	compare(sp);
	spool_close(sp);
}

static void
test_ids_never_twice(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct spool *sp = reopen(dir);

		for (int k = 0; k < 6000; k++) {
			uint64_t id = spool_id(sp);

			assert_true(id > last);
			last = id;
		}
		spool_abandon(sp);
	}
}

static void
test_altered_body(void **state)
{
	struct spool *sp = reopen(dir);
	struct qmsg *q;
	struct spool_view v;
	const char *what;

	(void)state;
	add(sp, 300000, 1, 1);
	q = index_find(spool_index(sp), model[0].id);
	assert_int_equal(spool_view(sp, q, &v), 0);
	{
		int fd = spool_content(sp, q, &v);

		assert_true(fd != -1);
		assert_int_equal(write(fd, "x", 1), -1);
		close(fd);
	}
	sh("printf Y | dd of=$(find %s/body -type f%s) conv=notrunc bs=1 seek=1000 "
	   "2>/dev/null",
	    dir, "");
	assert_int_equal(spool_verify(sp, q, &what), -1);
	spool_view_clear(&v);
	spool_abandon(sp);
}

/* Ends in order and otherwise, then without its checkpoint: every run's records count. */
static void
test_checkpoint_removed(void **state)
{
	(void)state;
	for (int run = 0; run < 6; run++) {
		struct spool *sp = reopen(dir);

		assert_int_equal(spool_index(sp)->nmsgs, run);
		add(sp, 500, 1, 0);
		if (run == 1 || run == 4)
			spool_abandon(sp);
		else
			spool_close(sp);
		if (run >= 3)
			sh("rm -rf %s/%s", dir, "index");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_never_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_altered_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
