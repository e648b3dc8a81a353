/* SPDX-License-Identifier: ISC */
/* Rows to text or JSON; see render.h. */
#include "fifectl/render.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "fifectl/escape.h"

/* Rows that a table waits for before its widths are settled. */
#define TABLE_ROWS_MAX 500
#define COLUMNS_MAX 32

struct cell {
	char *text;
	size_t len;
	int right; /* numbers */
};

struct render {
	FILE *f;
	int json;
	int rows; /* of any form, so far */
	enum ctl_form last;
	char *keys[COLUMNS_MAX]; /* of the table that is open */
	size_t n_keys;
	int header_done;
	size_t widths[COLUMNS_MAX];
	struct cell *cells; /* n_rows * n_keys */
	size_t n_rows;
};

struct render *
render_new(FILE *f, int json)
{
	struct render *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->f = f;
	r->json = json;
	if (json)
		fputc('[', f);
	return r;
}

static void
format_time(const struct client_field *f, int json, char *buf, size_t cap)
{
	time_t t = (time_t)(int64_t)f->num;
	struct tm tm;

	buf[0] = '\0';
	if (f->num == 0)
		return;
	if (json) {
		if (gmtime_r(&t, &tm) != NULL)
			strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm);
	} else if (localtime_r(&t, &tm) != NULL)
		strftime(buf, cap, "%Y-%m-%d %H:%M:%S", &tm);
}

/* A value as text; borrows from the field or from buf. */
static const char *
value(const struct client_field *f, char *buf, size_t cap, size_t *len)
{
	switch (f->kind) {
	case 's':
		*len = f->len;
		return f->str;
	case 'b':
		strlcpy(buf, f->num != 0 ? "yes" : "no", cap);
		break;
	case 't':
		format_time(f, 0, buf, cap);
		break;
	default:
		snprintf(buf, cap, "%llu", (unsigned long long)f->num);
	}
	*len = strlen(buf);
	return buf;
}

static void
json_row(struct render *r, const char *daemon, const struct client_field *f, size_t n)
{
	char buf[64];

	fputs(r->rows > 0 ? ",\n {" : "\n {", r->f);
	if (daemon != NULL) {
		fputs("\"daemon\": ", r->f);
		escape_json(r->f, daemon, strlen(daemon));
	}
	for (size_t i = 0; i < n; i++) {
		if (i > 0 || daemon != NULL)
			fputs(", ", r->f);
		escape_json(r->f, f[i].key, strlen(f[i].key));
		fputs(": ", r->f);
		switch (f[i].kind) {
		case 's':
			escape_json(r->f, f[i].str, f[i].len);
			break;
		case 'b':
			fputs(f[i].num != 0 ? "true" : "false", r->f);
			break;
		case 't':
			format_time(&f[i], 1, buf, sizeof(buf));
			if (buf[0] == '\0')
				fputs("null", r->f);
			else
				escape_json(r->f, buf, strlen(buf));
			break;
		default:
			fprintf(r->f, "%llu", (unsigned long long)f[i].num);
		}
	}
	fputc('}', r->f);
	r->rows++;
}

static void
pad(FILE *f, size_t n)
{
	while (n-- > 0)
		fputc(' ', f);
}

static void
print_cell(struct render *r, const char *s, size_t len, size_t column, int right)
{
	size_t width = escape_width(s, len);
	size_t room = r->widths[column] > width ? r->widths[column] - width : 0;
	int last = column + 1 == r->n_keys;

	if (right)
		pad(r->f, room);
	escape_text(r->f, s, len, ESCAPE_ONE_LINE);
	if (!right && !last)
		pad(r->f, room);
	fputs(last ? "\n" : "  ", r->f);
}

static void
print_table(struct render *r)
{
	for (size_t k = 0; k < r->n_keys; k++) {
		size_t w = strlen(r->keys[k]);

		if (!r->header_done && r->widths[k] < w)
			r->widths[k] = w;
		for (size_t i = 0; i < r->n_rows; i++) {
			const struct cell *c = &r->cells[i * r->n_keys + k];

			w = escape_width(c->text, c->len);
			if (r->widths[k] < w)
				r->widths[k] = w;
		}
	}
	for (size_t k = 0; !r->header_done && k < r->n_keys; k++)
		print_cell(r, r->keys[k], strlen(r->keys[k]), k,
		    r->n_rows > 0 && r->cells[k].right);
	r->header_done = 1;
	for (size_t i = 0; i < r->n_rows * r->n_keys; i++) {
		struct cell *c = &r->cells[i];

		print_cell(r, c->text, c->len, i % r->n_keys, c->right);
		free(c->text);
	}
	free(r->cells);
	r->cells = NULL;
	r->n_rows = 0;
}

