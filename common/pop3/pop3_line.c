/* SPDX-License-Identifier: ISC */
/* Octets to POP3 lines; see pop3_line.h. */
#include "common/pop3/pop3_line.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

void
pop3_line_init(struct pop3_line *l, size_t max)
{
	memset(l, 0, sizeof(*l));
	l->max = max;
}

void
pop3_line_clear(struct pop3_line *l)
{
	freezero(l->buf, l->cap);
	l->buf = NULL;
	l->len = l->cap = 0;
}

static int
add(struct pop3_line *l, const uint8_t *s, size_t n)
{
	if (l->len + n > l->max + 2) {
		l->error = "line too long";
		return -1;
	}
	if (l->len + n + 1 > l->cap) {
		size_t cap = l->len + n + 1 < 128 ? 128 : (l->len + n + 1) * 2;
		char *buf = malloc(cap);

		if (buf == NULL) {
			l->error = "out of memory";
			return -1;
		}
		if (l->len > 0)
			memcpy(buf, l->buf, l->len);
		freezero(l->buf, l->cap);
		l->buf = buf;
		l->cap = cap;
	}
	memcpy(l->buf + l->len, s, n);
	l->len += n;
	return 0;
}

enum pop3_line_event
pop3_line_next(struct pop3_line *l, const uint8_t *in, size_t len, size_t *used)
{
	const uint8_t *nl = len == 0 ? NULL : memchr(in, '\n', len);
	size_t n = nl == NULL ? len : (size_t)(nl - in) + 1;

	if (l->ended) {
		if (l->buf != NULL)
			explicit_bzero(l->buf, l->cap);
		l->len = 0;
		l->error = NULL;
		l->ended = false;
	}
	*used = n;
	if (l->error == NULL && n > 0)
		add(l, in, n);
	if (nl == NULL)
		return POP3_LINE_MORE;
	l->ended = true;
	if (l->error == NULL && (l->len < 2 || l->buf[l->len - 2] != '\r'))
		l->error = "lines end in CRLF";
	if (l->error == NULL && memchr(l->buf, '\0', l->len) != NULL)
		l->error = "NUL in line";
	if (l->error == NULL && memchr(l->buf, '\r', l->len - 2) != NULL)
		l->error = "CR in line";
	if (l->error != NULL)
		return POP3_LINE_BAD;
	l->len -= 2;
	l->buf[l->len] = '\0';
	return POP3_LINE;
}

char *
pop3_split(char *line)
{
	char *sp = strchr(line, ' ');

	if (sp == NULL)
		return line + strlen(line);
	*sp = '\0';
	return sp + 1;
}
