/* SPDX-License-Identifier: ISC */
/* Messages that are added as one (batch.c), on a disk that is full in between: what a
 * client has seen afterwards is not taken out later. */
#include "regress/unit/mailbox/fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/log.h"

static void
limit(rlim_t max)
{
	struct rlimit rl;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = max < rl.rlim_max ? max : rl.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &rl), 0);
}

static off_t
log_size(struct box *b)
{
	struct stat st;

	assert_int_equal(fstatat(b->fd, "index/log", &st, 0), 0);
	return st.st_size;
}

/* With so many octets of room; whether it was done. */
static bool
one(off_t room, bool moving)
{
	static const uint32_t uids[] = { 1, 2 };
	struct folder *from, *to;
	enum store_error e;
	struct store *s;
	struct box b;
	uint32_t new_uids[2];
	size_t seen;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(store_create(s, "to", 0), STORE_OK);
	assert_int_equal(folder_open(s, "INBOX", &from), STORE_OK);
	assert_int_equal(folder_open(s, "to", &to), STORE_OK);
	(void)put(from, "a: b\r\n\r\none\r\n", 0);
	(void)put(from, "a: b\r\n\r\ntwo\r\n", 0);
	limit((rlim_t)(log_size(&b) + room));
	e = moving ? folder_move(from, uids, 2, to, new_uids, UINT8_MAX, 1)
		   : folder_copy(from, uids, 2, to, new_uids);
	limit(RLIM_INFINITY);
	/* Where they are in both, the user tidies up. */
	if ((seen = folder_count(to)) == 2 && folder_count(from) == 2)
		assert_int_equal(folder_expunge(from, uids, 2, 1, NULL), STORE_OK);
	folder_close(from);
	folder_close(to);
	store_close(s);
	s = box_open(&b);
	assert_int_equal(folder_open(s, "INBOX", &from), STORE_OK);
	assert_int_equal(folder_open(s, "to", &to), STORE_OK);
	assert_true(folder_count(to) == 2 || folder_count(from) == 2);
	if (seen == 2 && folder_count(to) != 2)
		fail_msg("with %d octets of room: taken out later", (int)room);
	folder_close(from);
	folder_close(to);
	store_close(s);
	box_remove(&b);
	return e == STORE_OK;
}

static void
each(bool moving)
{
	off_t room = 0;

	signal(SIGXFSZ, SIG_IGN);
	while (!one(room, moving))
		room += 7;
	assert_true(room > 100);
}

static void
test_copy(void **state)
{
	each(false);
}

static void
test_move(void **state)
{
	each(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_move),
	};

	log_set_stderr(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
