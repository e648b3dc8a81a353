/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SANDBOX_TABLE_H
#define FIFE_SANDBOX_TABLE_H

/* Between sandbox.c and the file of the system: a row of the table of roles. */

#include "common/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif

#define SANDBOX_ROOT_EMPTY 0x01
#define SANDBOX_ROOT_STATE 0x02
#define SANDBOX_ROOT_CELLS 0x04
#define SANDBOX_INET 0x08
#define SANDBOX_PROGRAMS 0x10 /* permits all but sandbox_denied() */

struct sandbox_row {
	enum role role;
	int flags;
	const char *const *const *groups; /* NULL at the end; the first is base */
};

struct sandbox_probe {
	const char *call;
	int error;
};

/* NULL: not in the table. */
const struct sandbox_row *sandbox_row(enum role);
/* i-th name of the row, base included; NULL at the end. */
const char *sandbox_row_call(const struct sandbox_row *, size_t i);
/* 1 if the row has exactly this name ("mmap" is not "mmap:noexec"). */
int sandbox_row_has(const struct sandbox_row *, const char *name);
/* Calls that fail instead of being fatal; NULL at the end. */
const struct sandbox_probe *sandbox_probe(size_t i);
/* Calls that fail in a row of PROGRAMS; NULL at the end. */
const char *sandbox_denied(size_t i);
/* Calls that the sanitizers need; NULL at the end, or at once in other builds. */
const char *sandbox_sanitizer(size_t i);

/* While still root: what later can not be given up any more. */
int sandbox_system_prepare(
    const struct sandbox_row *, const struct sandbox *, const char **what);
/* As the final uid: privileges, files, system calls; for good. */
int sandbox_system_enter(
    const struct sandbox_row *, const struct sandbox *, const char **what);
/* For children: sandbox_before_fork(). */
void sandbox_system_before_fork(const struct sandbox_row *);

#endif
