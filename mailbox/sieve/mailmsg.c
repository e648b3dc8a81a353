/* SPDX-License-Identifier: ISC */
/* The message of a run: its fields with the edits of RFC 5293, and its parts. */
#include <stdlib.h>
#include <string.h>

#include "common/proto/charset.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "common/proto/rfc2047.h"
#include "mailbox/sieve/htmltext.h"
#include "mailbox/sieve/run.h"

/* ---- fields ---- */

static int
add_fields(struct sieve_run *run, const char *s, size_t len, size_t *end)
{
	struct header_scan scan;
	struct header_field f;
	enum header_result r;

	header_scan_init(&scan, s, len, true);
	while ((r = header_next(&scan, &f)) == HEADER_FIELD) {
		struct sieve_field *p;

		if (run->n_fields == SIEVE_FIELDS_MAX)
			break;
		if (run->n_fields == run->fields_cap) {
			size_t cap = run->fields_cap == 0 ? 64 : run->fields_cap * 2;

			p = reallocarray(run->fields, cap, sizeof(*p));
			if (p == NULL)
				return -1;
			run->fields = p;
			run->fields_cap = cap;
		}
		p = &run->fields[run->n_fields++];
		memset(p, 0, sizeof(*p));
		p->name = f.name;
		p->name_len = f.name_len;
		p->value = f.value;
		p->value_len = f.value_len;
		p->raw = s + f.offset;
		p->raw_len = f.length;
	}
	if (end != NULL)
		*end = header_section_len(s, len);
	return 0;
}

int
sieve_message_open(struct sieve_run *run)
{
	if (add_fields(run, run->in->head, run->in->head_len, NULL) == -1 ||
	    add_fields(run, run->in->data, run->in->len, &run->body_off) == -1)
		return -1;
	return 0;
}

int
sieve_message_again(struct sieve_run *run)
{
	mime_free(run->tree);
	run->tree = NULL;
	run->n_fields = 0;
	run->edited = false;
	return sieve_message_open(run);
}

int
sieve_part_fields(struct sieve_run *run, int part, struct sieve_field **fields, size_t *n)
{
	const struct mime_part *p;
	struct header_scan scan;
	struct header_field f;
	struct sieve_field *v = NULL;
	size_t cap = 0;

	*n = 0;
	if (part <= 0) {
		*fields = run->fields;
		*n = run->n_fields;
		return 0;
	}
	p = &run->tree->parts[part];
	header_scan_init(
	    &scan, run->in->data + p->header_off, p->body_off - p->header_off, true);
	while (header_next(&scan, &f) == HEADER_FIELD && *n < SIEVE_FIELDS_MAX) {
		if (*n == cap) {
			struct sieve_field *w;

			cap = cap == 0 ? 8 : cap * 2;
			if ((w = arena_alloc(run->scratch, cap * sizeof(*w))) == NULL)
				return sieve_fail_memory(run);
			if (*n > 0)
				memcpy(w, v, *n * sizeof(*w));
			v = w;
		}
		v[(*n)++] = (struct sieve_field){ .name = f.name,
			.name_len = f.name_len,
			.value = f.value,
			.value_len = f.value_len };
	}
	*fields = v;
	return sieve_spend(run, *n);
}

int
sieve_field_text(struct sieve_run *run, const struct sieve_field *f, bool decoded,
    struct sieve_value *out)
{
	size_t len =
	    f->value_len < SIEVE_FIELD_VALUE_MAX ? f->value_len : SIEVE_FIELD_VALUE_MAX;
	size_t cap = decoded ? len * 3 + 16 : len + 1;
	char *s = arena_alloc(run->scratch, cap);

	if (s == NULL)
		return sieve_fail_memory(run);
	if (sieve_spend(run, 1 + len / 256) == -1)
		return -1;
	out->len = decoded ? header_decode(f->value, len, s, cap)
			   : header_unfold(f->value, len, s, cap);
	out->s = s;
	return 0;
}

