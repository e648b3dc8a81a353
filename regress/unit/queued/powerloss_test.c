/*
 * Power loss: what the spool writes is recorded while it works, as writes, renames,
 * removals and syncs. Then the disk is put together as it may look after a loss of power
 * at any of the syncs: what was synced is there; of the rest any part may be, write by
 * write or torn at blocks of 512 octets, and the names in a directory likewise. The
 * spool is opened on it: nothing acknowledged is lost or altered, nothing that is
 * done comes back, none of it counts as damage.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/spool.h"
#include "regress/unit/queued/disktrace.h"

#define LINES_MAX 20000

/* What the program was told, in the order of the trace. */
enum what {
	BEGIN_ADD,
	ADDED,
	BEGIN_REMOVE,
	REMOVED,
	BEGIN_BOUNCE,
	BOUNCED,
	BEGIN_TRY,
	TRIED
};

struct line {
	enum what what;
	uint64_t id, other;
	uint32_t size; /* TRY: attempts */
};
static struct line lines[LINES_MAX];
static size_t nlines;

static void
tell(struct line l)
{
	struct op *o;

	pthread_mutex_lock(&mutex);
	assert_true(nlines < LINES_MAX);
	lines[nlines] = l;
	o = op_new(EVENT);
	o->line = nlines++;
	pthread_mutex_unlock(&mutex);
}

/* The work that is recorded. */

static struct event_base *base;
static struct mine {
	uint64_t id;
	uint32_t attempts;
	int busy;
} mine[400];
static size_t nmine;
static size_t waiting;

static uint8_t
octet(uint64_t id, uint32_t i)
{
	return (uint8_t)(id * 37 + i * 11 + i / 509);
}

static struct spool *
reopen(const char *dir, struct event_base *eb)
{
	struct spool_conf c = { .root = dir, .segment_size = JOURNAL_SEGMENT_MIN };
	char why[256] = "";
	struct spool *sp = spool_open(eb, &c, 5, why, sizeof(why));

	if (sp == NULL)
		fail_msg("%s", why);
	return sp;
}

static struct line pending[LINES_MAX];
static size_t npending;

static void
on_acked(int error, void *arg)
{
	struct line *l = arg;

	waiting--;
	if (error != 0)
		return;
	tell(*l);
	for (size_t i = 0; i < nmine; i++) {
		if (mine[i].id == l->id || mine[i].id == l->other)
			mine[i].busy = 0;
	}
}

static void
on_body(int error, void *arg)
{
	assert_int_equal(error, 0);
	*(int *)arg = 1;
}

static void
ack_later(struct spool *sp, enum what what, uint64_t id, uint64_t other, uint32_t size)
{
	assert_true(npending < LINES_MAX);
	pending[npending] = (struct line){ what, id, other, size };
	waiting++;
	spool_commit(sp, rand() % 2, on_acked, &pending[npending++]);
}

static void
message_fill(struct spool_message *sm, uint64_t id, uint32_t size, uint8_t *list,
    size_t cap, uint8_t *content)
{
	struct bytes_out o = { .p = list, .cap = cap };
	struct rec_rcpt rc = {
		.state = RCPT_LIVE, .has = REC_R_ADDRESS, .address = "r@a.test"
	};

	memset(sm, 0, sizeof(*sm));
	for (uint32_t i = 0; i < size; i++)
		content[i] = octet(id, i);
	rec_rcpt_encode(&rc, &o);
	sm->fd = -1;
	sm->data = content;
	sm->rec.size = size;
	sm->rec.sender = "s@b.test";
	sm->rec.nrcpt = 1;
	sm->rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
}

static void
add(struct spool *sp)
{
	static uint8_t content[200000];
	uint8_t list[256];
	struct spool_message sm;
	uint64_t id = spool_id(sp);
	int kind = rand() % 8, wr, rd;
	uint32_t size = kind < 5 ? (uint32_t)rand() % 6000 : (uint32_t)rand() % 150000;

	assert_true(id != 0);
	message_fill(&sm, id, size, list, sizeof(list), content);
	tell((struct line){ BEGIN_ADD, id, 0, size });
	if (kind == 0) {
		int synced = 0;

		assert_int_equal(spool_body_create(sp, id, &wr, &rd), 0);
		assert_int_equal(sys_pwrite(wr, content, size, 0), 0);
		assert_int_equal(spool_checksum(rd, size, &sm.rec.crc), 0);
		assert_int_equal(spool_body_sync(sp, id, rd, on_body, &synced), 0);
		while (!synced)
			event_base_loop(base, EVLOOP_ONCE);
		close(wr);
		close(rd);
		sm.rec.flags |= QM_FILE;
	}
	assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
	assert_non_null(spool_put_message(sp, id, &sm, 0));
	mine[nmine++] = (struct mine){ .id = id, .busy = 1 };
	ack_later(sp, ADDED, id, 0, size);
}

