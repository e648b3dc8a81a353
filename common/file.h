/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FILE_H
#define FIFE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* All of it, over short writes and signals. 0, or -1 with errno (ENOSPC where write(2)
 * says nothing); part may be written then. */
int file_write_all(int fd, const void *, size_t len);
/* The same at an offset, which the descriptor's own is no part of. */
int file_write_at(int fd, const void *, size_t len, uint64_t at);
/* All of it, at an offset. 0, or -1 with errno: EIO where the file ends before. */
int file_read_at(int fd, void *, size_t len, uint64_t at);

#endif
