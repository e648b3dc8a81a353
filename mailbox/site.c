/* SPDX-License-Identifier: ISC */
/* Scripts of the site in a mailbox process; see site.h. */
#include "mailbox/site.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "mailbox/scripts.h"

static struct {
	uint8_t *piece;
	size_t len;
	struct {
		int tried;
		struct sieve_program *program;
	} kept[SITE_GLOBAL];
} site;

int
site_next(const uint8_t *piece, size_t len, size_t *at, struct site_script *s)
{
	const uint8_t *p = piece + *at;
	size_t left = len - *at, name, text;

	if (left == 0)
		return 0;
	if (left < 2 || p[0] < SITE_BEFORE || p[0] > SITE_GLOBAL)
		return -1;
	name = p[1];
	if (name > SIEVE_NAME_MAX || left < 2 + name + 4 || memchr(p + 2, '\0', name))
		return -1;
	s->kind = (enum site_kind)p[0];
	memcpy(s->name, p + 2, name);
	s->name[name] = '\0';
	p += 2 + name;
	text = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (text > left - 2 - name - 4)
		return -1;
	s->text = (const char *)p + 4;
	s->len = text;
	*at += 2 + name + 4 + text;
	return 1;
}

static int
find(enum site_kind kind, const char *name, struct site_script *s)
{
	size_t at = 0;

	while (site_next(site.piece, site.len, &at, s) == 1)
		if (s->kind == kind && (name == NULL || strcmp(s->name, name) == 0))
			return 1;
	return 0;
}

static void
forget(void)
{
	for (int i = 0; i < SITE_GLOBAL; i++) {
		sieve_free(site.kept[i].program);
		site.kept[i].program = NULL;
		site.kept[i].tried = 0;
	}
	/* The user's may include them. */
	script_forget();
}

int
site_take(int fd, uint64_t size)
{
	uint8_t *piece = NULL;
	struct site_script s;
	size_t n = 0, at = 0;
	int r = 0;

	if (fd != -1) {
		if (size == 0 || size > SITE_OCTETS_MAX ||
		    (piece = malloc((size_t)size)) == NULL)
			r = -1;
		while (r == 0 && n < size) {
			ssize_t k = pread(fd, piece + n, (size_t)size - n, (off_t)n);

			if (k <= 0)
				r = -1;
			else
				n += (size_t)k;
		}
		while (r == 0 && (r = site_next(piece, n, &at, &s)) == 1)
			r = 0;
		if (r == -1 || at != n) {
			log_warnx("the scripts of the site cannot be read");
			free(piece);
			return -1;
		}
	}
	free(site.piece);
	site.piece = piece;
	site.len = n;
	forget();
	return 0;
}

int
site_text(const char *name, char **text, size_t *len)
{
	struct site_script s;

	if (!find(SITE_GLOBAL, name, &s))
		return 1;
	if ((*text = malloc(s.len + 1)) == NULL)
		return -1;
	memcpy(*text, s.text, s.len);
	(*text)[s.len] = '\0';
	*len = s.len;
	return 0;
}

static int
included(enum sieve_location where, const char *name, char **text, size_t *len, void *arg)
{
	return where == SIEVE_GLOBAL ? site_text(name, text, len) : 1;
}

struct sieve_program *
site_program(enum site_kind kind)
{
	struct sieve_compile env = { .script = included };
	struct sieve_errors *errors;
	struct site_script s;
	char why[400];

	if (site.kept[kind].tried || !find(kind, NULL, &s))
		return site.kept[kind].program;
	if ((errors = calloc(1, sizeof(*errors))) == NULL)
		return NULL;
	site.kept[kind].tried = 1;
	site.kept[kind].program = sieve_compile(s.name, s.text, s.len, &env, errors);
	if (site.kept[kind].program == NULL) {
		sieve_errors_print(errors, why, sizeof(why));
		log_warnx("script of the site: %s", why);
	}
	free(errors);
	return site.kept[kind].program;
}
