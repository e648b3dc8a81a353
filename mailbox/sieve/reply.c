/* SPDX-License-Identifier: ISC */
/* Puts messages together; see reply.h. */
#include "mailbox/sieve/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "common/proto/rfc2047.h"

#define LINE_MAX_TEXT 900

void
sieve_letter_init(struct sieve_letter *l, struct sieve_run *run)
{
	memset(l, 0, sizeof(*l));
	l->run = run;
}

static char *
room(struct sieve_letter *l, size_t n)
{
	if (l->failed)
		return NULL;
	if (l->cap - l->len < n) {
		size_t cap = (l->cap + n) * 2 + 512;
		char *s = arena_alloc(l->run->keep, cap);

		if (s == NULL) {
			l->failed = true;
			return NULL;
		}
		if (l->len > 0)
			memcpy(s, l->s, l->len);
		l->s = s;
		l->cap = cap;
	}
	return l->s + l->len;
}

void
sieve_letter_raw(struct sieve_letter *l, const char *s, size_t len)
{
	char *p = room(l, len * 2 + 2);
	size_t n = 0;

	if (p == NULL)
		return;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\n' && (i == 0 || s[i - 1] != '\r'))
			p[n++] = '\r';
		if (s[i] == '\r' && (i + 1 == len || s[i + 1] != '\n')) {
			p[n++] = '\r';
			p[n++] = '\n';
			continue;
		}
		p[n++] = s[i] == '\0' ? ' ' : s[i];
	}
	l->len += n;
}

static void
append(struct sieve_letter *l, const char *s, size_t len)
{
	char *p = room(l, len);

	if (p == NULL || len == 0)
		return;
	memcpy(p, s, len);
	l->len += len;
}

void
sieve_letter_field(struct sieve_letter *l, const char *name, const char *s, size_t len)
{
	char *text = arena_alloc(l->run->scratch, len + 1), *p;
	size_t n = 0;
	bool ascii = true;
	int r;

	if (text == NULL) {
		l->failed = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\r' || s[i] == '\0')
			continue;
		text[n++] = s[i] == '\n' ? ' ' : s[i];
		ascii = ascii && (s[i] & 0x80) == 0;
	}
	append(l, name, strlen(name));
	append(l, ": ", 2);
	if (ascii)
		append(l, text, n < LINE_MAX_TEXT ? n : LINE_MAX_TEXT);
	else if ((p = room(l, n * 12 + 128)) != NULL) {
		r = rfc2047_encode(text, n, strlen(name) + 2, p, n * 12 + 128);
		if (r == -1)
			l->failed = true;
		else
			l->len += (size_t)r;
	}
	append(l, "\r\n", 2);
}

void
sieve_letter_basics(struct sieve_letter *l, const char *auto_submitted)
{
	const struct sieve_input *in = l->run->in;
	char text[400];

	if (date_format(in->now, in->zone_min, text, sizeof(text)) > 0)
		sieve_letter_field(l, "Date", text, strlen(text));
	snprintf(text, sizeof(text), "<%llx.%llx.%zu.sieve@%s>",
	    (unsigned long long)in->now, (unsigned long long)in->seed, l->run->out->n,
	    in->hostname != NULL ? in->hostname : "localhost");
	sieve_letter_field(l, "Message-ID", text, strlen(text));
	sieve_letter_field(l, "Auto-Submitted", auto_submitted, strlen(auto_submitted));
	sieve_letter_field(l, "MIME-Version", "1.0", 3);
}

void
sieve_letter_text(struct sieve_letter *l, const char *s, size_t len)
{
	bool plain = true, ascii = true;
	size_t line = 0, cap;
	char *p;
	int n;

	for (size_t i = 0; i < len; i++) {
		line = s[i] == '\n' ? 0 : line + 1;
		if (line > LINE_MAX_TEXT || s[i] == '\0')
			plain = false;
		if ((s[i] & 0x80) != 0)
			ascii = false;
	}
	sieve_letter_field(l, "Content-Type", "text/plain; charset=utf-8", 25);
	if (plain && ascii) {
		sieve_letter_field(l, "Content-Transfer-Encoding", "7bit", 4);
		append(l, "\r\n", 2);
		sieve_letter_raw(l, s, len);
	} else {
		sieve_letter_field(
		    l, "Content-Transfer-Encoding", "quoted-printable", 16);
		append(l, "\r\n", 2);
		cap = len * 4 + 1024;
		if ((p = room(l, cap)) == NULL)
			return;
		if ((n = qp_encode(s, len, p, cap)) == -1) {
			l->failed = true;
			return;
		}
		l->len += (size_t)n;
	}
	if (l->len < 2 || l->s[l->len - 1] != '\n')
		append(l, "\r\n", 2);
}

int
sieve_letter_finish(struct sieve_letter *l, const char **s, size_t *len)
{
	if (l->failed)
		return sieve_fail_memory(l->run);
	*s = l->s;
	*len = l->len;
	return 0;
}

const struct sieve_field *
sieve_field_find(struct sieve_run *run, const char *name)
{
	for (size_t i = 0; i < run->n_fields; i++)
		if (run->fields[i].name_len > 0 &&
		    ascii_equal(run->fields[i].name, run->fields[i].name_len, name))
			return &run->fields[i];
	return NULL;
}
