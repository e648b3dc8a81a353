/*
 * Ends the queue manager of a running suite at a chosen system call. Attached to fifed,
 * it follows every queued that fifed starts, counts the calls that change the spool or
 * send something, by site (call and directory, such as "rename drop"), and kills the
 * process as it enters the k-th call of a site, so that the call is not made; or, of a
 * write, after half of it.
 *
 * Standard input, a line each:	arm K HOW SITE	kill at the K-th from now on; HOW: before,
 *torn next K HOW SITE	the same from the first call of the next queued count
 *the sites so far, and begin at zero off Standard output: attached; exec PID; killed PID
 *HOW SITE; gone PID; and after count, "site N SITE" for each and "end".
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <linux/ptrace.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>
#include <unistd.h>

#define SITES_MAX 128
#define OPTIONS                                                             \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	    PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

struct site {
	char name[48];
	unsigned long count;
};

struct order {
	int armed, torn;
	unsigned long at;
	char site[48];
};

static struct site sites[SITES_MAX];
static size_t nsites;
static struct order now, next;
static pid_t target;   /* the queued that is followed, or 0 */
static pid_t torn_tid; /* kill it when its call returns */
static const char *program;

static int
call_of(uint64_t nr, const char **name, int *fd_arg, int *len_arg)
{
	*len_arg = -1;
	*fd_arg = 0;
	switch (nr) {
	case SYS_write:
	case SYS_pwrite64:
		*name = "write";
		*len_arg = 2;
		return 1;
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
		*name = "writev";
		return 1;
	case SYS_fdatasync:
		*name = "fdatasync";
		return 1;
	case SYS_fsync:
		*name = "fsync";
		return 1;
	case SYS_msync:
		*name = "msync";
		*fd_arg = -1;
		return 1;
	case SYS_ftruncate:
	case SYS_fallocate:
		*name = "allocate";
		return 1;
	case SYS_renameat:
	case SYS_renameat2:
		*name = "rename";
		return 1;
	case SYS_unlinkat:
		*name = "unlink";
		return 1;
	case SYS_mkdirat:
		*name = "mkdir";
		return 1;
	case SYS_sendmsg:
		*name = "sendmsg";
		return 1;
	default:
		return 0;
	}
}

/* The directory of the spool that a descriptor is in, or what else it is; 0: nothing that
 * lasts or leaves. */
static int
place_of(pid_t tid, int fd, char *out, size_t cap)
{
	char link[64], path[1024];
	const char *p;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	if (strncmp(path, "socket:", 7) == 0) {
		snprintf(out, cap, "channel");
		return 1;
	}
	p = strstr(path, "/spool");
	if (p == NULL)
		return 0;
	p += strlen("/spool");
	if (*p == '/')
		p++;
	snprintf(out, cap, "%.*s", (int)strcspn(p, "/"), *p == '\0' ? "spool" : p);
	return 1;
}

static struct site *
site_find(const char *name)
{
	for (size_t i = 0; i < nsites; i++) {
		if (strcmp(sites[i].name, name) == 0)
			return &sites[i];
	}
	if (nsites == SITES_MAX)
		errx(1, "too many sites");
	snprintf(sites[nsites].name, sizeof(sites[nsites].name), "%s", name);
	sites[nsites].count = 0;
	return &sites[nsites++];
}

/* Half of a write: its length is an argument of the call. */
static int
halve(pid_t tid, uint64_t len)
{
#ifdef __x86_64__
	struct user_regs_struct r;
	struct iovec io = { &r, sizeof(r) };

	if (len < 2 || ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) == -1)
		return 0;
	r.rdx = len / 2;
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0;
#elif defined(__aarch64__)
	struct user_regs_struct r;
	struct iovec io = { &r, sizeof(r) };

	if (len < 2 || ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) == -1)
		return 0;
	r.regs[2] = len / 2;
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0;
#else
	(void)tid;
	(void)len;
	return 0;
#endif
}

static void
end_target(const char *how, const char *site)
{
	printf("killed %d %s %s\n", (int)target, how, site);
	kill(target, SIGKILL);
	now.armed = 0;
	torn_tid = 0;
}

