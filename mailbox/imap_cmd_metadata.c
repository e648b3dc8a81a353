/* SPDX-License-Identifier: ISC */
/* GETMETADATA and SETMETADATA (RFC 5464). A mailbox has one user, so that private and
 * shared entries are kept alike. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/annotations.h"
#include "mailbox/imap.h"
#include "mailbox/imap_list.h"
#include "mailbox/imap_search.h"
#include "mailbox/imap_rights.h"

#define ENTRIES_MAX 100

struct imap_metadata_get {
	char mailbox[STORE_NAME_MAX + 1];
	const char *no;
	bool server;
	bool has_max;
	uint32_t max;
	uint32_t depth; /* UINT32_MAX: all */
	char *names[ENTRIES_MAX];
	size_t n;
	size_t longest; /* of what is over the maximum */
};

/* "" is the server. */
static int
mailbox_arg(struct imap *s, struct imap_args *a, struct imap_metadata_get *g)
{
	struct imap_str v;

	if (imap_astring(a, &v) == -1)
		return -1;
	g->server = v.len == 0;
	if (!g->server)
		imap_mailbox_name(s, &v, g->mailbox, &g->no);
	return 0;
}

static int
options(struct imap_args *a, struct imap_metadata_get *g)
{
	struct imap_str v;

	if (imap_char(a, '(') == -1)
		return -1;
	do {
		if (imap_atom(a, &v) == -1 || imap_sp(a) == -1)
			return -1;
		if (imap_str_is(&v, "MAXSIZE")) {
			g->has_max = true;
			if (imap_number(a, &g->max) == -1)
				return -1;
		} else if (imap_str_is(&v, "DEPTH")) {
			if (imap_atom(a, &v) == -1)
				return -1;
			if (imap_str_is(&v, "infinity"))
				g->depth = UINT32_MAX;
			else if (imap_str_is(&v, "1"))
				g->depth = 1;
			else if (!imap_str_is(&v, "0"))
				return imap_fail(a, "0, 1 or infinity expected");
		} else
			return imap_fail(a, "Unknown GETMETADATA option");
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

static int
entry_name(struct imap_args *a, char name[ANNOTATION_NAME_MAX + 1])
{
	struct imap_str v;

	if (imap_astring(a, &v) == -1)
		return -1;
	if (annotation_name(v.s, v.len, name) == -1)
		return imap_fail(a, "Invalid entry name");
	return 0;
}

/* An entry, or what all of them lie below. */
static int
asked_name(struct imap_args *a, char name[ANNOTATION_NAME_MAX + 1])
{
	struct imap_str v;

	if (imap_astring(a, &v) == -1)
		return -1;
	if (imap_str_is(&v, "/private") || imap_str_is(&v, "/shared")) {
		for (size_t i = 0; i < v.len; i++)
			name[i] = (char)ascii_lower(v.s[i]);
		name[v.len] = '\0';
	} else if (annotation_name(v.s, v.len, name) == -1)
		return imap_fail(a, "Invalid entry name");
	return 0;
}

static int
entries(struct imap_args *a, struct imap_metadata_get *g)
{
	char name[ANNOTATION_NAME_MAX + 1];
	bool list = imap_try_char(a, '(');

	do {
		if (g->n == ENTRIES_MAX)
			return imap_fail(a, "Too many entries");
		if (asked_name(a, name) == -1)
			return -1;
		if ((g->names[g->n] = strdup(name)) == NULL)
			return imap_fail(a, "Out of memory");
		g->n++;
	} while (list && imap_try_char(a, ' '));
	return list ? imap_char(a, ')') : 0;
}

static int
parse_get(struct imap *s, struct imap_args *a, struct imap_metadata_get *g)
{
	size_t i = 0;

	if (imap_sp(a) == -1)
		return -1;
	/* The RFC's grammar has options first, its examples after the mailbox. */
	if (imap_peek(a) == '(' && (options(a, g) == -1 || imap_sp(a) == -1))
		return -1;
	if (mailbox_arg(s, a, g) == -1 || imap_sp(a) == -1)
		return -1;
	if (imap_peek(a) == '(') {
		/* options or entries: these begin with "/" */
		for (i = a->pos + 1; i < a->len && a->buf[i] == '"'; i++)
			;
		if (i < a->len && a->buf[i] != '/' && a->buf[i] != '{' &&
		    (options(a, g) == -1 || imap_sp(a) == -1))
			return -1;
	}
	if (entries(a, g) == -1)
		return -1;
	return imap_end(a);
}

/* Does an annotation lie at or below the entry that is asked for? */
static bool
is_below(const char *name, const char *entry, uint32_t depth)
{
	size_t len = strlen(entry);
	uint32_t levels = 0;

	if (strncmp(name, entry, len) != 0 || (name[len] != '\0' && name[len] != '/'))
		return false;
	for (name += len; *name != '\0'; name++)
		levels += *name == '/';
	return levels <= depth;
}

/* Is it told for one of the first n entries? Each is told once, however often it is
 * named. */
static bool
is_asked(const struct imap_metadata_get *g, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (is_below(name, g->names[i], g->depth))
			return true;
	return false;
}

/* RFC 5464, 3.3; writing asks for more, since all see it. What is private, and what is of
 * the mailbox as a whole, is the owner's. */
static enum store_error
may(struct imap *s, const struct imap_metadata_get *g, bool write)
{
	unsigned int rights;

	if (s->guest == NULL)
		return STORE_OK;
	if (g->server)
		return STORE_DENIED;
	rights = imap_rights(s, g->mailbox);
	if ((rights & ACL_LOOKUP) &&
	    (rights & (write ? ACL_WRITE
			     : ACL_READ | ACL_SEEN | ACL_WRITE | ACL_INSERT | ACL_POST)))
		return STORE_OK;
	return rights & ACL_KNOWN ? STORE_DENIED : STORE_NOT_FOUND;
}

static bool
is_private(const char *name)
{
	return strncmp(name, "/private/", 9) == 0;
}

static void
print_value(struct evbuffer *out, const struct annotation *e)
{
	if (memchr(e->value, '\0', e->len) != NULL) {
		evbuffer_add_printf(out, "~{%zu}\r\n", e->len);
		evbuffer_add(out, e->value, e->len);
	} else
		imap_print_string(out, (const char *)e->value, e->len);
}

static void
tell(struct imap *s, struct imap_metadata_get *g, const struct annotations *have)
{
	struct evbuffer *b = evbuffer_new();
	const char *sp = "";

	if (b == NULL)
		return;
	for (size_t i = 0; i < g->n; i++) {
		bool found = false;

		if (is_asked(g, i, g->names[i]))
			continue;
		for (size_t k = 0; k < have->n; k++) {
			const struct annotation *e = &have->v[k];

			if (!is_below(e->name, g->names[i], g->depth) ||
			    (s->guest != NULL && is_private(e->name)))
				continue;
			found |= strcmp(e->name, g->names[i]) == 0;
			if (is_asked(g, i, e->name))
				continue;
			if (g->has_max && e->len > g->max) {
				if (e->len > g->longest)
					g->longest = e->len;
				continue;
			}
			evbuffer_add_printf(b, "%s%s ", sp, e->name);
			print_value(b, e);
			sp = " ";
		}
		if (!found && g->depth == 0) {
			evbuffer_add_printf(b, "%s%s NIL", sp, g->names[i]);
			sp = " ";
		}
	}
	if (evbuffer_get_length(b) > 0) {
		evbuffer_add_printf(s->out, "* METADATA ");
		if (g->server)
			evbuffer_add_printf(s->out, "\"\"");
		else
			imap_print_mailbox(s, g->mailbox);
		evbuffer_add_printf(s->out, " (");
		evbuffer_add_buffer(s->out, b);
		evbuffer_add_printf(s->out, ")\r\n");
	}
	evbuffer_free(b);
}

/* Opens what is meant; *f NULL for the server. -1: NO was said. */
static int
open_target(struct imap *s, const struct imap_metadata_get *g, struct folder **f)
{
	enum store_error e;

	*f = NULL;
	if (g->no != NULL) {
		imap_no(s, "%s", g->no);
		return -1;
	}
	if ((e = may(s, g, false)) != STORE_OK ||
	    (!g->server && (e = folder_open(s->store, g->mailbox, f)) != STORE_OK)) {
		imap_no_store(s, e);
		return -1;
	}
	return 0;
}

/* "(" entries ")" of LIST RETURN (METADATA ...) (RFC 9590): what
 * imap_list_metadata_tell() wants, or NULL. */
struct imap_metadata_get *
imap_list_metadata_parse(struct imap_args *a)
{
	struct imap_metadata_get *g;

	if (imap_peek(a) != '(') {
		imap_fail(a, "A list of entries expected");
		return NULL;
	}
	if ((g = calloc(1, sizeof(*g))) == NULL)
		imap_fail(a, "Out of memory");
	else if (entries(a, g) == -1) {
		imap_list_metadata_free(g);
		g = NULL;
	}
	return g;
}

void
imap_list_metadata_free(struct imap_metadata_get *m)
{
	for (size_t i = 0; m != NULL && i < m->n; i++)
		free(m->names[i]);
	free(m);
}

/* Of one that cannot be opened nothing is told. */
void
imap_list_metadata_tell(struct imap *s, const char *name, struct imap_metadata_get *m)
{
	struct annotations *have = calloc(1, sizeof(*have));
	struct folder *f;

	(void)strlcpy(m->mailbox, name, sizeof(m->mailbox));
	if (have != NULL && folder_open(s->store, name, &f) == STORE_OK) {
		if (annotations_load(s->store, f, have) == STORE_OK)
			tell(s, m, have);
		folder_close(f);
	}
	if (have != NULL)
		annotations_clear(have);
	free(have);
}

void
imap_cmd_getmetadata(struct imap *s, struct imap_args *a)
{
	struct imap_metadata_get *g = calloc(1, sizeof(*g));
	struct annotations *have = calloc(1, sizeof(*have));
	enum store_error e;
	struct folder *f;

	if (g == NULL || have == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		goto out;
	}
	if (parse_get(s, a, g) == -1 || open_target(s, g, &f) == -1)
		goto out;
	if ((e = annotations_load(s->store, f, have)) != STORE_OK)
		imap_no_store(s, e);
	else {
		tell(s, g, have);
		if (g->longest > 0)
			imap_ok(s, "[METADATA LONGENTRIES %zu] GETMETADATA completed",
			    g->longest);
		else
			imap_ok(s, "GETMETADATA completed");
	}
	if (f != NULL)
		folder_close(f);
out:
	for (size_t i = 0; g != NULL && i < g->n; i++)
		free(g->names[i]);
	if (have != NULL)
		annotations_clear(have);
	free(have);
	free(g);
}

/* A value below filters/values is checked before it is kept (RFC 5466, 3.2). */
static bool
is_good_filter(const char *name, const struct imap_str *v)
{
	static const char *const roots[] = { "/private/filters/values/",
		"/shared/filters/values/" };
	struct imap_search keys = { .root = NULL };
	struct imap_args a;
	bool good = true;
	char *copy;

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(roots[i]);

		if (strncmp(name, roots[i], len) != 0)
			continue;
		if (!imap_is_filter_name(name + len, strlen(name + len)) ||
		    (copy = malloc(v->len + 1)) == NULL)
			return false;
		memcpy(copy, v->s, v->len);
		imap_args_init(&a, copy, v->len);
		good = imap_search_parse_program(&a, &keys, NULL, NULL) == 0;
		imap_search_clear(&keys);
		free(copy);
	}
	return good;
}

/* One entry and its value. -1 with a->error; *no when the server cannot keep it. */
static int
set_one(struct imap *s, struct imap_args *a, bool server, struct annotations *have,
    struct evbuffer *names, const char **no)
{
	char name[ANNOTATION_NAME_MAX + 1];
	struct imap_str v = { NULL, 0 };

	if (entry_name(a, name) == -1 || imap_sp(a) == -1)
		return -1;
	if (imap_peek(a) == '"' || imap_peek(a) == '{' || imap_peek(a) == '~') {
		(void)imap_try_char(a, '~');
		if (imap_string(a, &v) == -1)
			return -1;
		if (v.s == NULL)
			v.s = "";
	} else if (imap_atom(a, &v) == -1)
		return -1;
	else if (!imap_str_is(&v, "NIL"))
		return imap_fail(a, "NIL or a string expected");
	else
		v.s = NULL;
	if (s->guest != NULL && is_private(name))
		*no = "[NOPERM] Private entries are the owner's";
	else if (v.s != NULL && server && !is_good_filter(name, &v))
		*no = "[CANNOT] A filter must have a name and be a search program";
	else if (v.len > ANNOTATION_VALUE_MAX && v.s != NULL)
		*no = "[METADATA MAXSIZE 65536] Value too large";
	else if (annotations_set(have, name, v.s, v.len) != STORE_OK)
		*no = "[METADATA TOOMANY] Too many annotations";
	evbuffer_add_printf(
	    names, "%s%s", evbuffer_get_length(names) > 0 ? " " : "", name);
	return 0;
}

static void
tell_others(struct imap *s, struct folder *f, struct evbuffer *names)
{
	struct store_news news = { .kind = STORE_NEWS_METADATA,
		.name = f != NULL ? folder_name(f) : "" };

	evbuffer_add(names, "", 1);
	if ((news.entries = (char *)evbuffer_pullup(names, -1)) != NULL)
		store_tell(s->store, &news);
}

void
imap_cmd_setmetadata(struct imap *s, struct imap_args *a)
{
	struct imap_metadata_get *g = calloc(1, sizeof(*g));
	struct annotations *have = calloc(1, sizeof(*have));
	struct evbuffer *names = evbuffer_new();
	struct folder *f = NULL;
	enum store_error e;
	const char *no = NULL;

	if (g == NULL || have == NULL || names == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		goto out;
	}
	if (imap_sp(a) == -1 || mailbox_arg(s, a, g) == -1 || imap_sp(a) == -1 ||
	    imap_char(a, '(') == -1)
		goto out;
	if (g->no == NULL && (e = may(s, g, true)) != STORE_OK)
		no = e == STORE_DENIED ? "[NOPERM] You have not the right to do that"
				       : "[NONEXISTENT] No such mailbox";
	else if (g->no == NULL && !g->server &&
		 (e = folder_open(s->store, g->mailbox, &f)) != STORE_OK) {
		f = NULL;
		no = e == STORE_NOT_FOUND ? "[NONEXISTENT] No such mailbox"
					  : "[SERVERBUG] The mailbox cannot be opened";
	} else if (g->no != NULL)
		no = g->no;
	else if ((e = annotations_load(s->store, f, have)) != STORE_OK)
		no = "[SERVERBUG] Annotations cannot be read";
	do {
		if (set_one(s, a, g->server, have, names, &no) == -1)
			goto out;
	} while (imap_try_char(a, ' '));
	if (imap_char(a, ')') == -1 || imap_end(a) == -1)
		goto out;
	if (no != NULL)
		imap_no(s, "%s", no);
	else if ((e = annotations_save(s->store, f, have)) == STORE_LIMIT)
		imap_no(s, "[METADATA TOOMANY] Too many annotations");
	else if (e != STORE_OK)
		imap_no_store(s, e);
	else {
		tell_others(s, f, names);
		imap_ok(s, "SETMETADATA completed");
	}
out:
	if (names != NULL)
		evbuffer_free(names);
	if (f != NULL)
		folder_close(f);
	if (have != NULL)
		annotations_clear(have);
	free(have);
	free(g);
}
