/* SPDX-License-Identifier: ISC */
/* Posts that wait: once whatever is repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "listd/held.h"

#define LIST "talk@example.org"

static char dir[64];

static int
setup(void **state)
{
	strlcpy(dir, "/tmp/fife-held.XXXXXX", sizeof(dir));
	return mkdtemp(dir) == NULL ? -1 : held_open(dir);
}

static int
teardown(void **state)
{
	char cmd[128];

	held_close();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static int
put_of(const char *list, uint64_t queue_id, FILE *f, uint64_t size, struct held *h)
{
	*h = (struct held){ .time = 1000, .prefix_len = 4, .size = size };
	held_id(queue_id, 0, h->id);
	strlcpy(h->list, list, sizeof(h->list));
	strlcpy(h->author, "a\nb@example.net", sizeof(h->author));
	strlcpy(h->subject, "about\r\nthings", sizeof(h->subject));
	return held_put(h, "X: y", fileno(f));
}

static struct held
put(uint64_t queue_id, const char *text)
{
	struct held h;
	FILE *f = tmpfile();

	assert_non_null(f);
	fputs(text, f);
	fflush(f);
	assert_int_equal(put_of(LIST, queue_id, f, strlen(text), &h), 0);
	fclose(f);
	return h;
}

static int
count(const struct held *h, void *arg)
{
	++*(int *)arg;
	return 0;
}

static int
n_there(void)
{
	int n = 0;

	held_walk(count, &n);
	return n;
}

static void
test_once(void **state)
{
	struct held h = put(7, "message"), g;
	char buf[64], other[HELD_ID_LEN + 1];
	int fd;

	assert_true(held_id_valid(h.id));
	held_id(7, 1, other);
	assert_string_not_equal(h.id, other);
	/* The same delivery again. */
	put(7, "message");
	assert_int_equal(n_there(), 1);
	assert_int_equal(held_count(), 1);
	fd = held_get(h.id, &g);
	assert_int_not_equal(fd, -1);
	assert_string_equal(g.author, "a b@example.net");
	assert_string_equal(g.subject, "about  things");
	assert_int_equal(pread(fd, buf, sizeof(buf), (off_t)g.offset), (ssize_t)(4 + 7));
	assert_memory_equal(buf, "X: ymessage", 11);
	close(fd);
	/* An owner of another list has no say. */
	assert_int_equal(held_take(h.id, "more@example.org", 8, 2, &g), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(held_discard(h.id, "more@example.org"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(n_there(), 1);
	/* One delivery takes it, as often as it is repeated, and no other. */
	for (int i = 0; i < 3; i++) {
		fd = held_take(h.id, LIST, 9, 2, &g);
		assert_int_not_equal(fd, -1);
		assert_int_equal(g.size, 7);
		close(fd);
	}
	assert_int_equal(held_take(h.id, LIST, 10, 2, &g), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(n_there(), 0);
	/* The delivery that brought it comes late once more: it is not held again. */
	put(7, "message");
	assert_int_equal(n_there(), 0);
	held_forget(9);
	fd = held_take(h.id, LIST, 9, 2, &g);
	assert_int_not_equal(fd, -1);
	close(fd);
	held_forget(10);
	assert_int_equal(held_take(h.id, LIST, 9, 2, &g), -1);
}

static void
gone(const struct held *h, void *arg)
{
	++*(int *)arg;
}

static void
test_removed(void **state)
{
	struct held h = put(1, "one"), g;
	int n = 0;

	put(2, "two");
	held_expire(1000 + HELD_DAYS * 86400, gone, &n);
	assert_int_equal(n, 0);
	assert_int_equal(held_discard(h.id, LIST), 0);
	assert_int_equal(held_discard(h.id, LIST), -1);
	assert_int_equal(held_discard("../held/x", NULL), -1);
	assert_int_equal(held_get("../secret", &g), -1);
	held_expire(1001 + HELD_DAYS * 86400, gone, &n);
	assert_int_equal(n, 1);
	assert_int_equal(held_count(), 0);
}

/* A process that was killed leaves nothing that counts; what is damaged is no post. */
static void
test_restart(void **state)
{
	struct held h = put(3, "three"), g;
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/temp/hxxx", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	held_close();
	assert_int_equal(held_open(dir), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(held_count(), 1);
	snprintf(path, sizeof(path), "%s/held/%s", dir, h.id);
	assert_int_equal(truncate(path, 20), 0);
	assert_int_equal(held_get(h.id, &g), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(n_there(), 0);
}

/* What strangers send to one list takes neither the disk nor the room of the others. */
static void
test_flood(void **state)
{
	FILE *f = tmpfile();
	struct held h;
	uint64_t id = 0, size = HELD_LIST_OCTETS_MAX / 2;

	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 4096), 0);
	while (id < HELD_LIST_MAX)
		assert_int_equal(put_of("talk@example.org", ++id, f, 1, &h), 0);
	assert_int_equal(put_of("talk@example.org", ++id, f, 1, &h), -1);
	assert_int_equal(errno, EDQUOT);
	assert_int_equal(put_of("more@example.org", ++id, f, 1, &h), 0);
	/* One more for the first when an owner has seen to one. */
	assert_int_equal(held_discard(h.id, NULL), 0);
	held_id(1, 0, h.id);
	assert_int_equal(held_discard(h.id, NULL), 0);
	assert_int_equal(put_of("talk@example.org", ++id, f, 1, &h), 0);
	/* By octets, which are not read for that. */
	assert_int_equal(
	    put_of("more@example.org", ++id, f, HELD_LIST_OCTETS_MAX, &h), -1);
	assert_int_equal(errno, EDQUOT);
	/* That is not for want of octets in the message. */
	assert_int_equal(put_of("more@example.org", ++id, f, size, &h), -1);
	assert_int_equal(errno, EIO);
	fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