static void
on_entry(pid_t tid, const struct ptrace_syscall_info *si)
{
	const char *call;
	char place[32] = "memory", name[48];
	int fd_arg, len_arg;
	struct site *s;

	if (!call_of(si->entry.nr, &call, &fd_arg, &len_arg))
		return;
	if (fd_arg >= 0 &&
	    !place_of(tid, (int)si->entry.args[fd_arg], place, sizeof(place)))
		return;
	snprintf(name, sizeof(name), "%s %s", call, place);
	s = site_find(name);
	s->count++;
	if (!now.armed || strcmp(now.site, name) != 0 || --now.at != 0)
		return;
	if (now.torn && len_arg >= 0 && halve(tid, si->entry.args[len_arg])) {
		torn_tid = tid;
		return;
	}
	end_target("before", name);
}

static void
on_syscall(pid_t tid)
{
	struct ptrace_syscall_info si;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(si), &si) <= 0)
		return;
	if (si.op == PTRACE_SYSCALL_INFO_ENTRY)
		on_entry(tid, &si);
	else if (si.op == PTRACE_SYSCALL_INFO_EXIT && tid == torn_tid)
		end_target("torn", now.site);
}

static pid_t
process_of(pid_t tid)
{
	char path[64], line[128];
	FILE *f;
	int tgid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while (
	    fgets(line, sizeof(line), f) != NULL && sscanf(line, "Tgid: %d", &tgid) != 1)
		;
	fclose(f);
	return tgid;
}

static void
on_exec(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if ((f = fopen(path, "r")) != NULL) {
		if (fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';
		fclose(f);
	}
	name[strcspn(name, "\n")] = '\0';
	if (strcmp(name, program) != 0) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		return;
	}
	target = pid;
	now = next;
	next.armed = 0;
	nsites = 0;
	torn_tid = 0;
	printf("exec %d\n", (int)pid);
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
}

static void
on_stop(pid_t tid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;
	int follow = target != 0 && (tid == target || process_of(tid) == target);

	if (event == PTRACE_EVENT_EXEC) {
		on_exec(tid);
		return;
	}
	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		ptrace(PTRACE_LISTEN, tid, 0, 0);
		return;
	}
	if (sig == (SIGTRAP | 0x80)) {
		if (follow)
			on_syscall(tid);
		sig = 0;
	} else if (event != 0)
		sig = 0;
	ptrace(follow ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, (void *)(intptr_t)sig);
}

static void
reap(void)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (WIFSTOPPED(status))
			on_stop(tid, status);
		else if (tid == target) {
			printf("gone %d\n", (int)tid);
			target = 0;
			now.armed = 0;
		}
	}
	if (tid == -1 && errno == ECHILD)
		exit(0);
}

static void
order(char *line)
{
	struct order o = { .armed = 1 };
	char verb[8], how[8];
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "off") == 0) {
		now.armed = 0;
		return;
	}
	if (strcmp(line, "count") == 0) {
		for (size_t i = 0; i < nsites; i++)
			printf("site %lu %s\n", sites[i].count, sites[i].name);
		nsites = 0;
		printf("end\n");
		return;
	}
	if (sscanf(line, "%7s %lu %7s %n", verb, &o.at, how, &at) != 3 || at == 0 ||
	    o.at == 0)
		errx(1, "what is that: %s", line);
	o.torn = strcmp(how, "torn") == 0;
	snprintf(o.site, sizeof(o.site), "%s", line + at);
	if (strcmp(verb, "arm") == 0)
		now = o;
	else
		next = o;
}

static void
on_child(int sig)
{
	(void)sig;
}

int
main(int argc, char **argv)
{
	struct pollfd pfd = { .fd = 0, .events = POLLIN };
	struct sigaction sa = { .sa_handler = on_child };
	char buf[512];
	size_t len = 0;
	sigset_t block, none;
	pid_t parent;

	if (argc != 3)
		errx(2, "usage: killat PID-OF-FIFED PROGRAM");
	parent = (pid_t)strtol(argv[1], NULL, 10);
	program = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, NULL);
	sigaction(SIGCHLD, &sa, NULL);
	if (ptrace(PTRACE_SEIZE, parent, 0, (void *)OPTIONS) == -1)
		err(1, "attach to %d", (int)parent);
	printf("attached\n");
	for (;;) {
		ssize_t n;
		char *nl;

		reap();
		if (ppoll(&pfd, 1, NULL, &none) == -1) {
			if (errno == EINTR)
				continue;
			err(1, "ppoll");
		}
		if ((n = read(0, buf + len, sizeof(buf) - 1 - len)) <= 0)
			return 0;
		len += (size_t)n;
		buf[len] = '\0';
		while ((nl = strchr(buf, '\n')) != NULL) {
			*nl = '\0';
			order(buf);
			len -= (size_t)(nl + 1 - buf);
			memmove(buf, nl + 1, len + 1);
		}
	}
}
