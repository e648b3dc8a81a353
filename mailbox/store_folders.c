/* SPDX-License-Identifier: ISC */
/* The tree of folders: the table, creating, deleting, renaming, subscriptions. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/fts.h"
#include "mailbox/store_int.h"

#define SUBSCRIPTIONS "subscriptions"
#define SUBSCRIPTIONS_BYTES (4 * 1024 * 1024)

/* ---- the table, in order of names ---- */

static size_t
place(struct store *s, const char *name, bool *found)
{
	size_t lo = 0, hi = s->n_folders;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(s->folders[mid]->name, name);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct folder *
folder_lookup(struct store *s, const char *name)
{
	bool found;
	size_t i = place(s, name, &found);

	return found ? s->folders[i] : NULL;
}

static int
table_insert(struct store *s, struct folder *f)
{
	bool found;
	size_t i = place(s, f->name, &found);

	if (found)
		return -1;
	if (s->n_folders == s->folders_cap) {
		size_t cap = s->folders_cap + s->folders_cap / 2 + 16;
		struct folder **p =
		    reallocarray(s->folders, cap, sizeof(struct folder *));

		if (p == NULL)
			return -1;
		s->folders = p;
		s->folders_cap = cap;
	}
	memmove(
	    s->folders + i + 1, s->folders + i, (s->n_folders - i) * sizeof(*s->folders));
	s->folders[i] = f;
	s->n_folders++;
	return 0;
}

static void
table_remove(struct store *s, struct folder *f)
{
	bool found;
	size_t i = place(s, f->name, &found);

	if (!found)
		return;
	s->n_folders--;
	memmove(
	    s->folders + i, s->folders + i + 1, (s->n_folders - i) * sizeof(*s->folders));
}

struct folder *
folder_table_add(struct store *s, const char *name)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->store = s;
	f->dirfd = f->curfd = -1;
	LIST_INIT(&f->watches);
	(void)strlcpy(f->name, name, sizeof(f->name));
	if (s->n_folders >= STORE_FOLDERS_MAX || table_insert(s, f) == -1) {
		free(f);
		return NULL;
	}
	return f;
}

/* Its directory is gone: sessions that have it open see it empty no more. */
static void
table_drop(struct store *s, struct folder *f)
{
	table_remove(s, f);
	index_forget_folder(s, f->id);
	f->gone = f->detached = true;
	f->news |= FOLDER_NEWS_GONE;
	s->acl_generation += s->shared;
	folder_changed(f);
	store_tell(
	    s, &(struct store_news){
		   .kind = STORE_NEWS_DELETED, .outside = s->outside, .name = f->name });
	if (f->refs == 0)
		folder_free(f);
}

/* A directory that the table does not have yet. */
static enum store_error
table_discover(struct store *s, const char *name)
{
	struct folder *f = folder_table_add(s, name);
	enum store_error error;

	if (f == NULL)
		return STORE_LIMIT;
	f->id = s->next_id++;
	f->recover = true;
	f->dirty = true;
	if ((error = folder_meta_load(f)) != STORE_OK) {
		table_remove(s, f);
		folder_free(f);
	} else if (!f->fresh) /* what was expunged before is not known */
		f->expunged_saved.floor = f->modseq_reserved;
	if (error == STORE_OK)
		store_tell(s, &(struct store_news){ .kind = STORE_NEWS_CREATED,
				  .outside = s->outside,
				  .name = name });
	return error == STORE_NOT_FOUND ? STORE_OK : error;
}

