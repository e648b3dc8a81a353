/* SPDX-License-Identifier: ISC */
/* What a program gets and what its end means: environment, content, exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>

#include "common/compat/compat.h"
#include "execd/child.h"
#include "execd/environment.h"
#include "execd/feed.h"
#include "execd/sysexits.h"

#define EXITED(n) ((n) << 8)

static void
exit_status(void **state)
{
	static const struct {
		int status;
		const char *output;
		enum job_status result;
		const char *enhanced;
		const char *text;
	} rows[] = {
		{ EXITED(0), "", JOB_DELIVERED, "2.0.0", "p took it" },
		{ EXITED(0), "\n \r\n stored as 7\r\nmore\n", JOB_DELIVERED, "2.0.0",
		    "p: stored as 7" },
		{ EXITED(99), "", JOB_DELIVERED, "2.0.0", "p took it" },
		{ EXITED(67), "", JOB_FAILED, "5.1.1", "p knows no such user" },
		{ EXITED(67), "who?", JOB_FAILED, "5.1.1", "p: who?" },
		{ EXITED(75), "", JOB_DEFERRED, "4.3.0", "p asks to try again later" },
		{ EXITED(111), "busy\n", JOB_DEFERRED, "4.3.0", "p: busy" },
		{ EXITED(100), "", JOB_FAILED, "5.3.0", "p refused it" },
		{ EXITED(77), "5.7.1 not today", JOB_FAILED, "5.7.1", "p: not today" },
		{ EXITED(77), "5.7.1", JOB_FAILED, "5.7.1", "p does not permit that" },
		/* A code of another class is text. */
		{ EXITED(75), "5.7.1 not today", JOB_DEFERRED, "4.3.0",
		    "p: 5.7.1 not today" },
		{ EXITED(77), "5.7 no", JOB_FAILED, "5.7.0", "p: 5.7 no" },
		{ EXITED(77), "5.7000.1 no", JOB_FAILED, "5.7.0", "p: 5.7000.1 no" },
		/* Mistakes return no mail. */
		{ EXITED(1), "", JOB_DEFERRED, "4.3.0", "p ended with status 1" },
		{ EXITED(127), "sh: not found", JOB_DEFERRED, "4.3.0",
		    "p: sh: not found" },
		{ 9, "", JOB_DEFERRED, "4.3.0", "p was ended by signal 9" },
		{ EXITED(1), "\x1b[31mred\x7f", JOB_DEFERRED, "4.3.0", "p: ?[31mred?" },
		{ EXITED(1), "\xff\xc3\xbc", JOB_DEFERRED, "4.3.0", "p: ???" },
		{ EXITED(1), "\xc3\xbc", JOB_DEFERRED, "4.3.0", "p: \xc3\xbc" },
	};
	struct msg_exec_ran r;
	char longest[4096];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sysexits_judge(
		    "p", rows[i].status, rows[i].output, strlen(rows[i].output), &r);
		assert_int_equal(r.status, rows[i].result);
		assert_string_equal(r.enhanced, rows[i].enhanced);
		assert_string_equal(r.text, rows[i].text);
	}
	/* Cut at the edge of a character; a NUL is just another control. */
	memset(longest, 'a', sizeof(longest));
	longest[0] = '\0';
	memcpy(longest + 399, "\xc3\xbc", 2);
	sysexits_judge("p", EXITED(1), longest, sizeof(longest), &r);
	assert_int_equal(strlen(r.text), 3 + 399);
	assert_memory_equal(r.text, "p: ?aaa", 7);
}

static const char *
value(const struct environment *e, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < e->n; i++)
		if (strncmp(e->v[i], name, len) == 0 && e->v[i][len] == '=')
			return e->v[i] + len + 1;
	return NULL;
}

