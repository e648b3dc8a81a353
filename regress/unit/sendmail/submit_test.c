/* SPDX-License-Identifier: ISC */
/* With the suite down nothing may get lost, and nothing may be called kept that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "sendmail/drop.h"

static struct host host;
static char root[64];

static int
setup(void **state)
{
	char path[128];

	memset(&host, 0, sizeof(host));
	strlcpy(root, "/tmp/fife-submit-XXXXXX", sizeof(root));
	if (mkdtemp(root) == NULL)
		return -1;
	strlcpy(host.state, root, sizeof(host.state));
	snprintf(path, sizeof(path), "%s/public", root);
	mkdir(path, 0755);
	return 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd);
}

static void
make_message(struct message *m, const char *rcpt)
{
	const struct message_facts facts = {
		.sender = "a@b.c", .full_name = "", .domain = "b.c"
	};

	message_init(m, 0);
	assert_int_equal(message_add_rcpts(m, rcpt, strlen(rcpt)), 0);
	assert_int_equal(message_read(m, "Subject: x\n\n.dot\n", 17), 1);
	assert_int_equal(message_finish(m, &facts, 0), 0);
}

static void
test_down(void **state)
{
	uint8_t states[2] = { 0 };
	struct submit s = { .sender = "a@b.c", .rcpt_state = states };
	struct message m;
	char path[128], text[1024];
	struct stat st;
	glob_t g;
	FILE *f;
	size_t n;

	make_message(&m, "x@y.z, root");
	assert_int_equal(submit_message(&host, &s, &m), SUBMIT_TEMP);
	assert_int_equal(states[0], RCPT_LATER);
	assert_int_equal(states[1], RCPT_LATER);
	/* There is no such directory. */
	assert_int_equal(drop_message(&host, &s, &m), -1);
	snprintf(path, sizeof(path), "%s/spool", root);
	mkdir(path, 0711);
	snprintf(path, sizeof(path), "%s/spool/drop", root);
	mkdir(path, 01733);
	assert_int_equal(drop_message(&host, &s, &m), 0);
	snprintf(path, sizeof(path), "%s/spool/drop/*", root);
	assert_int_equal(glob(path, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	assert_int_equal(strncmp(strrchr(g.gl_pathv[0], '/'), "/m.", 3), 0);
	assert_int_equal(stat(g.gl_pathv[0], &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	f = fopen(g.gl_pathv[0], "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_int_equal(strncmp(text, "F a@b.c\nR x@y.z\nR root\n\nDate: ", 30), 0);
	assert_non_null(strstr(text, "\nSubject: x\n\n.dot\n"));
	globfree(&g);
	message_clear(&m);
}

/* A server in a child that says these lines, one after each line (or message) of ours. */
static pid_t
serve(const char *const *replies)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/public/submit", root);
	assert_int_equal(bind(l, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(l, 1), 0);
	if ((pid = fork()) == 0) {
		int fd = accept(l, NULL, NULL);
		FILE *f = fdopen(fd, "r+");
		char line[1024];

		for (; *replies != NULL; replies++) {
			dprintf(fd, "%s\r\n", *replies);
			if (strncmp(*replies, "354", 3) == 0) {
				do {
					if (fgets(line, sizeof(line), f) == NULL)
						_exit(1);
				} while (strcmp(line, ".\r\n") != 0);
			} else if (fgets(line, sizeof(line), f) == NULL)
				_exit(0);
		}
		_exit(0);
	}
	close(l);
	return pid;
}

static void
test_dialogues(void **state)
{
	static const struct {
		const char *replies[12];
		enum submit_result result;
		enum rcpt_state states[2];
	} rows[] = {
		{ { "220 x", "250-x\r\n250 y", "250 ok", "250 ok", "250 ok", "354 go",
		      "250 ok", "221 x" },
		    SUBMIT_OK, { RCPT_DONE, RCPT_DONE } },
		{ { "220 x", "250 y", "250 ok", "550 5.1.1 no", "250 ok", "354 go",
		      "250 ok", "221 x" },
		    SUBMIT_REFUSED, { RCPT_REFUSED, RCPT_DONE } },
		{ { "220 x", "250 y", "250 ok", "451 later", "250 ok", "354 go", "250 ok",
		      "221 x" },
		    SUBMIT_TEMP, { RCPT_LATER, RCPT_DONE } },
		{ { "220 x", "250 y", "250 ok", "250 ok", "452 4.5.3 many", "354 go",
		      "250 ok", "250 ok", "250 ok", "354 go", "250 ok", "221 x" },
		    SUBMIT_OK, { RCPT_DONE, RCPT_DONE } },
		{ { "220 x", "250 y", "250 ok", "250 ok", "250 ok", "354 go",
		      "554 5.7.1 virus", "221 x" },
		    SUBMIT_REFUSED, { RCPT_REFUSED, RCPT_REFUSED } },
		/* Dead behind the final dot. */
		{ { "220 x", "250 y", "250 ok", "250 ok", "250 ok", "354 go" },
		    SUBMIT_TEMP, { RCPT_LATER, RCPT_LATER } },
		{ { "421 busy" }, SUBMIT_TEMP, { RCPT_LATER, RCPT_LATER } },
		{ { "nonsense" }, SUBMIT_TEMP, { RCPT_LATER, RCPT_LATER } },
		{ { "220 x", "250 y", "552 5.3.4 large", "221 x" }, SUBMIT_REFUSED,
		    { RCPT_REFUSED, RCPT_REFUSED } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t states[2] = { 0 };
		struct submit s = { .sender = "a@b.c", .rcpt_state = states };
		struct message m;
		char path[128];
		pid_t pid = serve(rows[i].replies);

		make_message(&m, "x@y.z, root");
		if (submit_message(&host, &s, &m) != rows[i].result ||
		    states[0] != rows[i].states[0] || states[1] != rows[i].states[1])
			fail_msg("row %zu: %d %d", i, states[0], states[1]);
		message_clear(&m);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		snprintf(path, sizeof(path), "%s/public/submit", root);
		unlink(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dialogues, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
