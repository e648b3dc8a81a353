/* SPDX-License-Identifier: ISC */
/* The directory of scripts; see scripts.h. Changes are made by rename(2) and synced. */
#include "mailbox/scripts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/site.h"
#include "common/proto/encoding.h"

#define SUFFIX ".sieve"
#define ACTIVE "active"

static struct {
	struct sieve_program *program;
	char name[SIEVE_NAME_MAX + 1];
	struct timespec dir, file;
	off_t size;
} kept;

const char *
script_error_text(enum script_error e)
{
	static const char *const texts[] = {
		"done",
		"there is no script of that name",
		"there is a script of that name already",
		"a name has 1 to 128 octets, no slash, control character or dot in front",
		"there are too many scripts",
		"the scripts are too large",
		"the script has errors",
		"the script is active",
		"the scripts cannot be read or written now",
	};

	return texts[e];
}

int
script_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SIEVE_NAME_MAX || name[0] == '.' || !utf8_valid(name, len))
		return 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x20 || c == 0x7f || c == '/')
			return 0;
		/* U+0080 to U+009F, U+2028, U+2029 */
		if (c == 0xc2 && (unsigned char)name[i + 1] < 0xa0)
			return 0;
		if (c == 0xe2 && (unsigned char)name[i + 1] == 0x80 &&
		    ((unsigned char)name[i + 2] == 0xa8 ||
			(unsigned char)name[i + 2] == 0xa9))
			return 0;
	}
	return 1;
}

static enum script_error
failed(const char *what)
{
	log_warn("sieve: %s", what);
	return SCRIPT_IO;
}

