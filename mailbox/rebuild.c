/* SPDX-License-Identifier: ISC */
/* One folder's part of the index, made again from its files; see rebuild.h. */
#include "mailbox/rebuild.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/store_int.h"

/* The name's sizes may be another program's; those of the file count. */
static void
check_size(struct folder *f, struct message *m, const char *name)
{
	struct maildir_name p;
	struct stat st;
	uint64_t size;

	if (fstatat(f->curfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || st.st_size > INT32_MAX)
		return;
	maildir_name_parse(name, &p);
	size = p.crlf_size != 0 && p.size == (uint64_t)st.st_size ? p.crlf_size
								  : (uint64_t)st.st_size;
	if (size > UINT32_MAX || m->size == size || (p.crlf_size != 0 && p.size == 0))
		return;
	f->octets += size - m->size;
	m->size = (uint32_t)size;
}

enum store_error
folder_rebuild(struct folder *f)
{
	char name[MAILDIR_NAME_MAX + 1];
	enum store_error error;

	/* Names follow the flags first, so that the comparison finds no old ones. */
	(void)folder_rename_work(f, INT_MAX);
	f->needs_scan = true;
	if ((error = folder_refresh(f)) != STORE_OK)
		return error;
	for (size_t i = 0; i < f->n; i++) {
		struct message *m = &f->msgs[i];
		char *copy;

		if (index_name(f, m->uid, name) == 0) {
			check_size(f, m, name);
			if ((copy = strdup(name)) == NULL ||
			    map_put(&f->names, m->uid, copy, strlen(copy)) == -1)
				return store_errno("reindex");
		}
		folder_mark(f, m->uid);
	}
	map_clear(&f->cache);
	f->rebuild = true;
	f->dirty = true;
	error = index_checkpoint(f->store);
	f->rebuild = false;
	return error;
}
