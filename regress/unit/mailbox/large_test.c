/* SPDX-License-Identifier: ISC */
/* A folder of 50,000 messages: what is printed here is compared with issue figures by
 * eye; only results are asserted. */
#include <time.h>

#include "common/crc32c.h"
#include "regress/unit/mailbox/fixture.h"

#define N 50000u

static double
ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
test_large(void **state)
{
	static uint32_t uids[N];
	struct delivery d = { 0, 0, 6, crc32c(0, "text\r\n", 6), 0 };
	struct folder *f;
	struct store *s;
	struct box b;
	size_t n, rounds = 0;
	int again, fd;
	char path[100];
	double t;

	box_make(&b);
	write_file(&b, "content", "text\r\n");
	snprintf(path, sizeof(path), "%s/content", b.dir);
	assert_int_not_equal(fd = open(path, O_RDONLY), -1);
	s = box_open(&b);
	t = ms();
	for (uint32_t i = 0; i < N; i++) {
		uids[i] = i + 1;
		d.oldest_live = d.queue_id = i + 1;
		assert_int_equal(
		    store_deliver(s, "INBOX", &d, "p\r\n", 3, fd, 0, &again), STORE_OK);
		if (i % 10000 == 9999)
			store_flush(s);
	}
	printf("deliver %u: %.1f ms\n", N, ms() - t);
	t = ms();
	store_close(s);
	printf("close: %.1f ms\n", ms() - t);
	for (int i = 0; i < 3; i++) {
		t = ms();
		s = box_open(&b);
		printf("store_open: %.2f ms, ", ms() - t);
		t = ms();
		assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
		printf("folder_open: %.2f ms\n", ms() - t);
		assert_int_equal(folder_count(f), N);
		folder_close(f);
		store_close(s);
		usleep(30000);
	}
	s = box_open(&b);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	t = ms();
	assert_int_equal(
	    folder_store(f, uids, 10000, FLAG_OP_ADD, FLAG_SEEN, 0, 0, NULL, NULL, &n),
	    STORE_OK);
	printf("STORE 1:10000: %.1f ms, ", ms() - t);
	assert_int_equal(n, 10000);
	t = ms();
	assert_int_equal(folder_expunge(f, uids, 25000, 1, &n), STORE_OK);
	printf("EXPUNGE of 25000: %.1f ms, ", ms() - t);
	assert_int_equal(n, 25000);
	t = ms();
	while (store_busy(s) && rounds++ < 100)
		store_flush(s);
	printf("files afterwards: %.1f ms\n", ms() - t);
	assert_int_equal(folder_refresh(f), STORE_OK);
	assert_int_equal(folder_count(f), 25000);
	write_file(&b, "Maildir/new/1.2.3", "from outside\n");
	t = ms();
	assert_int_equal(folder_refresh(f), STORE_OK);
	printf("refresh after a change from outside: %.1f ms\n", ms() - t);
	assert_int_equal(folder_count(f), 25001);
	folder_close(f);
	store_close(s);
	close(fd);
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_large) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
