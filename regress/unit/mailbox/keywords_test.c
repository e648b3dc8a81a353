/* SPDX-License-Identifier: ISC */
/* Many keywords: sets against a plain model, on the wire, and over the end of a process.
 */
#include "regress/unit/mailbox/imap_fixture.h"

#include <sys/wait.h>

#include "mailbox/store_int.h"

#define N 300

static struct folder *
inbox(void)
{
	struct folder *f;

	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	return f;
}

static void
make_names(struct folder *f, int n)
{
	char name[20];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		assert_int_equal(folder_keyword_find(f, name, strlen(name), 1), i);
	}
}

static void
same(struct folder *f, uint64_t set, const bool model[N])
{
	int next = -1;

	for (int i = 0; i < N; i++) {
		assert_int_equal(folder_keywords_has(f, set, i), model[i]);
		if (model[i]) {
			next = folder_keywords_next(f, set, next);
			assert_int_equal(next, i);
		}
	}
	assert_int_equal(folder_keywords_next(f, set, next), -1);
	assert_false(folder_keywords_has(f, set, -1));
	assert_false(folder_keywords_has(f, set, N + 1));
}

static void
test_sets(void **state)
{
	struct folder *f = inbox();
	static bool model[2][N], out[N];
	uint64_t set[2] = { 0, 0 }, other, again;
	unsigned int seed = 7;

	make_names(f, N);
	for (int round = 0; round < 2000; round++) {
		int which = rand_r(&seed) % 2, k = rand_r(&seed) % N;

		if (rand_r(&seed) % 40 == 0) {
			memset(model[which], 0, sizeof(model[which]));
			set[which] = 0;
		}
		/* Often only low ones, so that both forms meet. */
		if (round % 400 < 200)
			k %= 70;
		assert_int_equal(folder_keywords_add(f, &set[which], k), 0);
		model[which][k] = true;
		same(f, set[which], model[which]);
		for (int remove = 0; remove < 2; remove++) {
			for (int i = 0; i < N; i++)
				out[i] = remove ? model[0][i] && !model[1][i]
						: model[0][i] || model[1][i];
			assert_int_equal(
			    folder_keywords_merge(f, set[0], set[1], remove, &other), 0);
			same(f, other, out);
			/* One value for one set, however it came about. */
			again = 0;
			for (int i = N - 1; i >= 0; i--)
				if (out[i])
					assert_int_equal(
					    folder_keywords_add(f, &again, i), 0);
			assert_true(again == other);
		}
	}
	/* As 64 bits were written before. */
	other = keywords_of_old(f, UINT64_C(1) << 63 | UINT64_C(1) << 40 | 5);
	memset(out, 0, sizeof(out));
	out[0] = out[2] = out[40] = out[63] = true;
	same(f, other, out);
	assert_true(keywords_of_old(f, UINT64_C(1) << 62 | 1) == (UINT64_C(1) << 62 | 1));
	folder_close(f);
}

/* What no list may be. */
static void
test_damage(void **state)
{
	static const uint16_t good[] = { 26, 70, 4095 }, twice[] = { 70, 70 },
			      low[] = { 3, 70 }, high[] = { 70, 4096 };
	struct folder *f = inbox();

	assert_int_equal(keyword_list_put(f, 5, good, 3), 0);
	assert_int_equal(keyword_list_put(f, 5, good, 3), 0);
	assert_int_equal(keyword_list_put(f, 0, good, 2), -1);
	assert_int_equal(keyword_list_put(f, 6, good, 0), -1);
	assert_int_equal(keyword_list_put(f, 6, twice, 2), -1);
	assert_int_equal(keyword_list_put(f, 6, low, 2), -1);
	assert_int_equal(keyword_list_put(f, 6, high, 2), -1);
	/* A number that is none is an empty list. */
	assert_int_equal(
	    folder_keywords_next(f, UINT64_C(1) << 63 | UINT64_C(77) << 26 | 2, -1), 1);
	assert_int_equal(
	    folder_keywords_next(f, UINT64_C(1) << 63 | UINT64_C(77) << 26 | 2, 1), -1);
	folder_close(f);
}

/* "k0 k1 ..." */
static void
names(char *out, size_t cap, int from, int to)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = from; i < to; i++)
		n += (size_t)snprintf(out + n, cap - n, "%sk%d", i > from ? " " : "", i);
}

