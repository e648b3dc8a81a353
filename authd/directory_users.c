/* SPDX-License-Identifier: ISC */
/* Many users at once, in one transaction; see directory.h. */
#include <stdlib.h>
#include <string.h>

#include "authd/directory_int.h"
#include "common/compat/compat.h"

#define KEY_LEN_MAX 500

/* 1: changed, 0: not meant, -1: the change cannot be made. */
static int
change_one(const MDB_val *k, const MDB_val *v, char key[KEY_LEN_MAX + 1], char *text,
    size_t cap, int (*change)(struct user *, void *), void *arg)
{
	static struct user u;

	if (k->mv_size > KEY_LEN_MAX || v->mv_size >= cap)
		return 0;
	memcpy(key, k->mv_data, k->mv_size);
	key[k->mv_size] = '\0';
	memcpy(text, v->mv_data, v->mv_size);
	text[v->mv_size] = '\0';
	if (user_decode(key, text, &u) == -1)
		return 0;
	switch (change(&u, arg)) {
	case 0:
		return 0;
	case 1:
		return user_encode(&u, text, cap) == -1 ? -1 : 1;
	default:
		return -1;
	}
}

enum dir_status
directory_users_change(
    struct directory *d, int (*change)(struct user *, void *), void *arg, size_t *changed)
{
	char key[KEY_LEN_MAX + 1], *text = malloc(DIRECTORY_VALUE_MAX);
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc, one = 0;

	*changed = 0;
	if (text == NULL)
		return DIR_FULL;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0 ||
	    (rc = mdb_cursor_open(txn, d->dbi[DIR_USERS], &cursor)) != 0)
		goto done;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		one = change_one(&k, &v, key, text, DIRECTORY_VALUE_MAX, change, arg);
		if (one == -1)
			break;
		if (one == 0)
			continue;
		k = dir_val(key);
		v = dir_val(text);
		/* What is written moves what lies around it: back to where we were. */
		if ((rc = mdb_put(txn, d->dbi[DIR_USERS], &k, &v, 0)) != 0 ||
		    (rc = mdb_cursor_get(cursor, &k, &v, MDB_SET)) != 0)
			break;
		++*changed;
	}
	if (rc == MDB_NOTFOUND)
		rc = 0;
done:
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (txn != NULL && (rc != 0 || one == -1))
		mdb_txn_abort(txn);
	else if (txn != NULL)
		rc = mdb_txn_commit(txn);
	freezero(text, DIRECTORY_VALUE_MAX);
	if (rc != 0 || one == -1)
		*changed = 0;
	return rc != 0 ? dir_failed("change", rc) : one == -1 ? DIR_BAD : DIR_OK;
}
