/* SPDX-License-Identifier: ISC */
/* Bytes to IMAP commands; see imap_lex.h. */
#include "common/imap/imap_lex.h"

#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/imap/imap_parse.h"

static const char too_long[] = "Command too long";
static const char no_memory[] = "Out of memory";

void
imap_lex_init(struct imap_lex *l, size_t line_max, size_t literal_max, size_t command_max)
{
	memset(l, 0, sizeof(*l));
	l->line_max = line_max;
	l->literal_max = literal_max;
	l->command_max = command_max;
}

void
imap_lex_clear(struct imap_lex *l)
{
	freezero(l->buf, l->cap);
	explicit_bzero(l->tail, sizeof(l->tail));
	l->buf = NULL;
	l->len = l->cap = 0;
}

void
imap_lex_reset(struct imap_lex *l)
{
	/* A large command was the exception: do not keep its memory for an idle hour. */
	if (l->cap > 8192)
		imap_lex_clear(l);
	else if (l->buf != NULL)
		explicit_bzero(l->buf, l->len);
	l->len = l->line = l->tail_len = 0;
	l->left = l->literal_size = 0;
	l->error = NULL;
	l->state = IMAP_LEX_IN_LINE;
}

static int
grow(struct imap_lex *l, size_t more)
{
	size_t cap = l->cap == 0 ? 512 : l->cap;
	char *n;

	while (cap - l->len < more)
		cap *= 2;
	if (cap == l->cap)
		return 0;
	if ((n = malloc(cap)) == NULL)
		return -1;
	if (l->len > 0)
		memcpy(n, l->buf, l->len);
	freezero(l->buf, l->cap);
	l->buf = n;
	l->cap = cap;
	return 0;
}

static void
keep_tail(struct imap_lex *l, const char *s, size_t len)
{
	size_t keep;

	if (len >= sizeof(l->tail)) {
		memcpy(l->tail, s + len - sizeof(l->tail), sizeof(l->tail));
		l->tail_len = sizeof(l->tail);
		return;
	}
	keep = sizeof(l->tail) - len;
	if (keep > l->tail_len)
		keep = l->tail_len;
	memmove(l->tail, l->tail + l->tail_len - keep, keep);
	memcpy(l->tail + keep, s, len);
	l->tail_len = keep + len;
}

/* From here on the command's text is only looked at for literals. */
static void
drop(struct imap_lex *l, const char *why)
{
	if (l->error == NULL) {
		l->error = why;
		l->tail_len = 0;
		if (l->len > l->line)
			keep_tail(l, l->buf + l->line, l->len - l->line);
	}
}

static void
add(struct imap_lex *l, const char *s, size_t len)
{
	size_t room, n = len;

	if (l->error == NULL) {
		/* Up to the bound it is kept, the tag must still be known for the reply.
		 */
		room = l->line_max - (l->len - l->line);
		if (room > l->command_max - l->len)
			room = l->command_max - l->len;
		if (n > room)
			n = room;
		if (grow(l, n) == -1) {
			drop(l, no_memory);
			n = 0;
		} else {
			memcpy(l->buf + l->len, s, n);
			l->len += n;
			if (n < len)
				drop(l, too_long);
		}
		s += n;
		len -= n;
	}
	if (l->error != NULL)
		keep_tail(l, s, len);
}

/*
 * "{N}" or "{N+}" at the end of a line (without its CRLF). 1: found; 0: none; -1: a
 * number beyond all sense, taken as the largest.
 */
