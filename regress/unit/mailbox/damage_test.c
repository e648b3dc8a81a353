/* SPDX-License-Identifier: ISC */
/*
 * A damaged index or log, and odd things in the Maildir. Each opening is done by a
 * child, as lmdb may take its process down; the one after must find everything.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "mailbox/store_int.h"
#include "regress/unit/mailbox/fixture.h"

#define N 300

static unsigned int seed = 7;

static unsigned int
rnd(unsigned int n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

static int
setup(void **state)
{
	struct box *b = malloc(sizeof(*b));

	box_make(b);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	box_remove(*state);
	free(*state);
	return 0;
}

static void
fill(struct box *b)
{
	struct store *s = box_open(b);
	struct folder *f;
	char text[64];
	uint32_t uids[N / 3];

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	for (int i = 1; i <= N; i++) {
		snprintf(text, sizeof(text), "Subject: %d\r\n\r\n%d\r\n", i, i);
		assert_int_equal(put(f, text, FLAG_FLAGGED), i);
	}
	for (uint32_t i = 0; i < N / 3; i++)
		uids[i] = 3 * i + 1;
	assert_int_equal(folder_expunge(f, uids, N / 3, 1, NULL), STORE_OK);
	/* The highest UID is given and gone. */
	assert_int_equal(folder_expunge(f, (uint32_t[]){ N }, 1, 1, NULL), STORE_OK);
	folder_close(f);
	assert_int_equal(store_create(s, "other", 0), STORE_OK);
	store_close(s);
}

/* In a child: 0 when all is as it was and a new message got a new UID. */
static int
look(struct box *b, uint32_t validity)
{
	struct store *s;
	struct folder *f;
	struct content c;
	const struct message *m;
	char text[64];

	if (store_open(b->fd, 0, &s) != STORE_OK)
		return 10;
	if (folder_open(s, "INBOX", &f) != STORE_OK)
		return 2;
	if (folder_uidvalidity(f) != validity)
		return 3;
	for (uint32_t i = 1; i < N; i++) {
		int exact;
		size_t at = folder_find(f, i, &exact);

		if (exact != (i % 3 != 1))
			return 4;
		if (!exact)
			continue;
		m = folder_message(f, at);
		snprintf(text, sizeof(text), "Subject: %u\r\n\r\n%u\r\n", i, i);
		if (m->flags != FLAG_FLAGGED || m->size != strlen(text))
			return 5;
		if (folder_content(f, i, &c) != STORE_OK &&
		    (folder_refresh(f) != STORE_OK ||
			folder_content(f, i, &c) != STORE_OK))
			return 9;
		if (c.len != strlen(text) || memcmp(c.data, text, c.len) != 0)
			return 6;
		content_release(&c);
	}
	if (folder_uidnext(f) <= N || put(f, "new\r\n", 0) <= N)
		return 7;
	if (store_create(s, "more", 0) != STORE_OK && store_delete(s, "more") != STORE_OK)
		return 8;
	folder_close(f);
	store_close(s);
	return 0;
}

static int
look_in_child(struct box *b, uint32_t validity, bool large)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		index_eager_max = large ? 0 : 1000;
		/* Other handlers are those of the test's parent. */
		for (int sig = 1; sig < 32; sig++)
			if (sig == SIGSEGV || sig == SIGBUS || sig == SIGABRT)
				signal(sig, SIG_DFL);
		_exit(look(b, validity));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static uint32_t
validity_of(struct box *b)
{
	struct store *s = box_open(b);
	struct folder *f;
	uint32_t v;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	v = folder_uidvalidity(f);
	folder_close(f);
	store_close(s);
	return v;
}

static void
save_or_restore(struct box *b, const char *cmd)
{
	char line[256];

	snprintf(line, sizeof(line), "cd %s && %s", b->dir, cmd);
	assert_int_equal(system(line), 0);
}

static void
round_of(struct box *b, uint32_t validity, const char *what, int detail)
{
	bool large = detail % 2 != 0;
	int r = look_in_child(b, validity, large);

	/* It may fall once (1: in the middle of a large folder), or be unable to write;
	 * then the index is thrown away. */
	if (r > 1000 || r == 8 || (large && r == 1))
		r = look_in_child(b, validity, large);
	if (r != 0)
		fail_msg("%s %d: %d", what, detail, r);
	save_or_restore(b, "rm -rf Maildir index && cp -a saved/. .");
}

static long
size_of(struct box *b, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(b->fd, name, &st, 0), 0);
	return (long)st.st_size;
}

static void
test_index(void **state)
{
	struct box *b = *state;
	uint32_t validity;
	long size;

	fill(b);
	validity = validity_of(b);
	save_or_restore(b, "mkdir saved && cp -a Maildir index saved/");
	size = size_of(b, "index/data.mdb");
	for (int i = 0; i < 24; i++) {
		int fd = openat(b->fd, "index/data.mdb", O_RDWR);

		assert_int_equal(ftruncate(fd, size * (i / 2) / 12), 0);
		close(fd);
		round_of(b, validity, "truncated to 24ths:", i);
	}
	/* Whole pages of noise, behind the two that tell where the tree is. */
	for (int i = 4; i / 2 < size / 4096 && i < 40; i++) {
		int fd = openat(b->fd, "index/data.mdb", O_RDWR);
		uint8_t noise[4096];

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)rnd(256);
		assert_int_equal(
		    pwrite(fd, noise, sizeof(noise), 4096L * (i / 2)), sizeof(noise));
		close(fd);
		round_of(b, validity, "noise in page", i);
	}
}

