/* SPDX-License-Identifier: ISC */
/*
 * What stands in strings: encoded characters (RFC 5228, 2.4.2.4) first, then
 * references to variables (RFC 5229, 3). What is not quite one of these stands for
 * itself.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/checker.h"
#include "mailbox/sieve/matching.h"

#define PIECES_MAX 4096

/* ---- encoded-character ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * The body of ${hex:...} or ${unicode:...} from s on; the octets go to out (never more
 * than were read). Returns the octets up to and including the brace, 0: it is none,
 * -1: no such character.
 */
static ssize_t
decode_encoded(const char *s, size_t len, bool unicode, char *out, size_t *n)
{
	size_t i = 0, made = 0;
	bool any = false, wrong = false;

	for (;;) {
		uint32_t v = 0;
		unsigned int digits = 0;

		while (i < len && is_blank(s[i]))
			i++;
		if (i == len)
			return 0;
		if (s[i] == '}')
			break;
		for (; i < len && isxdigit((unsigned char)s[i]); i++, digits++) {
			int d = ascii_lower((unsigned char)s[i]);

			v = v > 0xfffffff
				? v
				: v * 16 +
				      (uint32_t)(isdigit(d) ? d - '0' : d - 'a' + 10);
		}
		if (digits == 0 || (!unicode && digits > 2))
			return 0;
		if (i < len && s[i] != '}' && !is_blank(s[i]))
			return 0;
		any = true;
		if (unicode) {
			char u[4];
			size_t k = utf8_put(v, u);

			/* An error only of what turns out to be a reference. */
			wrong = wrong || k == 0;
			memcpy(out + made, u, k);
			made += k;
		} else
			out[made++] = (char)v;
	}
	if (!any)
		return 0;
	if (wrong)
		return -1;
	*n = made;
	return (ssize_t)i + 1;
}

static void
decode_string(struct sieve_checker *c, struct sieve_string *str)
{
	const char *s = str->s;
	char *out;
	size_t n = 0;

	if (memmem(s, str->len, "${", 2) == NULL)
		return;
	/* ${unicode:9 9 9} makes less than it reads. */
	if ((out = arena_alloc(c->program->arena, str->len + 4)) == NULL) {
		c->no_memory = true;
		return;
	}
	for (size_t i = 0; i < str->len;) {
		size_t left = str->len - i, k = 0, skip = 0;
		ssize_t used = 0;

		if (left > 6 && ascii_equal(s + i, 6, "${hex:"))
			skip = 6;
		else if (left > 10 && ascii_equal(s + i, 10, "${unicode:"))
			skip = 10;
		if (skip != 0)
			used = decode_encoded(
			    s + i + skip, left - skip, skip == 10, out + n, &k);
		if (used == -1) {
			sieve_report_error(&c->report, str->at,
			    "the string has a number that is no Unicode character");
			return;
		}
		if (used == 0) {
			out[n++] = s[i++];
			continue;
		}
		n += k;
		i += skip + (size_t)used;
	}
	out[n] = '\0';
	str->s = out;
	str->len = n;
}

/* ---- names ---- */

