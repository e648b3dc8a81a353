/* SPDX-License-Identifier: ISC */
/*
 * kill -9 at any moment. A child announces each operation with its outcome in shared
 * memory before it begins, and says when it was answered; the parent kills it some time.
 * What is found must be the state before or after the operation that was running.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "regress/unit/mailbox/fixture.h"

#define MAX 600
#define ROUNDS 80

struct state {
	size_t n;
	uint32_t uidnext;
	struct {
		uint32_t uid;
		uint8_t flags;
	} m[MAX];
};

struct shared {
	struct state before, after;
	volatile int running;
};

static unsigned int seed = 99;

static unsigned int
rnd(unsigned int n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static void
child(struct box *b, struct shared *sh)
{
	uint32_t uids[MAX];
	struct folder *f;
	struct store *s = box_open(b);

	if (folder_open(s, "INBOX", &f) != STORE_OK)
		_exit(1);
	for (;;) {
		struct state *a = &sh->after;
		unsigned int what = a->n < 20 ? 0 : a->n > MAX - 10 ? 2 : rnd(5);
		uint8_t flags = (uint8_t)rnd(32);
		size_t n = 0, k = 0;

		for (size_t i = 0; i < a->n; i++)
			if (rnd(3) == 0)
				uids[n++] = a->m[i].uid;
		if (what == 0) {
			a->m[a->n].uid = folder_uidnext(f);
			a->m[a->n++].flags = flags;
			a->uidnext = folder_uidnext(f) + 1;
		} else if (what == 1) {
			for (size_t i = 0, j = 0; i < a->n; i++)
				if (j < n && uids[j] == a->m[i].uid) {
					a->m[i].flags = flags;
					j++;
				}
		} else if (what == 2) {
			n = n > 5 ? 5 : n;
			for (size_t i = 0, j = 0; i < a->n; i++) {
				if (j < n && uids[j] == a->m[i].uid)
					j++;
				else
					a->m[k++] = a->m[i];
			}
			a->n = k;
		}
		__atomic_store_n(&sh->running, 1, __ATOMIC_SEQ_CST);
		if (what == 0)
			(void)put(f, "text\r\n", flags);
		else if (what == 1)
			(void)folder_store(
			    f, uids, n, FLAG_OP_SET, flags, 0, 0, NULL, NULL, NULL);
		else if (what == 2)
			(void)folder_expunge(f, uids, n, 1, NULL);
		else if (what == 3)
			store_flush(s);
		else {
			const uint8_t x[200] = { 1 };

			/* Cached values make checkpoints. */
			for (size_t i = 0; i < folder_count(f); i++)
				folder_cache_put(
				    f, folder_message(f, i)->uid, 1, x, sizeof(x));
			folder_close(f);
			store_close(s);
			s = box_open(b);
			if (folder_open(s, "INBOX", &f) != STORE_OK)
				_exit(1);
		}
		__atomic_store_n(&sh->running, 2, __ATOMIC_SEQ_CST);
		sh->before = sh->after;
		__atomic_store_n(&sh->running, 0, __ATOMIC_SEQ_CST);
	}
}

static int
same(struct folder *f, const struct state *m)
{
	if (folder_count(f) != m->n || folder_uidnext(f) < m->uidnext)
		return 0;
	for (size_t i = 0; i < m->n; i++)
		if (folder_message(f, i)->uid != m->m[i].uid ||
		    folder_message(f, i)->flags != m->m[i].flags)
			return 0;
	return 1;
}

static void
test_kill(void **state)
{
	struct shared *sh = mmap(
	    NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct folder *f;
	struct store *s;
	struct box b;

	assert_ptr_not_equal(sh, MAP_FAILED);
	box_make(&b);
	store_close(box_open(&b));
	sh->before.uidnext = sh->after.uidnext = 1;
	for (int round = 0; round < ROUNDS; round++) {
		int status;
		pid_t pid;

		seed += 31;
		if ((pid = fork()) == 0)
			child(&b, sh);
		usleep(2000 + rnd(30000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		s = box_open(&b);
		assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
		if (sh->running == 0)
			sh->after = sh->before; /* an outcome half announced */
		if (sh->running != 2 && same(f, &sh->before))
			sh->after = sh->before;
		else {
			assert_true(same(f, &sh->after));
			sh->before = sh->after;
		}
		sh->before.uidnext = sh->after.uidnext = folder_uidnext(f);
		sh->running = 0;
		for (size_t i = 0; i < folder_count(f); i++)
			if (rnd(20) == 0)
				assert_content(f, folder_message(f, i)->uid, "text\r\n");
		folder_close(f);
		store_close(s);
	}
	munmap(sh, sizeof(*sh));
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
