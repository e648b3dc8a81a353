/* SPDX-License-Identifier: ISC */
#ifndef FIFE_COMPAT_H
#define FIFE_COMPAT_H

/*
 * What the BSDs have in libc and others do not: libbsd where it offers the
 * function under its own name, and compat_x() where the systems differ.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__) || defined(__GLIBC__)
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <bsd/unistd.h>
#endif

#define COMPAT_BOOT_ID_SIZE 37 /* with the NUL */

/*
 * A new anonymous file in memory of size octets, all zero, for processes that share it:
 * fds[0] can write, fds[1] only read where the system can do that. Nobody can make
 * it shorter where the system can seal, so who maps it is safe from SIGBUS. Both
 * close-on-exec. 0, or -1 with errno.
 */
int compat_shared_create(const char *name, size_t size, int fds[2]);

/*
 * A new anonymous file in memory, read-write, close-on-exec, sealable where
 * the system can seal.  name is for diagnostics only.  -1 with errno on
 * failure; ENOSYS where there is no such thing.
 */
int compat_memfd_create(const char *name);

/*
 * Make the content and the length of a memory file final: no write, no
 * growth, no shrinking, and no taking this back.  0, or -1 with errno
 * (EBUSY when a writable mapping exists, ENOSYS without seals).
 */
int compat_seal(int fd);

/*
 * 1 when everything compat_seal() promises holds, 0 when it does not (also
 * for an ordinary file), -1 with errno when it cannot be known.
 */
int compat_is_sealed(int fd);

/*
 * Bring everything written to the file system of dirfd to the disk.  Blocks.
 * 0, or -1 with errno.  Without syncfs(2): fsync(2) of dirfd, then sync(2).
 */
int compat_syncfs(int dirfd);

/*
 * Who is at the other end of a connected local socket, as of connect(2) or
 * socketpair(2).  gid may be NULL.  0, or -1 with errno.
 */
int compat_peer_uid(int fd, uid_t *uid, gid_t *gid);

/*
 * From now on freed memory is overwritten.  OpenBSD does so by itself; where
 * the system cannot, nothing happens.
 */
void compat_wipe_freed(void);
/* Gives freed memory back to the system. */
void compat_trim(void);

/* Close every descriptor from fd on. */
void compat_closefrom(int fd);

/*
 * A string of 36 characters that changes with each boot of the machine, and
 * only then.  0, or -1 with errno and an empty string.
 */
int compat_boot_id(char buf[COMPAT_BOOT_ID_SIZE]);

/* A descriptor that becomes readable when an entry of a watched directory comes or goes;
 * -1 with ENOSYS where there is no such thing. */
int compat_dirwatch_open(void);
int compat_dirwatch_add(int fd, const char *path);
void compat_dirwatch_drain(int fd);

#endif