/* ---- parts ---- */

int
sieve_tree(struct sieve_run *run)
{
	if (run->tree != NULL)
		return 0;
	if (sieve_spend(run, 1 + run->in->len / 4096) == -1)
		return -1;
	run->tree = mime_parse(run->in->data, run->in->len, NULL);
	return run->tree != NULL ? 0 : sieve_fail_memory(run);
}

/* Transfer encoding undone; borrowed when there is none. */
static int
decode_transfer(
    struct sieve_run *run, const struct mime_part *p, const char **s, size_t *len)
{
	struct cte_decoder d;
	size_t n = mime_body_len(p), cap, made = 0, used = 0, k;
	char *out;

	*s = run->in->data + p->body_off;
	*len = n < SIEVE_TEXT_MAX ? n : SIEVE_TEXT_MAX;
	if (sieve_spend(run, 1 + *len / 1024) == -1)
		return -1;
	if (p->cte != CTE_BASE64 && p->cte != CTE_QP && p->cte != CTE_UUENCODE)
		return 0;
	cap = *len + 1024;
	if ((out = arena_alloc(run->scratch, cap)) == NULL)
		return sieve_fail_memory(run);
	cte_init(&d, p->cte);
	while (used < *len && cap - made >= 512) {
		size_t took = 0;

		k = 0;
		cte_feed(&d, *s + used, *len - used, out + made, cap - made, &took, &k);
		if (took == 0 && k == 0)
			break;
		used += took;
		made += k;
	}
	if (cap - made >= 512)
		made += cte_finish(&d, out + made, cap - made);
	*s = out;
	*len = made;
	return 0;
}

static bool
is_xhtml(const struct mime_part *p)
{
	return strcmp(p->type, "application") == 0 &&
	       strcmp(p->subtype, "xhtml+xml") == 0;
}

int
sieve_part_text(struct sieve_run *run, int part, bool html, struct sieve_value *out)
{
	const struct mime_part *p = &run->tree->parts[part];
	const char *s, *charset;
	size_t len, cap, n;
	char name[CHARSET_NAME_MAX + 1], *text;
	int r;

	*out = (struct sieve_value){ "", 0 };
	if (decode_transfer(run, p, &s, &len) == -1)
		return -1;
	if (strcmp(p->type, "text") != 0 && !is_xhtml(p)) {
		*out = (struct sieve_value){ s, len };
		return 0;
	}
	r = mime_param_get(p->params, p->nparams, "charset", name, sizeof(name));
	charset = r > 0 ? name : "utf-8";
	if (!utf8_valid(s, len) || !ascii_equal(charset, strlen(charset), "utf-8")) {
		cap = len * 3 + 16;
		if ((text = arena_alloc(run->scratch, cap)) == NULL)
			return sieve_fail_memory(run);
		(void)charset_to_utf8(charset, strlen(charset), s, len, text, cap, &n);
		s = text;
		len = n;
	}
	if (html && (strcmp(p->subtype, "html") == 0 ||
			strcmp(p->subtype, "xhtml") == 0 || is_xhtml(p))) {
		if ((text = arena_alloc(run->scratch, len + 1)) == NULL)
			return sieve_fail_memory(run);
		len = html_text(s, len, text);
		s = text;
	}
	*out = (struct sieve_value){ s, len };
	return 0;
}

/* ---- editing (RFC 5293) ---- */

int
sieve_header_now(struct sieve_run *run, struct sieve_value *out)
{
	size_t len = 2;
	char *s;

	*out = (struct sieve_value){ NULL, 0 };
	if (!run->edited)
		return 0;
	for (size_t i = 0; i < run->n_fields; i++)
		len += run->fields[i].raw_len + 2;
	if ((s = arena_alloc(run->keep, len)) == NULL)
		return sieve_fail_memory(run);
	len = 0;
	for (size_t i = 0; i < run->n_fields; i++) {
		const struct sieve_field *f = &run->fields[i];

		memcpy(s + len, f->raw, f->raw_len);
		len += f->raw_len;
		if (f->raw_len == 0 || f->raw[f->raw_len - 1] != '\n') {
			memcpy(s + len, "\r\n", 2);
			len += 2;
		}
	}
	memcpy(s + len, "\r\n", 2);
	*out = (struct sieve_value){ s, len + 2 };
	return 0;
}