/* The directory; -1 with errno. */
static int
open_dir(struct store *s, int create)
{
	int fd = openat(
	    store_root(s), "sieve", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd != -1 || errno != ENOENT || !create)
		return fd;
	if (mkdirat(store_root(s), "sieve", 0700) == -1 && errno != EEXIST)
		return -1;
	(void)fsync(store_root(s));
	return openat(
	    store_root(s), "sieve", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void
file_name(const char *name, char out[SIEVE_NAME_MAX + sizeof(SUFFIX)])
{
	snprintf(out, SIEVE_NAME_MAX + sizeof(SUFFIX), "%s" SUFFIX, name);
}

/* A whole small file; NUL behind it. */
static enum script_error
read_file(int dir, const char *name, char **text, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t n = 0;

	*text = NULL;
	*len = 0;
	if (fd == -1)
		return errno == ENOENT ? SCRIPT_NOT_FOUND : failed(name);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > SIEVE_SCRIPT_MAX ||
	    (*text = malloc((size_t)st.st_size + 1)) == NULL) {
		close(fd);
		return failed(name);
	}
	while (n < (size_t)st.st_size) {
		ssize_t k = read(fd, *text + n, (size_t)st.st_size - n);

		if (k == -1 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	close(fd);
	(*text)[n] = '\0';
	*len = n;
	return SCRIPT_OK;
}

static enum script_error
write_file(int dir, const char *name, const char *text, size_t len)
{
	int fd = openat(
	    dir, ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = 0;

	if (fd == -1)
		return failed(name);
	while (n < len) {
		ssize_t k = write(fd, text + n, len - n);

		if (k == -1 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	if (n < len || fsync(fd) == -1) {
		close(fd);
		(void)unlinkat(dir, ".new", 0);
		return failed(name);
	}
	if (close(fd) == -1 || renameat(dir, ".new", dir, name) == -1 || fsync(dir) == -1)
		return failed(name);
	return SCRIPT_OK;
}

static void
read_active(int dir, char name[SIEVE_NAME_MAX + 1])
{
	char *text;
	size_t len;

	name[0] = '\0';
	if (read_file(dir, ACTIVE, &text, &len) != SCRIPT_OK)
		return;
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (strlen(text) == len && script_name_valid(text))
		strlcpy(name, text, SIEVE_NAME_MAX + 1);
	free(text);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(
	    ((const struct script_info *)a)->name, ((const struct script_info *)b)->name);
}

static enum script_error
list(int dirfd, struct script_info **out, size_t *n)
{
	char active[SIEVE_NAME_MAX + 1];
	size_t cap = 0;
	struct dirent *e;
	DIR *d;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*out = NULL;
	*n = 0;
	if (fd == -1 || (d = fdopendir(fd)) == NULL) {
		if (fd != -1)
			close(fd);
		return failed("directory");
	}
	read_active(dirfd, active);
	while ((e = readdir(d)) != NULL && *n < 2 * SCRIPTS_MAX) {
		size_t len = strlen(e->d_name), end = sizeof(SUFFIX) - 1;
		struct script_info *v;
		struct stat st;

		if (len <= end || len - end > SIEVE_NAME_MAX ||
		    strcmp(e->d_name + len - end, SUFFIX) != 0 ||
		    fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (*n == cap) {
			cap = cap == 0 ? 8 : cap * 2;
			if ((v = reallocarray(*out, cap, sizeof(*v))) == NULL)
				break;
			*out = v;
		}
		v = &(*out)[*n];
		memset(v, 0, sizeof(*v));
		memcpy(v->name, e->d_name, len - end);
		if (!script_name_valid(v->name))
			continue;
		v->size = (uint64_t)st.st_size;
		v->changed = (int64_t)st.st_mtime;
		v->active = strcmp(v->name, active) == 0;
		(*n)++;
	}
	closedir(d);
	if (*n > 0)
		qsort(*out, *n, sizeof(**out), by_name);
	return SCRIPT_OK;
}

enum script_error
scripts_list(struct store *s, struct script_info **out, size_t *n)
{
	enum script_error e;
	int dir = open_dir(s, 0);

	*out = NULL;
	*n = 0;
	if (dir == -1)
		return errno == ENOENT ? SCRIPT_OK : failed("directory");
	e = list(dir, out, n);
	close(dir);
	return e;
}

enum script_error
script_get(struct store *s, const char *name, char **text, size_t *len)
{
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)];
	enum script_error e;
	int dir;

	*text = NULL;
	if (!script_name_valid(name))
		return SCRIPT_NOT_FOUND;
	if ((dir = open_dir(s, 0)) == -1)
		return errno == ENOENT ? SCRIPT_NOT_FOUND : failed("directory");
	file_name(name, file);
	e = read_file(dir, file, text, len);
	close(dir);
	return e;
}

enum script_error
script_room(struct store *s, const char *name, uint64_t size)
{
	struct script_info *v;
	uint64_t sum = 0;
	size_t n, others = 0;
	enum script_error e;

	if (!script_name_valid(name))
		return SCRIPT_BAD_NAME;
	if (size > SIEVE_SCRIPT_MAX)
		return SCRIPT_TOO_LARGE;
	if ((e = scripts_list(s, &v, &n)) != SCRIPT_OK)
		return e;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].name, name) == 0)
			continue;
		others++;
		sum += v[i].size;
	}
	free(v);
	if (others >= SCRIPTS_MAX)
		return SCRIPT_TOO_MANY;
	return sum + size > SCRIPTS_OCTETS_MAX ? SCRIPT_TOO_LARGE : SCRIPT_OK;
}

/* For "include" (RFC 6609). */
static int
included(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	enum script_error e;

	if (where != SIEVE_PERSONAL)
		return site_text(name, text, len);
	e = script_get(arg, name, text, len);
	return e == SCRIPT_OK ? 0 : e == SCRIPT_NOT_FOUND ? 1 : -1;
}

enum script_error
script_check(struct store *s, const char *text, size_t len, struct sieve_errors *errors)
{
	struct sieve_compile env = { .script = included, .arg = s, .upload = true };
	struct sieve_program *p = sieve_compile("script", text, len, &env, errors);

	if (p == NULL)
		return SCRIPT_INVALID;
	sieve_free(p);
	return SCRIPT_OK;
}

enum script_error
script_put(struct store *s, const char *name, const char *text, size_t len,
    struct sieve_errors *errors)
{
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)];
	enum script_error e;
	int dir;

	memset(errors, 0, sizeof(*errors));
	if ((e = script_room(s, name, len)) != SCRIPT_OK ||
	    (e = script_check(s, text, len, errors)) != SCRIPT_OK)
		return e;
	if ((dir = open_dir(s, 1)) == -1)
		return failed("directory");
	file_name(name, file);
	e = write_file(dir, file, text, len);
	close(dir);
	script_forget();
	return e;
}

enum script_error
script_delete(struct store *s, const char *name)
{
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)], active[SIEVE_NAME_MAX + 1];
	enum script_error e = SCRIPT_OK;
	int dir;

	if (!script_name_valid(name))
		return SCRIPT_NOT_FOUND;
	if ((dir = open_dir(s, 0)) == -1)
		return errno == ENOENT ? SCRIPT_NOT_FOUND : failed("directory");
	file_name(name, file);
	read_active(dir, active);
	if (faccessat(dir, file, F_OK, 0) == -1)
		e = SCRIPT_NOT_FOUND;
	else if (strcmp(active, name) == 0)
		e = SCRIPT_IS_ACTIVE;
	else if (unlinkat(dir, file, 0) == -1 || fsync(dir) == -1)
		e = failed(file);
	close(dir);
	script_forget();
	return e;
}