static void
drop_mine(size_t i)
{
	mine[i] = mine[--nmine];
}

static void
change(struct spool *sp, size_t i)
{
	static uint8_t content[800];
	uint8_t list[512];
	struct bytes_out o = { .p = list, .cap = sizeof(list) };
	struct qmsg *m = index_find(spool_index(sp), mine[i].id);
	uint64_t id = mine[i].id;
	struct spool_message sm;
	struct rec_rcpt rc = { .state = RCPT_LIVE,
		.has = REC_R_RESULT,
		.enhanced = "4.4.1",
		.mta = "mx.test",
		.text = "connection timed out" };

	assert_non_null(m);
	m->flags &= ~(uint32_t)QM_PENDING;
	switch (rand() % 5) {
	case 0:
	case 1:
		rc.attempts = (uint16_t)++mine[i].attempts;
		rec_rcpt_encode(&rc, &o);
		tell((struct line){ BEGIN_TRY, id, 0, mine[i].attempts });
		assert_non_null(
		    spool_change(sp, m, m->flags & QM_ON_DISK, 1, list, o.len));
		ack_later(sp, TRIED, id, 0, mine[i].attempts);
		break;
	case 2:
	case 3:
		tell((struct line){ BEGIN_REMOVE, id, 0, 0 });
		assert_int_equal(spool_remove(sp, m), 0);
		ack_later(sp, REMOVED, id, 0, 0);
		drop_mine(i);
		break;
	default:
		sm = (struct spool_message){ 0 };
		mine[i].busy = 1;
		rc.num = 0;
		{
			uint64_t bounce = spool_id(sp);

			message_fill(&sm, bounce, 700, list, sizeof(list), content);
			tell((struct line){ BEGIN_BOUNCE, id, bounce, 700 });
			assert_int_equal(
			    spool_room(
				sp, spool_message_len(&sm) + spool_removed_len(), 1),
			    0);
			assert_non_null(spool_put_message(sp, bounce, &sm, 1));
			m = index_find(spool_index(sp), id);
			assert_int_equal(spool_put_removed(sp, m, 0), 0);
			drop_mine(i);
			mine[nmine++] = (struct mine){ .id = bounce, .busy = 1 };
			ack_later(sp, BOUNCED, id, bounce, 700);
		}
	}
}

/* After a restart: what was in doubt is settled by what is there. */
static void
mine_again(struct spool *sp)
{
	struct qmsg *m;

	nmine = 0;
	for (uint64_t id = 0; (m = index_next(spool_index(sp), id)) != NULL;
	     id = m->id + 1)
		mine[nmine++] =
		    (struct mine){ .id = m->id, .attempts = m->rcpt[0].attempts };
}

