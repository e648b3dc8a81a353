/* SPDX-License-Identifier: ISC */
/*
 * The order in which a process gives up its rights, the same on every system,
 * and the table of roles. What only one system can do is in sandbox_linux.c,
 * sandbox_openbsd.c and sandbox_freebsd.c.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "common/sandbox_table.h"

#define GROUP(name, ...) static const char *const group_##name[] = { __VA_ARGS__, NULL };
#define ROW(role, flags, ...)
#define PROBE(call, error)
#define DENY(call)
#include "common/sandbox_roles.def"
#undef GROUP
#undef ROW
static const char *const group_none[] = { NULL };

/* Up to eight groups a row, so that the table can name them without a prefix. */
#define G1(a) group_##a
#define G2(a, ...) group_##a, G1(__VA_ARGS__)
#define G3(a, ...) group_##a, G2(__VA_ARGS__)
#define G4(a, ...) group_##a, G3(__VA_ARGS__)
#define G5(a, ...) group_##a, G4(__VA_ARGS__)
#define G6(a, ...) group_##a, G5(__VA_ARGS__)
#define G7(a, ...) group_##a, G6(__VA_ARGS__)
#define G8(a, ...) group_##a, G7(__VA_ARGS__)
#define PICK(a, b, c, d, e, f, g, h, n, ...) n
#define GROUPS(...) PICK(__VA_ARGS__, G8, G7, G6, G5, G4, G3, G2, G1, )(__VA_ARGS__)

#define ROOT_EMPTY SANDBOX_ROOT_EMPTY
#define ROOT_STATE SANDBOX_ROOT_STATE
#define ROOT_CELLS SANDBOX_ROOT_CELLS
#define INET SANDBOX_INET
#define PROGRAMS SANDBOX_PROGRAMS

#define GROUP(name, ...)
#define ROW(role, flags, ...)                                           \
	static const char *const *const groups_##role[] = { group_base, \
		GROUPS(__VA_ARGS__), NULL };
#include "common/sandbox_roles.def"
#undef ROW

static const struct sandbox_row rows[] = {
#define ROW(role, flags, ...) { ROLE_##role, (flags), groups_##role },
#include "common/sandbox_roles.def"
#undef ROW
};

#define ROW(role, flags, ...)
#undef PROBE
static const struct sandbox_probe probes[] = {
#define PROBE(call, error) { call, error },
#include "common/sandbox_roles.def"
#undef PROBE
};

#define PROBE(call, error)
#undef DENY
static const char *const denied[] = {
#define DENY(call) call,
#include "common/sandbox_roles.def"
#undef DENY
	NULL,
};

static const char *const sanitizer[] = {
#ifdef SANDBOX_SANITIZED
#define SANITIZER(call) call,
#include "common/sandbox_sanitizer.def"
#undef SANITIZER
#endif
	NULL,
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

#ifdef SANDBOX_SANITIZED
/*
 * The leak checker stops and traces the process from a second one, which no
 * filter permits. It asks this hook first: leaks are a matter of unit tests.
 */
static int entered;
int __lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return entered;
}
#endif

const struct sandbox_row *
sandbox_row(enum role role)
{
	for (size_t i = 0; i < N(rows); i++)
		if (rows[i].role == role)
			return &rows[i];
	return NULL;
}

/* i-th name of the groups from the given one on. */
static const char *
call_at(const char *const *const *groups, size_t i)
{
	for (; *groups != NULL; groups++)
		for (const char *const *name = *groups; *name != NULL; name++)
			if (i-- == 0)
				return *name;
	return NULL;
}

const char *
sandbox_row_call(const struct sandbox_row *row, size_t i)
{
	return call_at(row->groups, i);
}

int
sandbox_row_has(const struct sandbox_row *row, const char *call)
{
	const char *name;

	for (size_t i = 0; (name = sandbox_row_call(row, i)) != NULL; i++)
		if (strcmp(name, call) == 0)
			return 1;
	return 0;
}

const char *
sandbox_permits(enum role role, size_t i)
{
	const struct sandbox_row *row = sandbox_row(role);

	return row == NULL ? NULL : call_at(row->groups + 1, i);
}

const struct sandbox_probe *
sandbox_probe(size_t i)
{
	return i < N(probes) ? &probes[i] : NULL;
}

const char *
sandbox_sanitizer(size_t i)
{
	return i < N(sanitizer) ? sanitizer[i] : NULL;
}

const char *
sandbox_denied(size_t i)
{
	return denied[i];
}

static int
step_failed(const char **what, const char *step)
{
	*what = step;
	return -1;
}

