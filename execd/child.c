/* SPDX-License-Identifier: ISC */
/* From root to a program of the site; see child.h. */
#include "execd/child.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define ARGUMENTS_MAX 128
#define FILES_MAX 256
#define PROCESSES_MAX 256
#define CONTENT_FD 3

static void fail(const char *what) __attribute__((noreturn));
static void become_program(const struct child_start *) __attribute__((noreturn));

static void
fail(const char *what)
{
	dprintf(2, "%s: %s\n", what, strerror(errno));
	_exit(EX_TEMPFAIL);
}

static void
set_limits(const struct msg_conf_command *c)
{
	struct rlimit core = { 0, 0 }, files = { FILES_MAX, FILES_MAX },
		      processes = { PROCESSES_MAX, PROCESSES_MAX },
		      cpu = { c->timeout_s + 1, c->timeout_s + 2 },
		      memory = { c->memory, c->memory };

	if (setrlimit(RLIMIT_CORE, &core) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    setrlimit(RLIMIT_NPROC, &processes) == -1 ||
	    setrlimit(RLIMIT_CPU, &cpu) == -1)
		fail("limits");
#if !defined(__SANITIZE_ADDRESS__)
	if (setrlimit(RLIMIT_AS, &memory) == -1)
		fail("limits");
#else
	if (!c->maildir && setrlimit(RLIMIT_AS, &memory) == -1)
		fail("limits");
#endif
}

static void
give_up_root(const struct child_start *s)
{
	if (s->uid == 0 || s->gid == 0) {
		errno = EPERM;
		fail("root");
	}
	if (setgroups(1, &s->gid) == -1 || setresgid(s->gid, s->gid, s->gid) == -1 ||
	    setresuid(s->uid, s->uid, s->uid) == -1)
		fail("user");
	if (setuid(0) != -1 || geteuid() != s->uid || getegid() != s->gid) {
		errno = EPERM;
		fail("giving up root");
	}
#ifdef __linux__
	/* Not before: another uid takes it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		fail("end with the parent");
#endif
}

static void
signals_as_usual(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
become_program(const struct child_start *s)
{
	static char arguments[sizeof(s->command->arguments)];
	char *argv[ARGUMENTS_MAX + 2], *p = arguments, *word;
	int n = 0;

	strlcpy(arguments, s->command->arguments, sizeof(arguments));
	argv[n++] = (char *)(uintptr_t)s->command->path;
	while (n <= ARGUMENTS_MAX && *p != '\0' && (word = strsep(&p, "\n")) != NULL)
		argv[n++] = word;
	argv[n] = NULL;
	execve(s->command->path, argv, s->environment);
	fail(s->command->path);
}

/* All at once, for the new numbers may be old ones of each other. */
static void
arrange_descriptors(const struct child_start *s)
{
	int in = fcntl(s->input, F_DUPFD_CLOEXEC, 16),
	    out = fcntl(s->output, F_DUPFD_CLOEXEC, 16),
	    content = s->content == -1 ? -1 : fcntl(s->content, F_DUPFD_CLOEXEC, 16);

	if (in == -1 || out == -1 || dup2(in, 0) == -1 || dup2(out, 1) == -1 ||
	    dup2(out, 2) == -1)
		_exit(EX_TEMPFAIL);
	if (content != -1 && dup2(content, CONTENT_FD) == -1)
		fail("message");
	compat_closefrom(content != -1 ? CONTENT_FD + 1 : CONTENT_FD);
}

void
child_run(const struct child_start *s)
{
	signals_as_usual();
	(void)setsid(); /* the group that is ended with it */
	arrange_descriptors(s);
	umask(077);
	give_up_root(s);
	/* After the uid: processes are counted for it. */
	set_limits(s->command);
	if (chdir(s->home) == -1 && chdir("/") == -1)
		fail(s->home);
	if (s->command->maildir)
		_exit(maildir_deliver(
		    s->command->path, s->prefix, s->prefix_len, CONTENT_FD, s->size));
	become_program(s);
}