static void
work(int count)
{
	struct spool *sp = reopen(root, base);
	uint64_t clock = 1;

	mine_again(sp);
	for (int n = 0; n < count; n++) {
		int what = rand() % 100;
		size_t i = nmine > 0 ? (size_t)rand() % nmine : 0;

		if (what < 45 && nmine < 60)
			add(sp);
		else if (what < 85 && nmine > 0 && !mine[i].busy)
			change(sp, i);
		else if (what < 97)
			spool_tick(sp, clock += (uint64_t)rand() % 1000);
		else if (what < 98) {
			/* The clock: a checkpoint is due. */
			spool_tick(sp, clock += 400000);
		} else {
			while (what == 98 && waiting > 0)
				event_base_loop(base, EVLOOP_ONCE);
			if (what == 98)
				spool_close(sp);
			else
				spool_abandon(sp);
			waiting = 0;
			sp = reopen(root, base);
			mine_again(sp);
		}
		if (rand() % 4 == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (rand() % 16 == 0) {
			while (waiting > 0)
				event_base_loop(base, EVLOOP_ONCE);
		}
	}
	spool_abandon(sp);
	waiting = 0;
}

/* What must be there. */

static struct known {
	uint64_t id, other;
	uint32_t size, tried_min, tried_max;
	enum what what;
} known[LINES_MAX];
static size_t nknown;
static struct known *
known_find(uint64_t id)
{
	for (size_t i = nknown; i > 0; i--) {
		if (known[i - 1].id == id)
			return &known[i - 1];
	}
	assert_true(nknown < LINES_MAX);
	memset(&known[nknown], 0, sizeof(known[0]));
	known[nknown].id = id;
	return &known[nknown++];
}

static void
learn(const struct line *l)
{
	struct known *k = known_find(l->id);

	switch (l->what) {
	case BEGIN_TRY:
		k->tried_max = l->size;
		return;
	case TRIED:
		k->tried_min = l->size;
		return;
	case BEGIN_BOUNCE:
	case BOUNCED:
		k->other = l->other;
		k->what = l->what;
		k = known_find(l->other);
		k->size = l->size;
		if (l->what == BEGIN_BOUNCE || k->what < BEGIN_REMOVE)
			k->what = l->what == BOUNCED ? ADDED : BEGIN_ADD;
		return;
	case BEGIN_ADD:
		k->size = l->size;
		/* FALLTHROUGH */
	default:
		if (l->what == ADDED && k->what > ADDED)
			return;
		k->what = l->what;
	}
}

static int
there(struct spool *sp, const struct known *k)
{
	struct qmsg *m = index_find(spool_index(sp), k->id);
	static uint8_t buf[200000];
	struct spool_view v;

	if (m == NULL)
		return 0;
	assert_int_equal(m->size, k->size);
	assert_int_equal(spool_view(sp, m, &v), 0);
	assert_int_equal(spool_read(sp, m, &v, buf, sizeof(buf)), k->size);
	for (uint32_t i = 0; i < k->size; i++) {
		if (buf[i] != octet(k->id, i))
			fail_msg("%llx: octet %u", (unsigned long long)k->id, i);
	}
	assert_string_equal(v.rcpts[0].address, "r@a.test");
	assert_true(v.rcpts[0].attempts >= k->tried_min);
	assert_true(v.rcpts[0].attempts <= k->tried_max);
	if (v.rcpts[0].attempts > 0)
		assert_string_equal(v.rcpts[0].text, "connection timed out");
	spool_view_clear(&v);
	return 1;
}

static void
check(struct spool *sp)
{
	size_t live = 0;

	if (spool_degraded(sp) != NULL)
		fail_msg("damage: %s", spool_degraded(sp));
	for (size_t i = 0; i < nknown; i++) {
		struct known *k = &known[i];
		int is = there(sp, k);

		live += (size_t)is;
		if (k->what == ADDED && !is)
			fail_msg("%llx is lost", (unsigned long long)k->id);
		if ((k->what == REMOVED || k->what == BOUNCED) && is)
			fail_msg("%llx is back", (unsigned long long)k->id);
		if (k->what == BEGIN_BOUNCE && known_find(k->other)->what == BEGIN_ADD)
			assert_int_equal(is, !there(sp, known_find(k->other)));
	}
	assert_int_equal(spool_index(sp)->nmsgs, live);
}

static void
trial(int mode)
{
	static uint8_t content[100];
	struct spool *sp;
	struct spool_message sm;
	uint8_t list[256];
	uint64_t id;
	size_t n;

	disk_make(mode);
	sp = reopen(copy, NULL);
	check(sp);
	n = spool_index(sp)->nmsgs;
	/* An id that nobody has been told, and a message that stays. */
	id = spool_id(sp);
	assert_true(id != 0);
	for (size_t i = 0; i < nknown; i++)
		assert_true(known[i].id != id);
	message_fill(&sm, id, 100, list, sizeof(list), content);
	assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
	assert_non_null(spool_put_message(sp, id, &sm, 0));
	spool_commit(sp, 1, NULL, NULL);
	spool_abandon(sp);
	if (rand() % 2)
		sh("rm -rf %s/index", copy);
	sp = reopen(copy, NULL);
	assert_int_equal(spool_index(sp)->nmsgs, n + 1);
	assert_non_null(index_find(spool_index(sp), id));
	assert_int_equal(spool_remove(sp, index_find(spool_index(sp), id)), 0);
	check(sp);
	spool_abandon(sp);
}

static void
replay(int every)
{
	size_t trials = 0, syncs = 0;

	unsynced = calloc(nops, sizeof(*unsynced));
	assert_non_null(unsynced);
	for (size_t i = 0; i < nops; i++) {
		const struct op *o = &ops[i];

		switch (o->what) {
		case EVENT:
			learn(&lines[o->line]);
			break;
		case CHECKPOINT:
			checkpoint = o;
			break;
		case SYNC:
			/* Before, when its writes may be there or not, and after. */
			if ((int)(++syncs % (size_t)every) == 0)
				trial((int)(trials++ % 5));
			sync_apply(o);
			if ((int)(syncs % (size_t)every) == 1 % every)
				trial((int)(trials++ % 5));
			break;
		default:
			unsynced[nunsynced++] = i;
		}
	}
	printf("%zu operations, %zu syncs, %zu messages, %zu disks\n", nops, syncs,
	    nknown, trials);
	assert_true(nknown > 40);
}

static void
run(unsigned int seed, int count, int every)
{
	srand(seed);
	spool_abandon(reopen(root, base));
	sh("cp -a %1$s/. %1$s.copy", root);
	base_image("");
	base_image("journal");
	checkpoint_look();
	sys_fault = on_call;
	sys_done = on_done;
	work(count);
	sys_fault = NULL;
	sys_done = NULL;
	replay(every);
}

static void
test_power_loss(void **state)
{
	const char *seed = getenv("FIFE_SEED");
	int all = getenv("FIFE_LONG") != NULL;

	(void)state;
	run(seed != NULL ? (unsigned int)strtoul(seed, NULL, 10) : 1, all ? 2000 : 700,
	    all ? 1 : 6);
}

/* A sync fails: what waited for it is refused, its segment ends where it was durable, and
 * the next start goes on in a new one; also when the power goes then. */
static void
test_failed_sync(void **state)
{
	(void)state;
	for (int round = 0; round < 6; round++) {
		struct spool *sp = reopen(root, base);
		struct journal_segment s = { 0 };
		uint32_t seg = journal_position(spool_journal(sp)).seg;
		size_t before = nlines;
		int lost = 0;

		mine_again(sp);
		for (int i = 0; i < 5; i++)
			add(sp);
		while (waiting > 0)
			event_base_loop(base, EVLOOP_ONCE);
		assert_true(nlines >= before + 10);
		before = nlines;
		sync_fails_at = 1;
		for (int i = 0; i < 3; i++) {
			static uint8_t content[3000];
			uint8_t list[256];
			struct spool_message sm;
			uint64_t id = spool_id(sp);

			message_fill(&sm, id, 3000, list, sizeof(list), content);
			tell((struct line){ BEGIN_ADD, id, 0, 3000 });
			assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
			assert_non_null(spool_put_message(sp, id, &sm, 0));
			ack_later(sp, ADDED, id, 0, 3000);
		}
		while (waiting > 0)
			event_base_loop(base, EVLOOP_ONCE);
		for (size_t i = before; i < nlines; i++)
			lost += lines[i].what == ADDED;
		assert_int_equal(lost, 0); /* nobody was told 250 */
		assert_int_equal(spool_room(sp, 100, 0), -1);
		assert_int_equal(errno, EIO);
		spool_abandon(sp);
		sp = reopen(root, base);
		assert_true(journal_position(spool_journal(sp)).seg > seg);
		for (size_t i = 0; journal_segment_at(spool_journal(sp), i, &s); i++) {
			if (s.seq == seg)
				break;
		}
		assert_int_equal(s.seq, seg);
		/* The three are not there, as their clients were told. */
		for (size_t i = before; i < nlines; i++)
			assert_null(index_find(spool_index(sp), lines[i].id));
		spool_abandon(sp);
	}
}

static void
test_failed_sync_recorded(void **state)
{
	spool_abandon(reopen(root, base));
	sh("cp -a %1$s/. %1$s.copy", root);
	base_image("");
	base_image("journal");
	checkpoint_look();
	sys_fault = on_call;
	sys_done = on_done;
	test_failed_sync(state);
	sys_fault = NULL;
	sys_done = NULL;
	nknown = 0;
	replay(2);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "%s/fife-power.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(copy, sizeof(copy), "%s.copy", root);
	nops = nlines = npending = nknown = nnames = nunsynced = nmine = waiting = 0;
	nfiles = 0;
	memset(files, 0, sizeof(files));
	memset(meta_seen, 0, sizeof(meta_seen));
	checkpoint = NULL;
	base = event_base_new();
	return base == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < nops; i++)
		free(ops[i].buf);
	for (int f = 0; f < nfiles; f++)
		free(files[f].data);
	free(ops);
	ops = NULL;
	ops_cap = 0;
	free(unsynced);
	unsynced = NULL;
	event_base_free(base);
	sh("rm -rf %1$s %1$s.copy", root);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_power_loss, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_failed_sync_recorded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
