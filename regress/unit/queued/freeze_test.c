/*
 * Freeze rules: the table, what matches, and that they survive whatever happens to
 * the spool.
 *
 * SPDX-License-Identifier: ISC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queued/freeze.h"
#include "queued/spool.h"

static char dir[64];

static void
rule(
    struct freeze *f, const char *from, const char *to, const char *either, int64_t until)
{
	struct freeze_rule r = { .from = (char *)(uintptr_t)from,
		.to = (char *)(uintptr_t)to,
		.either = (char *)(uintptr_t)either,
		.until = until,
		.reason = (char *)(uintptr_t) "their wish",
		.owner = (char *)(uintptr_t) "eve" };

	assert_non_null(freeze_add(f, &r));
}

static uint32_t
match(const struct freeze *f, const char *from, const char *to, int64_t now)
{
	const struct freeze_rule *r = freeze_match(f, from, to, now);

	return r == NULL ? 0 : r->num;
}

static void
test_match(void **state)
{
	struct freeze f = { 0 };

	(void)state;
	assert_int_equal(match(&f, "a@x.test", "b@y.test", 5), 0);
	rule(&f, "a@x.test", NULL, NULL, 0);
	rule(&f, NULL, "y.test", NULL, 100);
	rule(&f, NULL, NULL, "*@*.bulk.test", 0);
	rule(&f, "<>", "z.test", NULL, 0);
	rule(&f, NULL, "sales-*@w.test", NULL, 0);
	assert_int_equal(match(&f, "A@X.test", "b@q.test", 5), 1);
	assert_int_equal(match(&f, "c@x.test", "b@Y.TEST", 5), 2);
	assert_int_equal(match(&f, "c@x.test", "b@y.test", 100), 0);
	assert_int_equal(match(&f, "c@n1.bulk.test", "b@q.test", 5), 3);
	assert_int_equal(match(&f, "c@x.test", "b@n1.bulk.test", 5), 3);
	assert_int_equal(match(&f, "", "b@z.test", 5), 4);
	assert_int_equal(match(&f, "c@x.test", "b@z.test", 5), 0);
	assert_int_equal(match(&f, "c@x.test", "Sales-7@w.test", 5), 5);
	assert_int_equal(match(&f, "c@x.test", "sales@w.test", 5), 0);
	assert_int_equal(freeze_expire(&f, 100), 1);
	assert_int_equal(freeze_del(&f, 2), -1);
	assert_int_equal(freeze_del(&f, 1), 0);
	assert_int_equal(match(&f, "a@x.test", "b@q.test", 5), 0);
	/* A number is not used again. */
	rule(&f, "k@x.test", NULL, NULL, 0);
	assert_int_equal(match(&f, "k@x.test", "b@q.test", 5), 6);
	freeze_clear(&f);
}

static void
test_codec(void **state)
{
	struct freeze f = { 0 }, g = { 0 };
	size_t len;
	uint8_t *p;

	(void)state;
	for (int i = 0; i < FREEZE_RULES_MAX; i++)
		rule(&f, "a@x.test", i % 2 ? "b" : NULL, NULL, i);
	assert_null(freeze_add(&f, &f.rules[0]));
	p = freeze_encode(&f, &len);
	assert_non_null(p);
	assert_int_equal(freeze_decode(&g, p, len), 0);
	assert_int_equal(g.n, f.n);
	assert_int_equal(g.last, f.last);
	assert_string_equal(g.rules[7].reason, "their wish");
	assert_string_equal(g.rules[7].owner, "eve");
	assert_int_equal(g.rules[7].until, 7);
	for (size_t cut = 1; cut < len; cut += 13) {
		uint8_t *q = malloc(cut);

		memcpy(q, p, cut);
		assert_int_equal(freeze_decode(&g, q, cut), -1);
		assert_int_equal(g.n, 0);
		free(q);
	}
	assert_int_equal(freeze_decode(&g, NULL, 0), 0);
	free(p);
	freeze_clear(&f);
	freeze_clear(&g);
}

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

/* Fill segments and have them recycled. */
static void
churn(struct spool *sp)
{
	static uint8_t content[100000];
	struct rec_rcpt rc = {
		.state = RCPT_LIVE, .has = REC_R_ADDRESS, .address = "r@a.test"
	};

	for (int i = 0; i < 120; i++) {
		struct spool_message sm = { .fd = -1, .data = content };
		uint8_t list[256];
		struct bytes_out o = { .p = list, .cap = sizeof(list) };
		uint64_t id = spool_id(sp);

		rec_rcpt_encode(&rc, &o);
		sm.rec.size = sizeof(content);
		sm.rec.nrcpt = 1;
		sm.rec.rcpts = (struct bytes_in){ .p = list, .len = o.len };
		assert_int_equal(spool_room(sp, spool_message_len(&sm), 0), 0);
		assert_non_null(spool_put_message(sp, id, &sm, 0));
		index_find(spool_index(sp), id)->flags &= ~(uint32_t)QM_PENDING;
		spool_commit(sp, 1, NULL, NULL);
		assert_int_equal(spool_remove(sp, index_find(spool_index(sp), id)), 0);
		if (i % 40 == 0)
			assert_int_equal(spool_checkpoint(sp), 0);
	}
	assert_int_equal(spool_checkpoint(sp), 0);
}

static void
expect(struct spool *sp, size_t n)
{
	struct freeze f = { 0 };
	size_t len;
	const uint8_t *p = spool_rules(sp, &len);

	assert_int_equal(freeze_decode(&f, p, len), 0);
	assert_int_equal(f.n, n);
	freeze_clear(&f);
}

static void
set(struct spool *sp, const struct freeze *f)
{
	size_t len;
	uint8_t *p = freeze_encode(f, &len);

	assert_int_equal(spool_set_rules(sp, p, len), 0);
	free(p);
}

static void
test_kept(void **state)
{
	struct freeze f = { 0 };

	(void)state;
	for (int round = 0; round < 4; round++) {
		struct spool *sp = reopen();
		char cmd[128];

		expect(sp, (size_t)round);
		if (round % 2)
			churn(sp);
		rule(&f, "a@x.test", NULL, NULL, 0);
		set(sp, &f);
		if (round < 2)
			churn(sp);
		expect(sp, (size_t)round + 1);
		if (round % 2)
			spool_close(sp);
		else
			spool_abandon(sp);
		if (round > 0) {
			snprintf(cmd, sizeof(cmd), "rm -rf %s/index", dir);
			assert_int_equal(system(cmd), 0);
		}
	}
	freeze_clear(&f);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fife-freeze.XXXXXX");
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
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_codec),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
