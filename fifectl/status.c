/* SPDX-License-Identifier: ISC */
/*
 * fifectl status: every daemon is asked for its facts, and what is degraded comes
 * first. A daemon says so by a field "degraded" whose value is a sentence.
 */
#include "fifectl/command.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "fifectl/escape.h"

#define DAEMONS_MAX 64
#define ROWS_MAX 4096
#define ANSWER_MS 5000

struct row {
	const char *daemon;
	enum ctl_form form;
	struct client_field *fields;
	size_t n;
};

struct gathering {
	const char *daemon; /* that is asked now */
	struct row *rows;
	size_t n_rows;
};

static int
keep_row(enum ctl_form form, const struct client_field *f, size_t n, void *arg)
{
	struct gathering *g = arg;
	struct row *rows, *r;

	if (g->n_rows == ROWS_MAX ||
	    (rows = reallocarray(g->rows, g->n_rows + 1, sizeof(*rows))) == NULL)
		return 0;
	g->rows = rows;
	r = &rows[g->n_rows];
	r->daemon = g->daemon;
	r->form = form;
	r->n = n;
	if ((r->fields = calloc(n + 1, sizeof(*r->fields))) == NULL)
		return 0;
	memcpy(r->fields, f, n * sizeof(*f));
	for (size_t i = 0; i < n; i++) {
		char *copy;

		if (f[i].kind != 's')
			continue;
		if ((copy = malloc(f[i].len + 1)) == NULL)
			r->fields[i].len = 0;
		else {
			memcpy(copy, f[i].str, f[i].len);
			copy[f[i].len] = '\0';
		}
		r->fields[i].str = copy;
	}
	g->n_rows++;
	return 0;
}

static void
keep_silent(struct gathering *g, const char *why)
{
	struct client_field f[2];

	memset(f, 0, sizeof(f));
	strlcpy(f[0].key, "degraded", sizeof(f[0].key));
	f[0].kind = 's';
	f[0].str = why;
	f[0].len = strlen(why);
	keep_row(CTL_FACTS, f, 1, g);
}

/* Does fifed say that it does not run, and need not? */
static int
is_off(const struct gathering *g, const char *name)
{
	for (size_t i = 0; i < g->n_rows; i++) {
		int named = 0, off = 0;

		for (size_t k = 0; k < g->rows[i].n; k++) {
			const struct client_field *f = &g->rows[i].fields[k];

			if (f->kind != 's' || f->str == NULL)
				continue;
			named |=
			    strcmp(f->key, "process") == 0 && strcmp(f->str, name) == 0;
			off |= strcmp(f->key, "state") == 0 && strcmp(f->str, "off") == 0;
		}
		if (named && off)
			return 1;
	}
	return 0;
}

/* The control sockets that fifed has made; itself first, then by name. */
static int
by_name(const void *a, const void *b)
{
	const char *x = a, *y = b;

	if (strcmp(x, "fifed") == 0 || strcmp(y, "fifed") == 0)
		return (strcmp(y, "fifed") == 0) - (strcmp(x, "fifed") == 0);
	return strcmp(x, y);
}

