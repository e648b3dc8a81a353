/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_REBUILD_H
#define FIFE_MAILBOX_REBUILD_H

#include "mailbox/store.h"

/*
 * Compares an open folder with its files and writes all of its records in the index
 * anew, in one transaction. Sizes are taken from the files; derived values are
 * forgotten. STORE_OK: it is on the disk.
 */
enum store_error folder_rebuild(struct folder *);

#endif
