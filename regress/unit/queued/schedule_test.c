/*
 * The schedule: turns, bounds, back-off, routes that change; and a model run.
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

#include "queued/concurrency.h"
#include "queued/schedule.h"

static uint32_t list[200000];

static void
route(struct sched *s, uint32_t dest, enum sched_class class, const char *key)
{
	char name[32];

	snprintf(name, sizeof(name), "d%u.test", dest);
	sched_bind(s, dest, name);
	assert_int_equal(sched_set_route(s, dest, class, key), 0);
}

static void
test_turns_between_groups(void **state)
{
	struct sched *s = sched_new(100, 10);
	uint64_t first = 0;

	(void)state;
	route(s, 1, SCHED_REMOTE, "a");
	route(s, 2, SCHED_REMOTE, "b");
	for (uint32_t i = 0; i < 50; i++)
		sched_add(s, i + 1, 1, 0, 0, 10, &list[i]);
	list[50] = 0;
	sched_add(s, 1000, 2, 0, 0, 10, &list[50]);
	/* The single one is not behind the fifty. */
	for (int i = 0; i < 2; i++) {
		uint32_t item = sched_pop(s, SCHED_REMOTE);

		assert_true(item != 0);
		if (sched_id(s, item) == 1000)
			first = (uint64_t)i + 1;
	}
	assert_true(first != 0);
	/* Five at a time to one place as long as nothing is known of it. */
	for (int i = 0; i < CONCURRENCY_FIRST - 1; i++)
		assert_true(sched_pop(s, SCHED_REMOTE) != 0);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	assert_int_equal(sched_pop(s, SCHED_LOCAL), 0);
	sched_free(s);
}

/* Who only waits takes no place, among all nor among those of its sender. */
static void
test_those_that_wait_make_room(void **state)
{
	struct sched *s = sched_new(4, 10);
	uint32_t items[8], n = 0, item;

	(void)state;
	for (uint32_t d = 1; d <= 8; d++) {
		char key[8];

		snprintf(key, sizeof(key), "g%u", d);
		route(s, d, SCHED_REMOTE, key);
		list[d] = 0;
		sched_add(s, d, d, 0, 0, 10, &list[d]);
	}
	while ((item = sched_pop(s, SCHED_REMOTE)) != 0)
		items[n++] = item;
	assert_int_equal(n, 3); /* three quarters of them */
	assert_int_equal(sched_aside(s, items[0]), 0);
	assert_int_equal(sched_aside(s, items[0]), -1);
	assert_int_equal(sched_aside(s, items[1]), 0);
	while ((item = sched_pop(s, SCHED_REMOTE)) != 0)
		items[n++] = item;
	assert_int_equal(n, 5);
	for (uint32_t i = 0; i < n; i++) {
		sched_job_end(s, items[i], SCHED_NOTHING, 10);
		sched_remove(s, items[i], &list[sched_id(s, items[i])]);
	}
	for (n = 0; (item = sched_pop(s, SCHED_REMOTE)) != 0; n++)
		items[n] = item;
	assert_int_equal(n, 3);
	sched_free(s);
}

static void
test_turns_between_senders(void **state)
{
	struct sched *s = sched_new(1000, 1000);
	int at = -1;

	(void)state;
	memset(list, 0, sizeof(list));
	route(s, 1, SCHED_LOCAL, "local");
	for (uint32_t i = 0; i < 500; i++)
		sched_add(s, i + 1, 1, 3, 0, 10, &list[i]);
	sched_add(s, 1000, 1, 4, 0, 10, &list[500]);
	for (int i = 0; i < 3; i++) {
		uint32_t item = sched_pop(s, SCHED_LOCAL);

		if (sched_id(s, item) == 1000)
			at = i;
	}
	assert_true(at != -1);
	sched_free(s);
}

