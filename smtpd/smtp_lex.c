/* SPDX-License-Identifier: ISC */
/* The lexer of SMTP's command phase; see smtp_lex.h. */
#include "smtpd/smtp_lex.h"

#include <stdlib.h>
#include <strings.h>

#include "common/compat/compat.h"

#define SKIP (-1) /* the fault has been told already */

void
smtp_lex_init(struct smtp_lex *l)
{
	memset(l, 0, sizeof(*l));
}

void
smtp_lex_clear(struct smtp_lex *l)
{
	if (l->buf != NULL)
		freezero(l->buf, l->cap);
	memset(l, 0, sizeof(*l));
}

static size_t
line_max(const struct smtp_lex *l)
{
	if (l->auth || (l->len >= 5 && strncasecmp(l->buf, "AUTH ", 5) == 0))
		return SMTP_AUTH_LINE_MAX - 2;
	return SMTP_LINE_MAX - 2;
}

/* 0, or -1 without memory. Lines may hold passwords, so old copies are wiped. */
static int
put(struct smtp_lex *l, char c)
{
	if (l->len + 1 >= l->cap) {
		size_t cap = l->cap == 0 ? 256 : l->cap * 2;
		char *p = malloc(cap);

		if (p == NULL)
			return -1;
		if (l->buf != NULL) {
			memcpy(p, l->buf, l->len);
			freezero(l->buf, l->cap);
		}
		l->buf = p;
		l->cap = cap;
	}
	l->buf[l->len++] = c;
	l->buf[l->len] = '\0';
	return 0;
}

static void
reset(struct smtp_lex *l)
{
	if (l->cap > SMTP_LINE_MAX) {
		freezero(l->buf, l->cap);
		l->buf = NULL;
		l->cap = 0;
	} else if (l->len > 0)
		explicit_bzero(l->buf, l->len);
	l->len = 0;
	l->fault = 0;
	l->cr = 0;
	l->done = 0;
}

static void
fault(struct smtp_lex *l, enum smtp_lex_result what)
{
	if (l->fault == 0)
		l->fault = (int)what;
}

enum smtp_lex_result
smtp_lex_feed(struct smtp_lex *l, const char *in, size_t len, size_t *used)
{
	size_t i = 0;

	if (l->done)
		reset(l);
	while (i < len) {
		char c = in[i++];

		if (c == '\n') {
			if (!l->cr) {
				l->fault = SKIP;
				*used = i;
				return SMTP_LEX_BARE_LF;
			}
			if (l->fault == SKIP) {
				reset(l);
				continue;
			}
			*used = i;
			l->done = 1;
			if (l->fault != 0)
				return (enum smtp_lex_result)l->fault;
			if (l->buf == NULL && put(l, '\0') == -1)
				return SMTP_LEX_MEMORY;
			if (l->len == 1 && l->buf[0] == '\0')
				l->len = 0;
			return SMTP_LEX_LINE;
		}
		if (l->cr)
			fault(l, SMTP_LEX_BARE_CR);
		l->cr = c == '\r';
		if (l->cr)
			continue;
		if (c == '\0')
			fault(l, SMTP_LEX_NUL);
		if (l->fault != 0)
			continue;
		if (l->len >= line_max(l))
			fault(l, SMTP_LEX_LONG);
		else if (put(l, c) == -1) {
			*used = i;
			return SMTP_LEX_MEMORY;
		}
	}
	*used = i;
	return SMTP_LEX_MORE;
}
