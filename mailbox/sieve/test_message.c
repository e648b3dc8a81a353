/* SPDX-License-Identifier: ISC */
/* Tests on header, addresses, envelope, size and body: RFC 5228, 5; RFC 5173; RFC 5703.
 */
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/sieve/run.h"

static bool
same_name(const struct sieve_field *f, const struct sieve_value *name)
{
	return f->name_len == name->len && f->name_len > 0 &&
	       strncasecmp(f->name, name->s, name->len) == 0;
}

int
sieve_collect_fields(struct sieve_run *run, const struct sieve_node *node,
    const struct sieve_arg *names, struct sieve_field_list *out)
{
	const struct sieve_option *index = sieve_option(node, OPT_INDEX);
	bool mime = sieve_option(node, OPT_MIME) != NULL,
	     any = sieve_option(node, OPT_ANYCHILD) != NULL;
	int first = mime && run->part != -1 ? run->part : 0, last = first;
	size_t cap = 0;

	memset(out, 0, sizeof(*out));
	if (any) {
		unsigned int depth;

		if (sieve_tree(run) == -1)
			return -1;
		depth = run->tree->parts[first].depth;
		/* Parts stand in the order of the message. */
		while (last + 1 < (int)run->tree->nparts &&
		       run->tree->parts[last + 1].depth > depth)
			last++;
	}
	for (size_t k = 0; k < names->n; k++) {
		struct sieve_value name;

		if (sieve_expand(run, &names->v[k], &name) == -1)
			return -1;
		for (int part = first; part <= last; part++) {
			struct sieve_field *f = NULL;
			size_t n = 0;

			if (sieve_part_fields(run, part, &f, &n) == -1 ||
			    sieve_spend(run, 1 + n / 16) == -1)
				return -1;
			for (size_t i = 0; i < n; i++) {
				if (!same_name(&f[i], &name))
					continue;
				if (out->n == cap) {
					struct sieve_field *v;

					cap = cap == 0 ? 4 : cap * 2;
					v = arena_alloc(run->scratch, cap * sizeof(*v));
					if (v == NULL)
						return sieve_fail_memory(run);
					if (out->n > 0)
						memcpy(v, out->v, out->n * sizeof(*v));
					out->v = v;
				}
				out->v[out->n++] = f[i];
			}
		}
	}
	if (index != NULL) {
		uint64_t i = index->arg->number;

		if (i == 0 || i > out->n)
			out->n = 0;
		else {
			if (sieve_option(node, OPT_LAST) != NULL)
				i = out->n - i + 1;
			out->v += i - 1;
			out->n = 1;
		}
	}
	return 0;
}

/* ---- header ---- */

/* :type, :subtype and :contenttype of a field. */
static int
mime_value(struct sieve_run *run, const struct sieve_field *f, enum sieve_option_id id,
    struct sieve_value *out, bool *parsed)
{
	bool type = ascii_equal(f->name, f->name_len, "content-type"),
	     disposition = ascii_equal(f->name, f->name_len, "content-disposition");
	char token[256], store[16], *copy, *slash;
	struct mime_param none;

	*out = (struct sieve_value){ "", 0 };
	*parsed = false;
	if (!type && !disposition)
		return 0;
	(void)mime_split_params(
	    f->value, f->value_len, token, sizeof(token), &none, 0, store, sizeof(store));
	if ((copy = arena_copy(run->scratch, token, strlen(token))) == NULL)
		return sieve_fail_memory(run);
	slash = strchr(copy, '/');
	*parsed = token[0] != '\0' && (disposition || slash != NULL);
	if (disposition) {
		if (id != OPT_SUBTYPE)
			*out = (struct sieve_value){ copy, strlen(copy) };
	} else if (id == OPT_CONTENTTYPE)
		*out = (struct sieve_value){ copy, strlen(copy) };
	else if (id == OPT_TYPE)
		*out = (struct sieve_value){ copy,
			slash != NULL ? (size_t)(slash - copy) : strlen(copy) };
	else if (slash != NULL)
		*out = (struct sieve_value){ slash + 1, strlen(slash + 1) };
	return 0;
}