static void
test_backoff(void **state)
{
	struct sched *s = sched_new(100, 10);
	struct sched_stats st;
	uint32_t item;

	(void)state;
	memset(list, 0, sizeof(list));
	route(s, 1, SCHED_REMOTE, "dead");
	for (uint32_t i = 0; i < 20; i++)
		sched_add(s, i + 1, 1, i, 0, 10, &list[i]);
	for (int i = 0; i < 2; i++) {
		item = sched_pop(s, SCHED_REMOTE);
		assert_true(item != 0);
		sched_job_end(s, item, SCHED_AWAY, 10);
		sched_requeue(s, item, 1000, 10);
	}
	/* Left alone, then one probe at a time. */
	sched_stats(s, &st);
	assert_int_equal(st.blocked, 1);
	assert_int_equal(st.routes_down, 0);
	assert_int_equal(
	    sched_set_route(s, 2, SCHED_REMOTE, "smtp://relay:25 rate=5"), 0);
	for (int i = 0; i < 2; i++) {
		uint32_t own = 0;

		item = sched_add(s, 90, 2, 0, 0, 10, &own);
		assert_int_equal(sched_pop(s, SCHED_REMOTE), item);
		sched_job_end(s, item, SCHED_AWAY, 10);
		sched_remove(s, item, &own);
	}
	sched_stats(s, &st);
	assert_int_equal(st.blocked, 2);
	assert_int_equal(st.routes_down, 1);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	assert_int_equal(sched_blocked_until(s, 1), 70);
	assert_int_equal(sched_next_due(s), 70);
	sched_wake(s, 69);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	sched_wake(s, 70);
	item = sched_pop(s, SCHED_REMOTE);
	assert_true(item != 0);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	/* It answers again: as at first. */
	sched_job_end(s, item, SCHED_REACHED, 71);
	sched_remove(s, item, &list[sched_id(s, item) - 1]);
	for (int i = 0; i < CONCURRENCY_FIRST; i++)
		assert_true(sched_pop(s, SCHED_REMOTE) != 0);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	sched_free(s);
}

/* How many may run at once of what is ready; they end so. */
static uint32_t
round_of(struct sched *s, enum sched_outcome outcome)
{
	uint32_t items[64], n = 0;

	while (n < 64 && (items[n] = sched_pop(s, SCHED_REMOTE)) != 0)
		n++;
	for (uint32_t i = 0; i < n; i++) {
		sched_job_end(s, items[i], outcome, 10);
		sched_requeue(s, items[i], 10, 10);
	}
	return n;
}

static void
test_concurrency(void **state)
{
	struct sched *s = sched_new(100, 20);
	struct sched_group g;
	struct sched_stats st;
	uint32_t at = 0;

	memset(list, 0, sizeof(list));
	route(s, 1, SCHED_REMOTE, "mx:d1.test");
	for (uint32_t i = 0; i < 60; i++)
		sched_add(s, i + 1, 1, i, 0, 10, &list[i]);
	assert_int_equal(round_of(s, SCHED_REACHED), CONCURRENCY_FIRST);
	assert_int_equal(round_of(s, SCHED_REACHED), 2 * CONCURRENCY_FIRST);
	/* Senders have three quarters of all places at most, and there are 20 here. */
	assert_int_equal(round_of(s, SCHED_REACHED), 20);
	assert_int_equal(sched_group_next(s, &at, &g), 0);
	assert_int_equal(round_of(s, SCHED_PRESSED), 20);
	assert_int_equal(round_of(s, SCHED_NOTHING), 10);
	sched_stats(s, &st);
	assert_int_equal(st.pressed, 1);
	at = 0;
	assert_int_equal(sched_group_next(s, &at, &g), 1);
	assert_string_equal(g.key, "mx:d1.test");
	assert_int_equal(g.limit, 10);
	assert_int_equal(g.ceiling, 20);
	assert_int_equal(g.blocked_until, 0);
	/* The route's own bound. */
	sched_set_group(s, 1, 4, 0);
	assert_int_equal(round_of(s, SCHED_REACHED), 4);
	sched_set_group(s, 1, 0, 0);
	assert_int_equal(round_of(s, SCHED_REACHED), 10);
	assert_int_equal(round_of(s, SCHED_REACHED), 11);
	sched_free(s);
}