static int
is_directory(int at, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(at, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static bool
still_there(struct store *s, const struct folder *f)
{
	char dir[MAILDIR_NAME_MAX + 1];

	return maildir_folder_dir(f->name, dir, sizeof(dir)) == 0 &&
	       faccessat(s->mailfd, dir, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum store_error
folders_refresh(struct store *s, int force)
{
	char name[STORE_NAME_MAX + 1];
	enum store_error error = STORE_OK;
	bool changed = false;
	struct dirent *e;
	struct stat st;
	DIR *d;
	int fd;

	if (fstat(s->mailfd, &st) == -1)
		return store_errno("Maildir");
	if (!force && time_same(&st.st_mtim, &s->list_time))
		return STORE_OK;
	if (folder_lookup(s, "INBOX") == NULL) {
		if ((error = table_discover(s, "INBOX")) != STORE_OK)
			return error;
		changed = true;
	}
	s->outside = true;
	fd = openat(s->mailfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		error = store_errno("Maildir");
		if (fd != -1)
			close(fd);
		s->outside = false;
		return error;
	}
	while (error == STORE_OK && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.' || e->d_name[1] == '\0' ||
		    strcmp(e->d_name, "..") == 0 || !is_directory(fd, e) ||
		    maildir_folder_name(e->d_name, name, sizeof(name)) == -1 ||
		    folder_lookup(s, name) != NULL)
			continue;
		error = table_discover(s, name);
		changed = true;
		if (error == STORE_LIMIT) {
			log_warnx("too many folders; %s is not shown", name);
			error = STORE_OK;
			break;
		}
	}
	closedir(d);
	for (size_t i = s->n_folders; i-- > 0 && error == STORE_OK;)
		if (strcmp(s->folders[i]->name, "INBOX") != 0 &&
		    !still_there(s, s->folders[i])) {
			table_drop(s, s->folders[i]);
			changed = true;
		}
	s->outside = false;
	if (error != STORE_OK)
		return error;
	s->list_time = st.st_mtim;
	/* Records of the log name folders by a number that the index must know. */
	return changed && !s->other_boot ? index_checkpoint(s) : STORE_OK;
}

/* ---- listing ---- */

static int
compare_info(const void *a, const void *b)
{
	const struct folder_info *x = a, *y = b;
	bool ix = strcmp(x->name, "INBOX") == 0, iy = strcmp(y->name, "INBOX") == 0;

	return ix != iy ? (ix ? -1 : 1) : strcmp(x->name, y->name);
}

struct listing {
	struct folder_info *list;
	size_t n, cap;
};

static int
listing_add(struct listing *l, const char *name, size_t len, uint32_t flags)
{
	if (l->n == l->cap) {
		size_t cap = l->cap * 2 + 16;
		struct folder_info *p = reallocarray(l->list, cap, sizeof(*p));

		if (p == NULL)
			return -1;
		l->list = p;
		l->cap = cap;
	}
	memcpy(l->list[l->n].name, name, len);
	l->list[l->n].name[len] = '\0';
	l->list[l->n].flags = flags;
	l->n++;
	return 0;
}

int
store_subscribed(const struct store *s, const char *name)
{
	for (size_t i = 0; i < s->n_subscriptions; i++)
		if (strcmp(s->subscriptions[i], name) == 0)
			return 1;
	return 0;
}

static bool
has_children(const struct store *s, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < s->n_folders; i++)
		if (strncmp(s->folders[i]->name, name, len) == 0 &&
		    s->folders[i]->name[len] == '/')
			return true;
	return false;
}

enum store_error
store_list(struct store *s, struct folder_info **list, size_t *n)
{
	struct listing l = { 0 };
	enum store_error error;
	size_t k = 0;

	*list = NULL;
	*n = 0;
	if ((error = folders_refresh(s, 0)) != STORE_OK)
		return error;
	for (size_t i = 0; i < s->n_folders; i++) {
		const struct folder *f = s->folders[i];

		if (listing_add(&l, f->name, strlen(f->name), f->special) == -1)
			goto fail;
		/* Parents that only children make known. */
		for (const char *p = strchr(f->name, '/'); p != NULL;
		     p = strchr(p + 1, '/'))
			if (listing_add(&l, f->name, (size_t)(p - f->name),
				FOLDER_NOSELECT | FOLDER_HAS_CHILDREN) == -1)
				goto fail;
	}
	for (size_t i = 0; i < s->n_subscriptions; i++)
		if (listing_add(&l, s->subscriptions[i], strlen(s->subscriptions[i]),
			FOLDER_NOSELECT | FOLDER_SUBSCRIBED) == -1)
			goto fail;
	if (l.n > 0)
		qsort(l.list, l.n, sizeof(*l.list), compare_info);
	/* The same name from several places is one entry. */
	for (size_t i = 0; i < l.n; i++) {
		if (k > 0 && strcmp(l.list[k - 1].name, l.list[i].name) == 0) {
			uint32_t a = l.list[k - 1].flags, b = l.list[i].flags;

			l.list[k - 1].flags = ((a | b) & ~(uint32_t)FOLDER_NOSELECT) |
					      (a & b & FOLDER_NOSELECT);
			continue;
		}
		l.list[k++] = l.list[i];
	}
	*list = l.list;
	*n = k;
	return STORE_OK;
fail:
	free(l.list);
	return store_errno("folder list");
}

/* ---- creating ---- */

static enum store_error
make_one(struct store *s, const char *name, uint32_t special)
{
	static const char *const subs[] = { "cur", "new", "tmp" };
	char dir[MAILDIR_NAME_MAX + 1], path[MAILDIR_NAME_MAX + 32];
	enum store_error error;
	struct folder *f;
	struct stat st;
	int fd;

	if (maildir_folder_dir(name, dir, sizeof(dir)) == -1)
		return STORE_BAD_NAME;
	if (s->n_folders >= STORE_FOLDERS_MAX)
		return STORE_LIMIT;
	if (mkdirat(s->mailfd, dir, 0700) == -1 && errno != EEXIST)
		return store_errno(dir);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, subs[i]);
		if (mkdirat(s->mailfd, path, 0700) == -1 && errno != EEXIST)
			return store_errno(path);
	}
	/* The mark of Maildir++ by which other programs know a folder. */
	(void)snprintf(path, sizeof(path), "%s/maildirfolder", dir);
	if ((fd = openat(s->mailfd, path,
		 O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)) != -1)
		close(fd);
	if ((error = table_discover(s, name)) != STORE_OK)
		return error;
	if ((f = folder_lookup(s, name)) == NULL)
		return STORE_IO;
	if (special != 0)
		f->special = special;
	if ((error = folder_meta_save(f, 1)) != STORE_OK ||
	    (error = folder_acl_inherit(f)) != STORE_OK)
		return error;
	if (fsync(s->mailfd) == -1)
		return store_errno("Maildir");
	if (fstat(s->mailfd, &st) == 0)
		s->list_time = st.st_mtim;
	return STORE_OK;
}