uint64_t
sieve_header_size(const struct sieve_run *run)
{
	uint64_t size = 2;

	for (size_t i = 0; i < run->n_fields; i++) {
		const struct sieve_field *f = &run->fields[i];

		size += f->raw_len;
		if (f->raw_len == 0 || f->raw[f->raw_len - 1] != '\n')
			size += 2;
	}
	return size;
}

/*
 * Traces, and what keeps loops of mail from going on, are not a script's to take away
 * (RFC 5293, 6). It may add to the first two.
 */
static bool
is_protected(const char *name, size_t len, bool added)
{
	static const char *const names[] = { "return-path", "delivered-to", "received",
		"auto-submitted" };

	for (size_t i = 0; i < (added ? 2 : 4); i++)
		if (ascii_equal(name, len, names[i]))
			return true;
	return false;
}

static bool
is_ascii_text(const struct sieve_value *v)
{
	for (size_t i = 0; i < v->len; i++)
		if ((v->s[i] & 0x80) != 0 || v->s[i] == '\0')
			return false;
	return true;
}

/* "Name: value" CRLF, folded at spaces; encoded where it is not ASCII. */
static int
make_field(struct sieve_run *run, const struct sieve_value *name,
    const struct sieve_value *value, struct sieve_field *f)
{
	size_t cap = name->len + value->len * 12 + 64, n, line;
	char *s = arena_alloc(run->keep, cap), *text;
	struct sieve_value v = *value;
	int r;

	if (s == NULL || (text = arena_alloc(run->scratch, v.len + 1)) == NULL)
		return sieve_fail_memory(run);
	/* One line: a field's value does not end it. */
	n = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] == '\r' || v.s[i] == '\0')
			continue;
		if (v.s[i] == '\n') {
			while (i + 1 < v.len && (v.s[i + 1] == ' ' || v.s[i + 1] == '\t'))
				i++;
			if (n > 0 && i + 1 < v.len && text[n - 1] != ' ')
				text[n++] = ' ';
			continue;
		}
		text[n++] = v.s[i];
	}
	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	v = (struct sieve_value){ text, n };
	memcpy(s, name->s, name->len);
	n = name->len;
	s[n++] = ':';
	s[n++] = ' ';
	f->name = s;
	f->name_len = name->len;
	f->value = s + n;
	if (!is_ascii_text(&v)) {
		if ((r = rfc2047_encode(v.s, v.len, n, s + n, cap - n - 2)) == -1)
			return sieve_fail_memory(run);
		n += (size_t)r;
	} else {
		line = n;
		for (size_t i = 0; i < v.len; i++) {
			size_t word = 1;

			while (i + word < v.len && v.s[i + word] != ' ')
				word++;
			if (v.s[i] == ' ' && line + word > 78 && line > 1 && word > 1) {
				s[n++] = '\r';
				s[n++] = '\n';
				line = 0;
			}
			s[n++] = v.s[i];
			line++;
		}
	}
	f->value_len = n - (size_t)(f->value - s);
	s[n++] = '\r';
	s[n++] = '\n';
	f->raw = s;
	f->raw_len = n;
	f->added = true;
	return 0;
}