static void
test_routes(void **state)
{
	struct sched *s = sched_new(100, 10);
	uint32_t item;

	(void)state;
	memset(list, 0, sizeof(list));
	sched_bind(s, 5, "x.test");
	sched_add(s, 1, 5, 0, 0, 10, &list[0]);
	assert_int_equal(sched_need_route(s, 10), 5);
	assert_int_equal(sched_need_route(s, 10), UINT32_MAX);
	sched_no_route(s, 5, 15);
	assert_int_equal(sched_need_route(s, 14), UINT32_MAX);
	assert_int_equal(sched_next_due(s), 15);
	assert_int_equal(sched_need_route(s, 15), 5);
	assert_int_equal(sched_set_route(s, 5, SCHED_REMOTE, "mx:x.test"), 0);
	item = sched_pop(s, SCHED_REMOTE);
	assert_int_equal(sched_id(s, item), 1);
	/* While it runs the route changes; its place is given back all the same. */
	sched_forget_route(s, UINT32_MAX);
	sched_job_end(s, item, SCHED_NOTHING, 20);
	sched_requeue(s, item, 0, 20);
	assert_int_equal(sched_need_route(s, 20), 5);
	assert_int_equal(sched_set_route(s, 5, SCHED_LOCAL, "local"), 0);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), 0);
	assert_int_equal(sched_pop(s, SCHED_LOCAL), item);
	sched_job_end(s, item, SCHED_REACHED, 20);
	/* The slot gets another name. */
	sched_requeue(s, item, 100, 20);
	sched_remove(s, item, &list[0]);
	assert_int_equal(list[0], 0);
	sched_bind(s, 5, "y.test");
	assert_int_equal(sched_class(s, 5), SCHED_UNKNOWN);
	sched_free(s);
}

static void
test_join(void **state)
{
	struct sched *s = sched_new(1, 1);
	uint32_t a, b, c;
	struct sched_stats st;

	(void)state;
	memset(list, 0, sizeof(list));
	route(s, 1, SCHED_REMOTE, "relay");
	route(s, 2, SCHED_REMOTE, "relay");
	route(s, 3, SCHED_REMOTE, "other");
	a = sched_add(s, 7, 1, 0, 0, 10, &list[0]);
	b = sched_add(s, 7, 2, 0, 0, 10, &list[0]);
	c = sched_add(s, 7, 3, 0, 0, 10, &list[0]);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), a);
	assert_int_equal(sched_join(s, b, a), 0);
	assert_int_equal(sched_join(s, c, a), -1);
	sched_job_end(s, a, SCHED_REACHED, 10);
	sched_job_end(s, b, SCHED_REACHED, 10);
	sched_remove(s, a, &list[0]);
	sched_remove(s, b, &list[0]);
	assert_int_equal(sched_pop(s, SCHED_REMOTE), c);
	sched_job_end(s, c, SCHED_REACHED, 10);
	sched_remove(s, c, &list[0]);
	assert_int_equal(list[0], 0);
	sched_stats(s, &st);
	assert_int_equal(st.running + st.ready + st.waiting, 0);
	sched_free(s);
}

