/* SPDX-License-Identifier: ISC */
/*
 * OpenBSD: pledge(2) in place of the filter and unveil(2) in place of Landlock.
 * The promises follow the groups of the table, so a new row needs nothing here.
 * mboxd, which founds cells, cannot be pledged: there is no promise that
 * covers chroot(2). Nor is execd, whose programs may be anything.
 */
#ifdef __OpenBSD__

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sandbox_table.h"

int
sandbox_system_prepare(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	(void)s;
	*what = "unveil";
	if (row->flags & (SANDBOX_ROOT_CELLS | SANDBOX_PROGRAMS))
		return 0;
	if (row->flags & SANDBOX_ROOT_STATE && unveil("/", "rwc") == -1)
		return -1;
	if (row->flags & SANDBOX_ROOT_EMPTY && unveil("/", "") == -1)
		return -1;
	return unveil(NULL, NULL);
}

int
sandbox_system_enter(
    const struct sandbox_row *row, const struct sandbox *s, const char **what)
{
	char promises[256];

	(void)s;
	if (row == NULL || row->flags & (SANDBOX_ROOT_CELLS | SANDBOX_PROGRAMS))
		return 0;
	snprintf(promises, sizeof(promises), "stdio recvfd sendfd%s%s%s",
	    row->flags & SANDBOX_ROOT_STATE ? " rpath wpath cpath fattr flock" : "",
	    sandbox_row_has(row, "accept4") ? " unix inet" : "",
	    row->flags & SANDBOX_INET ? " inet" : "");
	*what = "pledge";
	return pledge(promises, "");
}

void
sandbox_system_before_fork(const struct sandbox_row *row)
{
	(void)row;
}

#endif
