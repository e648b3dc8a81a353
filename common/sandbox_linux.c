/* SPDX-License-Identifier: ISC */
/*
 * Linux: capabilities, no_new_privs, Landlock where the kernel has it, and the
 * system-call filter through libseccomp. Built with SANDBOX_LOG, for development,
 * the filter logs what it would kill for (see the audit lines of dmesg).
 */
#ifdef __linux__

#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>
#include <linux/filter.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/sandbox_table.h"

/* mboxd and execd keep rights of root. */
#define CAP(c) (1ull << (c))
#define MBOXD_CAPS                                                                  \
	(CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SYS_CHROOT) | CAP(CAP_CHOWN) | \
	    CAP(CAP_DAC_OVERRIDE) | CAP(CAP_KILL) | CAP(CAP_FOWNER))
#define EXECD_CAPS (CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_KILL))

/* linux/landlock.h of Debian 12 stops at ABI 2, so all of it stands here. */
#define LL_CREATE_RULESET 444
#define LL_ADD_RULE 445
#define LL_RESTRICT_SELF 446
#define LL_CREATE_RULESET_VERSION 1u
#define LL_RULE_PATH_BENEATH 1
#define LL_FS_EXECUTE (1ull << 0)
#define LL_FS_MAKE_CHAR (1ull << 6)
#define LL_FS_MAKE_SOCK (1ull << 9)
#define LL_FS_MAKE_FIFO (1ull << 10)
#define LL_FS_MAKE_BLOCK (1ull << 11)
#define LL_FS_ABI1 ((1ull << 13) - 1)
#define LL_FS_REFER (1ull << 13)     /* ABI 2 */
#define LL_FS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define LL_FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define LL_NET_BIND_TCP (1ull << 0)  /* ABI 4 */
#define LL_NET_CONNECT_TCP (1ull << 1)
#define LL_SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define LL_SCOPE_SIGNAL (1ull << 1)

struct ll_ruleset {
	uint64_t fs;
	uint64_t net;   /* from ABI 4 on */
	uint64_t scope; /* from ABI 6 on */
};

struct ll_path_beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static int
step_failed(const char **what, const char *step)
{
	*what = step;
	return -1;
}

static uint64_t
caps_kept(const struct sandbox_row *row)
{
	return row->role == ROLE_MBOXD   ? MBOXD_CAPS
	       : row->role == ROLE_EXECD ? EXECD_CAPS
					 : 0;
}

int
sandbox_system_prepare(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	uint64_t keep = caps_kept(row);

	(void)s;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 &&
	    errno != EINVAL)
		return step_failed(what, "clearing ambient capabilities");
	for (int cap = 0; cap < 64; cap++) {
		if ((keep & CAP(cap)) != 0 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != -1)
			continue;
		if (errno == EINVAL) /* the kernel has no more */
			break;
		/*
		 * A mailbox process has no CAP_SETPCAP, as it comes from mboxd: its
		 * bounding set stays at mboxd's, which without exec gives nothing.
		 */
		if (errno == EPERM && row->role == ROLE_MAILBOX)
			break;
		if (errno == EPERM && row->role == ROLE_FIFECTL)
			break;
		return step_failed(what, "PR_CAPBSET_DROP");
	}
	return 0;
}

static int
enter_caps(uint64_t keep, const char **what)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct set[2] = { 0 }, got[2];

	set[0].permitted = set[0].effective = (uint32_t)keep;
	set[1].permitted = set[1].effective = (uint32_t)(keep >> 32);
	if (syscall(SYS_capset, &head, set) == -1)
		return step_failed(what, "capset");
	head.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &head, got) == -1)
		return step_failed(what, "capget");
	if (memcmp(set, got, sizeof(set)) != 0) {
		errno = EPERM;
		return step_failed(what, "giving up capabilities");
	}
	return 0;
}

