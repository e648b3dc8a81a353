/* SPDX-License-Identifier: ISC */
/* Many users at once, in one transaction; see directory.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "authd/directory_int.h"
#include "common/compat/compat.h"

/*
 * The next user behind key, which becomes its key. A cursor of its own each time: what is
 * written in between moves records.
 */
static int
next_user(MDB_txn *txn, MDB_dbi dbi, char key[DIR_KEY_MAX + 2], char *text, size_t cap)
{
	MDB_val k = { strlen(key) + 1, key }, v; /* with its NUL: the least one behind */
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	if (rc != 0)
		return rc;
	if (key[0] == '\0')
		k.mv_size = 0;
	rc = mdb_cursor_get(cursor, &k, &v, k.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
	if (rc == 0 && (k.mv_size > DIR_KEY_MAX || v.mv_size >= cap))
		rc = EMSGSIZE;
	if (rc == 0) {
		memcpy(key, k.mv_data, k.mv_size);
		key[k.mv_size] = '\0';
		memcpy(text, v.mv_data, v.mv_size);
		text[v.mv_size] = '\0';
	}
	mdb_cursor_close(cursor);
	return rc;
}

enum dir_status
directory_users_change(
    struct directory *d, int (*change)(struct user *, void *), void *arg, size_t *changed)
{
	char key[DIR_KEY_MAX + 2] = "", *text = malloc(DIRECTORY_VALUE_MAX);
	MDB_dbi dbi = d->dbi[DIR_USERS];
	MDB_txn *txn = NULL;
	static struct user u;
	int rc, given_up = 0;

	*changed = 0;
	if (text == NULL)
		return DIR_FULL;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		goto done;
	while (!given_up &&
	       (rc = next_user(txn, dbi, key, text, DIRECTORY_VALUE_MAX)) == 0) {
		MDB_val k = dir_val(key), v;
		int one = user_decode(key, text, &u) == -1 ? 0 : change(&u, arg);

		if (one == 0)
			continue;
		if (one == -1 || user_encode(&u, text, DIRECTORY_VALUE_MAX) == -1) {
			given_up = 1;
			break;
		}
		v = dir_val(text);
		if ((rc = mdb_put(txn, dbi, &k, &v, 0)) != 0)
			break;
		++*changed;
	}
	if (rc == MDB_NOTFOUND)
		rc = 0;
done:
	if (txn != NULL && (rc != 0 || given_up))
		mdb_txn_abort(txn);
	else if (txn != NULL)
		rc = mdb_txn_commit(txn);
	freezero(text, DIRECTORY_VALUE_MAX);
	explicit_bzero(&u, sizeof(u));
	if (rc != 0 || given_up)
		*changed = 0;
	return rc != 0 ? dir_failed("change", rc) : given_up ? DIR_BAD : DIR_OK;
}
