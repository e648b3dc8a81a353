/* SPDX-License-Identifier: ISC */
/*
 * Each role enters its sandbox in a process of its own and then tries what must
 * fail, and what must still work. Needs root, as the daemons do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "common/sandbox_table.h"

#define UID_FIRST 20000u

static char root[] = "/tmp/fife-sandbox.XXXXXX";

static const enum role roles[] = {
#define GROUP(name, ...)
#define ROW(role, flags, ...) ROLE_##role,
#define PROBE(call, error)
#define DENY(call)
#include "common/sandbox_roles.def"
#undef GROUP
#undef ROW
#undef PROBE
#undef DENY
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What an attempt ends with; a signal is SIGNALLED. */
enum {
	DONE = 0,
	REFUSED = 10,
	NO_ENTRY = 11,
	SIGNALLED = 12
};

static uid_t
role_uid(enum role role)
{
	return role == ROLE_MBOXD ? 0 : UID_FIRST + role;
}

static void
enter(enum role role)
{
	struct sandbox s = { .role = role,
		.root = root,
		.uid = role_uid(role),
		.gid = role_uid(role),
		.files_max = 256 };
	const char *what;

	if (sandbox_enter(&s, &what) == -1) {
		dprintf(2, "%s: %s: %s\n", role_name(role), what, strerror(errno));
		_exit(NO_ENTRY);
	}
}

static int
attempt(enum role role, int (*try)(void))
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		enter(role);
		_exit(try() == 0 ? DONE : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) != SIGSYS && WTERMSIG(status) != SIGKILL)
			fail_msg("%s: signal %d", role_name(role), WTERMSIG(status));
		return SIGNALLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), NO_ENTRY);
	return WEXITSTATUS(status);
}

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY) == -1 ? -1 : 0;
}

static int
try_file(void)
{
	int fd = open("/new", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || write(fd, "x", 1) != 1 || fdatasync(fd) == -1 ||
	    close(fd) == -1 || mkdir("/dir", 0700) == -1 ||
	    rename("/new", "/dir/new") == -1 || unlink("/dir/new") == -1 ||
	    rmdir("/dir") == -1)
		return -1;
	return 0;
}

static int
try_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) == -1 ? -1 : 0;
}

static int
try_inet_connect(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(1) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1)
		return -1;
	return connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
		       errno != ECONNREFUSED
		   ? -1
		   : 0;
}

static int
try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) == -1 ? -1 : 0;
}

static int
try_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) == -1 ? -1 : 0;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == -1)
		return -1;
	if (pid == 0)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static void *
thread(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int
try_thread(void)
{
	pthread_t t;
	int ran = 0;

	return pthread_create(&t, NULL, thread, &ran) == 0 &&
		       pthread_join(t, NULL) == 0 && ran
		   ? 0
		   : -1;
}

static int
try_exec(void)
{
	char name[] = "true", *argv[] = { name, NULL };

	return execve("/bin/true", argv, argv + 1);
}

static int
try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 ? -1 : 0;
}

static int
try_mmap_exec(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) == MAP_FAILED
		   ? -1
		   : 0;
}

static int
try_mprotect_exec(void)
{
	void *p =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
try_setuid(void)
{
	return setuid(0);
}

static int
try_kill(void)
{
	return kill(getppid(), 0);
}

static int
try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
try_mount(void)
{
	return syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static int
try_mknod(void)
{
	return mknod("/null", S_IFCHR | 0666, 0x103);
}

static int
try_memfd(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd == -1 || ftruncate(fd, 100) == -1 ||
		       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW) == -1
		   ? -1
		   : 0;
}

static int
try_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd == -1 ? -1 : inotify_add_watch(fd, "/", IN_CREATE) == -1 ? -1 : 0;
}

static int
try_abort_self(void)
{
	return kill(getpid(), 0) == -1 || syscall(SYS_tgkill, getpid(), gettid(), 0) == -1
		   ? -1
		   : 0;
}

