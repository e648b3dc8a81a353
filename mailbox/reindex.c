/* SPDX-License-Identifier: ISC */
/*
 * reindex: each folder is compared with its files, whatever the directories' times say,
 * and all of its records are written anew. UIDs, flags and modification sequences stay;
 * what was derived from messages is made again when it is asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/admin.h"
#include "mailbox/rebuild.h"

struct reindex {
	struct store *store;
	struct folder_info *list;
	size_t n, at;
};

static void *
reindex_new(struct store *store, const struct msg_mbox_admin *q, int fd)
{
	struct reindex *x = calloc(1, sizeof(*x));

	if (x != NULL)
		x->store = store;
	return x;
}

static void
reindex_free(void *work)
{
	struct reindex *x = work;

	free(x->list);
	free(x);
}

static enum task_state
reindex_step(void *work, struct msg_mbox_admin_done *r)
{
	struct reindex *x = work;
	struct folder *f;
	enum store_error error;

	if (x->list == NULL) {
		if ((error = task_folders(x->store, "", &x->list, &x->n)) != STORE_OK)
			return task_failed(r, error, "folders");
		return x->n == 0 ? TASK_DONE : TASK_MORE;
	}
	if (x->at == x->n) {
		if ((error = store_acl_rescan(x->store)) != STORE_OK)
			return task_failed(r, error, "lists of rights");
		return TASK_DONE;
	}
	error = folder_open(x->store, x->list[x->at].name, &f);
	if (error == STORE_OK) {
		error = folder_rebuild(f);
		r->messages += folder_count(f);
		for (size_t i = 0; i < folder_count(f); i++)
			r->octets += folder_message(f, i)->size;
		r->folders++;
		folder_close(f);
	}
	if (error != STORE_OK && error != STORE_NOT_FOUND)
		return task_failed(r, error, x->list[x->at].name);
	x->at++;
	return TASK_MORE;
}

const struct task reindex_task = { reindex_new, reindex_step, reindex_free };