static int
match_params(struct sieve_run *run, const struct sieve_field *f,
    const struct sieve_arg *names, struct sieve_match *m)
{
	struct mime_param params[MIME_PARAMS_MAX];
	size_t cap = f->value_len * 2 + 256;
	char token[256], *store, *text;
	unsigned int n;
	int r = 0;

	if ((store = arena_alloc(run->scratch, cap)) == NULL ||
	    (text = arena_alloc(run->scratch, MIME_STRING_MAX + 1)) == NULL)
		return sieve_fail_memory(run);
	n = mime_split_params(f->value, f->value_len, token, sizeof(token), params,
	    MIME_PARAMS_MAX, store, cap);
	for (size_t i = 0; i < names->n && r == 0; i++) {
		struct sieve_value name, v;
		char key[128];
		int len;

		if (sieve_expand(run, &names->v[i], &name) == -1)
			return -1;
		if (name.len >= sizeof(key))
			continue;
		for (size_t k = 0; k < name.len; k++)
			key[k] = (char)ascii_lower((unsigned char)name.s[k]);
		key[name.len] = '\0';
		if ((len = mime_param_get(params, n, key, text, MIME_STRING_MAX + 1)) < 0)
			continue;
		v = (struct sieve_value){ text, (size_t)len };
		r = sieve_match_value(m, &v);
	}
	return r;
}

int
sieve_test_header(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option_of(node, GROUP_MIME_PART);
	struct sieve_field_list list;
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	if (sieve_collect_fields(run, node, node->positional[0], &list) == -1)
		return sieve_match_end(&m, -1);
	for (size_t i = 0; i < list.n && r == 0; i++) {
		struct sieve_value v;
		bool parsed = true;

		if (o != NULL && o->rule->id == OPT_PARAM) {
			r = match_params(run, &list.v[i], o->arg, &m);
			continue;
		}
		if (o != NULL)
			r = mime_value(run, &list.v[i], o->rule->id, &v, &parsed);
		else
			r = sieve_field_text(run, &list.v[i], true, &v);
		if (r == 0 && (parsed || node->match != MATCH_COUNT))
			r = sieve_match_value(&m, &v);
	}
	return sieve_match_end(&m, r);
}

int
sieve_test_exists(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_arg one = *node->positional[0];

	/* All of them must be there. */
	one.n = 1;
	for (size_t i = 0; i < node->positional[0]->n; i++) {
		struct sieve_field_list list;

		one.v = &node->positional[0]->v[i];
		if (sieve_collect_fields(run, node, &one, &list) == -1)
			return -1;
		if (list.n == 0)
			return 0;
	}
	return 1;
}

/* ---- addresses ---- */

static enum sieve_part
part_of(const struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option_of(node, GROUP_PART);

	switch (o == NULL ? OPT_ALL : o->rule->id) {
	case OPT_LOCALPART:
		return PART_LOCAL;
	case OPT_DOMAIN:
		return PART_DOMAIN;
	case OPT_USER:
		return PART_USER;
	case OPT_DETAIL:
		return PART_DETAIL;
	default:
		return PART_ALL;
	}
}

int
sieve_test_address(struct sieve_run *run, struct sieve_node *node)
{
	enum sieve_part part = part_of(node);
	struct sieve_field_list list;
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	if (sieve_collect_fields(run, node, node->positional[0], &list) == -1)
		return sieve_match_end(&m, -1);
	for (size_t i = 0; i < list.n && r == 0; i++) {
		struct sieve_mailboxes found;
		struct sieve_value v;

		if (sieve_field_text(run, &list.v[i], false, &v) == -1) {
			r = -1;
			break;
		}
		if (sieve_mailboxes_parse(run->scratch, v.s, v.len, &found) == -1) {
			r = sieve_fail_memory(run);
			break;
		}
		/* What holds no address is compared as it is (RFC 5228, 2.7.4). */
		if (found.n == 0 && part == PART_ALL) {
			r = sieve_match_value(&m, &v);
			continue;
		}
		for (size_t k = 0; k < found.n && r == 0; k++)
			if (sieve_mailbox_part(&found.v[k], part, run->in->separator, &v))
				r = sieve_match_value(&m, &v);
	}
	return sieve_match_end(&m, r);
}