static int
try_ordinary(void)
{
	char c = 'x', *p[64];
	struct stat st;
	int fds[2];
	double table[400];

	if (pipe2(fds, O_CLOEXEC) == -1 || write(fds[1], &c, 1) != 1 ||
	    read(fds[0], &c, 1) != 1)
		return -1;
	for (size_t i = 0; i < N(p); i++) {
		if ((p[i] = malloc(i * 8192 + 1)) == NULL)
			return -1;
		memset(p[i], 0, i * 8192 + 1);
	}
	for (size_t i = 0; i < N(p); i++)
		free(p[i]);
	memset(table, 0, sizeof(table));
	if (fstat(fds[0], &st) == -1 || isatty(fds[0]) || sysconf(_SC_PAGESIZE) < 1 ||
	    sysconf(_SC_PHYS_PAGES) < 1)
		return -1;
	/* libraries look for files of the system: an error, not the end */
	if (fopen("/etc/localtime", "r") != NULL)
		return -1;
	return try_abort_self();
}

static void
must(enum role role, const char *name, int (*try)(void), int works)
{
	int result = attempt(role, try);

	if ((result == DONE) != works)
		fail_msg("%s: %s %s", role_name(role), name,
		    works ? "must work" : "must not work");
}

static int
permits(enum role role, const char *call)
{
	return sandbox_row_has(sandbox_row(role), call);
}

static void
test_attempts(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(roles); i++) {
		enum role r = roles[i];
		int cells = r == ROLE_MBOXD;

		if (r == ROLE_EXECD) /* test_programs() */
			continue;
		must(r, "ordinary work", try_ordinary, 1);
		must(r, "open", try_open, 0);
		must(r, "internet socket", try_inet,
		    r == ROLE_DNSD || r == ROLE_DELIVERD_REMOTE || r == ROLE_POLICYD);
		must(r, "connect", try_inet_connect,
		    r == ROLE_DNSD || r == ROLE_DELIVERD_REMOTE || r == ROLE_POLICYD);
		must(r, "local socket", try_unix, 0);
		must(r, "packet socket", try_packet, 0);
		must(r, "fork", try_fork, cells);
		must(r, "thread", try_thread, cells || r == ROLE_QUEUED);
		must(r, "exec", try_exec, 0);
		must(r, "ptrace", try_ptrace, 0);
		must(r, "executable memory", try_mmap_exec, 0);
		must(r, "making memory executable", try_mprotect_exec, 0);
		must(r, "setuid(0)", try_setuid, cells);
		must(r, "kill of another", try_kill, cells);
		must(r, "unshare", try_unshare, 0);
		must(r, "mount", try_mount, 0);
		must(r, "mknod", try_mknod, 0);
		must(r, "memfd", try_memfd, r == ROLE_QUEUED);
		must(r, "inotify", try_inotify, cells || r == ROLE_MAILBOX);
		/* the directory belongs to root: give it to the role for this one */
		assert_int_equal(permits(r, "openat"),
		    sandbox_row(r)->flags & (SANDBOX_ROOT_STATE | SANDBOX_ROOT_CELLS)
			? 1
			: 0);
		if (permits(r, "openat")) {
			assert_int_equal(chown(root, role_uid(r), role_uid(r)), 0);
			must(r, "own files", try_file, 1);
			assert_int_equal(chown(root, 0, 0), 0);
		} else {
			must(r, "files", try_file, 0);
		}
	}
}

static unsigned long long
status_value(pid_t pid, const char *key, int base)
{
	char path[64], line[256];
	unsigned long long value = ~0ull;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			value = strtoull(line + strlen(key) + 1, NULL, base);
	fclose(f);
	return value;
}

#define MBOXD_CAPS 0xebull | 1ull << 18

static void
check_facts(pid_t pid, enum role role, uid_t uid, const char *dir)
{
	char path[64], target[256];
	ssize_t n;

	assert_int_equal(status_value(pid, "Seccomp", 10), 2);
	assert_int_equal(status_value(pid, "NoNewPrivs", 10), 1);
	assert_int_equal(status_value(pid, "Uid", 10), uid);
	assert_int_equal(status_value(pid, "Gid", 10), uid);
	assert_int_equal(status_value(pid, "CapInh", 16), 0);
	assert_int_equal(status_value(pid, "CapAmb", 16), 0);
	assert_int_equal(
	    status_value(pid, "CapEff", 16), role == ROLE_MBOXD ? (MBOXD_CAPS) : 0);
	assert_int_equal(
	    status_value(pid, "CapPrm", 16), role == ROLE_MBOXD ? (MBOXD_CAPS) : 0);
	if (role != ROLE_MAILBOX)
		assert_int_equal(status_value(pid, "CapBnd", 16),
		    role == ROLE_MBOXD ? (MBOXD_CAPS) : 0);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	n = readlink(path, target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, dir);
}

