/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_SIDE_FILE_H
#define FIFE_AUTHD_SIDE_FILE_H

#include <lmdb.h>

/*
 * A table that lives in memory and is kept across restarts in an lmdb file of its own:
 * read whole at the start, changes written now and then. One process writes it and
 * nobody else reads it. Failures are logged here with the name of what it is.
 */
struct side_file {
	const char *what; /* in logs */
	MDB_env *env;     /* NULL: not open */
	MDB_dbi dbi;
};

/* Each entry is given to take(); key and value are valid until it returns. 0; -1: failed,
 * and not open. */
int side_file_open(struct side_file *, const char *path,
    void (*take)(const MDB_val *key, const MDB_val *value, void *), void *arg);
void side_file_close(struct side_file *);
/* Begin to write; anew: without what lies there. 0, -1: failed. */
int side_file_begin(struct side_file *, int anew, MDB_txn **);
/* rc: of what was put since; other than 0 gives it up. 0: it is on the disk; -1: failed.
 */
int side_file_end(struct side_file *, MDB_txn *, int rc);

#endif