int
sieve_test_envelope(struct sieve_run *run, struct sieve_node *node)
{
	enum sieve_part part = part_of(node);
	struct sieve_match m;
	int r = 0;

	if (sieve_match_begin(run, node, node->positional[1], &m) == -1)
		return -1;
	for (size_t i = 0; i < node->positional[0]->n && r == 0; i++) {
		const struct sieve_mailbox *box;
		struct sieve_value name, v;
		const char *s, *why;

		if (sieve_expand(run, &node->positional[0]->v[i], &name) == -1) {
			r = -1;
			break;
		}
		if (ascii_equal(name.s, name.len, "from"))
			s = run->in->envelope_from;
		else if (ascii_equal(name.s, name.len, "to"))
			s = run->in->envelope_to;
		else if (ascii_equal(name.s, name.len, "auth")) {
			s = run->in->envelope_auth;
			if (s == NULL)
				continue;
			/* A name, not always an address. */
			v = (struct sieve_value){ s, strlen(s) };
			r = sieve_match_value(&m, &v);
			continue;
		} else {
			r = sieve_fail(run, "the envelope has no \"%.*s\"",
			    (int)(name.len > 64 ? 64 : name.len), name.s);
			break;
		}
		if (s == NULL)
			continue;
		if (*s == '\0') {
			/* The null path is empty in each part (RFC 5228, 5.4). */
			v = (struct sieve_value){ "", 0 };
			if (part != PART_DETAIL)
				r = sieve_match_value(&m, &v);
			continue;
		}
		box = sieve_mailbox_parse(run->scratch, s, strlen(s), &why);
		if (box == NULL) {
			v = (struct sieve_value){ s, strlen(s) };
			if (part == PART_ALL || part == PART_LOCAL || part == PART_USER)
				r = sieve_match_value(&m, &v);
			continue;
		}
		if (sieve_mailbox_part(box, part, run->in->separator, &v))
			r = sieve_match_value(&m, &v);
	}
	return sieve_match_end(&m, r);
}

/* ---- size ---- */

int
sieve_test_size(struct sieve_run *run, struct sieve_node *node)
{
	uint64_t size = run->in->head_len + run->in->len, limit;

	/* Within foreverypart: of the part (RFC 5703, 3). */
	if (run->part != -1) {
		const struct mime_part *p = &run->tree->parts[run->part];

		size = p->body_end - p->header_off;
	} else if (run->edited)
		size = sieve_header_size(run) + run->in->len - run->body_off;
	limit = node->positional[0]->number;
	return sieve_option(node, OPT_OVER) != NULL ? size > limit : size < limit;
}

/* ---- body ---- */

/*
 * Is its type as the header says? A part with an encoding that is not known has no type
 * (RFC 2045, 6.4), and nor has one whose type cannot be read, for what it is, is unknown.
 */
static int
has_known_type(struct sieve_run *run, int i)
{
	const struct mime_part *p = &run->tree->parts[i];
	struct sieve_field *fields;
	size_t n;

	if (p->cte == CTE_UNKNOWN || p->has_type)
		return p->has_type && p->cte != CTE_UNKNOWN;
	if (sieve_part_fields(run, i, &fields, &n) == -1)
		return -1;
	for (size_t k = 0; k < n; k++)
		if (ascii_equal(fields[k].name, fields[k].name_len, "content-type"))
			return 0;
	return 1;
}

static bool
type_matches(const struct mime_part *p, const struct sieve_value *type)
{
	const char *slash = type->len > 0 ? memchr(type->s, '/', type->len) : NULL;
	size_t n = slash != NULL ? (size_t)(slash - type->s) : type->len, left;

	if (type->len == 0)
		return true;
	if (!ascii_equal(type->s, n, p->type))
		return false;
	if (slash == NULL)
		return true;
	left = type->len - n - 1;
	return n > 0 && left > 0 && ascii_equal(slash + 1, left, p->subtype);
}