static void
environment(void **state)
{
	static struct msg_exec_run run;
	struct environment_facts f = { &run, "", "/home" };
	struct environment e;

	strlcpy(run.command, "cmd", sizeof(run.command));
	strlcpy(run.owner, "anna@d.test", sizeof(run.owner));
	strlcpy(run.sender, "\"a b\n`$(x)`;|&\"@s.test", sizeof(run.sender));
	strlcpy(run.recipient, "anna+x+y@d.test", sizeof(run.recipient));
	strlcpy(run.qid, "1a", sizeof(run.qid));
	assert_int_equal(environment_make(&e, &f), 0);
	assert_string_equal(value(&e, "SENDER"), "_a_b____x______@s.test");
	assert_string_equal(value(&e, "RECIPIENT"), "anna+x+y@d.test");
	assert_string_equal(value(&e, "LOCAL"), "anna+x+y");
	assert_string_equal(value(&e, "EXTENSION"), "x+y");
	assert_string_equal(value(&e, "EXT"), "x+y");
	assert_string_equal(value(&e, "MAILBOX"), "anna");
	assert_string_equal(value(&e, "DOMAIN"), "d.test");
	assert_string_equal(value(&e, "USER"), "anna");
	assert_string_equal(value(&e, "HOME"), "/home");
	assert_string_equal(value(&e, "QUEUE_ID"), "1a");
	assert_null(e.v[e.n]);
	environment_clear(&e);
	f.user = "archive";
	run.sender[0] = '\0';
	strlcpy(run.recipient, "+@d.test", sizeof(run.recipient));
	assert_int_equal(environment_make(&e, &f), 0);
	assert_string_equal(value(&e, "USER"), "archive");
	assert_string_equal(value(&e, "SENDER"), "");
	assert_string_equal(value(&e, "EXTENSION"), "");
	environment_clear(&e);
}

static int
file_of(const char *text, size_t len)
{
	char path[] = "/tmp/programs_test.XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	assert_int_equal(write(fd, text, len), len);
	return fd;
}

static void
content(void **state)
{
	static char out[2 * FEED_ROOM], all[3 * FEED_ROOM], big[FEED_ROOM + 1];
	static const char body[] = "a\r\nb\rc\n\r\r\nd\r";
	struct feed *f = malloc(sizeof(*f));
	size_t len = 0;
	ptrdiff_t n;
	int fd = file_of(body, sizeof(body) - 1);

	assert_non_null(f);
	feed_init(f, (const uint8_t *)"P: 1\r\n\r", 7, fd, sizeof(body) - 1);
	while ((n = feed_next(f, out)) > 0) {
		memcpy(all + len, out, (size_t)n);
		len += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(len, 16);
	assert_memory_equal(all, "P: 1\n\ra\nb\rc\n\r\nd\r", 16);
	/* Shorter than it should be. */
	feed_init(f, NULL, 0, fd, sizeof(body));
	while ((n = feed_next(f, out)) > 0)
		;
	assert_int_equal(n, -1);
	close(fd);
	/* A line's end on the edge of what is read. */
	memset(big, 'x', sizeof(big));
	big[FEED_ROOM - 1] = '\r';
	big[FEED_ROOM] = '\n';
	fd = file_of(big, sizeof(big));
	feed_init(f, NULL, 0, fd, sizeof(big));
	len = 0;
	while ((n = feed_next(f, out)) > 0) {
		assert_null(memchr(out, '\r', (size_t)n));
		len += (size_t)n;
	}
	assert_int_equal(len, FEED_ROOM);
	close(fd);
	free(f);
}

static void
maildir(void **state)
{
	char dir[] = "/tmp/programs_test.XXXXXX", path[64], cwd[4096], command[200];
	struct dirent *e;
	int fd = file_of("body\r\n", 6), n = 0;
	DIR *d;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/M", dir);
	assert_int_equal(
	    maildir_deliver(path, (const uint8_t *)"A: 1\r\n\r\n", 8, fd, 6), 0);
	assert_int_equal(
	    maildir_deliver(path, (const uint8_t *)"A: 1\r\n\r\n", 8, fd, 6), 0);
	/* A message that is cut leaves nothing. */
	assert_int_not_equal(maildir_deliver(path, NULL, 0, fd, 7), 0);
	assert_int_equal(chdir(cwd), 0);
	snprintf(path, sizeof(path), "%s/M/tmp", dir);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/M/new", dir);
	assert_non_null(d = opendir(path));
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, 2);
	close(fd);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_status),
		cmocka_unit_test(environment),
		cmocka_unit_test(content),
		cmocka_unit_test(maildir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
