/* SPDX-License-Identifier: ISC */
/* The day files on a real disk: days, bounds, age, errors, and reading back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "logd/files.h"
#include "logd/scan.h"

#define DAY_US (86400ll * 1000000)

static char top[4096];
static char dir[] = "/tmp/fife-logd.XXXXXX";
static int32_t today;

static int
setup(void **state)
{
	(void)state;
	if (mkdir("d", 0700) == -1 || chdir("d") == -1)
		return -1;
	files_configure(30, 1 << 20);
	return files_start(NULL);
}

static int
teardown(void **state)
{
	(void)state;
	files_close();
	return chdir("..") == -1 || system("rm -rf d") != 0 ? -1 : 0;
}

static size_t
size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == -1 ? 0 : (size_t)st.st_size;
}

static int64_t
at(int32_t day, int64_t us)
{
	return day * DAY_US + us;
}

static void
test_write_and_scan(void **state)
{
	char name[FILES_NAME_MAX];
	enum log_kind kind;
	struct scan *s;
	struct line l;
	int n = 0;
	int64_t last = 0;

	for (int i = 0; i < 3000; i++)
		files_line((enum log_kind)(i % LOG_KIND_MAX), at(today, 1000 + i),
		    "smtpd", 12, "received qid=1 from=<a\nb>");
	files_flush();
	files_name(name, LOG_SMTP, today);
	assert_true(size_of(name) > 600 * 50);
	assert_non_null(s = scan_new(SCAN_ALL, today, 0, NULL));
	while (scan_next(s, &l, &kind)) {
		assert_true(l.time_us > last);
		last = l.time_us;
		assert_null(memchr(l.text, '\n', l.text_len));
		n++;
	}
	assert_int_equal(n, 3000);
	/* later lines are found by asking again */
	files_line(LOG_SMTP, at(today, 9000), "smtpd", 12, "more");
	files_flush();
	assert_int_equal(scan_next(s, &l, &kind), 1);
	assert_int_equal(kind, LOG_SMTP);
	assert_int_equal(scan_next(s, &l, &kind), 0);
	scan_free(s);
	/* the end of the files only; the cut line is left out */
	assert_non_null(s = scan_new(1u << LOG_HOST, today, 200, NULL));
	for (n = 0; scan_next(s, &l, &kind); n++)
		assert_int_equal(kind, LOG_HOST);
	assert_in_range(n, 1, 3);
	scan_free(s);
	scan_free(NULL);
}

static void
test_scan_rubbish(void **state)
{
	char name[FILES_NAME_MAX], *big = malloc(200000);
	enum log_kind kind;
	struct scan *s;
	struct line l;
	int fd;

	assert_non_null(big);
	memset(big, 'x', 200000);
	files_name(name, LOG_HOST, today);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "\n\nrubbish\n", 10), 10);
	assert_int_equal(write(fd, big, 200000), 200000);
	assert_int_equal(
	    write(fd, "\n2026-11-24T18:40:00.123456Z a[1] good\nhalf", 43), 43);
	close(fd);
	free(big);
	assert_non_null(s = scan_new(SCAN_ALL, today, 0, NULL));
	assert_int_equal(scan_next(s, &l, &kind), 1);
	assert_memory_equal(l.text, "good", 4);
	assert_int_equal(scan_next(s, &l, &kind), 0);
	scan_free(s);
}

static void
test_days(void **state)
{
	char name[FILES_NAME_MAX];
	int32_t first, last;
	enum log_kind kind;
	int32_t day;

	assert_int_equal(files_days(&first, &last), -1);
	files_line(LOG_LOGIN, at(today, -1), "imapd", 1, "login user=a");
	files_line(LOG_LOGIN, at(today, 0), "imapd", 1, "login user=b");
	files_line(LOG_LOGIN, at(today, -2), "imapd", 1, "login user=c"); /* a late one */
	files_line(LOG_LOGIN, at(today, 3), "imapd", 1, "login user=d");
	files_flush();
	files_name(name, LOG_LOGIN, today - 1);
	assert_int_equal(size_of(name),
	    2 * strlen("2026-11-24T18:40:00.123456Z imapd[1] login user=a\n"));
	files_name(name, LOG_LOGIN, today);
	assert_int_equal(size_of(name),
	    2 * strlen("2026-11-24T18:40:00.123456Z imapd[1] login user=a\n"));
	assert_int_equal(files_days(&first, &last), 0);
	assert_int_equal(first, today - 1);
	assert_int_equal(last, today);
	assert_int_equal(files_name_parse(name, &kind, &day), 0);
	assert_int_equal(kind, LOG_LOGIN);
	assert_int_equal(day, today);
	assert_int_equal(files_name_parse("smtp-2026-11-24.log.gz", &kind, &day), -1);
	assert_int_equal(files_name_parse("smtp-2026-11-99.log", &kind, &day), -1);
}

