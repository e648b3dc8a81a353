/* SPDX-License-Identifier: ISC */
/*
 * The table of greylisting in an lmdb file of its own: it is written in the
 * background now and then, and losing it costs some mail one more attempt. Keys are
 * digests, values text: «a|p|n FIRST LAST COUNT».
 */
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#include "authd/greylist.h"
#include "common/compat/compat.h"
#include "common/log.h"

#define MAP_SIZE ((size_t)512 << 20)

static MDB_env *env;
static MDB_dbi dbi;

static int
failed(const char *what, int rc)
{
	log_warnx("greylist: %s: %s", what, mdb_strerror(rc));
	return -1;
}

void
greylist_close(void)
{
	if (env != NULL)
		mdb_env_close(env);
	env = NULL;
}

static int
decode(const MDB_val *k, const MDB_val *v, struct greylist_entry *e)
{
	char text[80], kind;

	if (k->mv_size != GREYLIST_DIGEST || v->mv_size >= sizeof(text))
		return -1;
	memcpy(e->digest, k->mv_data, GREYLIST_DIGEST);
	memcpy(text, v->mv_data, v->mv_size);
	text[v->mv_size] = '\0';
	if (sscanf(text, "%c %" SCNd64 " %" SCNd64 " %" SCNu32, &kind, &e->first,
		&e->last, &e->count) != 4 ||
	    (kind != GREYLIST_ATTEMPT && kind != GREYLIST_PASSED &&
		kind != GREYLIST_NETWORK))
		return -1;
	e->kind = (enum greylist_kind)kind;
	return 0;
}

static int
load_all(struct greylist *g, MDB_txn *txn, int64_t now)
{
	struct greylist_entry e;
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	if ((rc = mdb_cursor_open(txn, dbi, &c)) != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		if (decode(&k, &v, &e) == 0)
			(void)greylist_restore(g, &e, now);
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
greylist_load(struct greylist *g, const char *path, int64_t now)
{
	MDB_txn *txn = NULL;
	int rc;

	/* One process writes, nobody else reads. */
	if ((rc = mdb_env_create(&env)) != 0 ||
	    (rc = mdb_env_set_mapsize(env, MAP_SIZE)) != 0 ||
	    (rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600)) != 0 ||
	    (rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0 ||
	    (rc = mdb_dbi_open(txn, NULL, 0, &dbi)) != 0 ||
	    (rc = load_all(g, txn, now)) != 0)
		goto fail;
	rc = mdb_txn_commit(txn);
	txn = NULL;
	if (rc == 0)
		return 0;
fail:
	if (txn != NULL)
		mdb_txn_abort(txn);
	greylist_close();
	return failed(path, rc);
}

static int
save_entries(struct greylist *g, MDB_txn *txn, int changed_only)
{
	const struct greylist_entry *e;
	const void *iter = NULL;
	char text[80];
	MDB_val k, v;
	int rc = 0;

	while (rc == 0 && (e = greylist_next(g, &iter, changed_only)) != NULL) {
		int n =
		    snprintf(text, sizeof(text), "%c %" PRId64 " %" PRId64 " %" PRIu32,
			(char)e->kind, e->first, e->last, e->count);

		k.mv_data = (void *)(uintptr_t)e->digest;
		k.mv_size = GREYLIST_DIGEST;
		v.mv_data = text;
		v.mv_size = (size_t)n;
		rc = mdb_put(txn, dbi, &k, &v, 0);
	}
	return rc;
}

int
greylist_save(struct greylist *g)
{
	/* What was forgotten still lies there: no harm, until it is as much as the rest.
	 */
	int all = greylist_forgotten(g) > greylist_count(g) + 1000, rc;
	MDB_txn *txn;

	if (env == NULL || !greylist_is_changed(g))
		return 0;
	if ((rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0)
		return failed("save", rc);
	if (all)
		rc = mdb_drop(txn, dbi, 0);
	if (rc == 0)
		rc = save_entries(g, txn, !all);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return failed("save", rc);
	}
	if ((rc = mdb_txn_commit(txn)) != 0)
		return failed("save", rc);
	greylist_unchanged(g);
	if (all)
		greylist_all_saved(g);
	return 0;
}
