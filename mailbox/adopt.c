/* SPDX-License-Identifier: ISC */
/* Folders that come from another server with their UIDs; see store.h. */
#include <limits.h>

#include "common/log.h"
#include "mailbox/store_int.h"

enum store_error
folder_adopt(struct folder *f, uint32_t uidvalidity)
{
	struct folder old = { .uidvalidity = f->uidvalidity,
		.uidnext = f->uidnext,
		.uid_reserved = f->uid_reserved };
	enum store_error error;

	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	if (f->uidvalidity == uidvalidity)
		return STORE_OK;
	/* With another UIDVALIDITY what was expunged would be new. */
	(void)folder_unlink_work(f, INT_MAX);
	/* Whoever else has it open has told a client of the old one. */
	if (f->n > 0 || f->refs > 1 || uidvalidity == 0)
		return STORE_EXISTS;
	f->uidvalidity = uidvalidity;
	f->uidnext = 1;
	f->uid_reserved = RESERVE_UIDS;
	f->keyword_file_len = 0;
	f->dirty = true;
	if ((error = folder_meta_save(f, 1)) != STORE_OK) {
		f->uidvalidity = old.uidvalidity;
		f->uidnext = old.uidnext;
		f->uid_reserved = old.uid_reserved;
		return error;
	}
	if (uidvalidity > f->store->last_uidvalidity)
		f->store->last_uidvalidity = uidvalidity;
	/* The log knows of no UIDVALIDITY. */
	return index_checkpoint(f->store);
}

enum store_error
folder_raise_uidnext(struct folder *f, uint32_t uidnext)
{
	uint32_t old = f->uidnext;
	enum store_error error;

	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	if (uidnext <= f->uidnext)
		return STORE_OK;
	f->uidnext = uidnext;
	if ((error = folder_reserve(f, 1)) != STORE_OK)
		f->uidnext = old;
	f->dirty = true;
	return error;
}