/* Landlock is a second wall behind chroot and filter: a kernel without it will do. */
static int
enter_landlock(const struct sandbox_row *row, const char **what)
{
	struct ll_ruleset rules = { 0 };
	struct ll_path_beneath beneath;
	size_t size = sizeof(rules.fs);
	int abi, ruleset, r = -1;

	/* mboxd's children restrict themselves; its own files have as many owners as
	 * there are mailboxes, and it parses nothing. */
	if (row->flags & (SANDBOX_ROOT_CELLS | SANDBOX_PROGRAMS))
		return 0;
	abi = syscall(LL_CREATE_RULESET, NULL, 0, LL_CREATE_RULESET_VERSION);
	/* ABI 1 forbids every rename from one directory to another. */
	if (abi < 2)
		return 0;
	rules.fs = LL_FS_ABI1 | LL_FS_REFER;
	if (abi >= 3)
		rules.fs |= LL_FS_TRUNCATE;
	if (abi >= 4) {
		size = 2 * sizeof(uint64_t);
		if (!(row->flags & SANDBOX_INET))
			rules.net = LL_NET_BIND_TCP | LL_NET_CONNECT_TCP;
	}
	if (abi >= 5)
		rules.fs |= LL_FS_IOCTL_DEV;
	if (abi >= 6) {
		size = sizeof(rules);
		rules.scope = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL;
	}
	*what = "Landlock";
	if ((ruleset = syscall(LL_CREATE_RULESET, &rules, size, 0)) == -1)
		return -1;
	if (row->flags & SANDBOX_ROOT_STATE) {
		beneath.access =
		    rules.fs & ~(LL_FS_EXECUTE | LL_FS_MAKE_CHAR | LL_FS_MAKE_BLOCK |
				   LL_FS_MAKE_SOCK | LL_FS_MAKE_FIFO | LL_FS_IOCTL_DEV);
		beneath.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (beneath.fd == -1)
			goto done;
		r = syscall(LL_ADD_RULE, ruleset, LL_RULE_PATH_BENEATH, &beneath, 0);
		close(beneath.fd);
		if (r == -1)
			goto done;
	}
	r = syscall(LL_RESTRICT_SELF, ruleset, 0);
done:
	close(ruleset);
	return r;
}

/*
 * The conditions of the table, each a list of alternatives. SELF stands for our
 * process id, which is known only here.
 */
#define SELF UINT64_MAX
static uint64_t self; /* instead of it, while a filter is made for others */
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	    CLONE_NEWPID | CLONE_NEWNET)

static const struct condition {
	const char *name;
	int error; /* 0: permitted, otherwise what it fails with */
	unsigned int arg;
	enum scmp_compare op;
	uint64_t a;
	uint64_t b;
} conditions[] = {
	{ "mmap:noexec", 0, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 },
	{ "mmap:noexec", EPERM, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC },
	{ "mprotect:noexec", 0, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 },
	{ "mprotect:noexec", EPERM, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC },
	{ "ioctl:plain", 0, 1, SCMP_CMP_EQ, FIONREAD, 0 },
	{ "ioctl:plain", 0, 1, SCMP_CMP_EQ, FIONBIO, 0 },
	{ "ioctl:plain", 0, 1, SCMP_CMP_EQ, TCGETS, 0 },
	{ "ioctl:plain", 0, 1, SCMP_CMP_EQ, TIOCGWINSZ, 0 },
	{ "prctl:plain", 0, 0, SCMP_CMP_EQ, PR_SET_NAME, 0 },
	{ "prctl:plain", 0, 0, SCMP_CMP_EQ, PR_GET_DUMPABLE, 0 },
	{ "prctl:plain", 0, 0, SCMP_CMP_EQ, PR_SET_VMA, 0 },
	{ "prlimit64:get", 0, 2, SCMP_CMP_EQ, 0, 0 },
	{ "tgkill:self", 0, 0, SCMP_CMP_EQ, SELF, 0 },
	{ "kill:self", 0, 0, SCMP_CMP_EQ, SELF, 0 },
	{ "socket:inet", 0, 0, SCMP_CMP_EQ, AF_INET, 0 },
	{ "socket:inet", 0, 0, SCMP_CMP_EQ, AF_INET6, 0 },
	/* Resolver code of libc asks for local and netlink sockets. */
	{ "socket:inet", EAFNOSUPPORT, 0, SCMP_CMP_LT, AF_INET, 0 },
	{ "socket:inet", EAFNOSUPPORT, 0, SCMP_CMP_GT, AF_INET6, 0 },
	{ "clone:thread", 0, 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD },
	{ "clone:fork", 0, 0, SCMP_CMP_MASKED_EQ, NAMESPACES, 0 },
};