static enum store_error
make_parents(struct store *s, const char *name)
{
	char parent[STORE_NAME_MAX + 1];
	enum store_error error;

	for (const char *p = strchr(name, '/'); p != NULL; p = strchr(p + 1, '/')) {
		memcpy(parent, name, (size_t)(p - name));
		parent[p - name] = '\0';
		/* "INBOX/x" has the top as its parent. */
		if (folder_lookup(s, parent) != NULL)
			continue;
		if ((error = make_one(s, parent, 0)) != STORE_OK)
			return error;
	}
	return STORE_OK;
}

enum store_error
folder_make(struct store *s, const char *name, uint32_t special)
{
	char dir[MAILDIR_NAME_MAX + 1];
	enum store_error error;

	if (maildir_folder_dir(name, dir, sizeof(dir)) == -1)
		return STORE_BAD_NAME;
	if (folder_lookup(s, name) != NULL)
		return STORE_EXISTS;
	if ((error = make_parents(s, name)) != STORE_OK ||
	    (error = make_one(s, name, special)) != STORE_OK)
		return error;
	return index_checkpoint(s);
}

enum store_error
store_create(struct store *s, const char *name, uint32_t special)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_error error;

	if (maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return STORE_BAD_NAME;
	if ((error = folders_refresh(s, 0)) != STORE_OK)
		return error;
	if (special == 0)
		special = folder_use_of_name(s, canonical);
	return folder_make(s, canonical, special);
}

