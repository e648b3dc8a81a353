/* SPDX-License-Identifier: ISC */
/* Tables of authd that may be lost: one lmdb file each. */
#include "authd/side_file.h"

#include "common/compat/compat.h"
#include "common/log.h"

#define MAP_SIZE ((size_t)512 << 20)

static int
failed(const struct side_file *f, const char *doing, int rc)
{
	log_warnx("%s: %s: %s", f->what, doing, mdb_strerror(rc));
	return -1;
}

static int
take_all(struct side_file *f, MDB_txn *txn,
    void (*take)(const MDB_val *, const MDB_val *, void *), void *arg)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, f->dbi, &c)) != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		take(&k, &v, arg);
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
side_file_open(struct side_file *f, const char *path,
    void (*take)(const MDB_val *, const MDB_val *, void *), void *arg)
{
	MDB_txn *txn = NULL;
	int rc;

	if ((rc = mdb_env_create(&f->env)) != 0 ||
	    (rc = mdb_env_set_mapsize(f->env, MAP_SIZE)) != 0 ||
	    (rc = mdb_env_open(f->env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600)) != 0 ||
	    (rc = mdb_txn_begin(f->env, NULL, 0, &txn)) != 0 ||
	    (rc = mdb_dbi_open(txn, NULL, 0, &f->dbi)) != 0 ||
	    (rc = take_all(f, txn, take, arg)) != 0)
		goto fail;
	rc = mdb_txn_commit(txn);
	txn = NULL;
	if (rc == 0)
		return 0;
fail:
	if (txn != NULL)
		mdb_txn_abort(txn);
	side_file_close(f);
	return failed(f, path, rc);
}

void
side_file_close(struct side_file *f)
{
	if (f->env != NULL)
		mdb_env_close(f->env);
	f->env = NULL;
}

int
side_file_begin(struct side_file *f, int anew, MDB_txn **txn)
{
	int rc;

	if ((rc = mdb_txn_begin(f->env, NULL, 0, txn)) != 0)
		return failed(f, "save", rc);
	if (anew && (rc = mdb_drop(*txn, f->dbi, 0)) != 0)
		return side_file_end(f, *txn, rc);
	return 0;
}

int
side_file_end(struct side_file *f, MDB_txn *txn, int rc)
{
	if (rc != 0)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : failed(f, "save", rc);
}
