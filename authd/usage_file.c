/* SPDX-License-Identifier: ISC */
/*
 * What accounts have sent, in an lmdb file of its own: changed entries are written now
 * and then, so that a restart of authd gives nobody a new hour, and a crash forgets
 * seconds. Losing the file costs no more than that.
 */
#include <lmdb.h>
#include <string.h>

#include "authd/usage.h"
#include "common/compat/compat.h"
#include "common/log.h"

#define MAP_SIZE ((size_t)512 << 20)
#define NAME_MAX_LEN 500

static MDB_env *env;
static MDB_dbi dbi;
static int stale; /* entries that nobody needs lie in it */

static int
failed(const char *what, int rc)
{
	log_warnx("usage: %s: %s", what, mdb_strerror(rc));
	return -1;
}

void
usage_close(void)
{
	if (env != NULL)
		mdb_env_close(env);
	env = NULL;
}

static int
load_all(struct usage *u, MDB_txn *txn, int64_t now)
{
	char name[NAME_MAX_LEN + 1], text[USAGE_TEXT_MAX];
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, dbi, &c)) != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		if (k.mv_size > NAME_MAX_LEN || v.mv_size >= sizeof(text)) {
			stale = 1;
			continue;
		}
		memcpy(name, k.mv_data, k.mv_size);
		name[k.mv_size] = '\0';
		memcpy(text, v.mv_data, v.mv_size);
		text[v.mv_size] = '\0';
		if (usage_restore(u, name, text, now) != 0)
			stale = 1;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
usage_load(struct usage *u, const char *path, int64_t now)
{
	MDB_txn *txn = NULL;
	int rc;

	/* One process writes, nobody else reads. */
	if ((rc = mdb_env_create(&env)) != 0 ||
	    (rc = mdb_env_set_mapsize(env, MAP_SIZE)) != 0 ||
	    (rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600)) != 0 ||
	    (rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0 ||
	    (rc = mdb_dbi_open(txn, NULL, 0, &dbi)) != 0 ||
	    (rc = load_all(u, txn, now)) != 0)
		goto fail;
	rc = mdb_txn_commit(txn);
	txn = NULL;
	if (rc == 0) {
		usage_unchanged(u);
		return 0;
	}
fail:
	if (txn != NULL)
		mdb_txn_abort(txn);
	usage_close();
	return failed(path, rc);
}

int
usage_save(struct usage *u)
{
	char text[USAGE_TEXT_MAX];
	const void *iter = NULL;
	const char *name;
	MDB_txn *txn;
	MDB_val k, v;
	int rc;

	if (env == NULL || !usage_is_changed(u))
		return 0;
	if ((rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0)
		return failed("save", rc);
	if (stale)
		rc = mdb_drop(txn, dbi, 0);
	while (rc == 0 && (name = usage_next(u, &iter, !stale, text)) != NULL) {
		k.mv_data = (void *)(uintptr_t)name;
		k.mv_size = strlen(name);
		v.mv_data = text;
		v.mv_size = strlen(text);
		if (k.mv_size > 0 && k.mv_size <= NAME_MAX_LEN)
			rc = mdb_put(txn, dbi, &k, &v, 0);
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return failed("save", rc);
	}
	if ((rc = mdb_txn_commit(txn)) != 0)
		return failed("save", rc);
	usage_unchanged(u);
	stale = 0;
	return 0;
}