/* Random operations: nothing is lost, nothing runs twice, bounds hold. */
static void
test_model(void **state)
{
	enum {
		N = 3000,
		DESTS = 40
	};
	struct sched *s = sched_new(50, 5);
	static uint8_t known[N];
	static uint32_t running[N];
	uint32_t nrunning = 0, item, dest;
	int64_t now = 1;
	int done = 0, added = 0;
	struct sched_stats st;

	(void)state;
	srand(3);
	memset(list, 0, sizeof(list));
	for (long step = 0; step < 400000 && done < N; step++) {
		int what = rand() % 10;

		now += rand() % 3 == 0;
		sched_wake(s, now);
		while ((dest = sched_need_route(s, now)) != UINT32_MAX) {
			char key[16];

			snprintf(key, sizeof(key), "g%u", dest % 7);
			if (rand() % 4 == 0)
				sched_no_route(s, dest, now + 2);
			else
				sched_set_route(s, dest,
				    dest % 3 == 0 ? SCHED_LOCAL : SCHED_REMOTE, key);
		}
		if (what < 3 && added < N) {
			uint32_t d = (uint32_t)rand() % DESTS;

			sched_bind(s, d, d % 2 ? "odd" : "even");
			item = sched_add(s, (uint64_t)added, d, (uint32_t)rand(),
			    now + rand() % 20 - 10, now, &list[added]);
			assert_true(item != 0);
			if (rand() % 2)
				sched_prioritize(s, item, rand() % 19 - 9);
			known[added++] = 1;
		} else if (what < 6) {
			item = sched_pop(s, rand() % 2 ? SCHED_LOCAL : SCHED_REMOTE);
			if (item != 0) {
				assert_int_equal(known[sched_id(s, item)], 1);
				known[sched_id(s, item)] = 2;
				running[nrunning++] = item;
			}
		} else if (what < 9 && nrunning > 0) {
			uint32_t k = (uint32_t)rand() % nrunning;
			uint64_t id;

			item = running[k];
			running[k] = running[--nrunning];
			id = sched_id(s, item);
			sched_job_end(s, item, (enum sched_outcome)(rand() % 4), now);
			if (rand() % 2) {
				sched_remove(s, item, &list[id]);
				assert_int_equal(list[id], 0);
				known[id] = 3;
				done++;
			} else {
				sched_requeue(s, item, now + rand() % 10 - 3, now);
				known[id] = 1;
			}
		} else if (rand() % 50 == 0)
			sched_forget_route(
			    s, rand() % 2 ? UINT32_MAX : (uint32_t)rand() % DESTS);
		sched_stats(s, &st);
		assert_int_equal(st.running, nrunning);
		assert_true(nrunning <= 100);
		assert_int_equal(st.running + st.ready + st.waiting, added - done);
	}
	assert_int_equal(done, N);
	sched_free(s);
}

#define MANY 100000
static uint32_t many[MANY + 1];

/* How many others go before the one message, with all places busy and freed in turn. */
static int
turn_of(struct sched *s, enum sched_class class, uint64_t id, uint32_t busy)
{
	static uint32_t running[200];
	uint32_t n = 0;

	for (int turn = 0; turn < MANY; turn++) {
		uint32_t item;

		if (n >= busy) {
			uint64_t x = sched_id(s, running[turn % busy]);

			sched_job_end(s, running[turn % busy], SCHED_REACHED, 10);
			sched_remove(s, running[turn % busy], &many[x]);
			n--;
		}
		item = sched_pop(s, class);
		if (item == 0) {
			busy = n;
			turn--;
			continue;
		}
		if (sched_id(s, item) == id)
			return turn;
		running[turn % busy] = item;
		n++;
	}
	return MANY;
}

static struct sched *
crowd(int ndests, int nsenders, int groups)
{
	struct sched *s = sched_new(100, 10);

	memset(many, 0, sizeof(many));
	for (int d = 0; d < ndests; d++) {
		char key[32], name[32];

		snprintf(key, sizeof(key), "mx:%d", groups ? d : 0);
		snprintf(name, sizeof(name), "d%d.test", d);
		sched_bind(s, (uint32_t)d + 2, name);
		sched_set_route(s, (uint32_t)d + 2, SCHED_REMOTE, key);
	}
	for (int i = 1; i < MANY; i++)
		sched_add(s, (uint64_t)i, (uint32_t)(i % ndests) + 2,
		    (uint32_t)(i % nsenders), 0, 10, &many[i]);
	return s;
}