static void
test_log(void **state)
{
	struct box *b = *state;
	uint32_t validity;
	long size;

	/* A kill leaves all in the log. */
	fill(b);
	validity = validity_of(b);
	{
		pid_t pid = fork();

		if (pid == 0) {
			struct store *s = box_open(b);
			struct folder *f;

			if (folder_open(s, "INBOX", &f) != STORE_OK)
				_exit(1);
			for (int i = 0; i < 50; i++) {
				uint32_t uid = put(f, "soon gone\r\n", 0);

				folder_expunge(f, &uid, 1, 1, NULL);
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	save_or_restore(b, "mkdir saved && cp -a Maildir index saved/");
	size = size_of(b, "index/log");
	for (int i = 0; i < 40; i++) {
		int fd = openat(b->fd, "index/log", O_RDWR);
		off_t at = (off_t)rnd((unsigned int)size);
		uint8_t c;

		assert_int_equal(pread(fd, &c, 1, at), 1);
		c ^= (uint8_t)(1 + rnd(255));
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		close(fd);
		/* The files of some that were expunged may be there still: only that no
		 * UID is given twice can be asked. */
		{
			struct store *s = box_open(b);
			struct folder *f;

			assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
			assert_int_equal(folder_uidvalidity(f), validity);
			assert_true(put(f, "x\r\n", 0) > N + 50);
			folder_close(f);
			store_close(s);
		}
		save_or_restore(b, "rm -rf Maildir index && cp -a saved/. .");
	}
}

/* What another program of the same user may leave. */
static void
test_odd_files(void **state)
{
	struct box *b = *state;
	uint32_t validity;
	struct store *s;
	struct folder *f;
	struct content c;

	fill(b);
	validity = validity_of(b);
	save_or_restore(b,
	    "cd Maildir && mkfifo cur/pipe new/pipe cur/p:2,S tmp/fife.x fife-folder.new "
	    "subscriptions"
	    " && mkdir cur/dir new/dir cur/d:2,S .empty .broken"
	    " && ln -s /etc/passwd cur/link && ln -s nowhere new/link && ln -s .. .up"
	    " && touch .file .broken/cur '.a..b' && mkdir '.x..y' '...' '.&AAA-' '.a&' "
	    "&& ln -s .other .same"
	    " && mkfifo .other/fife-folder2 && touch 'cur/\377\376:2,ABCZ' 'cur/a:1,b' "
	    "cur/x,U=0-0:2, cur/y,U=99999999999-1:2,");
	assert_int_equal(look_in_child(b, validity, false), 0);
	/* The same with everything to be compared. */
	save_or_restore(b, "rm -rf index && rm -f Maildir/fife-folder.new");
	assert_int_equal(look_in_child(b, validity, false), 0);
	/* A message becomes a pipe while its folder is open. */
	s = box_open(b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	save_or_restore(
	    b, "cd Maildir/cur && f=$(ls | grep ',U=2-') && rm \"$f\" && mkfifo \"$f\"");
	alarm(20);
	assert_int_not_equal(folder_content(f, 2, &c), STORE_OK);
	alarm(0);
	/* The folder's directory goes and comes again. */
	save_or_restore(b, "mv Maildir/cur away");
	assert_int_not_equal(folder_refresh(f), STORE_OK + 100);
	folder_close(f);
	save_or_restore(b, "rm -rf Maildir/cur; mv away Maildir/cur");
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_true(folder_count(f) > 100);
	folder_close(f);
	store_close(s);
}

/* Expunged here, and given a flag by another program before its file is removed. */
static void
test_expunged_and_renamed(void **state)
{
	struct box *b = *state;
	struct store *s = box_open(b);
	struct folder *f;
	uint32_t uid;

	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	uid = put(f, "one\r\n", 0);
	put(f, "two\r\n", 0);
	store_flush(s);
	assert_int_equal(folder_expunge(f, &uid, 1, 1, NULL), STORE_OK);
	save_or_restore(
	    b, "cd Maildir/cur && f=$(ls | grep ',U=1-') && mv \"$f\" \"${f}S\"");
	store_flush(s);
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 1);
	folder_close(f);
	store_close(s);
}

/* More folders than there may be descriptors, made by another program and then recovered.
 */
static void
test_many_folders(void **state)
{
	struct box *b = *state;
	struct rlimit old, few = { 640, 640 };
	struct store *s;
	struct folder *f;
	char name[32];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	save_or_restore(b, "mkdir Maildir && cd Maildir && mkdir -p $(seq -f '.f%g/cur' "
			   "700) $(seq -f '.f%g/new' 700)"
			   " && echo x > .f699/new/1.2.3");
	for (int round = 0; round < 2; round++) {
		s = box_open(b);
		for (int i = 1; i <= 700; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			assert_int_equal(folder_open(s, name, &f), STORE_OK);
			assert_int_equal(folder_count(f), i == 699);
			assert_true(folder_keyword_find(f, "word", 4, i % 10 == 0) ==
				    (i % 10 == 0 ? 0 : -1));
			folder_close(f);
		}
		store_close(s);
		if (round == 0)
			save_or_restore(b, "rm -rf index");
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void
on_abort(int sig)
{
	_exit(42);
}

/* Who had a signal before the store was opened still gets it, after the mark. */
static void
test_signal_goes_on(void **state)
{
	struct box *b = *state;
	int status;
	pid_t pid;

	store_close(box_open(b));
	if ((pid = fork()) == 0) {
		alarm(20);
		signal(SIGABRT, on_abort);
		(void)box_open(b);
		index_inside = 1;
		abort();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(faccessat(b->fd, "index/damaged", F_OK, 0), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_signal_goes_on),
		T(test_index),
		T(test_log),
		T(test_odd_files),
		T(test_many_folders),
		T(test_expunged_and_renamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