static void
test_expire(void **state)
{
	char old[FILES_NAME_MAX], young[FILES_NAME_MAX];

	files_configure(7, 1 << 20);
	files_name(old, LOG_SMTP, today - 8);
	files_name(young, LOG_SMTP, today - 7);
	close(open(old, O_WRONLY | O_CREAT, 0600));
	close(open(young, O_WRONLY | O_CREAT, 0600));
	close(open("notes", O_WRONLY | O_CREAT, 0600));
	files_expire(today);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(access(young, F_OK), 0);
	assert_int_equal(access("notes", F_OK), 0);
}

static void
test_bound(void **state)
{
	char name[FILES_NAME_MAX], tail[4096];
	size_t size;
	FILE *f;

	files_configure(30, 100000);
	for (int i = 0; i < 5000; i++)
		files_line(LOG_SMTP, at(today, i), "smtpd", 1,
		    "received qid=1 from=<a@b> size=10");
	files_line(LOG_HOST, at(today, 0), "smtpd", 1, "another kind has room");
	files_flush();
	files_name(name, LOG_SMTP, today);
	size = size_of(name);
	assert_in_range(size, 90000, 100000);
	assert_true(files_stats()->lost_bound > 3000);
	assert_int_equal(files_stats()->full, 1);
	f = fopen(name, "r");
	assert_non_null(f);
	fseek(f, -200, SEEK_END);
	tail[fread(tail, 1, sizeof(tail) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(tail, "log-full kind=smtp limit=100000"));
	/* the next day has room again */
	files_line(LOG_SMTP, at(today + 1, 0), "smtpd", 1, "next");
	assert_int_equal(files_stats()->full, 0);
}

static void
test_full_disk(void **state)
{
	struct rlimit none = { 3000, RLIM_INFINITY },
		      all = { RLIM_INFINITY, RLIM_INFINITY };
	char name[FILES_NAME_MAX], line[256], last[256] = "";
	FILE *f;
	int told = 0;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* stands for ENOSPC */
	for (int i = 0; i < 100; i++)
		files_line(
		    LOG_SMTP, at(today, i), "smtpd", 1, "received qid=1 from=<a@b>");
	files_flush();
	assert_int_not_equal(files_stats()->error, 0);
	assert_int_not_equal(files_stats()->lost_disk, 0);
	files_name(name, LOG_SMTP, today);
	assert_true(size_of(name) <= 3000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	for (int i = 0; i < 3; i++) {
		files_line(LOG_SMTP, at(today, 1000 + i), "smtpd", 1,
		    "received qid=2 from=<a@b>");
		files_flush();
	}
	assert_int_equal(files_stats()->error, 0);
	f = fopen(name, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		assert_memory_equal(line + 26, "Z ", 2); /* no half lines */
		told += strstr(line, "log-lost count=") != NULL;
		snprintf(last, sizeof(last), "%s", line);
	}
	fclose(f);
	assert_int_equal(told, 1);
	assert_non_null(strstr(last, "qid=2"));
}

static void
test_no_directory(void **state)
{
	/* gone below us: lines are lost and counted, nothing else */
	assert_int_equal(rmdir("../d"), 0);
	files_line(LOG_SMTP, at(today, 1), "smtpd", 1, "received");
	files_flush();
	assert_int_equal(files_stats()->error, ENOENT);
	assert_int_equal(files_stats()->lost_disk, 1);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(chdir("d"), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_write_and_scan),
		T(test_scan_rubbish),
		T(test_days),
		T(test_expire),
		T(test_bound),
		T(test_full_disk),
		T(test_no_directory),
	};
	int r;

	if (getcwd(top, sizeof(top)) == NULL || mkdtemp(dir) == NULL ||
	    chdir(dir) == -1) {
		perror(dir);
		return 1;
	}
	today = (int32_t)(time(NULL) / 86400);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir(top) == -1 || rmdir(dir) == -1)
		perror(dir);
	return r;
}