static size_t
list_daemons(char (*names)[32])
{
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	if ((dir = opendir("ctl")) == NULL)
		return 0;
	while (n < DAEMONS_MAX && (d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' && strlen(d->d_name) < 32)
			strlcpy(names[n++], d->d_name, 32);
	closedir(dir);
	qsort(names, n, 32, by_name);
	return n;
}

static const char *
degraded(const struct row *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct client_field *f = &r->fields[i];

		if (strcmp(f->key, "degraded") != 0)
			continue;
		if (f->kind == 's')
			return f->len > 0 ? f->str : NULL;
		return f->num != 0 ? "yes" : NULL;
	}
	return NULL;
}

/* A row of the table of processes names the process itself. */
static const char *
subject(const struct row *r)
{
	if (r->n > 0 && r->fields[0].kind == 's' &&
	    strcmp(r->fields[0].key, "process") == 0)
		return r->fields[0].str;
	return r->daemon;
}

static void
print_text(const struct gathering *g, size_t n_degraded)
{
	struct render *r;
	const char *last = NULL;

	for (size_t i = 0; i < g->n_rows; i++) {
		const char *why = degraded(&g->rows[i]);

		if (why == NULL)
			continue;
		fputs("degraded: ", stdout);
		escape_text(stdout, subject(&g->rows[i]), strlen(subject(&g->rows[i])),
		    ESCAPE_ONE_LINE);
		fputs(": ", stdout);
		escape_text(stdout, why, strlen(why), ESCAPE_ONE_LINE);
		fputc('\n', stdout);
	}
	puts(n_degraded == 0 ? "all is well\n" : "");
	/* Tables whole, facts on one line of their daemon each. */
	if ((r = render_new(stdout, 0)) == NULL)
		return;
	for (size_t i = 0; i < g->n_rows; i++)
		if (g->rows[i].form == CTL_TABLE &&
		    strcmp(g->rows[i].daemon, "fifed") == 0)
			render_row(r, NULL, CTL_TABLE, g->rows[i].fields, g->rows[i].n);
	render_free(r);
	for (size_t i = 0; i < g->n_rows; i++) {
		const struct row *row = &g->rows[i];

		if (strcmp(row->daemon, "fifed") == 0)
			continue;
		if (last != row->daemon)
			printf("\n[%s]\n", row->daemon);
		last = row->daemon;
		if ((r = render_new(stdout, 0)) == NULL)
			return;
		for (; i < g->n_rows && g->rows[i].daemon == row->daemon; i++)
			render_row(
			    r, NULL, g->rows[i].form, g->rows[i].fields, g->rows[i].n);
		i--;
		render_free(r);
	}
}

static void
print_json(const struct gathering *g)
{
	struct render *r = render_new(stdout, 1);

	for (int bad = 1; r != NULL && bad >= 0; bad--)
		for (size_t i = 0; i < g->n_rows; i++)
			if ((degraded(&g->rows[i]) != NULL) == bad)
				render_row(r, g->rows[i].daemon, g->rows[i].form,
				    g->rows[i].fields, g->rows[i].n);
	render_free(r);
}

int
status_run(struct context *cx, int argc, char **argv)
{
	static char names[DAEMONS_MAX][32];
	struct gathering g = { NULL, NULL, 0 };
	struct client_request q = {
		.words = "status", .words_len = 7, .fd = -1, .timeout_ms = ANSWER_MS
	};
	struct client_answer a;
	size_t n, n_degraded = 0;
	int check = 0, r;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--check") != 0) {
			fprintf(stderr, "fifectl: status: unknown option %s\n", argv[i]);
			return CTL_USAGE;
		}
		check = 1;
	}
	if ((r = command_enter_state(cx)) != CTL_OK)
		return r;
	if ((n = list_daemons(names)) == 0) {
		fprintf(stderr, "fifectl: no fife has run here yet, or not as root\n");
		return CTL_TEMPFAIL;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_off(&g, names[i]))
			continue;
		q.name = g.daemon = names[i];
		client_run(cx->base, &q, keep_row, &g, &a);
		if (a.status == CTL_OK || a.status == CTL_USAGE) /* has no status */
			continue;
		if (i == 0) { /* fifed: without it there is nothing */
			fprintf(stderr, "fifectl: %s\n", a.text);
			return a.status;
		}
		keep_silent(&g, "does not answer");
	}
	for (size_t i = 0; i < g.n_rows; i++)
		n_degraded += degraded(&g.rows[i]) != NULL;
	if (cx->json)
		print_json(&g);
	else
		print_text(&g, n_degraded);
	for (size_t i = 0; i < g.n_rows; i++) {
		for (size_t k = 0; k < g.rows[i].n; k++)
			if (g.rows[i].fields[k].kind == 's')
				free((char *)(uintptr_t)g.rows[i].fields[k].str);
		free(g.rows[i].fields);
	}
	free(g.rows);
	return check && n_degraded > 0 ? CTL_REFUSED : CTL_OK;
}
