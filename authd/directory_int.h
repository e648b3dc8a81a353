/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DIRECTORY_INT_H
#define FIFE_DIRECTORY_INT_H

/* What the parts of the directory share: one value by its key. */

#include <lmdb.h>

#include "authd/directory.h"

#define DIR_KEY_MAX 500 /* octets; of lmdb's 511 */

struct directory {
	MDB_env *env;
	MDB_dbi dbi[DIR_TABLES];
	MDB_dbi meta;
	uint32_t uid_first;
	uint32_t uid_last;
};

/* From an error of lmdb; what cannot be expected is logged. */
enum dir_status dir_failed(const char *what, int rc);
MDB_val dir_val(const char *);
/* buf NULL: is it there? An error of lmdb, or EMSGSIZE. */
int dir_txn_get(MDB_txn *, MDB_dbi, const char *key, char *buf, size_t cap);
enum dir_status dir_get(
    struct directory *, enum dir_table, const char *key, char *buf, size_t cap);
enum dir_status dir_put(struct directory *, enum dir_table, const char *key,
    const char *value, unsigned int flags);
enum dir_status dir_del(struct directory *, enum dir_table, const char *key);

#endif
