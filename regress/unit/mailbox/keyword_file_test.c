/* SPDX-License-Identifier: ISC */
/* Keywords beyond the letters of file names, when the index is lost (keyword_file.h). */
#include "regress/unit/mailbox/imap_fixture.h"

#include <sys/wait.h>

#include "mailbox/keyword_file.h"
#include "mailbox/store_int.h"

#define FILE_NAME "Maildir/" KEYWORD_FILE
#define N 60

static struct folder *
inbox(void)
{
	struct folder *f;

	assert_int_equal(folder_open(store, "INBOX", &f), STORE_OK);
	return f;
}

/* n keywords, k0 to; and so many messages, of which message i has k(i % n) and k1. */
static void
fill(int n, unsigned int messages)
{
	struct folder *f = inbox();
	char name[20];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		assert_int_equal(folder_keyword_find(f, name, strlen(name), 1), i);
	}
	for (unsigned int i = 0; i < messages; i++) {
		uint16_t v[] = { 1, (uint16_t)(i % (unsigned int)n) };
		struct append *a;
		uint64_t set;
		uint32_t uid;

		assert_int_equal(folder_keywords_make(f, v, 2, &set), 0);
		assert_int_equal(append_begin(f, 3, &a), STORE_OK);
		append_set_lazy(a);
		assert_int_equal(append_write(a, "abc", 3), STORE_OK);
		assert_int_equal(append_commit(a, 0, set, -1, &uid), STORE_OK);
	}
	folder_close(f);
}

static void
set(uint32_t uid, const uint16_t *v, size_t n)
{
	struct folder *f = inbox();
	uint64_t keywords;

	assert_int_equal(folder_keywords_make(f, v, n, &keywords), 0);
	assert_int_equal(
	    folder_store(f, &uid, 1, FLAG_OP_SET, 0, keywords, 0, NULL, NULL, NULL),
	    STORE_OK);
	folder_close(f);
}

static void
has(uint32_t uid, const uint16_t *v, size_t n)
{
	struct folder *f = inbox();
	const struct message *m = folder_message_by_uid(f, uid);
	int k = -1;

	assert_non_null(m);
	for (size_t i = 0; i < n; i++) {
		k = folder_keywords_next(f, m->keywords, k);
		if (k != v[i])
			fail_msg("UID %u: %d instead of %u", uid, k, v[i]);
	}
	assert_int_equal(folder_keywords_next(f, m->keywords, k), -1);
	folder_close(f);
}
#define SET(uid, ...)                               \
	set(uid, (const uint16_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint16_t[]){ __VA_ARGS__ }) / sizeof(uint16_t))
#define HAS(uid, ...)                               \
	has(uid, (const uint16_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint16_t[]){ __VA_ARGS__ }) / sizeof(uint16_t))

