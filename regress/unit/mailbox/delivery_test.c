/* SPDX-License-Identifier: ISC */
/* Local delivery: content, the same delivery twice, kills, torn files, quota. */
#include <signal.h>
#include <sys/wait.h>

#include "common/crc32c.h"
#include "regress/unit/mailbox/fixture.h"

#define PREFIX "Return-Path: <a@b>\r\n"

static int
content_fd(const char *text)
{
	char path[] = "/tmp/fife-content-XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static enum store_error
deliver(struct store *s, const char *folder, uint64_t id, uint32_t rcpt, uint64_t oldest,
    const char *text, int *again)
{
	struct delivery d = { id, rcpt, strlen(text), crc32c(0, text, strlen(text)),
		oldest };
	enum store_error error;
	int fd = content_fd(text);

	error = store_deliver(s, folder, &d, PREFIX, strlen(PREFIX), fd, 0, again);
	close(fd);
	return error;
}

static size_t
count(struct store *s, const char *folder)
{
	struct folder *f;
	size_t n;

	assert_int_equal(folder_open(s, folder, &f), STORE_OK);
	n = folder_count(f);
	folder_close(f);
	return n;
}

static void
test_crc(void **state)
{
	/* RFC 3720, B.4. */
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "12345", 5), "6789", 4), 0xe3069283);
}

static void
test_once(void **state)
{
	struct folder *f;
	struct store *s;
	struct box b;
	uint32_t uid = 1;
	int again;

	box_make(&b);
	s = box_open(&b);
	assert_int_equal(deliver(s, "INBOX", 10, 0, 1, "one\r\n", &again), STORE_OK);
	assert_int_equal(again, 0);
	assert_int_equal(deliver(s, "INBOX", 10, 0, 1, "one\r\n", &again), STORE_OK);
	assert_int_equal(again, 1);
	/* Another recipient, another message of the same number. */
	assert_int_equal(deliver(s, "INBOX", 10, 1, 1, "one\r\n", &again), STORE_OK);
	assert_int_equal(again, 0);
	assert_int_equal(deliver(s, "INBOX", 10, 1, 1, "two\r\n", &again), STORE_OK);
	assert_int_equal(again, 0);
	assert_int_equal(deliver(s, "Junk", 11, 0, 1, "", &again), STORE_OK);
	assert_int_equal(count(s, "INBOX"), 3);
	assert_int_equal(count(s, "Junk"), 1);
	assert_int_equal(folder_open(s, "INBOX", &f), STORE_OK);
	assert_content(f, 1, PREFIX "one\r\n");
	/* Also when the user has expunged it. */
	assert_int_equal(folder_expunge(f, &uid, 1, 1, NULL), STORE_OK);
	folder_close(f);
	assert_int_equal(deliver(s, "INBOX", 10, 0, 1, "one\r\n", &again), STORE_OK);
	assert_int_equal(again, 1);
	store_close(s);
	s = box_open(&b);
	assert_int_equal(deliver(s, "INBOX", 10, 0, 1, "one\r\n", &again), STORE_OK);
	assert_int_equal(again, 1);
	assert_int_equal(deliver(s, "Junk", 11, 0, 1, "", &again), STORE_OK);
	assert_int_equal(again, 1);
	/* The queue has forgotten them all; its numbers may come again. */
	assert_int_equal(deliver(s, "INBOX", 20, 0, 20, "x\r\n", &again), STORE_OK);
	assert_int_equal(deliver(s, "INBOX", 11, 0, 20, "", &again), STORE_OK);
	assert_int_equal(again, 0);
	store_close(s);
	box_remove(&b);
}

static void
test_killed_and_torn(void **state)
{
	struct store *s;
	struct box b;
	char path[600];
	int again, status;
	pid_t pid;

	box_make(&b);
	if ((pid = fork()) == 0) {
		s = box_open(&b);
		for (uint64_t i = 1; i <= 50; i++)
			(void)deliver(s, "INBOX", i, 0, 1, "text\r\n", &again);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	s = box_open(&b);
	assert_int_equal(count(s, "INBOX"), 50);
	for (uint64_t i = 1; i <= 50; i++) {
		assert_int_equal(
		    deliver(s, "INBOX", i, 0, 1, "text\r\n", &again), STORE_OK);
		assert_int_equal(again, 1);
	}
	store_close(s);
	/* The log's last records never came to the disk, the files did. */
	snprintf(path, sizeof(path), "%s/index/log", b.dir);
	assert_int_equal(truncate(path, 64), 0);
	s = box_open(&b);
	assert_int_equal(count(s, "INBOX"), 50);
	assert_int_equal(deliver(s, "INBOX", 50, 0, 1, "text\r\n", &again), STORE_OK);
	assert_int_equal(again, 1);
	store_close(s);
	/* A file with the right length and the wrong octets. */
	file_of(&b, "Maildir/cur", 7, path, sizeof(path));
	write_file(&b, path + strlen(b.dir) + 1, PREFIX "\1\2\3\4\5\6");
	s = box_open(&b);
	assert_int_equal(deliver(s, "INBOX", 7, 0, 1, "text\r\n", &again), STORE_OK);
	assert_int_equal(again, 0);
	assert_int_equal(count(s, "INBOX"), 50);
	store_close(s);
	box_remove(&b);
}

static void
test_full_and_short(void **state)
{
	struct delivery d = { 5, 0, 100, 0, 1 };
	struct store *s;
	struct box b;
	int again, fd = content_fd("short");

	box_make(&b);
	assert_int_equal(store_open(b.fd, 100, &s), STORE_OK);
	assert_int_equal(deliver(s, "INBOX", 1, 0, 1, "1234567890", &again), STORE_OK);
	assert_int_equal(store_deliver(s, "INBOX", &d, "", 0, fd, 0, &again), STORE_FULL);
	d.size = 50;
	assert_int_equal(store_deliver(s, "INBOX", &d, "", 0, fd, 0, &again), STORE_IO);
	assert_int_equal(count(s, "INBOX"), 1);
	close(fd);
	store_close(s);
	box_remove(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_killed_and_torn),
		cmocka_unit_test(test_full_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
