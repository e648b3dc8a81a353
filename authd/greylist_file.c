/* SPDX-License-Identifier: ISC */
/*
 * The table of greylisting in an lmdb file of its own: it is written in the
 * background now and then, and losing it costs some mail one more attempt. Keys are
 * digests, values text: «a|p|n FIRST LAST COUNT».
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authd/greylist.h"
#include "authd/side_file.h"

static struct side_file file = { .what = "greylist" };

struct loading {
	struct greylist *g;
	int64_t now;
};

void
greylist_close(void)
{
	side_file_close(&file);
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

static void
take(const MDB_val *k, const MDB_val *v, void *arg)
{
	struct greylist_entry e;
	struct loading *l = arg;

	if (decode(k, v, &e) == 0)
		(void)greylist_restore(l->g, &e, l->now);
}

int
greylist_load(struct greylist *g, const char *path, int64_t now)
{
	struct loading l = { g, now };

	return side_file_open(&file, path, take, &l);
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
		rc = mdb_put(txn, file.dbi, &k, &v, 0);
	}
	return rc;
}

int
greylist_save(struct greylist *g)
{
	/* What was forgotten still lies there: no harm, until it is as much as the rest.
	 */
	int all = greylist_forgotten(g) > greylist_count(g) + 1000;
	MDB_txn *txn;

	if (file.env == NULL || !greylist_is_changed(g))
		return 0;
	if (side_file_begin(&file, all, &txn) == -1 ||
	    side_file_end(&file, txn, save_entries(g, txn, !all)) == -1)
		return -1;
	greylist_unchanged(g);
	if (all)
		greylist_all_saved(g);
	return 0;
}
