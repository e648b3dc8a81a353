/* SPDX-License-Identifier: ISC */
/* Mailing lists and their members in the directory; see directory.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/directory_int.h"
#include "authd/lists.h"
#include "common/compat/compat.h"

enum dir_status
directory_list_put(struct directory *d, const char *key, const char *text, int is_new)
{
	const char *at = strrchr(key, '@');
	struct user u;
	enum dir_status st;

	if (at == NULL || strchr(key, ' ') != NULL)
		return DIR_BAD;
	if ((st = directory_domain_get(d, at + 1)) != DIR_OK)
		return st;
	if (is_new && (directory_user_get(d, key, &u) == DIR_OK ||
			  dir_get(d, DIR_ALIASES, key, NULL, 0) == DIR_OK))
		return DIR_EXISTS;
	return dir_put(d, DIR_LISTS, key, text, is_new ? MDB_NOOVERWRITE : 0);
}

enum dir_status
directory_list_get(struct directory *d, const char *key, char *buf, size_t cap)
{
	return dir_get(d, DIR_LISTS, key, buf, cap);
}

int
directory_has_lists(struct directory *d)
{
	MDB_txn *txn;
	MDB_stat st;
	int yes;

	if (mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn) != 0)
		return 1;
	yes = mdb_stat(txn, d->dbi[DIR_LISTS], &st) != 0 || st.ms_entries > 0;
	mdb_txn_abort(txn);
	return yes;
}

/* "LIST MEMBER": neither has a space that is not quoted, and keys have no quotes. */
static int
member_key(const char *list, const char *member, char key[DIR_KEY_MAX + 1])
{
	int n = snprintf(key, DIR_KEY_MAX + 1, "%s %s", list, member);

	return n < 0 || n > DIR_KEY_MAX ? -1 : 0;
}

static int
is_of(const MDB_val *k, const char *list)
{
	size_t len = strlen(list);

	return k->mv_size > len && memcmp(k->mv_data, list, len) == 0 &&
	       ((const char *)k->mv_data)[len] == ' ';
}

enum dir_status
directory_list_del(struct directory *d, const char *key)
{
	char first[DIR_KEY_MAX + 1];
	MDB_val k = dir_val(key), v;
	MDB_cursor *c = NULL;
	MDB_txn *txn;
	int rc;

	if (*key == '\0' || member_key(key, "", first) == -1)
		return DIR_NONE;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	if ((rc = mdb_del(txn, d->dbi[DIR_LISTS], &k, NULL)) != 0 ||
	    (rc = mdb_cursor_open(txn, d->dbi[DIR_MEMBERS], &c)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("delete", rc);
	}
	k = dir_val(first);
	for (rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0 && is_of(&k, key);
	     rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))
		if ((rc = mdb_cursor_del(c, 0)) != 0)
			break;
	mdb_cursor_close(c);
	if (rc != 0 && rc != MDB_NOTFOUND) {
		mdb_txn_abort(txn);
		return dir_failed("delete", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

enum dir_status
directory_member_put(
    struct directory *d, const char *list, const char *member, const char *text)
{
	char key[DIR_KEY_MAX + 1];

	return member_key(list, member, key) == -1
		   ? DIR_BAD
		   : dir_put(d, DIR_MEMBERS, key, text, 0);
}

enum dir_status
directory_member_get(
    struct directory *d, const char *list, const char *member, char *buf, size_t cap)
{
	char key[DIR_KEY_MAX + 1];

	return member_key(list, member, key) == -1
		   ? DIR_NONE
		   : dir_get(d, DIR_MEMBERS, key, buf, cap);
}

enum dir_status
directory_member_del(struct directory *d, const char *list, const char *member)
{
	char key[DIR_KEY_MAX + 1];

	return member_key(list, member, key) == -1 ? DIR_NONE
						   : dir_del(d, DIR_MEMBERS, key);
}

enum dir_status
directory_members_change(struct directory *d, const char *list, char *const *members,
    size_t n, int (*change)(char *text, size_t cap, void *), void *arg, size_t *n_changed)
{
	char key[DIR_KEY_MAX + 1], text[MEMBER_TEXT_MAX + 1];
	MDB_txn *txn;
	int rc;

	*n_changed = 0;
	if ((rc = mdb_txn_begin(d->env, NULL, 0, &txn)) != 0)
		return dir_failed("write", rc);
	for (size_t i = 0; i < n; i++) {
		MDB_val k, v;

		if (member_key(list, members[i], key) == -1)
			continue;
		rc = dir_txn_get(txn, d->dbi[DIR_MEMBERS], key, text, sizeof(text));
		if (rc == MDB_NOTFOUND)
			text[0] = '\0';
		else if (rc != 0)
			break;
		rc = 0;
		if (change(text, sizeof(text), arg) == -1)
			continue;
		k = dir_val(key);
		v = dir_val(text);
		if ((rc = mdb_put(txn, d->dbi[DIR_MEMBERS], &k, &v, 0)) != 0)
			break;
		++*n_changed;
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		*n_changed = 0;
		return dir_failed("write", rc);
	}
	rc = mdb_txn_commit(txn);
	return rc == 0 ? DIR_OK : dir_failed("commit", rc);
}

enum dir_status
directory_members_walk(struct directory *d, const char *list, const char *after,
    int (*cb)(const char *member, const char *text, void *), void *arg)
{
	char key[DIR_KEY_MAX + 1], text[MEMBER_TEXT_MAX + 1];
	size_t skip = strlen(list) + 1;
	MDB_cursor *c = NULL;
	MDB_txn *txn;
	MDB_val k, v;
	int rc;

	if (member_key(list, after, key) == -1)
		return DIR_BAD;
	if ((rc = mdb_txn_begin(d->env, NULL, MDB_RDONLY, &txn)) != 0)
		return dir_failed("read", rc);
	if ((rc = mdb_cursor_open(txn, d->dbi[DIR_MEMBERS], &c)) != 0) {
		mdb_txn_abort(txn);
		return dir_failed("read", rc);
	}
	k = dir_val(key);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 && *after != '\0' && k.mv_size == strlen(key) &&
	    memcmp(k.mv_data, key, k.mv_size) == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	for (; rc == 0 && is_of(&k, list); rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		if (k.mv_size > DIR_KEY_MAX || v.mv_size > MEMBER_TEXT_MAX)
			continue;
		memcpy(key, k.mv_data, k.mv_size);
		key[k.mv_size] = '\0';
		memcpy(text, v.mv_data, v.mv_size);
		text[v.mv_size] = '\0';
		if (cb(key + skip, text, arg))
			break;
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	return rc == 0 || rc == MDB_NOTFOUND ? DIR_OK : dir_failed("read", rc);
}