int
sieve_do_addheader(struct sieve_run *run, struct sieve_node *node)
{
	struct sieve_value name, value;
	struct sieve_field f = { 0 }, *p;
	size_t at = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &name) == -1 ||
	    sieve_expand(run, &node->positional[1]->v[0], &value) == -1)
		return -1;
	if (name.len == 0)
		return sieve_fail(run, "the name of the field to add is empty");
	for (size_t i = 0; i < name.len; i++)
		if (name.s[i] < 33 || name.s[i] > 126 || name.s[i] == ':')
			return sieve_fail(
			    run, "\"%.64s\" can be no name of a header field", name.s);
	if (memchr(value.s, '\0', value.len) != NULL)
		return sieve_fail(run, "the value of field %.64s has a NUL", name.s);
	if (is_protected(name.s, name.len, true)) {
		sieve_note(run, "field %.*s may not be added", (int)name.len, name.s);
		return 0;
	}
	if (value.len > 8192)
		value.len = utf8_cut(value.s, value.len, 8192);
	if (run->n_fields >= SIEVE_FIELDS_MAX)
		return sieve_fail(run, "too many header fields");
	if (make_field(run, &name, &value, &f) == -1)
		return -1;
	if (run->n_fields == run->fields_cap) {
		size_t cap = run->fields_cap * 2 + 16;

		if ((p = reallocarray(run->fields, cap, sizeof(*p))) == NULL)
			return sieve_fail_memory(run);
		run->fields = p;
		run->fields_cap = cap;
	}
	if (sieve_option(node, OPT_LAST) != NULL)
		at = run->n_fields;
	memmove(run->fields + at + 1, run->fields + at,
	    (run->n_fields - at) * sizeof(*run->fields));
	run->fields[at] = f;
	run->n_fields++;
	run->edited = true;
	return sieve_spend(run, 1 + run->n_fields / 64);
}

/* 1 when the field's value matches one of the patterns. */
static int
value_matches(struct sieve_run *run, const struct sieve_field *f, struct sieve_match *m)
{
	struct sieve_value v;

	if (sieve_field_text(run, f, true, &v) == -1)
		return -1;
	return sieve_match_value(m, &v);
}

/* :count counts the fields that there are, and deletes all of them when it holds. */
int
sieve_do_deleteheader(struct sieve_run *run, struct sieve_node *node)
{
	const struct sieve_option *index = sieve_option(node, OPT_INDEX);
	bool last = sieve_option(node, OPT_LAST) != NULL, *gone;
	const struct sieve_arg *patterns = node->positional[1];
	struct sieve_match m = { 0 };
	struct sieve_value name;
	uint64_t n = 0, k = 0;
	size_t out = 0;
	int r = 0;

	if (sieve_expand(run, &node->positional[0]->v[0], &name) == -1)
		return -1;
	if (is_protected(name.s, name.len, false)) {
		sieve_note(run, "field %.*s may not be deleted", (int)name.len, name.s);
		return 0;
	}
	if ((gone = arena_alloc(run->scratch, run->n_fields + 1)) == NULL)
		return sieve_fail_memory(run);
	if (patterns != NULL && sieve_match_begin(run, node, patterns, &m) == -1)
		return -1;
	m.silent = true;
	for (size_t i = 0; i < run->n_fields; i++)
		n += run->fields[i].name_len == name.len &&
		     strncasecmp(run->fields[i].name, name.s, name.len) == 0;
	for (size_t i = 0; i < run->n_fields && r != -1; i++) {
		if (run->fields[i].name_len != name.len ||
		    strncasecmp(run->fields[i].name, name.s, name.len) != 0)
			continue;
		k++;
		if (index != NULL && (last ? n - k + 1 : k) != index->arg->number)
			continue;
		r = patterns == NULL ? 1 : value_matches(run, &run->fields[i], &m);
		gone[i] = r == 1 || (patterns != NULL && node->match == MATCH_COUNT);
	}
	if (patterns != NULL) {
		r = sieve_match_end(&m, r == -1 ? -1 : 0);
		if (r == 0 && node->match == MATCH_COUNT)
			return 0;
	}
	if (r == -1)
		return -1;
	for (size_t i = 0; i < run->n_fields; i++) {
		if (gone[i]) {
			run->edited = true;
			continue;
		}
		run->fields[out++] = run->fields[i];
	}
	run->n_fields = out;
	return sieve_spend(run, 1 + out / 64);
}