static void
end_table(struct render *r)
{
	if (r->n_rows > 0)
		print_table(r);
	for (size_t k = 0; k < r->n_keys; k++)
		free(r->keys[k]);
	r->n_keys = 0;
	r->header_done = 0;
	memset(r->widths, 0, sizeof(r->widths));
}

static const struct client_field *
find(const struct client_field *f, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].key, key) == 0)
			return &f[i];
	return NULL;
}

/* The columns of a table are the keys of its first row. */
static int
begin_table(struct render *r, const struct client_field *f, size_t n)
{
	if (r->rows > 0)
		fputc('\n', r->f);
	for (size_t i = 0; i < n && i < COLUMNS_MAX; i++) {
		if ((r->keys[i] = strdup(f[i].key)) == NULL)
			return -1;
		r->n_keys++;
	}
	return 0;
}

static void
table_row(struct render *r, const struct client_field *f, size_t n)
{
	struct cell *cells;
	char buf[64];

	if (r->n_keys == 0 && begin_table(r, f, n) == -1)
		return;
	cells = reallocarray(r->cells, (r->n_rows + 1) * r->n_keys, sizeof(*cells));
	if (cells == NULL)
		return;
	r->cells = cells;
	cells += r->n_rows * r->n_keys;
	memset(cells, 0, r->n_keys * sizeof(*cells));
	for (size_t k = 0; k < r->n_keys; k++) {
		const struct client_field *cf = find(f, n, r->keys[k]);
		size_t len = 0;
		const char *s = cf == NULL ? "" : value(cf, buf, sizeof(buf), &len);

		if ((cells[k].text = malloc(len + 1)) == NULL)
			len = 0;
		else
			memcpy(cells[k].text, s, len);
		cells[k].len = len;
		cells[k].right = cf != NULL && cf->kind == 'u';
	}
	if (++r->n_rows >= TABLE_ROWS_MAX)
		print_table(r);
}

static void
facts_row(struct render *r, const struct client_field *f, size_t n)
{
	char buf[64];
	const char *s;
	size_t len;

	if (r->rows > 0)
		fputc('\n', r->f);
	for (size_t i = 0; i < n; i++) {
		s = value(&f[i], buf, sizeof(buf), &len);
		escape_text(r->f, f[i].key, strlen(f[i].key), ESCAPE_ONE_LINE);
		fputs(": ", r->f);
		escape_text(r->f, s, len, ESCAPE_ONE_LINE);
		fputc('\n', r->f);
	}
}

static void
text_row(struct render *r, const struct client_field *f, size_t n)
{
	const struct client_field *t = find(f, n, "text");
	char buf[64];
	const char *s;
	size_t len;

	if (t == NULL)
		return;
	s = value(t, buf, sizeof(buf), &len);
	escape_text(r->f, s, len, ESCAPE_KEEP_LINES);
	if (len == 0 || s[len - 1] != '\n')
		fputc('\n', r->f);
}

/* Rows of other columns are another table. */
static int
fits_table(const struct render *r, const struct client_field *f, size_t n)
{
	return n > 0 && r->n_keys > 0 && strcmp(r->keys[0], f[0].key) == 0;
}

void
render_row(struct render *r, const char *daemon, enum ctl_form form,
    const struct client_field *f, size_t n)
{
	if (r->json) {
		json_row(r, daemon, f, n);
		return;
	}
	if (r->n_keys > 0 && (form != CTL_TABLE || !fits_table(r, f, n)))
		end_table(r);
	switch (form) {
	case CTL_TABLE:
		if (n > 0)
			table_row(r, f, n);
		break;
	case CTL_FACTS:
		facts_row(r, f, n);
		break;
	default:
		text_row(r, f, n);
	}
	r->last = form;
	r->rows++;
}

void
render_words(struct render *r, enum ctl_form form, const char *key, ...)
{
	struct client_field f[8];
	const char *s = NULL;
	size_t n = 0;
	va_list ap;

	va_start(ap, key);
	for (; key != NULL && n < 8; key = va_arg(ap, const char *)) {
		s = va_arg(ap, const char *);
		memset(&f[n], 0, sizeof(f[n]));
		strlcpy(f[n].key, key, sizeof(f[n].key));
		f[n].kind = 's';
		f[n].str = s;
		f[n].len = strlen(s);
		n++;
	}
	va_end(ap);
	render_row(r, NULL, form, f, n);
}

int
render_flush(struct render *r)
{
	if (r->n_rows > 0)
		print_table(r);
	return fflush(r->f) == EOF || ferror(r->f) ? -1 : 0;
}

void
render_free(struct render *r)
{
	if (r == NULL)
		return;
	end_table(r);
	if (r->json)
		fputs(r->rows > 0 ? "\n]\n" : "]\n", r->f);
	fflush(r->f);
	free(r);
}
