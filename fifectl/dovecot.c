/* SPDX-License-Identifier: ISC */
/*
 * A Maildir of Dovecot as a stream for mboxd; see command.h. The files are the user's to
 * write: they are read with the rights of the directory's owner, and links are not
 * followed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/proto/dovecot_uidlist.h"
#include "common/proto/tar_format.h"
#include "fifectl/command.h"

#define PIECE 65536
#define FILES_MAX 4000000
#define FOLDERS_MAX 10000

struct file {
	uint32_t uid; /* 0: not in the list */
	char sub;     /* of "cur" or "new" */
	char *name;
};

struct names {
	char **v;
	size_t n, cap;
};

static unsigned long gone;   /* files that were renamed or removed meanwhile */
static unsigned long unread; /* files that the owner may not read, and links */

static int
complain(const char *what)
{
	fprintf(stderr, "fifectl: %s: %s\n", what, strerror(errno));
	return -1;
}

int
dovecot_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sub;
	struct stat st;

	if (fd == -1)
		return complain(path);
	if (fstatat(fd, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return fd;
	/* The home, rather than the Maildir in it. */
	sub = openat(fd, "Maildir", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	close(fd);
	if (sub != -1 && fstatat(sub, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return sub;
	if (sub != -1)
		close(sub);
	fprintf(stderr, "fifectl: %s: no Maildir\n", path);
	return -1;
}

static int
keep(struct names *s, const char *name, size_t max)
{
	if (s->n == s->cap) {
		size_t cap = s->cap + s->cap / 2 + 64;
		char **v = reallocarray(s->v, cap, sizeof(*v));

		if (v == NULL)
			return -1;
		s->v = v;
		s->cap = cap;
	}
	if (s->n >= max) {
		errno = E2BIG;
		return -1;
	}
	if ((s->v[s->n] = strdup(name)) == NULL)
		return -1;
	s->n++;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static DIR *
open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (d == NULL && fd != -1)
		close(fd);
	return d;
}

/* One file, under this name. -1: the stream is broken. */
static int
send_file(int out, int at, const char *name, const char *as)
{
	static uint8_t buf[PIECE];
	uint8_t head[TAR_HEADER_MAX];
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	uint64_t left;
	size_t n;

	if (fd == -1) {
		/* One file does not hold up the rest. */
		if (errno == ENOENT)
			gone++;
		else {
			unread++;
			(void)complain(as);
		}
		return 0;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return 0;
	}
	n = tar_write_header(head, as, (uint64_t)st.st_size, (int64_t)st.st_mtime, '0');
	if (n == 0 || file_write_all(out, head, n) == -1) {
		close(fd);
		return n == 0 ? 0 : -1;
	}
	for (left = (uint64_t)st.st_size; left > 0;) {
		ssize_t k =
		    read(fd, buf, left < sizeof(buf) ? (size_t)left : sizeof(buf));

		if (k <= 0) {
			fprintf(stderr, "fifectl: %s: %s\n", as,
			    k == 0 ? "has become shorter" : strerror(errno));
			close(fd);
			return -1;
		}
		if (file_write_all(out, buf, (size_t)k) == -1) {
			close(fd);
			return -1;
		}
		left -= (uint64_t)k;
	}
	close(fd);
	memset(buf, 0, TAR_BLOCK);
	return file_write_all(out, buf, TAR_PAD((uint64_t)st.st_size));
}

static int
read_list(int dir, struct dovecot_uidlist *list)
{
	int fd = openat(
	    dir, "dovecot-uidlist", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	char *text;
	ssize_t n;

	memset(list, 0, sizeof(*list));
	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > DOVECOT_UIDLIST_MAX ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL) {
		close(fd);
		return -1;
	}
	while (len < (size_t)st.st_size &&
	       (n = read(fd, text + len, (size_t)st.st_size - len)) > 0)
		len += (size_t)n;
	close(fd);
	return dovecot_uidlist_parse(list, text, len);
}

static int
by_uid(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	/* Those without one come last, in order of their names, which begin with a time.
	 */
	if (x->uid != y->uid)
		return x->uid - 1 < y->uid - 1 ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
collect(int dir, char sub, const struct dovecot_uidlist *list, struct file **v, size_t *n,
    size_t *cap)
{
	DIR *d = open_dir(dir, sub == 'c' ? "cur" : "new");
	const struct dovecot_entry *e;
	struct dirent *entry;

	if (d == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (*n == *cap) {
			size_t more = *cap + *cap / 2 + 1024;
			struct file *p = reallocarray(*v, more, sizeof(*p));

			if (p == NULL)
				break;
			*v = p;
			*cap = more;
		}
		if (*n == FILES_MAX || ((*v)[*n].name = strdup(entry->d_name)) == NULL)
			break;
		e = dovecot_uidlist_find(list, entry->d_name);
		(*v)[*n].uid = e != NULL ? e->uid : 0;
		(*v)[*n].sub = sub;
		(*n)++;
	}
	closedir(d);
	if (entry != NULL)
		errno = ENOMEM;
	return entry == NULL ? 0 : -1;
}

/* name: ".Sent", or "." for the top. */
static int
send_folder(int out, int maildir, const char *name)
{
	static const char *const files[] = { "dovecot-uidlist", "dovecot-keywords" };
	int dir = openat(maildir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const char *slash = strcmp(name, ".") == 0 ? "" : "/";
	const char *prefix = *slash == '\0' ? "" : name;
	struct dovecot_uidlist list;
	uint8_t head[TAR_HEADER_MAX];
	char as[1024], from[512];
	struct file *v = NULL;
	size_t n = 0, cap = 0;
	int r = -1;

	if (dir == -1)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR
			   ? 0
			   : complain(name);
	if (read_list(dir, &list) == -1)
		fprintf(
		    stderr, "fifectl: %s: its dovecot-uidlist cannot be read\n", name);
	if (collect(dir, 'c', &list, &v, &n, &cap) == -1 ||
	    collect(dir, 'n', &list, &v, &n, &cap) == -1) {
		(void)complain(name);
		goto done;
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), by_uid);
	/* Which says that there is one, whatever is in it. */
	snprintf(as, sizeof(as), "%s%smaildirfolder", prefix, slash);
	if (file_write_all(out, head, tar_write_header(head, as, 0, 0, '0')) == -1)
		goto done;
	for (size_t i = 0; i < 2; i++) {
		if (faccessat(dir, files[i], R_OK, 0) == -1)
			continue;
		snprintf(as, sizeof(as), "%s%s%s", prefix, slash, files[i]);
		if (send_file(out, dir, files[i], as) == -1)
			goto done;
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(from, sizeof(from), "%s/%s", v[i].sub == 'c' ? "cur" : "new",
		    v[i].name);
		snprintf(as, sizeof(as), "%s%s%s", prefix, slash, from);
		if (send_file(out, dir, from, as) == -1)
			goto done;
	}
	r = 0;
done:
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
	dovecot_uidlist_clear(&list);
	close(dir);
	return r;
}

/* Root looks at nothing that the owner may not see. */
static int
become_owner(int maildir)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(maildir, &st) == -1)
		return complain("Maildir");
	if (st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) == -1 || setgid(st.st_gid) == -1 ||
	    setuid(st.st_uid) == -1)
		return complain("becoming the Maildir's owner");
	return 0;
}

int
dovecot_source(int out, void *arg)
{
	static const uint8_t end[2 * TAR_BLOCK];
	int maildir = *(int *)arg, r = 1;
	struct names folders = { 0 };
	struct dirent *entry;
	struct stat st;
	DIR *d;

	if (become_owner(maildir) == -1)
		return 1;
	if ((d = open_dir(maildir, ".")) == NULL) {
		(void)complain("Maildir");
		return 1;
	}
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.' || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    fstatat(maildir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISDIR(st.st_mode))
			continue;
		if (keep(&folders, entry->d_name, FOLDERS_MAX) == -1) {
			(void)complain(entry->d_name);
			closedir(d);
			goto done;
		}
	}
	closedir(d);
	if (folders.n > 0)
		qsort(folders.v, folders.n, sizeof(*folders.v), by_name);
	if (send_folder(out, maildir, ".") == -1)
		goto done;
	for (size_t i = 0; i < folders.n; i++)
		if (send_folder(out, maildir, folders.v[i]) == -1)
			goto done;
	if (faccessat(maildir, "subscriptions", R_OK, 0) == 0 &&
	    send_file(out, maildir, "subscriptions", "subscriptions") == -1)
		goto done;
	if (file_write_all(out, end, sizeof(end)) == -1)
		goto done;
	r = unread > 0;
	if (unread > 0)
		fprintf(stderr, "fifectl: %lu files cannot be read and were left out\n",
		    unread);
	if (gone > 0) {
		fprintf(stderr,
		    "fifectl: %lu files were renamed or removed meanwhile: is Dovecot "
		    "still "
		    "running? A second import takes in what is missing\n",
		    gone);
		r = 1;
	}
done:
	for (size_t i = 0; i < folders.n; i++)
		free(folders.v[i]);
	free(folders.v);
	return r;
}
