/* SPDX-License-Identifier: ISC */
/* The header section: fields as spans of the buffer. */
#include <string.h>

#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "common/proto/rfc2047.h"

void
header_scan_init(struct header_scan *s, const char *buf, size_t len, bool final)
{
	memset(s, 0, sizeof(*s));
	s->buf = buf;
	s->len = len;
	s->final = final;
	s->max_octets = HEADER_SECTION_MAX;
	s->max_fields = HEADER_FIELDS_MAX;
}

void
header_scan_extend(struct header_scan *s, const char *buf, size_t len, bool final)
{
	s->buf = buf;
	s->len = len;
	s->final = final;
}

/*
 * Where the field at pos ends.  The octet after its last line end decides, so a field is
 * complete only when that octet is here or none will come.
 */
static enum header_result
field_end(const struct header_scan *s, size_t *end)
{
	size_t limit = s->max_octets < s->len ? s->max_octets : s->len, pos = s->pos;
	const char *lf;

	do {
		lf = limit > pos ? memchr(s->buf + pos, '\n', limit - pos) : NULL;
		if (lf == NULL) {
			if (limit < s->len || limit == s->max_octets)
				return HEADER_LIMIT;
			if (!s->final)
				return HEADER_MORE;
			*end = s->len;
			return HEADER_FIELD;
		}
		pos = (size_t)(lf + 1 - s->buf);
		if (pos == s->len && !s->final)
			return HEADER_MORE;
	} while (pos < s->len && (s->buf[pos] == ' ' || s->buf[pos] == '\t'));
	*end = pos;
	return HEADER_FIELD;
}

static void
split_field(const char *p, size_t len, struct header_field *f)
{
	size_t colon = 0, name;

	f->name = f->value = p;
	f->name_len = 0;
	f->value_len = len;
	f->malformed = true;
	/* The last line end is no part of the value. */
	if (f->value_len > 0 && p[f->value_len - 1] == '\n')
		f->value_len--;
	if (f->value_len > 0 && p[f->value_len - 1] == '\r')
		f->value_len--;
	while (
	    colon < f->value_len && p[colon] > 0x20 && p[colon] < 0x7f && p[colon] != ':')
		colon++;
	name = colon;
	while (colon < f->value_len && (p[colon] == ' ' || p[colon] == '\t'))
		colon++;
	if (name == 0 || colon == f->value_len || p[colon] != ':')
		return;
	f->name_len = name;
	f->value = p + colon + 1;
	f->value_len -= colon + 1;
	f->malformed = false;
}

enum header_result
header_next(struct header_scan *s, struct header_field *field)
{
	const char *p = s->buf + s->pos;
	size_t left = s->len - s->pos, end;
	enum header_result rc;

	if (left == 0) {
		s->no_blank = s->final;
		return s->final ? HEADER_END : HEADER_MORE;
	}
	if (p[0] == '\n') {
		s->pos += 1;
		return HEADER_END;
	}
	if (p[0] == '\r') {
		if (left == 1 && !s->final)
			return HEADER_MORE;
		if (left > 1 && p[1] == '\n') {
			s->pos += 2;
			return HEADER_END;
		}
	}
	if (s->fields >= s->max_fields)
		return HEADER_LIMIT;
	if ((rc = field_end(s, &end)) != HEADER_FIELD)
		return rc;
	field->offset = s->pos;
	field->length = end - s->pos;
	split_field(p, field->length, field);
	s->pos = end;
	s->fields++;
	return HEADER_FIELD;
}

bool
header_name_is(const struct header_field *f, const char *name)
{
	return f->name_len > 0 && ascii_equal(f->name, f->name_len, name);
}

int
header_get(
    const char *buf, size_t len, const char *name, size_t nth, struct header_field *out)
{
	struct header_scan s;

	header_scan_init(&s, buf, len, true);
	while (header_next(&s, out) == HEADER_FIELD) {
		if (header_name_is(out, name) && nth-- == 0)
			return 0;
	}
	return -1;
}

size_t
header_count(const char *buf, size_t len, const char *name)
{
	struct header_scan s;
	struct header_field f;
	size_t n = 0;

	header_scan_init(&s, buf, len, true);
	while (header_next(&s, &f) == HEADER_FIELD)
		n += header_name_is(&f, name);
	return n;
}

size_t
header_section_len(const char *buf, size_t len)
{
	size_t pos = 0;
	const char *lf;

	while (pos < len) {
		if (buf[pos] == '\n')
			return pos + 1;
		if (buf[pos] == '\r' && len - pos > 1 && buf[pos + 1] == '\n')
			return pos + 2;
		if ((lf = memchr(buf + pos, '\n', len - pos)) == NULL)
			break;
		pos = (size_t)(lf + 1 - buf);
	}
	return len;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

static void
trim(const char **p, size_t *len)
{
	while (*len > 0 && is_space(**p)) {
		(*p)++;
		(*len)--;
	}
	while (*len > 0 && is_space((*p)[*len - 1]))
		(*len)--;
}

size_t
header_unfold(const char *value, size_t len, char *out, size_t cap)
{
	size_t n = 0;

	if (cap == 0)
		return 0;
	trim(&value, &len);
	for (size_t i = 0; i < len && n < cap - 1; i++) {
		if (value[i] != '\r' && value[i] != '\n' && value[i] != '\0')
			out[n++] = value[i];
	}
	out[n] = '\0';
	return n;
}

size_t
header_decode(const char *value, size_t len, char *out, size_t cap)
{
	trim(&value, &len);
	return rfc2047_decode(value, len, out, cap);
}