/* ---- deleting ---- */

/* Into index/trash, from where trash_work() takes it piece by piece. */
static enum store_error
to_trash(struct store *s, const char *name)
{
	char dir[MAILDIR_NAME_MAX + 1], to[64];

	if (maildir_folder_dir(name, dir, sizeof(dir)) == -1)
		return STORE_BAD_NAME;
	if (mkdirat(s->indexfd, "trash", 0700) == -1 && errno != EEXIST)
		return store_errno("index/trash");
	(void)snprintf(to, sizeof(to), "trash/%lld-%ld-%u", (long long)time(NULL),
	    (long)getpid(), ++s->trash_counter);
	if (renameat(s->mailfd, dir, s->indexfd, to) == -1)
		return errno == ENOENT ? STORE_NOT_FOUND : store_errno(dir);
	s->trash = true;
	return STORE_OK;
}

enum store_error
store_delete(struct store *s, const char *name)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_error error;
	struct folder *f;
	struct stat st;

	if (maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return STORE_NOT_FOUND;
	if (strcmp(canonical, "INBOX") == 0)
		return STORE_BAD_NAME;
	if ((error = folders_refresh(s, 0)) != STORE_OK)
		return error;
	if ((f = folder_lookup(s, canonical)) == NULL)
		return has_children(s, canonical) ? STORE_HAS_CHILDREN : STORE_NOT_FOUND;
	if ((error = to_trash(s, canonical)) != STORE_OK)
		return error;
	fts_remove(f);
	table_drop(s, f);
	if (fstat(s->mailfd, &st) == 0)
		s->list_time = st.st_mtim;
	return index_checkpoint(s);
}

