/* SPDX-License-Identifier: ISC */
/* Who is told of changes anywhere in the mailbox, and looking for those from outside. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/compat/compat.h"
#include "mailbox/store_int.h"

struct store_watch *
store_watch(struct store *s, void (*cb)(const struct store_news *, void *), void *arg)
{
	struct store_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->cb = cb;
	w->arg = arg;
	LIST_INSERT_HEAD(&s->watches, w, entry);
	return w;
}

void
store_unwatch(struct store_watch *w)
{
	if (w == NULL)
		return;
	LIST_REMOVE(w, entry);
	free(w);
}

void
store_tell(struct store *s, const struct store_news *news)
{
	struct store_watch *w;

	LIST_FOREACH (w, &s->watches, entry)
		w->cb(news, w->arg);
}

/* Have its directories changed since they were read? Also when it is not loaded. */
static bool
is_stale(struct store *s, const struct folder *f)
{
	char dir[MAILDIR_NAME_MAX + 1], path[MAILDIR_NAME_MAX + 8];
	struct stat cur, new;

	if (f->gone || f->needs_scan || f->racy ||
	    maildir_folder_dir(f->name, dir, sizeof(dir)) == -1)
		return true;
	(void)snprintf(path, sizeof(path), "%s/cur", dir);
	if (fstatat(s->mailfd, path, &cur, AT_SYMLINK_NOFOLLOW) == -1)
		return true;
	(void)snprintf(path, sizeof(path), "%s/new", dir);
	if (fstatat(s->mailfd, path, &new, AT_SYMLINK_NOFOLLOW) == -1)
		return true;
	return !time_same(&cur.st_mtim, &f->cur_time) ||
	       !time_same(&new.st_mtim, &f->new_time);
}

void
store_look(struct store *s, int (*want)(const char *name, void *), void *arg)
{
	if (folders_refresh(s, 0) != STORE_OK)
		return;
	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		/* Opening compares it with its files. */
		if (want(f->name, arg) && is_stale(s, f) &&
		    folder_open(s, f->name, &f) == STORE_OK)
			folder_close(f);
	}
}