bool
sieve_variable_name_valid(const char *s, size_t len)
{
	if (len == 0 || len > SIEVE_VARIABLE_NAME_MAX || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

static struct sieve_name *
find_name(struct sieve_name *v, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_equal(name, len, v[i].name))
			return &v[i];
	return NULL;
}

static const char *
lower_copy(struct sieve_checker *c, const char *s, size_t len)
{
	char *p = arena_copy(c->program->arena, s, len);

	if (p == NULL)
		c->no_memory = true;
	for (size_t i = 0; p != NULL && i < len; i++)
		p[i] = (char)ascii_lower((unsigned char)p[i]);
	return p;
}

static int
global_index(struct sieve_checker *c, struct sieve_place at, const char *name, size_t len)
{
	struct sieve_program *p = c->program;
	struct sieve_name *n = find_name(p->globals, p->n_globals, name, len);

	if (n != NULL)
		return n->index;
	if (p->n_globals == SIEVE_VARIABLES_MAX) {
		sieve_report_error(
		    &c->report, at, "more than %d global variables", SIEVE_VARIABLES_MAX);
		return -1;
	}
	n = &p->globals[p->n_globals];
	if ((n->name = lower_copy(c, name, len)) == NULL)
		return -1;
	n->global = true;
	n->index = p->n_globals++;
	return n->index;
}

int
check_variable(struct sieve_checker *c, struct sieve_place at, const char *name,
    size_t len, bool *global)
{
	struct sieve_unit *u = c->unit;
	struct sieve_name *n = find_name(u->names, u->n_names, name, len);

	*global = n != NULL && n->global;
	if (n != NULL)
		return n->index;
	if (u->n_locals == SIEVE_VARIABLES_MAX || u->n_names == 2 * SIEVE_VARIABLES_MAX) {
		sieve_report_error(
		    &c->report, at, "more than %d variables", SIEVE_VARIABLES_MAX);
		return -1;
	}
	n = &u->names[u->n_names];
	if ((n->name = lower_copy(c, name, len)) == NULL)
		return -1;
	u->n_names++;
	n->index = u->n_locals++;
	return n->index;
}

/* "global.name" with include: its index, -2 when it is something else, -1 told. */
static int
global_reference(
    struct sieve_checker *c, struct sieve_place at, const char *s, size_t len)
{
	if (len <= 7 || !ascii_equal(s, 7, "global.") || !CHECKER_HAS(c, INCLUDE) ||
	    !sieve_variable_name_valid(s + 7, len - 7))
		return -2;
	return global_index(c, at, s + 7, len - 7);
}

int
check_variable_argument(
    struct sieve_checker *c, struct sieve_node *node, struct sieve_string *str)
{
	const char *dot = memchr(str->s, '.', str->len);
	bool digits = str->len > 0;
	int i;

	if (!check_constant(c, str, "the name of a variable"))
		return -1;
	for (size_t k = 0; k < str->len; k++)
		digits = digits && isdigit((unsigned char)str->s[k]);
	if (digits) {
		sieve_report_error(&c->report, str->at,
		    "the match variable \"%.32s\" cannot be set", str->s);
		return -1;
	}
	if ((i = global_reference(c, str->at, str->s, str->len)) == -1)
		return -1;
	if (i >= 0) {
		node->scope_global = true;
		node->scope_index = (uint16_t)i;
		return 0;
	}
	if (dot != NULL && sieve_variable_name_valid(str->s, (size_t)(dot - str->s))) {
		sieve_report_error(&c->report, str->at,
		    "variables of the name space \"%.*s\" cannot be set",
		    (int)(dot - str->s), str->s);
		return -1;
	}
	if (!sieve_variable_name_valid(str->s, str->len)) {
		sieve_report_error(
		    &c->report, str->at, "\"%.64s\" is no name of a variable", str->s);
		return -1;
	}
	if ((i = check_variable(c, str->at, str->s, str->len, &node->scope_global)) == -1)
		return -1;
	node->scope_index = (uint16_t)i;
	return 0;
}

void
check_declare_global(struct sieve_checker *c, struct sieve_string *str)
{
	struct sieve_unit *u = c->unit;
	struct sieve_name *n;
	int i;

	if (!check_constant(c, str, "the name of a global variable"))
		return;
	if (!sieve_variable_name_valid(str->s, str->len)) {
		sieve_report_error(
		    &c->report, str->at, "\"%.64s\" is no name of a variable", str->s);
		return;
	}
	n = find_name(u->names, u->n_names, str->s, str->len);
	if (n != NULL && n->global)
		return;
	if (n != NULL) {
		sieve_report_error(&c->report, str->at,
		    "\"%s\" was used before as a variable of this script", str->s);
		return;
	}
	if ((i = global_index(c, str->at, str->s, str->len)) == -1 ||
	    u->n_names == 2 * SIEVE_VARIABLES_MAX)
		return;
	n = &u->names[u->n_names];
	if ((n->name = lower_copy(c, str->s, str->len)) == NULL)
		return;
	u->n_names++;
	n->global = true;
	n->index = (uint16_t)i;
}

/* ---- references ---- */

struct pieces {
	struct sieve_piece *v;
	size_t n, cap;
};

static struct sieve_piece *
add_piece(struct sieve_checker *c, struct pieces *p)
{
	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 4 : p->cap * 2;
		struct sieve_piece *v = arena_alloc(c->program->arena, cap * sizeof(*v));

		if (v == NULL) {
			c->no_memory = true;
			return NULL;
		}
		if (p->n > 0)
			memcpy(v, p->v, p->n * sizeof(*v));
		p->v = v;
		p->cap = cap;
	}
	return &p->v[p->n++];
}

static void
add_text(struct sieve_checker *c, struct pieces *p, const char *s, size_t len)
{
	struct sieve_piece *piece;

	if (len == 0 || (piece = add_piece(c, p)) == NULL)
		return;
	piece->kind = PIECE_TEXT;
	piece->s = s;
	piece->len = len;
}