/* Removes up to *max entries below the directory at fd; takes fd. 1: it is empty. */
static int
empty_dir(int fd, int *max, int depth)
{
	struct dirent *e;
	DIR *d = fdopendir(fd);
	int empty = 1;

	if (d == NULL) {
		close(fd);
		return 0;
	}
	while (*max > 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(*max)--;
		if (unlinkat(fd, e->d_name, 0) == 0)
			continue;
		if ((errno == EISDIR || errno == EPERM) && depth < 8) {
			int sub = openat(fd, e->d_name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			if (sub != -1 && empty_dir(sub, max, depth + 1) &&
			    unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0)
				continue;
		}
		empty = 0;
	}
	if (*max <= 0)
		empty = 0;
	closedir(d);
	return empty;
}

int
trash_work(struct store *s, int max)
{
	int fd;

	if (!s->trash || max <= 0)
		return max;
	fd = openat(s->indexfd, "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* What cannot be removed now is tried again at the next start. */
	if (fd == -1 || empty_dir(fd, &max, 0) || max > 0)
		s->trash = false;
	return max > 0 ? max : 0;
}

/* ---- renaming ---- */

static enum store_error
rename_dir(struct store *s, struct folder *f, const char *to)
{
	char old_dir[MAILDIR_NAME_MAX + 1], new_dir[MAILDIR_NAME_MAX + 1];

	if (maildir_folder_dir(f->name, old_dir, sizeof(old_dir)) == -1 ||
	    maildir_folder_dir(to, new_dir, sizeof(new_dir)) == -1)
		return STORE_BAD_NAME;
	if (renameat(s->mailfd, old_dir, s->mailfd, new_dir) == -1)
		return errno == EEXIST || errno == ENOTEMPTY ? STORE_EXISTS
							     : store_errno(old_dir);
	table_remove(s, f);
	(void)strlcpy(f->name, to, sizeof(f->name));
	if (table_insert(s, f) == -1) {
		/* The next refresh finds the directory. */
		f->gone = f->detached = true;
		return store_errno("folder table");
	}
	f->dirty = true;
	return STORE_OK;
}

static enum store_error
rename_inbox(struct store *s, const char *to)
{
	struct folder *from = NULL, *dst = NULL;
	uint32_t *uids = NULL, *new_uids = NULL;
	enum store_error error;
	size_t n;

	if ((error = folder_make(s, to, 0)) != STORE_OK ||
	    (error = folder_open(s, "INBOX", &from)) != STORE_OK ||
	    (error = folder_open(s, to, &dst)) != STORE_OK)
		goto done;
	n = from->n;
	uids = reallocarray(NULL, n + 1, sizeof(*uids));
	new_uids = reallocarray(NULL, n + 1, sizeof(*new_uids));
	if (uids == NULL || new_uids == NULL) {
		error = STORE_IO;
		goto done;
	}
	for (size_t i = 0; i < n; i++)
		uids[i] = folder_at(from, i)->uid;
	error = folder_move(from, uids, n, dst, new_uids, UINT8_MAX, 1);
done:
	free(uids);
	free(new_uids);
	folder_close(from);
	folder_close(dst);
	return error;
}

/* The names of a folder and of all below it after the renaming. */
static int
new_name(const char *name, const char *from, const char *to, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s%s", to, name + strlen(from));

	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

enum store_error
store_rename(struct store *s, const char *from, const char *to)
{
	char old[STORE_NAME_MAX + 1], new[STORE_NAME_MAX + 1], name[STORE_NAME_MAX + 1];
	char dir[MAILDIR_NAME_MAX + 1];
	struct folder **moving = NULL;
	enum store_error error;
	struct stat st;
	size_t n = 0, len;

	if (maildir_folder_canonical(from, old, sizeof(old)) == -1)
		return STORE_NOT_FOUND;
	if (maildir_folder_canonical(to, new, sizeof(new)) == -1)
		return STORE_BAD_NAME;
	if ((error = folders_refresh(s, 0)) != STORE_OK)
		return error;
	if (folder_lookup(s, new) != NULL || has_children(s, new))
		return STORE_EXISTS;
	if (strcmp(old, "INBOX") == 0)
		return rename_inbox(s, new);
	len = strlen(old);
	/* Not into itself. */
	if (strncmp(new, old, len) == 0 && new[len] == '/')
		return STORE_BAD_NAME;
	if (folder_lookup(s, old) == NULL && !has_children(s, old))
		return STORE_NOT_FOUND;
	moving = reallocarray(NULL, s->n_folders, sizeof(struct folder *));
	if (moving == NULL)
		return store_errno("rename");
	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		if (strncmp(f->name, old, len) != 0 ||
		    (f->name[len] != '\0' && f->name[len] != '/'))
			continue;
		if (new_name(f->name, old, new, name, sizeof(name)) == -1 ||
		    maildir_folder_dir(name, dir, sizeof(dir)) == -1) {
			free(moving);
			return STORE_BAD_NAME;
		}
		moving[n++] = f;
	}
	error = make_parents(s, new);
	/* Killed in between, only the files will tell what they are. */
	for (size_t i = 0; i < n && error == STORE_OK; i++)
		if (moving[i]->loaded) {
			(void)folder_rename_work(moving[i], INT_MAX);
			(void)folder_unlink_work(moving[i], INT_MAX);
		}
	for (size_t i = 0; i < n && error == STORE_OK; i++) {
		(void)new_name(moving[i]->name, old, new, name, sizeof(name));
		error = rename_dir(s, moving[i], name);
	}
	free(moving);
	if (fsync(s->mailfd) == -1 && error == STORE_OK)
		error = store_errno("Maildir");
	if (fstat(s->mailfd, &st) == 0)
		s->list_time = st.st_mtim;
	if (error != STORE_OK) {
		(void)index_checkpoint(s);
		return error;
	}
	store_tell(s,
	    &(struct store_news){ .kind = STORE_NEWS_RENAMED, .name = new, .old = old });
	return index_checkpoint(s);
}

/* ---- subscriptions ---- */

static enum store_error
subscriptions_save(struct store *s)
{
	enum store_error error = STORE_OK;
	FILE *fp;
	int fd = openat(s->mailfd, SUBSCRIPTIONS ".new",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	if (fd == -1 || (fp = fdopen(fd, "w")) == NULL) {
		error = store_errno(SUBSCRIPTIONS);
		if (fd != -1)
			close(fd);
		return error;
	}
	for (size_t i = 0; i < s->n_subscriptions; i++)
		fprintf(fp, "%s\n", s->subscriptions[i]);
	if (fflush(fp) != 0 || fdatasync(fd) == -1 ||
	    renameat(s->mailfd, SUBSCRIPTIONS ".new", s->mailfd, SUBSCRIPTIONS) == -1)
		error = store_errno(SUBSCRIPTIONS);
	fclose(fp);
	/* Our own change of the directory is no reason to read it again. */
	if (error == STORE_OK) {
		struct stat st;

		if (fstat(s->mailfd, &st) == 0)
			s->list_time = st.st_mtim;
	}
	return error;
}

void
subscriptions_free(struct store *s)
{
	for (size_t i = 0; i < s->n_subscriptions; i++)
		free(s->subscriptions[i]);
	free(s->subscriptions);
	s->subscriptions = NULL;
	s->n_subscriptions = 0;
}

static int
subscriptions_add(struct store *s, const char *name)
{
	char **p = reallocarray(s->subscriptions, s->n_subscriptions + 1, sizeof(char *));
	size_t i = 0;
	char *copy;

	if (p == NULL)
		return -1;
	s->subscriptions = p;
	if ((copy = strdup(name)) == NULL)
		return -1;
	while (i < s->n_subscriptions && strcmp(p[i], name) < 0)
		i++;
	memmove(p + i + 1, p + i, (s->n_subscriptions - i) * sizeof(char *));
	p[i] = copy;
	s->n_subscriptions++;
	return 0;
}

enum store_error
subscriptions_load(struct store *s)
{
	char line[STORE_NAME_MAX + 2], name[STORE_NAME_MAX + 1];
	struct stat st;
	FILE *fp;
	int fd = openat(
	    s->mailfd, SUBSCRIPTIONS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1)
		return errno == ENOENT ? STORE_OK : store_errno(SUBSCRIPTIONS);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > SUBSCRIPTIONS_BYTES || (fp = fdopen(fd, "r")) == NULL) {
		close(fd);
		return STORE_OK;
	}
	while (fgets(line, sizeof(line), fp) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (maildir_folder_canonical(line, name, sizeof(name)) == 0 &&
		    !store_subscribed(s, name))
			(void)subscriptions_add(s, name);
	}
	fclose(fp);
	return STORE_OK;
}

enum store_error
store_subscribe(struct store *s, const char *name, int on)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_error error;

	if (maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return on ? STORE_BAD_NAME : STORE_NOT_FOUND;
	if (store_subscribed(s, canonical) == (on != 0))
		return STORE_OK;
	if (on) {
		if (s->n_subscriptions >= STORE_FOLDERS_MAX)
			return STORE_LIMIT;
		if (subscriptions_add(s, canonical) == -1)
			return store_errno(SUBSCRIPTIONS);
	} else {
		for (size_t i = 0; i < s->n_subscriptions; i++)
			if (strcmp(s->subscriptions[i], canonical) == 0) {
				free(s->subscriptions[i]);
				s->n_subscriptions--;
				memmove(s->subscriptions + i, s->subscriptions + i + 1,
				    (s->n_subscriptions - i) * sizeof(char *));
				break;
			}
	}
	if ((error = subscriptions_save(s)) == STORE_OK)
		store_tell(s, &(struct store_news){
				  .kind = STORE_NEWS_SUBSCRIPTION, .name = canonical });
	return error;
}
