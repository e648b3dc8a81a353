/* SPDX-License-Identifier: ISC */
/* Standard input and output of commands with much data; see command.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "fifectl/command.h"

#define PIECE 65536

/* 0: to the end; 1: reading failed; 2: writing failed. */
static int
carry(int from, int to)
{
	static char buf[PIECE];

	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf)), k;

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? 0 : 1;
		for (ssize_t done = 0; done < n; done += k) {
			k = write(to, buf + done, (size_t)(n - done));
			if (k == -1 && errno == EINTR)
				k = 0;
			if (k == -1)
				return 2;
		}
	}
}

static int
from_stdin(int fd, void *arg)
{
	/* A daemon that has read enough is no failure of the input. */
	return carry(STDIN_FILENO, fd) == 1;
}

static int
start(struct stream *s, int out, int (*source)(int, void *), void *arg)
{
	int ends[2], mine = out ? 0 : 1;

	s->pid = -1;
	s->out = out;
	if (pipe(ends) == -1)
		return -1;
	(void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	/* Of the daemon's end alone: each end has flags of its own. */
	if (fcntl(ends[!mine], F_SETFL, O_NONBLOCK) == -1)
		goto fail;
	(void)fflush(NULL);
	if ((s->pid = fork()) == -1)
		goto fail;
	if (s->pid == 0) {
		close(ends[!mine]);
		_exit((out ? carry(ends[0], STDOUT_FILENO) : source(ends[1], arg)) != 0);
	}
	close(ends[mine]);
	return ends[!mine];
fail:
	close(ends[0]);
	close(ends[1]);
	return -1;
}

int
stream_start(struct stream *s, int out)
{
	return start(s, out, from_stdin, NULL);
}

int
stream_start_source(struct stream *s, int (*source)(int, void *), void *arg)
{
	return start(s, 0, source, arg);
}

int
stream_end(struct stream *s)
{
	int status;

	if (s->pid == -1)
		return 0;
	/* It may sit on a terminal that nobody types at. */
	if (!s->out)
		kill(s->pid, SIGTERM);
	while (waitpid(s->pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	s->pid = -1;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGTERM && !s->out ? 0 : -1;
	return WEXITSTATUS(status) == 0 ? 0 : -1;
}