static int
add_conditional(scmp_filter_ctx ctx, int call, const char *name)
{
	int found = 0, r;

	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		const struct condition *c = &conditions[i];
		struct scmp_arg_cmp cmp;

		if (strcmp(c->name, name) != 0)
			continue;
		found = 1;
		memset(&cmp, 0, sizeof(cmp));
		cmp.arg = c->arg;
		cmp.op = c->op;
		cmp.datum_a = c->a != SELF ? c->a : self != 0 ? self : (uint64_t)getpid();
		cmp.datum_b = c->b;
		r = seccomp_rule_add_array(ctx,
		    c->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(c->error), call, 1,
		    &cmp);
		if (r < 0)
			return r;
	}
	return found ? 0 : -EINVAL;
}

/* 0, or a negated errno. */
static int
add_call(scmp_filter_ctx ctx, const struct sandbox_row *row, const char *name)
{
	const char *colon = strchr(name, ':');
	char bare[64];
	size_t len = colon == NULL ? strlen(name) : (size_t)(colon - name);
	int call, r;

	if (len >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, name, len);
	bare[len] = '\0';
	call = seccomp_syscall_resolve_name(bare);
	/* Unknown to this libseccomp, or not on this machine. */
	if (call < 0)
		return 0;
	if (colon == NULL) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 0);
		return r == -EEXIST ? 0 : r;
	}
	if (sandbox_row_has(row, bare))
		return 0;
#ifdef SANDBOX_SANITIZED
	for (size_t i = 0; sandbox_sanitizer(i) != NULL; i++)
		if (strcmp(sandbox_sanitizer(i), bare) == 0)
			return 0;
#endif
	/* "clone:fork" includes threads: two rules on one argument would clash. */
	if (strcmp(name, "clone:thread") == 0 && sandbox_row_has(row, "clone:fork"))
		return 0;
	return add_conditional(ctx, call, name);
}

static int
has_any_form(const struct sandbox_row *row, const char *bare)
{
	size_t len = strlen(bare);
	const char *name;

	for (size_t i = 0; (name = sandbox_row_call(row, i)) != NULL; i++)
		if (strncmp(name, bare, len) == 0 &&
		    (name[len] == '\0' || name[len] == ':'))
			return 1;
	for (size_t i = 0; (name = sandbox_sanitizer(i)) != NULL; i++)
		if (strcmp(name, bare) == 0)
			return 1;
	return 0;
}

