/* SPDX-License-Identifier: ISC */
/* What several processes count together: with a real neighbour, who is killed, and with
 * one who writes nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/counts.h"
#include "smtpd/counts.h"
#include "smtpd/limit.h"
#include "smtpd/rate.h"

static int pages[2][2];
/* Of the vectors of SipHash. */
static const uint64_t secret[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
static const uint64_t hour = 3600000;

static const struct sockaddr *
address(const char *text)
{
	static struct sockaddr_in in;

	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return (const struct sockaddr *)(const void *)&in;
}

static int
take(const char *text, uint32_t total, uint32_t per_client)
{
	const struct limits l = { total, per_client, 0 };

	return limit_take(address(text), &l);
}

static int
again(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void
attach(uint32_t me)
{
	counts_attach(me, 1, again(pages[me][0]), secret);
	counts_attach(!me, 0, again(pages[!me][1]), secret);
}

static int
setup(void **state)
{
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    compat_shared_create("test", sizeof(struct counts_page), pages[i]),
		    0);
	return 0;
}

/* A neighbour does that, says so and lives until it is killed. */
static pid_t
neighbour(void (*run)(void))
{
	int p[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		alarm(60);
		run();
		(void)!write(p[1], "x", 1);
		for (;;)
			pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static void
end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* As fifed does. */
static void
wipe(int page)
{
	static const struct counts_live none;

	assert_int_equal(
	    pwrite(pages[page][0], &none, sizeof(none), 0), (ssize_t)sizeof(none));
}

static void
busy_neighbour(void)
{
	uint8_t key[RATE_KEY];

	attach(1);
	for (int i = 0; i < 3; i++)
		if (take("192.0.2.1", 1000, 0) != 0)
			_exit(1);
	rate_key(address("192.0.2.1"), 32, key);
	for (int i = 0; i < 3; i++)
		if (rate_take(COUNTS_CONNECTIONS, key, 10, hour, hour) != 0)
			_exit(1);
}

static void
test_neighbour(void **state)
{
	uint8_t key[RATE_KEY];
	pid_t pid;

	pid = neighbour(busy_neighbour);
	attach(0);
	assert_true(counts_tag(0, (const uint8_t[]){ 1, 2, 3, 4, 5, 6, 7, 8, 9 }) ==
		    0x7a5dbbc594ddb9f3u);
	/* 3 are there. */
	assert_int_equal(take("192.0.2.1", 1000, 3), -1);
	assert_int_equal(take("192.0.2.1", 1000, 4), 0);
	assert_int_equal(take("192.0.2.1", 1000, 4), -1);
	assert_int_equal(take("192.0.2.2", 1000, 1), 0);
	assert_int_equal(take("192.0.2.3", 5, 1), -1);
	assert_int_equal(take("192.0.2.3", 6, 1), 0);
	rate_key(address("192.0.2.1"), 32, key);
	for (int i = 0; i < 7; i++)
		assert_int_equal(rate_take(COUNTS_CONNECTIONS, key, 10, hour, hour), 0);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key, 10, hour, hour), -1);
	assert_true(rate_is_over(COUNTS_CONNECTIONS, key, 10, hour, hour));
	/* Its connections end with it; how often it was there stays known. */
	end(pid);
	wipe(1);
	assert_int_equal(take("192.0.2.1", 4, 2), 0);
	assert_int_equal(take("192.0.2.1", 5, 2), -1);
	assert_true(rate_is_over(COUNTS_CONNECTIONS, key, 10, hour, hour));
	limit_drop(address("192.0.2.1"));
	limit_drop(address("192.0.2.1"));
	limit_drop(address("192.0.2.2"));
	limit_drop(address("192.0.2.3"));
}

static void
mad_neighbour(void)
{
	struct counts_page *p =
	    mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, pages[1][0], 0);

	if (p == MAP_FAILED)
		_exit(1);
	memset((void *)p, 0xff, sizeof(*p));
	if (ftruncate(pages[1][0], 0) == 0)
		_exit(1);
}

static void
test_mad_neighbour(void **state)
{
	uint8_t key[RATE_KEY];
	pid_t pid;

	attach(0);
	pid = neighbour(mad_neighbour);
	assert_int_equal(take("192.0.2.9", 1, 1), 0);
	assert_int_equal(take("192.0.2.9", 1, 1), -1);
	limit_drop(address("192.0.2.9"));
	assert_int_equal(take("192.0.2.9", 1, 1), 0);
	limit_drop(address("192.0.2.9"));
	rate_key(address("192.0.2.9"), 32, key);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key, 1, hour, hour), 0);
	assert_int_equal(rate_take(COUNTS_CONNECTIONS, key, 1, hour, hour), -1);
	end(pid);
	wipe(1);
}

/* Who has the descriptor to read cannot write, nor make the page shorter. */
static void
test_read_only(void **state)
{
	struct counts_page *p;

	assert_int_equal(pwrite(pages[1][1], "x", 1, 0), -1);
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, pages[1][1], 0);
	assert_ptr_equal(p, MAP_FAILED);
	assert_int_equal(ftruncate(pages[1][0], 1), -1);
	assert_int_equal(ftruncate(pages[1][0], 1 << 30), -1);
	/* What is no page is not taken. */
	counts_attach(COUNTS_PAGES_MAX, 0, again(pages[1][1]), secret);
	counts_attach(2, 0, open("/dev/null", O_RDONLY | O_CLOEXEC), secret);
	counts_attach(2, 0, -1, secret);
}

/* More clients in a bucket than it has cells: ours are counted all the same. */
static void
test_crowd(void **state)
{
	char text[32];

	for (int i = 0; i < 60000; i++) {
		snprintf(
		    text, sizeof(text), "10.%d.%d.%d", i / 65536, i / 256 % 256, i % 256);
		assert_int_equal(take(text, 100000, 1), 0);
		assert_int_equal(take(text, 100000, 1), -1);
	}
	for (int i = 0; i < 60000; i++) {
		snprintf(
		    text, sizeof(text), "10.%d.%d.%d", i / 65536, i / 256 % 256, i % 256);
		limit_drop(address(text));
	}
	assert_int_equal(take("10.0.0.1", 1, 1), 0);
	limit_drop(address("10.0.0.1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbour),
		cmocka_unit_test(test_mad_neighbour),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