/* The hundred thousand and one. */
static void
test_fairness(void **state)
{
	static const struct {
		int ndests, nsenders, groups;
		const char *what;
	} crowds[] = {
		{ 1, 1, 1, "one sender to one destination" },
		{ 1, 1000, 1, "a thousand senders to one destination" },
		{ 50000, 1, 1, "one sender to 50000 destinations" },
		{ 50000, 1, 0, "one sender to 50000 domains behind a relay" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
		struct sched *s =
		    crowd(crowds[i].ndests, crowds[i].nsenders, crowds[i].groups);
		uint32_t busy = 0, item;
		int turn;

		/* All places that it gets are taken, and stay so. */
		while ((item = sched_pop(s, SCHED_REMOTE)) != 0)
			busy++;
		assert_true(busy <= 75);
		route(s, 1, SCHED_REMOTE, "mx:other");
		sched_add(s, MANY, 1, 17, 0, 10, &many[MANY]);
		turn = turn_of(s, SCHED_REMOTE, MANY, 20);
		printf("%s: %u jobs hang, then %d go before another's message\n",
		    crowds[i].what, busy, turn);
		assert_true(turn <= 40);
		sched_free(s);
	}
}

/* The priority of the next that is popped and goes. */
static int
next_priority(struct sched *s)
{
	uint32_t item = sched_pop(s, SCHED_REMOTE);
	uint64_t id;

	if (item == 0)
		return 99;
	id = sched_id(s, item);
	sched_job_end(s, item, SCHED_REACHED, 10);
	sched_remove(s, item, &many[id]);
	return (int)(id / 1000) - 9;
}

/* RFC 6710, 4.3 and 5.1: the more urgent goes first, and nobody starves. */
static void
test_priority(void **state)
{
	static const int levels[] = { -4, -2, 0, 2, 4, 6 };
	struct sched *s = sched_new(100, 10);
	int n[19] = { 0 }, order, first_low = -1;

	(void)state;
	memset(many, 0, sizeof(many));
	route(s, 1, SCHED_REMOTE, "mx:one");
	route(s, 2, SCHED_REMOTE, "mx:two");
	/* The least urgent are there first, for the same destination and another. */
	for (size_t l = 0; l < 6; l++) {
		for (uint32_t i = 0; i < 100; i++) {
			uint64_t id = (uint64_t)(levels[l] + 9) * 1000 + i;
			uint32_t item = sched_add(s, id, 1 + i % 2, i, 0, 10, &many[id]);

			sched_prioritize(s, item, levels[l]);
		}
	}
	for (order = 0; order < 80; order++)
		n[next_priority(s) + 9]++;
	assert_int_equal(n[6 + 9], 70);
	for (size_t l = 0; l < 5; l++)
		assert_int_equal(n[levels[l] + 9], 2);
	for (; order < 600; order++) {
		int p = next_priority(s);

		n[p + 9]++;
		if (p == -4 && n[-2 + 9] == 100 && first_low == -1)
			first_low = order;
		/* Mail without a priority is not kept back by more than its share. */
		if (order == 200)
			assert_true(n[6 + 9] == 100 && n[4 + 9] > 70);
	}
	for (size_t l = 0; l < 6; l++)
		assert_int_equal(n[levels[l] + 9], 100);
	assert_true(first_low > 450 && first_low < 560);
	assert_int_equal(next_priority(s), 99);
	/* Changed while it waits for its turn. */
	for (uint32_t i = 0; i < 3; i++)
		sched_add(s, 9000 + i, 1, 1, 0, 10, &many[9000 + i]);
	sched_prioritize(s, many[9002], 9);
	assert_int_equal(sched_id(s, sched_pop(s, SCHED_REMOTE)), 9002);
	assert_int_equal(sched_id(s, sched_pop(s, SCHED_REMOTE)), 9000);
	sched_free(s);
}

/* While urgent mail never ends, one turn in eight goes to the others. */
static void
test_priority_starves_nobody(void **state)
{
	struct sched *s = sched_new(100, 10);
	uint64_t id = 1;
	int turn, low = 0;

	(void)state;
	memset(many, 0, sizeof(many));
	route(s, 1, SCHED_REMOTE, "mx:one");
	sched_add(s, MANY, 1, 5, 0, 10, &many[MANY]);
	sched_prioritize(s, many[MANY], -9);
	for (turn = 0; turn < 100 && !low; turn++) {
		uint32_t item;

		for (int p = 0; p <= 9; p += 3, id++) {
			item = sched_add(s, id, 1, (uint32_t)id, 0, 10, &many[id]);
			sched_prioritize(s, item, p);
		}
		item = sched_pop(s, SCHED_REMOTE);
		low = sched_id(s, item) == MANY;
		sched_job_end(s, item, SCHED_REACHED, 10);
		sched_remove(s, item, &many[sched_id(s, item)]);
	}
	assert_true(low);
	printf("behind urgent mail without end: %d turns\n", turn);
	sched_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns_between_groups),
		cmocka_unit_test(test_those_that_wait_make_room),
		cmocka_unit_test(test_turns_between_senders),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_concurrency),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_fairness),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_priority_starves_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