/* What programs of the site may not; the rest is as their uid may. */
static int
deny_calls(scmp_filter_ctx ctx, const char **what)
{
	struct scmp_arg_cmp namespaces = {
		.arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_b = 0
	};
	const char *name;
	int call, r = 0;

	for (size_t i = 0; r == 0 && (name = sandbox_denied(i)) != NULL; i++) {
		*what = name;
		call = seccomp_syscall_resolve_name(name);
		if (call >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	/* Its flags are behind a pointer; libc goes on with clone(2). */
	*what = "clone3";
	call = seccomp_syscall_resolve_name("clone3");
	if (r == 0 && call >= 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), call, 0);
	*what = "clone";
	for (int bit = 0; r == 0 && bit < 32; bit++)
		if (NAMESPACES & 1u << bit) {
			namespaces.datum_a = namespaces.datum_b = 1u << bit;
			r = seccomp_rule_add_array(
			    ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &namespaces);
		}
	/* Keys that its terminal would take for typed: it has none, but for others'. */
	*what = "ioctl";
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	return r;
}

/* The filter of a row in a context of libseccomp; NULL with errno and *what. */
static scmp_filter_ctx
make_filter(const struct sandbox_row *row, const char **what)
{
	const struct sandbox_probe *probe;
	scmp_filter_ctx ctx;
	const char *name;
	int call, r;

#ifdef SANDBOX_LOG
	ctx = seccomp_init(SCMP_ACT_LOG);
#else
	ctx = seccomp_init(
	    row->flags & SANDBOX_PROGRAMS ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
#endif
	*what = "making the system-call filter";
	if (ctx == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	/* no_new_privs is set; a thread that is there already must not escape. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree: the kernel tries all calls when a filter is loaded. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0 && row->flags & SANDBOX_PROGRAMS) {
		r = deny_calls(ctx, what);
		goto done;
	}
	for (size_t i = 0; r == 0 && (name = sandbox_row_call(row, i)) != NULL; i++) {
		*what = name;
		r = add_call(ctx, row, name);
	}
	for (size_t i = 0; r == 0 && (name = sandbox_sanitizer(i)) != NULL; i++) {
		*what = name;
		r = add_call(ctx, row, name);
	}
	for (size_t i = 0; r == 0 && (probe = sandbox_probe(i)) != NULL; i++) {
		if (has_any_form(row, probe->call))
			continue;
		call = seccomp_syscall_resolve_name(probe->call);
		*what = probe->call;
		if (call >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(probe->error), call, 0);
	}
done:
	if (r == 0)
		return ctx;
	seccomp_release(ctx);
	errno = -r;
	return NULL;
}

/* A filter made before the fork (sandbox_before_fork()), with SELF_MARK for the process
 * id. */
#define SELF_MARK 0x5e1f0001u

static struct {
	const struct sandbox_row *row;
	struct sock_filter *code;
	unsigned short n;
} ready;

static int
is_mark(const struct sock_filter *f)
{
	return BPF_CLASS(f->code) == BPF_JMP && f->k == SELF_MARK;
}

/* Made in a process of its own, so that the heap is as it was: the children's are copies
 * of it. */
static int
make_in_child(const struct sandbox_row *row, int fd)
{
	const char *what;
	scmp_filter_ctx ctx;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		self = SELF_MARK;
		ctx = make_filter(row, &what);
		_exit(ctx != NULL && seccomp_export_bpf(ctx, fd) == 0 ? 0 : 1);
	}
	if (pid == -1)
		return -1;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int
export_filter(const struct sandbox_row *row)
{
	struct sock_filter *code = NULL;
	off_t len;
	int fd = memfd_create("filter", MFD_CLOEXEC), marks = 0;

	if (fd == -1)
		return -1;
	if (make_in_child(row, fd) == 0 && (len = lseek(fd, 0, SEEK_END)) > 0 &&
	    len % (off_t)sizeof(*code) == 0 &&
	    len / (off_t)sizeof(*code) <= BPF_MAXINSNS &&
	    (code = malloc((size_t)len)) != NULL &&
	    pread(fd, code, (size_t)len, 0) == (ssize_t)len) {
		ready.n = (unsigned short)(len / (off_t)sizeof(*code));
		for (unsigned short i = 0; i < ready.n; i++)
			marks += is_mark(&code[i]);
	}
	close(fd);
	if (marks == 0) {
		free(code);
		return -1;
	}
	free(ready.code);
	ready.code = code;
	ready.row = row;
	return 0;
}

static int
enter_ready(const char **what)
{
	struct sock_fprog program = { ready.n, ready.code };

	for (unsigned short i = 0; i < ready.n; i++)
		if (is_mark(&ready.code[i]))
			ready.code[i].k = (uint32_t)getpid();
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		&program) == 0)
		return 0;
	return step_failed(what, "loading the system-call filter");
}

static int
enter_filter(const struct sandbox_row *row, const char **what)
{
	scmp_filter_ctx ctx;
	int r;

	if (ready.row == row)
		return enter_ready(what);
	if ((ctx = make_filter(row, what)) == NULL)
		return -1;
	*what = "loading the system-call filter";
	r = seccomp_load(ctx);
	/* From here on only what the filter permits. */
	seccomp_release(ctx);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return 0;
}

void
sandbox_system_before_fork(const struct sandbox_row *row)
{
	if (export_filter(row) == -1)
		ready.row = NULL;
}

int
sandbox_system_enter(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	(void)s;
#ifndef SANDBOX_SANITIZED
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return step_failed(what, "PR_SET_DUMPABLE");
#endif
	if (row == NULL)
		return 0;
	if (enter_caps(caps_kept(row), what) == -1)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return step_failed(what, "PR_SET_NO_NEW_PRIVS");
	if (enter_landlock(row, what) == -1)
		return -1;
	if (enter_filter(row, what) == -1)
		return -1;
	*what = "";
	return 0;
}

#endif
