/* SPDX-License-Identifier: ISC */
/*
 * What accounts have sent, in an lmdb file of its own: changed entries are written now
 * and then, so that a restart of authd gives nobody a new hour, and a crash forgets
 * seconds. Losing the file costs no more than that.
 */
#include <string.h>

#include "authd/side_file.h"
#include "authd/usage.h"

#define NAME_MAX_LEN 500

static struct side_file file = { .what = "usage" };
static int stale; /* entries that nobody needs lie in it */

struct loading {
	struct usage *u;
	int64_t now;
};

void
usage_close(void)
{
	side_file_close(&file);
}

static void
take(const MDB_val *k, const MDB_val *v, void *arg)
{
	char name[NAME_MAX_LEN + 1], text[USAGE_TEXT_MAX];
	struct loading *l = arg;

	if (k->mv_size > NAME_MAX_LEN || v->mv_size >= sizeof(text)) {
		stale = 1;
		return;
	}
	memcpy(name, k->mv_data, k->mv_size);
	name[k->mv_size] = '\0';
	memcpy(text, v->mv_data, v->mv_size);
	text[v->mv_size] = '\0';
	if (usage_restore(l->u, name, text, l->now) != 0)
		stale = 1;
}

int
usage_load(struct usage *u, const char *path, int64_t now)
{
	struct loading l = { u, now };

	if (side_file_open(&file, path, take, &l) == -1)
		return -1;
	usage_unchanged(u);
	return 0;
}

int
usage_save(struct usage *u)
{
	char text[USAGE_TEXT_MAX];
	const void *iter = NULL;
	const char *name;
	MDB_txn *txn;
	MDB_val k, v;
	int rc = 0;

	if (file.env == NULL || !usage_is_changed(u))
		return 0;
	if (side_file_begin(&file, stale, &txn) == -1)
		return -1;
	while (rc == 0 && (name = usage_next(u, &iter, !stale, text)) != NULL) {
		k.mv_data = (void *)(uintptr_t)name;
		k.mv_size = strlen(name);
		v.mv_data = text;
		v.mv_size = strlen(text);
		if (k.mv_size > 0 && k.mv_size <= NAME_MAX_LEN)
			rc = mdb_put(txn, file.dbi, &k, &v, 0);
	}
	if (side_file_end(&file, txn, rc) == -1)
		return -1;
	usage_unchanged(u);
	stale = 0;
	return 0;
}