static int
enter_root(const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	struct stat st;

	if (chdir(s->root) == -1 || stat(".", &st) == -1)
		return step_failed(what, "chdir to the root directory");
	/* An empty directory that somebody could fill is not empty for long. */
	if (row->flags & SANDBOX_ROOT_EMPTY && s->uid != 0 &&
	    (st.st_uid == s->uid || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
		errno = EPERM;
		return step_failed(what, "root directory that others may write");
	}
	if (chroot(".") == -1)
		return step_failed(what, "chroot");
	if (chdir("/") == -1)
		return step_failed(what, "chdir to /");
	return 0;
}

/* Never above what we have: a mailbox process is forked under mboxd's limits and
 * has no right to raise them. */
static int
limit(int resource, rlim_t max)
{
	struct rlimit rl = { max, max };

	if (setrlimit(resource, &rl) == 0)
		return 0;
	if (errno != EPERM || getrlimit(resource, &rl) == -1)
		return -1;
	rl.rlim_cur = rl.rlim_max < max ? rl.rlim_max : max;
	rl.rlim_max = rl.rlim_cur;
	return setrlimit(resource, &rl);
}

/* Known before a fork, for children that would look for it in the whole table. */
static struct {
	const struct sandbox_row *row;
	int alone; /* neither threads nor children */
} known;

static int
is_alone(const struct sandbox_row *row)
{
	if (known.row == row)
		return known.alone;
	return !sandbox_row_has(row, "clone:thread") && !sandbox_row_has(row, "fork");
}

static int
enter_limits(const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	if (limit(RLIMIT_CORE, 0) == -1)
		return step_failed(what, "RLIMIT_CORE");
#ifndef SANDBOX_SANITIZED
	if (s->memory_max != 0 && limit(RLIMIT_AS, s->memory_max) == -1)
		return step_failed(what, "RLIMIT_AS");
#endif
	if (s->files_max != 0 && limit(RLIMIT_NOFILE, s->files_max) == -1)
		return step_failed(what, "RLIMIT_NOFILE");
	if (s->fsize_max != 0 && limit(RLIMIT_FSIZE, s->fsize_max) == -1)
		return step_failed(what, "RLIMIT_FSIZE");
	/* Threads count as well, so only for those that have none. */
	if (is_alone(row) && limit(RLIMIT_NPROC, 0) == -1)
		return step_failed(what, "RLIMIT_NPROC");
	return 0;
}

static int
enter_ids(const struct sandbox *s, const char **what)
{
	if (s->uid == 0) {
		if (getuid() == 0 && setgroups(0, NULL) == -1)
			return step_failed(what, "setgroups");
		return 0;
	}
	if (setgroups(1, &s->gid) == -1)
		return step_failed(what, "setgroups");
	if (setresgid(s->gid, s->gid, s->gid) == -1)
		return step_failed(what, "setresgid");
	if (setresuid(s->uid, s->uid, s->uid) == -1)
		return step_failed(what, "setresuid");
	if (setuid(0) != -1 || getuid() != s->uid || geteuid() != s->uid ||
	    getgid() != s->gid || getegid() != s->gid) {
		errno = EPERM;
		return step_failed(what, "giving up root for good");
	}
	return 0;
}

int
sandbox_enter(const struct sandbox *s, const char **what)
{
	const struct sandbox_row *row = sandbox_row(s->role);

	*what = "";
	/* fifed is the parent of all the others: no filter, but no core either. */
	if (s->role == ROLE_FIFED)
		return sandbox_system_enter(NULL, s, what);
	if (row == NULL) {
		errno = EINVAL;
		return step_failed(what, "role that is not in the table");
	}
	if ((s->uid == 0 && s->role != ROLE_MBOXD && s->role != ROLE_EXECD &&
		s->role != ROLE_FIFECTL) ||
	    (s->uid != 0 && s->gid == 0)) {
		errno = EINVAL;
		return step_failed(what, "uid and gid of root for this role");
	}
	if (s->root != NULL && enter_root(row, s, what) == -1)
		return -1;
	/* Limits and the bounding set need root, so they come before the uid. */
	if (enter_limits(row, s, what) == -1)
		return -1;
	if (sandbox_system_prepare(row, s, what) == -1)
		return -1;
	if (enter_ids(s, what) == -1)
		return -1;
#ifdef SANDBOX_SANITIZED
	entered = 1;
#endif
	return sandbox_system_enter(row, s, what);
}

void
sandbox_before_fork(enum role role)
{
	const struct sandbox_row *row = sandbox_row(role);

	if (row == NULL)
		return;
	known.alone = is_alone(row);
	known.row = row;
	sandbox_system_before_fork(row);
}
