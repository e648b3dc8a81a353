/* SPDX-License-Identifier: ISC */
/*
 * The file fife-acl in a folder's directory: who else may do what (acl.h). It goes where
 * the directory goes. An empty file fife-shared in Maildir says that there is one at all,
 * so that a mailbox without any need not look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "mailbox/acl.h"
#include "mailbox/store_int.h"

#define ACL_FILE "fife-acl"
#define SHARED_FILE "fife-shared"

/* "DIR/fife-acl" below Maildir. */
static int
acl_path(const char *name, const char *suffix, char *out, size_t cap)
{
	char dir[MAILDIR_NAME_MAX + 1];
	int n;

	if (maildir_folder_dir(name, dir, sizeof(dir)) == -1)
		return -1;
	n = snprintf(out, cap, "%s/" ACL_FILE "%s", dir, suffix);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

void
folder_acl_free(struct folder *f)
{
	if (f->acl != NULL)
		acl_clear(f->acl);
	free(f->acl);
	f->acl = NULL;
	f->acl_known = false;
}

/* Takes the list. */
static int
keep(struct folder *f, struct acl *a)
{
	struct acl *copy = NULL;

	if (a->n > 0 && (copy = malloc(sizeof(*copy))) == NULL) {
		acl_clear(a);
		return -1;
	}
	folder_acl_free(f);
	if (copy != NULL)
		*copy = *a;
	else
		acl_clear(a);
	f->acl = copy;
	f->acl_known = true;
	return 0;
}

/* What cannot be read gives nobody anything. */
static void
load(struct folder *f)
{
	char path[MAILDIR_NAME_MAX + 32], *buf = NULL;
	struct acl a = { 0 };
	struct stat st;
	ssize_t n;
	int fd;

	f->acl_known = true;
	if (acl_path(f->name, "", path, sizeof(path)) == -1)
		return;
	fd = openat(
	    f->store->mailfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1) {
		if (errno != ENOENT)
			log_warn("%s", path);
		return;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > ACL_BYTES_MAX ||
	    (buf = malloc((size_t)st.st_size + 1)) == NULL ||
	    (n = read(fd, buf, (size_t)st.st_size)) < 0 ||
	    acl_parse(buf, (size_t)n, &a) == -1) {
		log_warnx("%s cannot be read: the folder is not shared", path);
		acl_clear(&a);
	} else if (keep(f, &a) == -1)
		log_warnx("%s: no memory: the folder is not shared", path);
	free(buf);
	close(fd);
}

void
store_acl_open(struct store *s)
{
	s->shared = faccessat(s->mailfd, SHARED_FILE, F_OK, 0) == 0;
	s->acl_generation = s->shared;
}

const struct acl *
store_acl(struct store *s, const char *name)
{
	char canonical[STORE_NAME_MAX + 1];
	struct folder *f;

	if (!s->shared ||
	    maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1 ||
	    (f = folder_lookup(s, canonical)) == NULL)
		return NULL;
	if (!f->acl_known)
		load(f);
	return f->acl;
}

static enum store_error
mark_shared(struct store *s)
{
	struct stat st;
	int fd;

	if (s->shared)
		return STORE_OK;
	fd = openat(s->mailfd, SHARED_FILE,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || fsync(s->mailfd) == -1) {
		enum store_error error = store_errno(SHARED_FILE);

		if (fd != -1)
			close(fd);
		return error;
	}
	close(fd);
	s->shared = true;
	/* Our own change of Maildir is no reason to read it again. */
	if (fstat(s->mailfd, &st) == 0)
		s->list_time = st.st_mtim;
	return STORE_OK;
}

static enum store_error
write_list(struct folder *f, const struct acl *a)
{
	char path[MAILDIR_NAME_MAX + 32], new_path[MAILDIR_NAME_MAX + 32], *text;
	enum store_error error = STORE_OK;
	int mailfd = f->store->mailfd, fd;
	struct stat st;
	size_t len;
	FILE *fp;

	if (acl_path(f->name, "", path, sizeof(path)) == -1 ||
	    acl_path(f->name, ".new", new_path, sizeof(new_path)) == -1)
		return STORE_BAD_NAME;
	fd = openat(mailfd, new_path,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -1 || (fp = fdopen(fd, "w")) == NULL) {
		error = errno == ENOENT ? STORE_NOT_FOUND : store_errno(path);
		if (fd != -1)
			close(fd);
		return error;
	}
	if ((text = acl_print(a, &len)) == NULL || fwrite(text, 1, len, fp) != len ||
	    fflush(fp) != 0 || ferror(fp) || fdatasync(fd) == -1 ||
	    renameat(mailfd, new_path, mailfd, path) == -1)
		error = store_errno(path);
	free(text);
	fclose(fp);
	if (error != STORE_OK)
		return error;
	/* The directory's entry too. */
	*strrchr(path, '/') = '\0';
	fd = openat(mailfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		error = store_errno(path);
	/* INBOX lies in Maildir itself. */
	if (strcmp(f->name, "INBOX") == 0 && fstat(mailfd, &st) == 0)
		f->store->list_time = st.st_mtim;
	if (fd != -1)
		close(fd);
	return error;
}

/* Sessions that have it open may not be allowed to any more. */
static void
wake(struct folder *f)
{
	struct folder_watch *w, *next;

	for (w = LIST_FIRST(&f->watches); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		w->cb(f, w->arg);
	}
}

static enum store_error
set(struct folder *f, const struct acl *a)
{
	struct acl copy = { 0 };
	enum store_error error;

	if ((error = mark_shared(f->store)) != STORE_OK)
		return error;
	if (acl_copy(a, &copy) == -1) {
		acl_clear(&copy);
		return store_errno(ACL_FILE);
	}
	if ((error = write_list(f, a)) != STORE_OK) {
		acl_clear(&copy);
		return error;
	}
	f->store->acl_generation++;
	if (keep(f, &copy) == -1)
		folder_acl_free(f); /* read again when it is asked for */
	wake(f);
	return STORE_OK;
}

enum store_error
store_acl_set(struct store *s, const char *name, const struct acl *a)
{
	char canonical[STORE_NAME_MAX + 1];
	enum store_error error;
	struct folder *f;

	if (maildir_folder_canonical(name, canonical, sizeof(canonical)) == -1)
		return STORE_NOT_FOUND;
	if ((error = folders_refresh(s, 0)) != STORE_OK)
		return error;
	if ((f = folder_lookup(s, canonical)) == NULL)
		return STORE_NOT_FOUND;
	return set(f, a);
}

enum store_error
folder_acl_inherit(struct folder *f)
{
	char parent[STORE_NAME_MAX + 1];
	struct folder *p = NULL;
	char *slash;

	if (!f->store->shared)
		return STORE_OK;
	(void)strlcpy(parent, f->name, sizeof(parent));
	while (p == NULL && (slash = strrchr(parent, '/')) != NULL) {
		*slash = '\0';
		p = folder_lookup(f->store, parent);
	}
	if (p == NULL)
		return STORE_OK;
	if (!p->acl_known)
		load(p);
	return p->acl == NULL ? STORE_OK : set(f, p->acl);
}

int
store_acl_identifiers(struct store *s, char *buf, size_t cap, size_t *len)
{
	struct acl all = { 0 };
	int r = 0;

	*len = 0;
	for (size_t i = 0; i < s->n_folders && s->shared; i++) {
		struct folder *f = s->folders[i];

		if (!f->acl_known)
			load(f);
		for (size_t k = 0; f->acl != NULL && k < f->acl->n; k++)
			if (acl_set(&all, f->acl->v[k].identifier, ACL_LOOKUP) == -1)
				r = -1;
	}
	for (size_t i = 0; i < all.n; i++) {
		size_t n = strlen(all.v[i].identifier);

		if (n + 1 > cap - *len) {
			r = -1;
			break;
		}
		memcpy(buf + *len, all.v[i].identifier, n);
		buf[*len + n] = '\n';
		*len += n + 1;
	}
	acl_clear(&all);
	return r;
}

uint64_t
store_acl_generation(const struct store *s)
{
	return s->acl_generation;
}

int
store_is_shared(const struct store *s)
{
	return s->shared;
}

enum store_error
store_acl_rescan(struct store *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n_folders; i++) {
		struct folder *f = s->folders[i];

		folder_acl_free(f);
		load(f);
		any |= f->acl != NULL;
	}
	s->acl_generation++;
	return any ? mark_shared(s) : STORE_OK;
}

static bool
anyone_posts(struct store *s, const char *name)
{
	const struct acl *a = store_acl(s, name);

	return a != NULL && acl_get(a, "anyone") & ~acl_get(a, "-anyone") & ACL_POST;
}

bool
store_post_folder(struct store *s, const char *recipient, char name[STORE_NAME_MAX + 1])
{
	const char *at = strrchr(recipient, '@'), *detail = strchr(recipient, '+');
	struct folder_info *list = NULL;
	bool found = false;
	size_t n = 0, len;

	if (!store_is_shared(s) || detail == NULL || at == NULL || ++detail >= at)
		return false;
	len = (size_t)(at - detail);
	if (store_list(s, &list, &n) != STORE_OK)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool exact = strncmp(list[i].name, detail, len) == 0;

		if ((exact || (!found && strncasecmp(list[i].name, detail, len) == 0)) &&
		    list[i].name[len] == '\0' && !(list[i].flags & FOLDER_NOSELECT) &&
		    anyone_posts(s, list[i].name)) {
			(void)strlcpy(name, list[i].name, STORE_NAME_MAX + 1);
			found = true;
			if (exact)
				break;
		}
	}
	free(list);
	return found;
}