static void
test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(roles); i++) {
		int in[2], out[2], status;
		char c = 0;
		pid_t pid;

		if (roles[i] == ROLE_EXECD)
			continue;
		assert_int_equal(pipe(in), 0);
		assert_int_equal(pipe(out), 0);
		if ((pid = fork()) == 0) {
			enter(roles[i]);
			if (write(out[1], "r", 1) != 1 || read(in[0], &c, 1) != 1)
				_exit(1);
			_exit(c == 'q' ? 0 : 1);
		}
		close(out[1]);
		assert_int_equal(read(out[0], &c, 1), 1);
		check_facts(pid, roles[i], role_uid(roles[i]), root);
		assert_int_equal(write(in[1], "q", 1), 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(in[0]);
		close(in[1]);
		close(out[0]);
	}
}

/* A mailbox process enters its own, smaller cell from within mboxd's. */
static void
test_mailbox_in_mboxd(void **state)
{
	char dir[sizeof(root) + 8], c;
	int pids[2], wait_fd[2], status;
	uid_t uid = UID_FIRST + 500;
	pid_t pid, inner;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/box", root);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chown(dir, uid, uid), 0);
	assert_int_equal(pipe(pids), 0);
	assert_int_equal(pipe(wait_fd), 0);
	if ((pid = fork()) == 0) {
		struct sandbox s = { .role = ROLE_MAILBOX,
			.root = "/box",
			.uid = uid,
			.gid = uid,
			.files_max = 512 };
		const char *what;

		enter(ROLE_MBOXD);
		if ((inner = fork()) == 0) {
			if (sandbox_enter(&s, &what) == -1) {
				dprintf(2, "mailbox: %s: %s\n", what, strerror(errno));
				_exit(NO_ENTRY);
			}
			if (try_ordinary() == -1 || try_file() == -1 ||
			    try_inotify() == -1)
				_exit(1);
			inner = getpid();
			if (write(pids[1], &inner, sizeof(inner)) != sizeof(inner) ||
			    read(wait_fd[0], &c, 1) != 1)
				_exit(1);
			if (try_fork() == 0)
				_exit(2);
			_exit(3);
		}
		if (waitpid(inner, &status, 0) != inner)
			_exit(1);
		_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 0 : 1);
	}
	close(pids[1]);
	assert_int_equal(read(pids[0], &inner, sizeof(inner)), sizeof(inner));
	check_facts(inner, ROLE_MAILBOX, uid, dir);
	assert_int_equal(write(wait_fd[1], "q", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pids[0]);
	close(wait_fd[0]);
	close(wait_fd[1]);
	assert_int_equal(rmdir(dir), 0);
}

/* ---- execd and what it starts ---- */

static int
try_program(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) == -1 ||
		    setresgid(UID_FIRST + 900, UID_FIRST + 900, UID_FIRST + 900) == -1 ||
		    setresuid(UID_FIRST + 900, UID_FIRST + 900, UID_FIRST + 900) == -1)
			_exit(1);
		execl("/bin/sh", "sh", "-c",
		    "test $(id -u) != 0 && ! chroot / true 2>/dev/null && "
		    "grep -q '^CapEff:.*0000000000000000$' /proc/self/status && "
		    "grep -q '^NoNewPrivs:.*1$' /proc/self/status",
		    NULL);
		_exit(1);
	}
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int
try_write_outside(void)
{
	/* Root by uid, but without the capability to pass over modes. */
	char path[sizeof(root) + 8];

	snprintf(path, sizeof(path), "%s/no", root);
	return mkdir(path, 0700);
}

