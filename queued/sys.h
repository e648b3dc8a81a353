/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SYS_H
#define FIFE_QUEUED_SYS_H

/*
 * The system calls that make the spool durable go through here, complete (no
 * short writes), so that the crash test can end the process before, within and
 * after each of them.
 */

#include <sys/types.h>

#include <stddef.h>

/* Called before each; op is the name. A return of -1 with errno fails the call.
 * NULL but in tests. */
extern int (*sys_fault)(const char *op, int fd, const void *buf, size_t len, off_t off);
/* Called after each that succeeded, in the thread that made it. name: of an unlink or a
 * rename, to: of a rename. NULL but in tests. */
extern void (*sys_done)(
    const char *op, int fd, const char *name, const char *to, off_t len);

int sys_pwrite(int fd, const void *buf, size_t len, off_t off);
/* All of len, or -1 (EIO at an early end). */
int sys_pread(int fd, void *buf, size_t len, off_t off);
int sys_fdatasync(int fd);
int sys_fsync(int fd);
int sys_rename(int dirfd, const char *from, const char *to);
int sys_unlink(int dirfd, const char *name);
int sys_allocate(int fd, off_t len);

#endif
