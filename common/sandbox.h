/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SANDBOX_H
#define FIFE_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/role.h"

/*
 * Give up everything that the role does not need, in this order: chroot into
 * root (NULL: stay), rlimits, setgroups/setresgid/setresuid to gid and uid (0:
 * stay, for mboxd, whose capabilities are cut instead), not dumpable,
 * no_new_privs, Landlock where the kernel has it, and the system-call filter of the
 * role's row in the table. pledge(2) and unveil(2) on OpenBSD, Capsicum on
 * FreeBSD stand behind the same call. Returns 0; -1 with errno and *what set to
 * the step that failed: the caller must exit then.
 */
struct sandbox {
	enum role role;
	const char *root;
	uid_t uid;
	gid_t gid;
	uint64_t memory_max; /* RLIMIT_AS in octets; 0: none */
	uint64_t files_max;  /* RLIMIT_NOFILE; 0: leave */
	uint64_t fsize_max;  /* RLIMIT_FSIZE; 0: leave */
};

int sandbox_enter(const struct sandbox *, const char **what);
/* Makes what it can for children that will enter as that role: they need not make it
 * each, and share its memory. Before this process enters its own. */
void sandbox_before_fork(enum role);

/*
 * The table itself, for tests and fifectl: names of the system calls that the
 * role's filter permits beyond the base set; i from 0 until NULL.
 */
const char *sandbox_permits(enum role, size_t i);

#endif
