/* SPDX-License-Identifier: ISC */
/*
 * Standard error of the daemons when fifed is in the background: a pipe to here,
 * so that nobody holds the terminal or pipe of whoever started us. What comes is
 * the last words of one that cannot start (before logd is there) and the reports
 * of sanitizers; it goes to the log line by line.
 */
#include "fifed/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"

#define LINE_ROOM 1024
/* More than this a second is a fault that the first lines have told already. */
#define LINES_PER_SECOND 50

static char line[LINE_ROOM];
static size_t line_len;

static void
line_end(struct suite *s)
{
	static uint64_t second;
	static unsigned int lines;

	if (line_len == 0)
		return;
	line[line_len] = '\0';
	line_len = 0;
	if (now_ms() / 1000 != second) {
		second = now_ms() / 1000;
		lines = 0;
	}
	if (++lines > LINES_PER_SECOND)
		return;
	/* Whoever waits for the start sees it at once. */
	if (!s->was_ready)
		fprintf(stderr, "%s\n", line);
	log_set_stderr(0);
	log_warnx("from a daemon: %s", line);
	log_set_stderr(s->foreground || !s->was_ready);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct suite *s = arg;
	char buf[2048];
	ssize_t n = read(fd, buf, sizeof(buf));

	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || line_len == LINE_ROOM - 1)
			line_end(s);
		if (buf[i] != '\n')
			line[line_len++] = buf[i];
	}
}

int
output_open(struct suite *s)
{
	struct event *ev;
	int p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return -1;
	/* Writers never wait for us: a full pipe loses words, not mail. */
	if (evutil_make_socket_nonblocking(p[0]) == -1 ||
	    evutil_make_socket_nonblocking(p[1]) == -1 ||
	    (ev = event_new(s->base, p[0], EV_READ | EV_PERSIST, on_read, s)) == NULL ||
	    event_add(ev, NULL) == -1) {
		close(p[0]);
		close(p[1]);
		return -1;
	}
	s->stderr_fd = p[1];
	return 0;
}