static int
find_literal(const char *s, size_t len, uint64_t *size, bool *sync)
{
	size_t i, end;
	uint64_t n = 0;

	if (len < 3 || s[len - 1] != '}')
		return 0;
	end = len - 1;
	*sync = true;
	if (s[end - 1] == '+') {
		*sync = false;
		end--;
	}
	for (i = end; i > 0 && s[i - 1] >= '0' && s[i - 1] <= '9'; i--)
		;
	if (i == end || i == 0 || s[i - 1] != '{')
		return 0;
	for (; i < end; i++) {
		if (n > (UINT64_MAX - 9) / 10) {
			n = UINT64_MAX;
			break;
		}
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	*size = n;
	return 1;
}

static enum imap_lex_event
line_end(struct imap_lex *l)
{
	const char *s = l->error == NULL ? l->buf + l->line : l->tail;
	size_t len = l->error == NULL ? l->len - l->line : l->tail_len;
	int crlf = len >= 2 && s[len - 2] == '\r';

	len -= crlf ? 2 : 1;
	if (l->error == NULL) {
		if (!crlf)
			drop(l, "Lines end in CRLF");
		else if (memchr(s, '\0', len) != NULL)
			drop(l, "NUL in command");
		else if (memchr(s, '\r', len) != NULL)
			drop(l, "CR in command");
		if (l->error != NULL) {
			s = l->tail;
			len = l->tail_len - (crlf ? 2 : 1);
		}
	}
	if (find_literal(s, len, &l->literal_size, &l->literal_sync)) {
		l->left = l->literal_size;
		l->line = l->len;
		l->tail_len = 0;
		if (l->error == NULL) {
			l->state = IMAP_LEX_DECIDE;
			return IMAP_LEX_LITERAL;
		}
		if (l->literal_sync)
			return IMAP_LEX_BAD;
		if (l->literal_size > IMAP_SKIP_MAX)
			return IMAP_LEX_CLOSE;
		l->state = IMAP_LEX_IN_SKIP;
		return IMAP_LEX_MORE;
	}
	if (l->error != NULL)
		return IMAP_LEX_BAD;
	l->len -= 2;
	return IMAP_LEX_COMMAND;
}

static enum imap_lex_event
next_line(struct imap_lex *l, const uint8_t *in, size_t len, size_t *used)
{
	const uint8_t *nl = memchr(in, '\n', len);
	size_t n = nl == NULL ? len : (size_t)(nl - in) + 1;

	add(l, (const char *)in, n);
	*used += n;
	return nl == NULL ? IMAP_LEX_MORE : line_end(l);
}

enum imap_lex_event
imap_lex_next(struct imap_lex *l, const uint8_t *in, size_t len, size_t *used)
{
	enum imap_lex_event ev;
	size_t n;

	*used = 0;
	for (;;) {
		switch (l->state) {
		case IMAP_LEX_DECIDE:
			return IMAP_LEX_LITERAL;
		case IMAP_LEX_IN_LINE:
			if (*used == len)
				return IMAP_LEX_MORE;
			ev = next_line(l, in + *used, len - *used, used);
			if (ev != IMAP_LEX_MORE)
				return ev;
			break;
		default:
			if (l->left == 0) {
				l->state = IMAP_LEX_IN_LINE;
				l->line = l->len;
				break;
			}
			n = len - *used;
			if (n == 0)
				return IMAP_LEX_MORE;
			if (n > l->left)
				n = (size_t)l->left;
			l->left -= n;
			if (l->state == IMAP_LEX_IN_STREAM) {
				l->data = in + *used;
				l->data_len = n;
				*used += n;
				return IMAP_LEX_DATA;
			}
			if (l->state == IMAP_LEX_IN_LITERAL) {
				memcpy(l->buf + l->len, in + *used, n);
				l->len += n;
			}
			*used += n;
		}
	}
}

int
imap_lex_accept(struct imap_lex *l)
{
	if (l->literal_size > l->literal_max ||
	    l->literal_size > l->command_max - l->len ||
	    grow(l, (size_t)l->literal_size + 1) == -1)
		return -1;
	l->state = IMAP_LEX_IN_LITERAL;
	return 0;
}

void
imap_lex_stream(struct imap_lex *l)
{
	l->state = IMAP_LEX_IN_STREAM;
}

int
imap_lex_refuse(struct imap_lex *l, const char *error)
{
	if (l->literal_sync) {
		imap_lex_reset(l);
		return 0;
	}
	l->error = error;
	l->tail_len = 0;
	l->state = IMAP_LEX_IN_SKIP;
	return l->literal_size > IMAP_SKIP_MAX ? -1 : 1;
}

void
imap_lex_tag(const struct imap_lex *l, char *out, size_t cap)
{
	size_t n = 0;

	while (n < l->len && n + 1 < cap && imap_is_tag_char((unsigned char)l->buf[n])) {
		out[n] = l->buf[n];
		n++;
	}
	if (n == 0 ||
	    (n < l->len && l->buf[n] != ' ' && l->buf[n] != '\r' && l->buf[n] != '\n'))
		n = strlcpy(out, "*", cap);
	out[n] = '\0';
}
