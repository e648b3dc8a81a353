/* SPDX-License-Identifier: ISC */
/* Dovecot's list of UIDs; see dovecot_uidlist.h. */
#include "common/proto/dovecot_uidlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

#define NAME_MAX_LEN 255

/* Digits; NULL: none, or too many. */
static char *
digits(char *p, uint32_t max, uint32_t *out)
{
	uint64_t n = 0;
	char *start = p;

	for (; *p >= '0' && *p <= '9'; p++)
		if ((n = n * 10 + (uint64_t)(*p - '0')) > max)
			return NULL;
	*out = (uint32_t)n;
	return p == start ? NULL : p;
}

static int
first_line(struct dovecot_uidlist *u, char *line, int *version)
{
	uint32_t n;
	char *p = digits(line, 3, &n);

	if (p == NULL || (n != 1 && n != 3) || *p != ' ')
		return -1;
	*version = (int)n;
	if (n == 1) {
		if ((p = digits(p + 1, UINT32_MAX, &u->uidvalidity)) == NULL ||
		    *p != ' ' || digits(p + 1, UINT32_MAX, &u->uidnext) == NULL)
			return -1;
	} else
		while (*p == ' ') {
			char key = p[1];

			if (key == 'V' || key == 'N') {
				p = digits(p + 2, UINT32_MAX,
				    key == 'V' ? &u->uidvalidity : &u->uidnext);
				if (p == NULL)
					return -1;
			} else
				p += 1 + strcspn(p + 1, " ");
		}
	return u->uidvalidity != 0 ? 0 : -1;
}

/* -1: it is none. */
static int
entry(char *line, int version, struct dovecot_entry *e)
{
	char *p = digits(line, DOVECOT_UID_MAX, &e->uid);

	e->uidl = NULL;
	if (p == NULL || e->uid == 0)
		return -1;
	for (;;) {
		if (*p != ' ')
			return -1;
		*p++ = '\0'; /* ends the field before */
		if (version == 1 || *p == ':')
			break;
		if (*p == 'P')
			e->uidl = p + 1;
		p += strcspn(p, " ");
	}
	p += version == 3;
	p[strcspn(p, ":")] = '\0';
	e->name = p;
	return *p != '\0' && strlen(p) <= NAME_MAX_LEN && strchr(p, '/') == NULL ? 0 : -1;
}

static int
uid_order(const void *a, const void *b)
{
	const struct dovecot_entry *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->name < y->name ? -1 : 1; /* as in the file */
}

/* qsort() has no argument. */
static const struct dovecot_entry *sorted;

static int
name_order(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	int r = strcmp(sorted[*x].name, sorted[*y].name);

	return r != 0 ? r : *x < *y ? -1 : 1;
}

static int
lines(struct dovecot_uidlist *u, char *save, int version)
{
	size_t cap = 0, n = 0;
	struct dovecot_entry e, *v;
	char *line;

	while ((line = strsep(&save, "\n")) != NULL) {
		if (entry(line, version, &e) == -1)
			continue;
		if (u->n == cap) {
			if (u->n == DOVECOT_ENTRIES_MAX)
				break;
			cap = cap + cap / 2 + 64;
			if ((v = reallocarray(u->v, cap, sizeof(*v))) == NULL)
				return -1;
			u->v = v;
		}
		u->v[u->n++] = e;
	}
	if (u->n == 0)
		return 0;
	qsort(u->v, u->n, sizeof(*u->v), uid_order);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || u->v[n - 1].uid != u->v[i].uid)
			u->v[n++] = u->v[i];
	u->n = n;
	if (u->uidnext <= u->v[n - 1].uid)
		u->uidnext = u->v[n - 1].uid + 1;
	if ((u->by_name = reallocarray(NULL, n, sizeof(*u->by_name))) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		u->by_name[i] = (uint32_t)i;
	sorted = u->v;
	qsort(u->by_name, n, sizeof(*u->by_name), name_order);
	return 0;
}

int
dovecot_uidlist_parse(struct dovecot_uidlist *u, char *text, size_t len)
{
	int version;
	char *rest;

	memset(u, 0, sizeof(*u));
	u->text = text;
	text[len] = '\0';
	rest = text + strcspn(text, "\n");
	if (*rest != '\0')
		*rest++ = '\0';
	if (first_line(u, text, &version) == -1 || lines(u, rest, version) == -1) {
		dovecot_uidlist_clear(u);
		return -1;
	}
	if (u->uidnext > DOVECOT_UID_MAX + 1)
		u->uidnext = u->n > 0 ? u->v[u->n - 1].uid + 1 : 1;
	return 0;
}

void
dovecot_uidlist_clear(struct dovecot_uidlist *u)
{
	free(u->v);
	free(u->by_name);
	free(u->text);
	memset(u, 0, sizeof(*u));
}

const struct dovecot_entry *
dovecot_uidlist_find(const struct dovecot_uidlist *u, const char *file)
{
	size_t low = 0, high = u->n, len = strcspn(file, ":");

	/* The last of that name: its UID is the highest. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const char *name = u->v[u->by_name[mid]].name;
		int r = strncmp(name, file, len);

		if (r == 0 && name[len] != '\0')
			r = 1;
		if (r <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return NULL;
	low = u->by_name[low - 1];
	return strncmp(u->v[low].name, file, len) == 0 && u->v[low].name[len] == '\0'
		   ? &u->v[low]
		   : NULL;
}

void
dovecot_uidl(uint32_t uidvalidity, uint32_t uid, char out[DOVECOT_UIDL_SIZE])
{
	(void)snprintf(out, DOVECOT_UIDL_SIZE, "%08x%08x", uid, uidvalidity);
}

char *
dovecot_subscription(char *line, int second_form)
{
	for (char *p = line; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' && !(second_form && *p == '\t'))
			return NULL;
		if (*p == '\t')
			*p = '.';
	}
	return *line != '\0' ? line : NULL;
}
