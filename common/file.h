/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FILE_H
#define FIFE_FILE_H

#include <stddef.h>

/* All of it, over short writes and signals. 0, or -1 with errno (ENOSPC where write(2)
 * says nothing); part may be written then. */
int file_write_all(int fd, const void *, size_t len);

#endif
