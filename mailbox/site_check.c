/* SPDX-License-Identifier: ISC */
/* Scripts of the site out of their files, with all of them checked; see site.h. */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/conf/conf.h"
#include "mailbox/site.h"

#define SUFFIX ".sieve"

struct reading {
	const struct conf *conf;
	uint8_t *piece;
	size_t len;
	size_t n;
	char *err;
	size_t cap;
};

static int
failed(struct reading *r, const char *path, const char *why)
{
	snprintf(r->err, r->cap, "%s: sieve: %s: %s, expected a Sieve script",
	    r->conf->file, path, why);
	return -1;
}

static int
add(struct reading *r, enum site_kind kind, const char *name, const char *text,
    size_t len)
{
	size_t n = strlen(name), more = 2 + n + 4 + len;
	uint8_t *p;

	if (r->len + more > SITE_OCTETS_MAX || r->n >= SITE_SCRIPTS_MAX) {
		errno = EFBIG;
		return -1;
	}
	if ((p = realloc(r->piece, r->len + more)) == NULL)
		return -1;
	r->piece = p;
	p += r->len;
	p[0] = (uint8_t)kind;
	p[1] = (uint8_t)n;
	memcpy(p + 2, name, n);
	p += 2 + n;
	p[0] = (uint8_t)(len >> 24);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	memcpy(p + 4, text, len);
	r->len += more;
	r->n++;
	return 0;
}

static int
add_file(struct reading *r, enum site_kind kind, const char *name, const char *path)
{
	int fd = conf_open_file(r->conf, path), bad = 0;
	struct stat st;
	char *text = NULL;
	size_t n = 0;

	if (fd == -1)
		return failed(r, path, strerror(errno));
	if (fstat(fd, &st) == -1 || st.st_size > SIEVE_SCRIPT_MAX ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL)
		bad = 1;
	while (!bad && n < (size_t)st.st_size) {
		ssize_t k = read(fd, text + n, (size_t)st.st_size - n);

		if (k <= 0)
			bad = 1;
		else
			n += (size_t)k;
	}
	close(fd);
	if (!bad && add(r, kind, name, text, n) == -1)
		bad = 1;
	free(text);
	return bad ? failed(r, path, "it cannot be read, or all are too large") : 0;
}

static int
is_script(const struct dirent *e)
{
	size_t len = strlen(e->d_name), suffix = strlen(SUFFIX);

	return e->d_name[0] != '.' && len > suffix && len - suffix <= SIEVE_NAME_MAX &&
	       strcmp(e->d_name + len - suffix, SUFFIX) == 0;
}

static int
add_folder(struct reading *r, const char *folder)
{
	char full[CONF_PATH_MAX + 1], path[CONF_PATH_MAX + 260], name[SIEVE_NAME_MAX + 1];
	struct dirent *e;
	int bad = 0;
	DIR *d;

	if (conf_path(r->conf, folder, full, sizeof(full)) == -1)
		return failed(r, folder, strerror(ENAMETOOLONG));
	if ((d = opendir(full)) == NULL)
		return failed(r, full, strerror(errno));
	while (!bad && (e = readdir(d)) != NULL) {
		if (!is_script(e))
			continue;
		snprintf(name, sizeof(name), "%.*s",
		    (int)(strlen(e->d_name) - strlen(SUFFIX)), e->d_name);
		snprintf(path, sizeof(path), "%s/%s", full, e->d_name);
		bad = add_file(r, SITE_GLOBAL, name, path) == -1;
	}
	closedir(d);
	return bad ? -1 : 0;
}

/* ---- the check ---- */

static int
included(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	const struct reading *r = arg;
	struct site_script s;
	size_t at = 0;

	while (where == SIEVE_GLOBAL && site_next(r->piece, r->len, &at, &s) == 1) {
		if (s.kind != SITE_GLOBAL || strcmp(s.name, name) != 0)
			continue;
		if ((*text = malloc(s.len + 1)) == NULL)
			return -1;
		memcpy(*text, s.text, s.len);
		(*text)[s.len] = '\0';
		*len = s.len;
		return 0;
	}
	return 1;
}

static int
check_all(struct reading *r)
{
	/* One that a user may have is none of the site's to include. */
	struct sieve_compile env = { .script = included, .arg = r };
	struct sieve_errors *errors = malloc(sizeof(*errors));
	struct sieve_program *p;
	struct site_script s;
	char why[400];
	size_t at = 0;
	int bad = errors == NULL;

	while (!bad && site_next(r->piece, r->len, &at, &s) == 1) {
		memset(errors, 0, sizeof(*errors));
		if ((p = sieve_compile(s.name, s.text, s.len, &env, errors)) == NULL) {
			sieve_errors_print(errors, why, sizeof(why));
			bad = failed(r, s.name, why);
		}
		sieve_free(p);
	}
	free(errors);
	return bad ? -1 : 0;
}

int
site_read(const struct conf *c, uint8_t **piece, size_t *len, char *err, size_t cap)
{
	struct reading r = { .conf = c, .err = err, .cap = cap };

	*piece = NULL;
	*len = 0;
	if ((c->sieve_before[0] != '\0' &&
		add_file(&r, SITE_BEFORE, "before", c->sieve_before) == -1) ||
	    (c->sieve_after[0] != '\0' &&
		add_file(&r, SITE_AFTER, "after", c->sieve_after) == -1) ||
	    (c->sieve_global[0] != '\0' && add_folder(&r, c->sieve_global) == -1) ||
	    check_all(&r) == -1) {
		free(r.piece);
		return -1;
	}
	*piece = r.piece;
	*len = r.len;
	return 0;
}