static void
test_programs(void **state)
{
	static const struct {
		const char *name;
		int (*try)(void);
		int works;
	} rows[] = {
		{ "starting a program", try_program, 1 },
		{ "open", try_open, 1 },
		{ "internet socket", try_inet, 1 },
		{ "thread", try_thread, 1 },
		{ "files of others", try_write_outside, 0 },
		{ "ptrace", try_ptrace, 0 },
		{ "unshare", try_unshare, 0 },
		{ "mount", try_mount, 0 },
		{ "mknod", try_mknod, 0 },
	};
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chown(root, UID_FIRST + 900, UID_FIRST + 900), 0);
	assert_int_equal(chmod(root, 0700), 0);
	for (size_t i = 0; i < N(rows); i++) {
		if ((pid = fork()) == 0) {
			struct sandbox s = { .role = ROLE_EXECD };
			const char *what;

			if (sandbox_enter(&s, &what) == -1) {
				dprintf(2, "execd: %s: %s\n", what, strerror(errno));
				_exit(NO_ENTRY);
			}
			_exit(rows[i].try() == 0 ? DONE : REFUSED);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		/* Nothing is killed: an error is what a program can live with. */
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) != (rows[i].works ? DONE : REFUSED))
			fail_msg("execd: %s %s (%d)", rows[i].name,
			    rows[i].works ? "must work" : "must not work",
			    WEXITSTATUS(status));
	}
	assert_int_equal(chown(root, 0, 0), 0);
	assert_int_equal(chmod(root, 0755), 0);
	for (size_t i = 0; sandbox_denied(i) != NULL; i++)
		if (seccomp_syscall_resolve_name(sandbox_denied(i)) == __NR_SCMP_ERROR)
			fail_msg("%s is no system call", sandbox_denied(i));
}

static void
test_refuses(void **state)
{
	struct sandbox s = { .role = ROLE_SMTPD, .root = root };
	const char *what;

	(void)state;
	assert_int_equal(sandbox_enter(&s, &what), -1); /* as root */
	assert_int_equal(errno, EINVAL);
	s.uid = UID_FIRST;
	assert_int_equal(sandbox_enter(&s, &what), -1); /* in root's group */
	s.role = ROLE_NONE;
	s.gid = UID_FIRST;
	assert_int_equal(sandbox_enter(&s, &what), -1);
	assert_string_equal(what, "role that is not in the table");
	s.role = ROLE_SMTPD;
	s.root = "/nowhere/at/all";
	assert_int_equal(sandbox_enter(&s, &what), -1);
	assert_int_equal(errno, ENOENT);
}

static void
test_table(void **state)
{
	const char *name;

	(void)state;
	for (enum role r = ROLE_LOGD; r <= ROLE_AUTHD_WORKER; r++)
		assert_non_null(sandbox_row(r));
	assert_null(sandbox_row(ROLE_FIFED));
	assert_null(sandbox_permits(ROLE_AUTHD_WORKER, 0));
	assert_string_equal(sandbox_permits(ROLE_DNSD, 0), "socket:inet");
	for (size_t i = 0;
	     (name = sandbox_row_call(sandbox_row(ROLE_MAILBOX), i)) != NULL; i++) {
		char bare[64];

		snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(name, ":"), name);
		if (!permits(ROLE_MBOXD, name) && !permits(ROLE_MBOXD, bare))
			fail_msg("mailbox has %s, mboxd has not", name);
	}
	/* a typing error would be a call that is never permitted */
	for (size_t k = 0; k < N(roles); k++)
		for (size_t i = 0;
		     (name = sandbox_row_call(sandbox_row(roles[k]), i)) != NULL; i++) {
			char bare[64];

			snprintf(
			    bare, sizeof(bare), "%.*s", (int)strcspn(name, ":"), name);
			if (seccomp_syscall_resolve_name(bare) == __NR_SCMP_ERROR)
				fail_msg("%s is no system call", name);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_mailbox_in_mboxd),
		cmocka_unit_test(test_programs),
	};
	int r;

	if (geteuid() != 0) {
		printf("skipped: needs root\n");
		return 77;
	}
	if (mkdtemp(root) == NULL) {
		perror(root);
		return 1;
	}
	chmod(root, 0755);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return r;
}