/* Name spaces and a name, or digits: the shape of RFC 5229, 3. */
static bool
is_reference(const char *s, size_t len)
{
	size_t i = 0;

	if (len == 0)
		return false;
	if (isdigit((unsigned char)s[0])) {
		for (; i < len; i++)
			if (!isdigit((unsigned char)s[i]))
				return false;
		return true;
	}
	for (;;) {
		if (i == len || (!isalpha((unsigned char)s[i]) && s[i] != '_'))
			return false;
		while (i < len && (isalnum((unsigned char)s[i]) || s[i] == '_'))
			i++;
		if (i == len)
			return true;
		if (s[i++] != '.')
			return false;
		/* sub-namespaces may end in digits */
		if (i < len && isdigit((unsigned char)s[i])) {
			for (; i < len; i++)
				if (!isdigit((unsigned char)s[i]))
					return false;
			return true;
		}
	}
}

static void
add_reference(struct sieve_checker *c, struct pieces *p, struct sieve_string *str,
    const char *name, size_t len)
{
	struct sieve_piece piece = { 0 }, *at;
	const char *dot = memchr(name, '.', len);
	int i;

	if (isdigit((unsigned char)name[0])) {
		unsigned int n = 0;

		for (size_t k = 0; k < len && n < 1000; k++)
			n = n * 10 + (unsigned int)(name[k] - '0');
		if (n > SIEVE_MATCHES_MAX) {
			sieve_report_error(&c->report, str->at,
			    "match variables go up to %d, so ${%.*s} cannot be",
			    SIEVE_MATCHES_MAX, (int)len, name);
			return;
		}
		piece.kind = PIECE_MATCH;
		piece.index = (uint16_t)n;
	} else if (dot != NULL) {
		if ((i = global_reference(c, str->at, name, len)) == -1)
			return;
		if (i >= 0) {
			piece.kind = PIECE_GLOBAL;
			piece.index = (uint16_t)i;
		} else if (CHECKER_HAS(c, DOVECOT_ENVIRONMENT) && len > 4 &&
			   ascii_equal(name, 4, "env.")) {
			piece.kind = PIECE_ENVIRONMENT;
			piece.s = lower_copy(c, name + 4, len - 4);
			piece.len = len - 4;
		} else {
			sieve_report_error(&c->report, str->at,
			    "there is no name space \"%.*s\" of variables",
			    (int)(dot - name), name);
			return;
		}
	} else {
		bool global = false;

		if (len > SIEVE_VARIABLE_NAME_MAX) {
			sieve_report_error(&c->report, str->at,
			    "the name of the variable \"%.32s...\" is too long", name);
			return;
		}
		if ((i = check_variable(c, str->at, name, len, &global)) == -1)
			return;
		piece.kind = global ? PIECE_GLOBAL : PIECE_LOCAL;
		piece.index = (uint16_t)i;
	}
	if ((at = add_piece(c, p)) != NULL)
		*at = piece;
}

static void
take_apart(struct sieve_checker *c, struct sieve_string *str)
{
	struct pieces p = { 0 };
	const char *s = str->s;
	size_t start = 0, i = 0;
	bool any = false;

	while (i + 3 < str->len && p.n < PIECES_MAX) {
		const char *open = memmem(s + i, str->len - i, "${", 2), *close;
		size_t from;

		if (open == NULL)
			break;
		from = (size_t)(open - s) + 2;
		close = memchr(s + from, '}', str->len - from);
		if (close == NULL)
			break;
		if (!is_reference(s + from, (size_t)(close - s) - from)) {
			i = from;
			continue;
		}
		any = true;
		add_text(c, &p, s + start, (size_t)(open - s) - start);
		add_reference(c, &p, str, s + from, (size_t)(close - s) - from);
		start = i = (size_t)(close - s) + 1;
	}
	if (!any)
		return;
	add_text(c, &p, s + start, str->len - start);
	if (p.v == NULL && add_piece(c, &p) != NULL) {
		p.v[0].kind = PIECE_TEXT;
		p.v[0].s = "";
	}
	str->pieces = p.v;
	str->n_pieces = p.n;
}

void
check_string(struct sieve_checker *c, struct sieve_string *str)
{
	if (CHECKER_HAS(c, ENCODED_CHARACTER))
		decode_string(c, str);
	if (CHECKER_HAS(c, VARIABLES))
		take_apart(c, str);
}