static void
wire(size_t step)
{
	static char list[5000], cmd[6000], want[9000];
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *drop = evbuffer_new();

	append(s, step, "INBOX", "", M1);
	append(s, step, "INBOX", "(k299 \\Seen k1) ", M2);
	drive(s, "a SELECT INBOX\r\nb CREATE x\r\n", 28, 1000, drop);
	names(list, sizeof(list), 0, N);
	snprintf(cmd, sizeof(cmd), "a STORE 1 +FLAGS.SILENT (%s)\r\n", list);
	drive(s, cmd, strlen(cmd), step, drop);
	evbuffer_free(drop);
	/* The first two that the folder has seen come first. */
	names(list, sizeof(list), 2, 299);
	snprintf(want, sizeof(want),
	    "* 1 FETCH (FLAGS (\\Recent k299 k1 k0 %s))\r\na OK FETCH completed\r\n",
	    list);
	say(s, step, "a FETCH 1 FLAGS\r\n", want);
	say(s, step, "a SEARCH KEYWORD k299\r\nb SEARCH UNKEYWORD k200\r\n",
	    "* SEARCH 1 2\r\na OK SEARCH completed\r\n"
	    "* SEARCH 2\r\nb OK SEARCH completed\r\n");
	say(s, step, "a COPY 1 x\r\n", "a OK [COPYUID @\r\n");
	names(list, sizeof(list), 2, 290);
	snprintf(cmd, sizeof(cmd), "a STORE 1 -FLAGS.SILENT (%s)\r\nb FETCH 1 FLAGS\r\n",
	    list);
	say(s, step, cmd,
	    "a OK STORE completed\r\n* 1 FETCH (FLAGS (\\Recent k299 k1 k0 k290 k291 "
	    "k292 "
	    "k293 k294 k295 k296 k297 k298))\r\nb OK FETCH completed\r\n");
	say(s, step, "a STORE 1 FLAGS (k0 k250)\r\n",
	    "* 1 FETCH (FLAGS (\\Recent k0 k250))\r\na OK STORE completed\r\n");
	imap_free(s);
}

static void
test_wire(void **state)
{
	with_steps(wire);
}

static void
kept(const char *mailbox, int from)
{
	static char list[5000], want[9000], cmd[100];
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	snprintf(cmd, sizeof(cmd), "a EXAMINE %s\r\n", mailbox);
	drive(s, cmd, strlen(cmd), 1000, out);
	evbuffer_free(out);
	names(list, sizeof(list), from, N);
	snprintf(want, sizeof(want),
	    "* 1 FETCH (FLAGS (%s%s))\r\na OK FETCH completed\r\n",
	    mailbox[0] == 'x' ? "\\Recent " : "", list);
	say(s, 1000, "a FETCH 1 FLAGS\r\n", want);
	imap_free(s);
}

static void
reopen(void)
{
	store_close(store);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
}

static void
change(int from, bool copy)
{
	static char list[5000], cmd[6000];
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();

	drive(s, "a SELECT INBOX\r\n", 16, 1000, out);
	names(list, sizeof(list), from, N);
	snprintf(cmd, sizeof(cmd), "a STORE 1 FLAGS.SILENT (%s)\r\n%s", list,
	    copy ? "b COPY 1 x\r\n" : "");
	drive(s, cmd, strlen(cmd), 1000, out);
	evbuffer_free(out);
	imap_free(s);
}

/* The index has them after a close, the log after a fall. */
static void
test_kept(void **state)
{
	struct imap *s = imap_new(store, NULL, NULL);
	struct evbuffer *out = evbuffer_new();
	pid_t child;
	int status;

	append(s, 1000, "INBOX", "", M1);
	drive(s, "b CREATE x\r\n", 12, 1000, out);
	evbuffer_free(out);
	imap_free(s);
	change(0, true);
	reopen();
	kept("INBOX", 0);
	kept("x", 0);
	reopen();
	kept("INBOX", 0);
	store_close(store);
	if ((child = fork()) == 0) {
		if (store_open(dirfd_, 0, &store) != STORE_OK)
			_exit(1);
		change(100, false);
		change(0, false);
		change(200, false);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	kept("INBOX", 200);
	kept("x", 0);
	reopen();
	kept("INBOX", 200);
}

/* At the bound the client is told so, and what is there stays. */
static void
test_bound(void **state)
{
	struct folder *f = inbox();
	char name[20];
	struct imap *s;

	for (int i = 0; i < STORE_KEYWORDS_MAX; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		assert_int_equal(folder_keyword_push(f, name), 0);
	}
	assert_int_equal(folder_keyword_push(f, "more"), -1);
	s = imap_new(store, NULL, NULL);
	append(s, 1000, "INBOX", "(k4095) ", M1);
	say(s, 1000, "a STATUS INBOX (MESSAGES)\r\n",
	    "* STATUS INBOX (MESSAGES 1)\r\na OK STATUS completed\r\n");
	{
		struct evbuffer *out = evbuffer_new();

		drive(s, "a SELECT INBOX\r\n", 16, 1000, out);
		evbuffer_free(out);
	}
	say(s, 1000, "a STORE 1 +FLAGS (more)\r\nb STORE 1 +FLAGS (k70)\r\n",
	    "a NO [LIMIT] Too many keywords, or too long\r\n* 1 FETCH (FLAGS (\\Recent "
	    "k70 k4095))\r\nb OK STORE completed\r\n");
	imap_free(s);
	folder_close(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