/* A part as :content sees it: containers by what is theirs alone. */
static int
match_content(struct sieve_run *run, int i, bool html, struct sieve_match *m)
{
	const struct mime_part *p = &run->tree->parts[i], *c;
	struct sieve_value v;
	int r;

	if (p->kind == MIME_MULTIPART && p->child != -1) {
		/* Prologue and epilogue. */
		c = &run->tree->parts[p->child];
		v.s = run->in->data + p->body_off;
		v.len = c->header_off - p->body_off;
		/* The line of the first boundary is not part of it. */
		while (v.len > 0 && v.s[v.len - 1] == '\n') {
			v.len--;
			while (v.len > 0 && v.s[v.len - 1] != '\n')
				v.len--;
			break;
		}
		if ((r = sieve_match_value(m, &v)) != 0)
			return r;
		while (c->next != -1)
			c = &run->tree->parts[c->next];
		v.s = run->in->data + c->body_end;
		v.len = p->body_end - c->body_end;
		/* Behind the line of the last boundary. */
		for (int line = 0; line < 2 && v.len > 0; line++) {
			const char *nl = memchr(v.s, '\n', v.len);

			if (nl == NULL) {
				v.len = 0;
				break;
			}
			v.len -= (size_t)(nl + 1 - v.s);
			v.s = nl + 1;
		}
		return sieve_match_value(m, &v);
	}
	if (p->kind == MIME_MESSAGE && p->child != -1) {
		c = &run->tree->parts[p->child];
		v = (struct sieve_value){ run->in->data + c->header_off,
			c->body_off - c->header_off };
		/* Without the empty line. */
		if (v.len > 2 && memcmp(v.s + v.len - 3, "\n\r\n", 3) == 0)
			v.len -= 2;
		else if (v.len > 1 && memcmp(v.s + v.len - 2, "\n\n", 2) == 0)
			v.len--;
		return sieve_match_value(m, &v);
	}
	if (sieve_part_text(run, i, html, &v) == -1)
		return -1;
	return sieve_match_value(m, &v);
}

static int
match_parts(struct sieve_run *run, const struct sieve_option *o, struct sieve_match *m)
{
	bool text = o == NULL || o->rule->id == OPT_TEXT;
	struct sieve_value *types = NULL,
			   texts[] = { { "text", 4 }, { "application/xhtml+xml", 21 } };
	size_t n = 2;

	if (sieve_tree(run) == -1)
		return -1;
	if (text)
		types = texts;
	else {
		n = o->arg->n;
		if ((types = arena_alloc(run->scratch, n * sizeof(*types))) == NULL)
			return sieve_fail_memory(run);
		for (size_t k = 0; k < n; k++)
			if (sieve_expand(run, &o->arg->v[k], &types[k]) == -1)
				return -1;
	}
	for (int i = 0; i < (int)run->tree->nparts; i++) {
		struct arena_mark mark = arena_mark(run->scratch);
		bool wanted = false;
		int r = 0, known = has_known_type(run, i);

		if (known == -1)
			return -1;
		for (size_t k = 0; k < n; k++)
			wanted |=
			    types[k].len == 0 ||
			    (known == 1 && type_matches(&run->tree->parts[i], &types[k]));
		if (wanted)
			r = match_content(run, i, text, m);
		if (r != 0)
			return r;
		arena_release(run->scratch, mark);
	}
	return 0;
}

/* A header that no empty line ends has no body, not an empty one (RFC 5173, 3). */
static bool
has_body(const struct sieve_run *run)
{
	const char *s = run->in->data;
	size_t n = run->body_off;

	if (n < run->in->len)
		return true;
	if (n > 0 && s[n - 1] == '\n')
		n--;
	else
		return false;
	if (n > 0 && s[n - 1] == '\r')
		n--;
	return n == 0 || s[n - 1] == '\n';
}

int
sieve_test_body(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *o = sieve_option_of(node, GROUP_TRANSFORM);
	struct sieve_match m;
	struct sieve_value v;
	int r;

	if (sieve_match_begin(run, node, node->positional[0], &m) == -1)
		return -1;
	m.silent = true; /* RFC 5173, 6 */
	if (!has_body(run))
		r = 0;
	else if (o != NULL && o->rule->id == OPT_RAW) {
		size_t len = run->in->len - run->body_off;

		v = (struct sieve_value){ run->in->data + run->body_off,
			len < SIEVE_TEXT_MAX ? len : SIEVE_TEXT_MAX };
		r = sieve_match_value(&m, &v);
	} else
		r = match_parts(run, o, &m);
	return sieve_match_end(&m, r);
}
