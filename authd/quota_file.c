/* SPDX-License-Identifier: ISC */
/*
 * What mailboxes hold, in an lmdb file of its own: changes are written now and then. A
 * crash forgets seconds, and losing the file nothing that the mailboxes do not tell
 * again; only that a user may be warned once more.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authd/quota.h"
#include "authd/side_file.h"
#include "common/compat/compat.h"

#define NAME_LEN_MAX 511
#define TEXT_MAX 128

static struct side_file file = { .what = "quota" };

static void
take(const MDB_val *k, const MDB_val *v, void *arg)
{
	char name[NAME_LEN_MAX + 1], text[TEXT_MAX];
	struct quota_use use = { 0 }, *u;
	unsigned int warned;

	if (k->mv_size > NAME_LEN_MAX || v->mv_size >= sizeof(text))
		return;
	memcpy(name, k->mv_data, k->mv_size);
	name[k->mv_size] = '\0';
	memcpy(text, v->mv_data, v->mv_size);
	text[v->mv_size] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %u", &use.octets,
		&use.messages, &use.when, &warned) != 4 ||
	    warned >= QUOTA_LEVELS)
		return;
	use.warned = (uint8_t)warned;
	if ((u = quota_table_get(arg, name)) != NULL)
		*u = use;
}

int
quota_load(struct quota_table *t, const char *path)
{
	return side_file_open(&file, path, take, t);
}

int
quota_save(struct quota_table *t)
{
	const struct quota_use *use;
	const void *iter = NULL;
	char text[TEXT_MAX];
	const char *name;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc = 0;

	if (file.env == NULL)
		return 0;
	while (rc == 0 && (name = quota_table_next(t, &iter, 1, &use)) != NULL) {
		if (txn == NULL && side_file_begin(&file, 0, &txn) == -1)
			return -1;
		k.mv_data = (void *)(uintptr_t)name;
		k.mv_size = strlen(name);
		if (use == NULL) {
			rc = mdb_del(txn, file.dbi, &k, NULL);
			rc = rc == MDB_NOTFOUND ? 0 : rc;
			continue;
		}
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRId64 " %u",
		    use->octets, use->messages, use->when, use->warned);
		v.mv_data = text;
		v.mv_size = strlen(text);
		rc = mdb_put(txn, file.dbi, &k, &v, 0);
	}
	if (txn == NULL)
		return 0;
	if (side_file_end(&file, txn, rc) == -1)
		return -1;
	quota_table_saved(t);
	return 0;
}

void
quota_unload(void)
{
	side_file_close(&file);
}
