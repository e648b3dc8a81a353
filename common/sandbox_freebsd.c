/* SPDX-License-Identifier: ISC */
/*
 * FreeBSD: capability mode for the roles whose descriptors are all there at the
 * start. Roles that open files by name below their root, or connect out, stay
 * out of it: chroot, uid and limits hold them.
 */
#ifdef __FreeBSD__

#include <sys/capsicum.h>
#include <sys/procctl.h>

#include <errno.h>
#include <unistd.h>

#include "common/sandbox_table.h"

int
sandbox_system_prepare(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	(void)row;
	(void)s;
	(void)what;
	return 0;
}

int
sandbox_system_enter(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	int arg = PROC_TRACE_CTL_DISABLE;

	(void)s;
	*what = "procctl";
	if (procctl(P_PID, getpid(), PROC_TRACE_CTL, &arg) == -1)
		return -1;
	if (row == NULL)
		return 0;
#ifdef PROC_NO_NEW_PRIVS_CTL
	arg = PROC_NO_NEW_PRIVS_ENABLE;
	if (procctl(P_PID, getpid(), PROC_NO_NEW_PRIVS_CTL, &arg) == -1)
		return -1;
#endif
	*what = "cap_enter";
	if (row->flags == SANDBOX_ROOT_EMPTY && cap_enter() == -1 && errno != ENOSYS)
		return -1;
	return 0;
}

void
sandbox_system_before_fork(const struct sandbox_row *row)
{
	(void)row;
}

#endif