enum script_error
script_rename(struct store *s, const char *from, const char *to)
{
	char a[SIEVE_NAME_MAX + sizeof(SUFFIX)], b[SIEVE_NAME_MAX + sizeof(SUFFIX)],
	    active[SIEVE_NAME_MAX + 1], line[SIEVE_NAME_MAX + 2];
	enum script_error e = SCRIPT_OK;
	int dir;

	if (!script_name_valid(to))
		return SCRIPT_BAD_NAME;
	if (!script_name_valid(from))
		return SCRIPT_NOT_FOUND;
	if ((dir = open_dir(s, 0)) == -1)
		return errno == ENOENT ? SCRIPT_NOT_FOUND : failed("directory");
	file_name(from, a);
	file_name(to, b);
	read_active(dir, active);
	if (faccessat(dir, a, F_OK, 0) == -1)
		e = SCRIPT_NOT_FOUND;
	else if (faccessat(dir, b, F_OK, 0) == 0)
		e = SCRIPT_EXISTS;
	else if (linkat(dir, a, dir, b, 0) == -1)
		e = failed(b);
	/* The active one is there under the one name or the other at every moment. */
	if (e == SCRIPT_OK && strcmp(active, from) == 0) {
		snprintf(line, sizeof(line), "%s\n", to);
		e = write_file(dir, ACTIVE, line, strlen(line));
	}
	if (e == SCRIPT_OK && (unlinkat(dir, a, 0) == -1 || fsync(dir) == -1))
		e = failed(a);
	close(dir);
	script_forget();
	return e;
}

enum script_error
script_activate(struct store *s, const char *name)
{
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)], line[SIEVE_NAME_MAX + 2];
	enum script_error e = SCRIPT_OK;
	int dir;

	if (name[0] != '\0' && !script_name_valid(name))
		return SCRIPT_NOT_FOUND;
	if ((dir = open_dir(s, 0)) == -1) {
		if (errno != ENOENT)
			return failed("directory");
		return name[0] == '\0' ? SCRIPT_OK : SCRIPT_NOT_FOUND;
	}
	if (name[0] == '\0') {
		if (unlinkat(dir, ACTIVE, 0) == -1 && errno != ENOENT)
			e = failed(ACTIVE);
		else
			(void)fsync(dir);
	} else {
		file_name(name, file);
		snprintf(line, sizeof(line), "%s\n", name);
		if (faccessat(dir, file, F_OK, 0) == -1)
			e = SCRIPT_NOT_FOUND;
		else
			e = write_file(dir, ACTIVE, line, strlen(line));
	}
	close(dir);
	script_forget();
	return e;
}

enum script_error
script_active(struct store *s, char name[SIEVE_NAME_MAX + 1])
{
	int dir = open_dir(s, 0);

	name[0] = '\0';
	if (dir == -1)
		return errno == ENOENT ? SCRIPT_OK : failed("directory");
	read_active(dir, name);
	close(dir);
	return SCRIPT_OK;
}

void
script_forget(void)
{
	sieve_free(kept.program);
	memset(&kept, 0, sizeof(kept));
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whoever changes a file changes the directory, as we do; an editor in place does not. */
static bool
is_kept(int dir, const struct stat *st)
{
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)];
	struct stat fst;

	if (kept.name[0] == '\0' || !same_time(&st->st_mtim, &kept.dir))
		return false;
	file_name(kept.name, file);
	return fstatat(dir, file, &fst, AT_SYMLINK_NOFOLLOW) == 0 &&
	       same_time(&fst.st_mtim, &kept.file) && fst.st_size == kept.size;
}

enum script_error
script_program(
    struct store *s, struct sieve_program **program, struct sieve_errors *errors)
{
	struct sieve_compile env = { .script = included, .arg = s };
	char file[SIEVE_NAME_MAX + sizeof(SUFFIX)], name[SIEVE_NAME_MAX + 1], *text;
	struct stat st, fst;
	enum script_error e = SCRIPT_OK;
	size_t len;
	int dir = open_dir(s, 0);

	*program = NULL;
	memset(errors, 0, sizeof(*errors));
	if (dir == -1)
		return errno == ENOENT ? SCRIPT_NOT_FOUND : failed("directory");
	if (fstat(dir, &st) == -1) {
		close(dir);
		return failed("directory");
	}
	if (is_kept(dir, &st)) {
		close(dir);
		*program = kept.program;
		return SCRIPT_OK;
	}
	script_forget();
	read_active(dir, name);
	file_name(name, file);
	if (name[0] == '\0')
		e = SCRIPT_NOT_FOUND;
	else if (fstatat(dir, file, &fst, AT_SYMLINK_NOFOLLOW) == -1)
		e = errno == ENOENT ? SCRIPT_NOT_FOUND : failed(file);
	else if ((e = read_file(dir, file, &text, &len)) == SCRIPT_OK) {
		*program = sieve_compile(name, text, len, &env, errors);
		free(text);
		if (*program == NULL)
			e = SCRIPT_INVALID;
		else {
			kept.program = *program;
			strlcpy(kept.name, name, sizeof(kept.name));
			kept.dir = st.st_mtim;
			kept.file = fst.st_mtim;
			kept.size = fst.st_size;
		}
	}
	close(dir);
	return e;
}

void
script_errors_print(const struct sieve_errors *e, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < e->kept; i++) {
		const struct sieve_error *p = &e->v[i];
		int k = snprintf(out + n, cap - n, "%s: line %u, column %u: %s%s\r\n",
		    p->script, p->line, p->column, p->warning ? "warning: " : "",
		    p->text);

		if (k < 0 || (size_t)k >= cap - n) {
			out[n] = '\0';
			return;
		}
		n += (size_t)k;
	}
}