static void
reopen(bool with_index)
{
	char path[100];

	store_close(store);
	snprintf(path, sizeof(path), "%s/index", dir);
	if (!with_index)
		(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
}

static off_t
file_size(void)
{
	struct stat st;

	return fstatat(dirfd_, FILE_NAME, &st, 0) == -1 ? -1 : st.st_size;
}

static void
test_kept(void **state)
{
	uint32_t uid = 3;
	struct folder *f;

	fill(N, N + 10);
	SET(1, 1, 5, 40, 59);
	SET(2, 40); /* only one that is no letter */
	f = inbox();
	assert_int_equal(folder_expunge(f, &uid, 1, 1, NULL), STORE_OK);
	folder_close(f);
	for (int i = 0; i < 2; i++) {
		reopen(false);
		HAS(1, 1, 5, 40, 59);
		HAS(2, 40);
		HAS(4, 1, 3);
		HAS(50, 1, 49);
		HAS(61, 0, 1);
		f = inbox();
		assert_null(folder_message_by_uid(f, 3));
		folder_close(f);
	}
	/* What was taken away stays away. */
	SET(1, 5);
	SET(50, 30);
	reopen(false);
	HAS(1, 5);
	HAS(50, 30);
	/* With the index nothing changes. */
	reopen(true);
	HAS(1, 5);
	HAS(50, 30);
	HAS(4, 1, 3);
}

/* A folder with letters only has no such file. */
static void
test_letters(void **state)
{
	fill(26, 30);
	reopen(false);
	HAS(25, 1, 24);
	assert_int_equal(file_size(), -1);
}

/* One that a version without it has left gets it. */
static void
test_missing(void **state)
{
	fill(N, N);
	reopen(true);
	assert_true(file_size() > 0);
	assert_int_equal(unlinkat(dirfd_, FILE_NAME, 0), 0);
	HAS(50, 1, 49);
	store_flush(store);
	assert_true(file_size() > 0);
	reopen(false);
	HAS(50, 1, 49);
}

/* A process that fell has written what was there a second before. */
static void
test_fall(void **state)
{
	pid_t child;
	int status;

	fill(N, N);
	store_close(store);
	if ((child = fork()) == 0) {
		if (store_open(dirfd_, 0, &store) != STORE_OK)
			_exit(1);
		SET(7, 33, 34);
		store_flush(store);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	reopen(false);
	HAS(7, 33, 34);
	HAS(8, 1, 7);
}

static void
damage(off_t at, const char *octets, size_t n)
{
	int fd = openat(dirfd_, FILE_NAME, O_RDWR);

	assert_int_not_equal(fd, -1);
	if (n == 0)
		assert_int_equal(ftruncate(fd, at), 0);
	else
		assert_int_equal(pwrite(fd, octets, n, at), (ssize_t)n);
	close(fd);
}

/* What is not whole at the end is cut off, and what comes later is found behind it. */
static void
test_torn(void **state)
{
	off_t whole, more;

	fill(N, N);
	reopen(true);
	whole = file_size();
	SET(7, 33, 34);
	store_flush(store);
	more = file_size();
	assert_true(more > whole);
	store_close(store);
	damage(more - 1, NULL, 0);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	SET(9, 44);
	reopen(false);
	HAS(9, 44);
	HAS(50, 1, 49);
	/* A head that is none: all is written anew from what is in memory. */
	reopen(true);
	damage(0, "nonsense", 8);
	SET(10, 45);
	reopen(false);
	HAS(9, 44);
	HAS(10, 45);
	HAS(50, 1, 49);
	/* Both are lost: the letters are left. */
	store_close(store);
	damage(0, "nonsense", 8);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	reopen(false);
	HAS(50, 1);
	HAS(20, 1, 19);
}

/* Changes to and fro do not let it grow for ever. */
static void
test_bounded(void **state)
{
	fill(N, N);
	for (int round = 0; round < 400; round++) {
		for (uint32_t uid = 1; uid <= N; uid++)
			SET(uid, (uint16_t)(30 + (round + (int)uid) % 30));
		store_flush(store);
	}
	assert_in_range(file_size(), KEYWORD_FILE_HEAD, 80000);
	reopen(false);
	HAS(1, 30 + 400 % 30);
}

/* The index was on the disk when the machine stopped, and this file was not. */
static void
test_stop(void **state)
{
	off_t whole;
	int fd;

	fill(N, N);
	store_flush(store);
	whole = file_size();
	SET(7, 33, 34);
	store_flush(store);
	assert_int_equal(index_checkpoint(store), STORE_OK);
	store_close(store);
	damage(whole, NULL, 0);
	/* As after another boot. */
	fd = openat(dirfd_, "index/log", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "torn", 4), 4);
	close(fd);
	assert_int_equal(store_open(dirfd_, 0, &store), STORE_OK);
	reopen(false);
	HAS(7, 33, 34);
	HAS(8, 1, 7);
}

/* A folder that gets the UIDs of another server begins a new file. */
static void
test_adopted(void **state)
{
	struct folder *f;
	uint32_t uids[N];

	fill(N, N);
	store_flush(store);
	for (uint32_t i = 0; i < N; i++)
		uids[i] = i + 1;
	f = inbox();
	assert_int_equal(folder_expunge(f, uids, N, 1, NULL), STORE_OK);
	assert_int_equal(folder_adopt(f, 12345), STORE_OK);
	folder_close(f);
	fill(N, N);
	reopen(false);
	HAS(50, 1, 49);
	/* What was expunged does not come back as new mail. */
	f = inbox();
	assert_int_equal(folder_count(f), N);
	folder_close(f);
}

/* What somebody put there in place of the file. */
static void
test_odd(void **state)
{
	char text[4] = "";
	struct stat st;
	int fd;

	fill(N, N);
	for (int i = 0; i < 4; i++) {
		const char *name = i % 2 == 0 ? FILE_NAME : FILE_NAME ".new";

		reopen(true);
		assert_int_equal(unlinkat(dirfd_, FILE_NAME, 0), 0);
		fd = openat(dirfd_, "other", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, "abc", 3), 3);
		close(fd);
		assert_int_equal(i < 2 ? mkfifoat(dirfd_, name, 0600)
				       : symlinkat("../other", dirfd_, name),
		    0);
		SET(7, 33, (uint16_t)(40 + i));
		store_flush(store);
		assert_int_equal(fstatat(dirfd_, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISREG(st.st_mode));
		reopen(false);
		HAS(7, 33, 40 + i);
		HAS(50, 1, 49);
	}
	fd = openat(dirfd_, "other", O_RDONLY);
	assert_int_equal(read(fd, text, 4), 3);
	assert_string_equal(text, "abc");
	close(fd);
	/* Nothing can be written: tried again when it can. */
	assert_int_equal(unlinkat(dirfd_, FILE_NAME, 0), 0);
	assert_int_equal(mkdirat(dirfd_, FILE_NAME, 0700), 0);
	SET(7, 33, 50);
	store_flush(store);
	SET(8, 51);
	store_flush(store);
	assert_int_equal(unlinkat(dirfd_, FILE_NAME, AT_REMOVEDIR), 0);
	reopen(true);
	HAS(8, 51);
	reopen(false);
	HAS(7, 33, 50);
	HAS(8, 51);
	HAS(50, 1, 49);
}

/* All of so many messages have almost all keywords. */
static void
all_of(unsigned int messages)
{
	uint16_t v[STORE_KEYWORDS_MAX];
	uint32_t *uids = calloc(messages, sizeof(*uids));
	struct folder *f = inbox();
	uint64_t keywords;

	for (unsigned int i = 0; i < STORE_KEYWORDS_MAX; i++)
		v[i] = (uint16_t)i;
	for (unsigned int i = 0; i < messages; i++)
		uids[i] = i + 1;
	assert_int_equal(
	    folder_keywords_make(f, v, STORE_KEYWORDS_MAX - 1, &keywords), 0);
	assert_int_equal(folder_store(f, uids, messages, FLAG_OP_SET, 0, keywords, 0,
			     NULL, NULL, NULL),
	    STORE_OK);
	folder_close(f);
	free(uids);
}

/* A change costs what it is, also where much is there already. */
static void
test_large(void **state)
{
	struct stat was, is;

	fill(STORE_KEYWORDS_MAX, 2200);
	all_of(1500);
	store_flush(store);
	assert_int_equal(fstatat(dirfd_, FILE_NAME, &was, 0), 0);
	assert_in_range(was.st_size, 12 * 1000 * 1000, 13 * 1000 * 1000);
	for (uint16_t i = 0; i < 5; i++) {
		SET(1, (uint16_t)(30 + i));
		store_flush(store);
	}
	assert_int_equal(fstatat(dirfd_, FILE_NAME, &is, 0), 0);
	assert_true(was.st_ino == is.st_ino && is.st_size - was.st_size < 200);
	/* Too much for the file: it does not grow for ever. */
	for (int i = 0; i < 3; i++) {
		all_of(2200);
		store_flush(store);
		SET(1, 30);
		store_flush(store);
	}
	assert_in_range(file_size(), 12 * 1000 * 1000, 32 * 1024 * 1024);
	reopen(false);
	HAS(1, 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_letters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fall, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
