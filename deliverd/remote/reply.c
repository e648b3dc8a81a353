/* SPDX-License-Identifier: ISC */
/* SMTP replies; see reply.h. */
#include "deliverd/remote/reply.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

void
reply_init(struct reply *r)
{
	r->code = 0;
	r->enhanced[0] = r->text[0] = '\0';
	r->len = r->octets = r->column = 0;
	r->lines = 0;
	r->cr = r->complete = 0;
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of a class.subject.detail that goes with the code, 0 if s starts with none. */
static size_t
enhanced_len(const char *s, int code)
{
	size_t n = 2, digits;

	if (s[0] != '0' + code / 100 || s[1] != '.' ||
	    (s[0] != '2' && s[0] != '4' && s[0] != '5'))
		return 0;
	for (digits = 0; is_digit(s[n]); n++)
		digits++;
	if (digits < 1 || digits > 3 || s[n++] != '.')
		return 0;
	for (digits = 0; is_digit(s[n]); n++)
		digits++;
	if (digits < 1 || digits > 3 || (s[n] != '\0' && s[n] != ' ' && s[n] != '\n'))
		return 0;
	return n;
}

/* Takes the enhanced code out of the lines: each of them repeats it. */
static void
split_enhanced(struct reply *r)
{
	size_t n = enhanced_len(r->text, r->code), out = 0, in = 0;

	if (n == 0)
		return;
	memcpy(r->enhanced, r->text, n);
	r->enhanced[n] = '\0';
	while (r->text[in] != '\0') {
		if (strncmp(r->text + in, r->enhanced, n) == 0 &&
		    (r->text[in + n] == ' ' || r->text[in + n] == '\n' ||
			r->text[in + n] == '\0'))
			in += n + (r->text[in + n] == ' ');
		while (r->text[in] != '\0') {
			r->text[out++] = r->text[in];
			if (r->text[in++] == '\n')
				break;
		}
	}
	r->text[out] = '\0';
	r->len = out;
}

static int
complete(struct reply *r)
{
	r->text[r->len] = '\0';
	if (!utf8_valid(r->text, r->len)) {
		for (size_t i = 0; i < r->len; i++)
			if ((unsigned char)r->text[i] >= 0x80)
				r->text[i] = '?';
	}
	split_enhanced(r);
	r->complete = 1;
	return 1;
}

static void
put(struct reply *r, char c)
{
	if (r->len < REPLY_TEXT_MAX)
		r->text[r->len++] = c;
	r->text[r->len] = '\0'; /* a string also when the reply breaks off */
}

/* The end of a line: 1 when it was the last one. */
static int
end_line(struct reply *r)
{
	int code;

	if (r->column < 3 || !is_digit(r->head[0]) || !is_digit(r->head[1]) ||
	    !is_digit(r->head[2]))
		return -1;
	code = (r->head[0] - '0') * 100 + (r->head[1] - '0') * 10 + (r->head[2] - '0');
	if (code < 200 || code > 599 || (r->lines > 0 && code != r->code))
		return -1;
	r->code = code;
	r->lines++;
	if (r->column > 3 && r->head[3] == '-') {
		put(r, '\n');
		r->column = 0;
		return 0;
	}
	return r->column == 3 || r->head[3] == ' ' ? complete(r) : -1;
}

int
reply_push(struct reply *r, const uint8_t *p, size_t len, size_t *used)
{
	*used = 0;
	if (r->complete)
		return 1;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = p[i];

		*used = i + 1;
		if (++r->octets > REPLY_OCTETS_MAX)
			return -1;
		if (c == '\n') {
			int rc = end_line(r);

			r->cr = 0;
			if (rc != 0)
				return rc;
			continue;
		}
		if (r->cr) { /* a bare CR is a character like others */
			r->cr = 0;
			if (r->column++ >= 4)
				put(r, '?');
		}
		if (c == '\r') {
			r->cr = 1;
			continue;
		}
		if (r->column < 4) {
			/* What is no reply shows at once, not at the end of 64 KB. */
			if (r->column < 3 ? !is_digit((char)c) : c != ' ' && c != '-')
				return -1;
			r->head[r->column] = (char)c;
		} else
			put(r, (char)(c == '\t' ? ' ' : c < 0x20 || c == 0x7f ? '?' : c));
		r->column++;
	}
	return 0;
}

void
reply_format(const struct reply *r, char *out, size_t cap)
{
	char all[REPLY_TEXT_MAX + REPLY_ENHANCED_MAX + 8];
	int n = snprintf(all, sizeof(all), "%03d%s%s%s%s", r->code,
	    r->enhanced[0] != '\0' ? " " : "", r->enhanced, r->text[0] != '\0' ? " " : "",
	    r->text);

	if (n < 0 || cap == 0)
		return;
	all[utf8_cut(all, (size_t)n, cap - 1)] = '\0';
	for (char *c = all; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	strlcpy(out, all, cap);
}
