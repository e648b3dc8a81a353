/* SPDX-License-Identifier: ISC */
/* What sendmail(8) does to a message; see message.h. */
#include "sendmail/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/addrlist.h"
#include "common/proto/date.h"
#include "common/proto/header.h"
#include "common/proto/rfc2047.h"

void
message_init(struct message *m, int dots)
{
	memset(m, 0, sizeof(*m));
	m->dots = dots;
}

void
message_clear(struct message *m)
{
	for (size_t i = 0; i < m->nrcpts; i++)
		free(m->rcpts[i]);
	free(m->rcpts);
	free(m->text);
	memset(m, 0, sizeof(*m));
}

static int
append(struct message *m, const char *s, size_t len)
{
	if (len == 0)
		return 0;
	if (len > MESSAGE_MAX - m->len) {
		errno = EFBIG;
		return -1;
	}
	if (m->len + len > m->cap) {
		size_t cap = m->cap == 0 ? 16384 : m->cap;
		char *p;

		while (cap < m->len + len)
			cap *= 2;
		if ((p = realloc(m->text, cap)) == NULL)
			return -1;
		m->text = p;
		m->cap = cap;
	}
	memcpy(m->text + m->len, s, len);
	m->len += len;
	return 0;
}

/* 1: goes on, 0: that was the dot, -1. */
static int
end_line(struct message *m)
{
	if (m->dots && m->len == m->line + 1 && m->text[m->line] == '.') {
		m->len = m->line;
		m->ended = 1;
		return 0;
	}
	if (append(m, "\n", 1) == -1)
		return -1;
	m->line = m->len;
	return 1;
}

static int
is_line_end(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

int
message_read(struct message *m, const char *in, size_t len)
{
	size_t i = 0;
	int r;

	while (i < len && !m->ended) {
		size_t from = i;

		while (i < len && !is_line_end(in[i])) {
			m->eight_bit |= (unsigned char)in[i] > 127;
			i++;
		}
		if (i > from) {
			m->cr = 0;
			if (append(m, in + from, i - from) == -1)
				return -1;
		}
		if (i == len)
			break;
		if (in[i] == '\r' || (in[i] == '\n' && !m->cr)) {
			if ((r = end_line(m)) != 1)
				return r;
		}
		if (in[i] != '\0')
			m->cr = in[i] == '\r';
		i++;
	}
	return m->ended ? 0 : 1;
}

int
message_read_end(struct message *m)
{
	if (m->ended || m->len == m->line)
		return 0;
	return end_line(m) == -1 ? -1 : 0;
}

static int
add_rcpt(struct message *m, const char *address)
{
	char *copy, **p;

	for (size_t i = 0; m->nrcpts < 1000 && i < m->nrcpts; i++)
		if (strcmp(m->rcpts[i], address) == 0)
			return 0;
	if (m->nrcpts >= MESSAGE_RCPTS_MAX)
		return -1;
	if ((copy = strdup(address)) == NULL)
		return -1;
	if ((p = reallocarray(m->rcpts, m->nrcpts + 1, sizeof(*p))) == NULL) {
		free(copy);
		return -1;
	}
	m->rcpts = p;
	m->rcpts[m->nrcpts++] = copy;
	return 0;
}

/* One part of a list; ';' is no separator of RFC 5322 outside of groups. */
static int
add_list(struct message *m, const char *s, size_t len, size_t *found)
{
	struct addrlist l;
	struct addrlist_item item;
	char buf[ADDRESS_MAX + 1];
	struct address a;

	addrlist_init(&l, s, len);
	while (addrlist_next(&l, &item) == 1) {
		if (item.kind != ADDRLIST_MAILBOX || item.local[0] == '\0')
			continue;
		if (addrlist_format(&item, buf, sizeof(buf)) == -1 ||
		    address_parse_flags(buf, strlen(buf), ADDRESS_NO_DOMAIN, &a) == -1 ||
		    address_format(&a, buf, sizeof(buf)) == -1 || add_rcpt(m, buf) == -1)
			return -1;
		(*found)++;
	}
	return 0;
}

static int
has_any(const char *s, size_t len, const char *set)
{
	for (; *set != '\0'; set++)
		if (memchr(s, *set, len) != NULL)
			return 1;
	return 0;
}

int
message_add_rcpts(struct message *m, const char *s, size_t len)
{
	size_t found = 0, from = 0;
	int quoted = 0;

	/* A bare address is taken strictly; the list's parser makes something of all. */
	if (!has_any(s, len, ",;<(\" \t\r\n")) {
		struct address a;
		char buf[ADDRESS_MAX + 1];

		if (address_parse_flags(s, len, ADDRESS_NO_DOMAIN, &a) == -1 ||
		    address_format(&a, buf, sizeof(buf)) == -1)
			return -1;
		return add_rcpt(m, buf);
	}
	/* Group syntax has no place on a command line, but ';' between addresses has. */
	for (size_t i = 0; i <= len; i++) {
		if (i < len && s[i] == '"')
			quoted = !quoted;
		if (i < len && (s[i] != ';' || quoted))
			continue;
		if (add_list(m, s + from, i - from, &found) == -1)
			return -1;
		from = i + 1;
	}
	return found > 0 ? 0 : -1;
}

struct header_facts {
	int from, date, message_id, resent;
};

static int
is_bcc(const struct header_field *f)
{
	return header_name_is(f, "bcc") || header_name_is(f, "resent-bcc");
}

static int
is_rcpt_field(const struct header_field *f, int resent)
{
	if (resent)
		return header_name_is(f, "resent-to") || header_name_is(f, "resent-cc") ||
		       header_name_is(f, "resent-bcc");
	return header_name_is(f, "to") || header_name_is(f, "cc") ||
	       header_name_is(f, "bcc");
}

/* 1 with the next field of the header at *pos, 0 at its end: an empty line, the end, or a
 * line that is no field. */
static int
next_field(const char *text, size_t len, size_t *pos, struct header_field *f)
{
	struct header_scan s;

	header_scan_init(&s, text + *pos, len - *pos, true);
	if (header_next(&s, f) != HEADER_FIELD || f->malformed)
		return 0;
	*pos += f->length;
	return 1;
}

static void
look(const char *text, size_t len, size_t pos, struct header_facts *h)
{
	struct header_field f;

	memset(h, 0, sizeof(*h));
	while (next_field(text, len, &pos, &f)) {
		h->from |= header_name_is(&f, "from");
		h->date |= header_name_is(&f, "date");
		h->message_id |= header_name_is(&f, "message-id");
		h->resent |= is_rcpt_field(&f, 1);
	}
}

static int
add_missing(
    struct message *m, const struct message_facts *facts, const struct header_facts *h)
{
	char date[DATE_MAX], line[1024], name[512];
	int n;

	if (!h->date) {
		if (date_format(facts->time, facts->zone_min, date, sizeof(date)) == -1)
			strlcpy(date, "Thu, 01 Jan 1970 00:00:00 +0000", sizeof(date));
		n = snprintf(line, sizeof(line), "Date: %s\n", date);
		if (append(m, line, (size_t)n) == -1)
			return -1;
	}
	if (!h->from) {
		name[0] = '\0';
		if (facts->full_name[0] != '\0' && strlen(facts->full_name) < 100 &&
		    rfc2047_encode(facts->full_name, strlen(facts->full_name), 6, name,
			sizeof(name)) == -1)
			name[0] = '\0';
		/* Quoted, unless the words are encoded. */
		if (name[0] == '\0')
			n = snprintf(line, sizeof(line), "From: %s\n", facts->sender);
		else if (strcmp(name, facts->full_name) != 0)
			n = snprintf(
			    line, sizeof(line), "From: %s <%s>\n", name, facts->sender);
		else if (strpbrk(name, "\"\\\r\n") == NULL)
			n = snprintf(line, sizeof(line), "From: \"%s\" <%s>\n", name,
			    facts->sender);
		else
			n = snprintf(line, sizeof(line), "From: %s\n", facts->sender);
		/* Folds of encoded words come with CR LF. */
		for (char *cr; (cr = strstr(line, "\r\n")) != NULL; n--)
			memmove(cr, cr + 1, strlen(cr));
		if (append(m, line, (size_t)n) == -1)
			return -1;
	}
	if (!h->message_id) {
		n = snprintf(line, sizeof(line), "Message-ID: <%llx.%016llx@%s>\n",
		    (unsigned long long)facts->time, (unsigned long long)facts->unique,
		    facts->domain);
		if (append(m, line, (size_t)n) == -1)
			return -1;
	}
	return 0;
}

int
message_finish(struct message *m, const struct message_facts *facts, int from_header)
{
	char *owned = m->text;
	const char *text = owned != NULL ? owned : "";
	size_t len = m->len, pos = 0, begin, found = 0;
	struct header_facts h;
	struct header_field f;
	int r = -1;

	/* mbox's separator. */
	if (len >= 5 && memcmp(text, "From ", 5) == 0) {
		const char *end = memchr(text, '\n', len);

		pos = end == NULL ? len : (size_t)(end - text) + 1;
	}
	m->text = NULL;
	m->len = 0;
	m->cap = 0;
	look(text, len, pos, &h);
	if (add_missing(m, facts, &h) == -1)
		goto out;
	for (begin = pos; next_field(text, len, &pos, &f); begin = pos) {
		if (from_header && is_rcpt_field(&f, h.resent) &&
		    add_list(m, f.value, f.value_len, &found) == -1) {
			errno = EINVAL;
			goto out;
		}
		if (!is_bcc(&f) && append(m, text + begin, f.length) == -1)
			goto out;
	}
	/* A body without an empty line before it gets one. */
	if ((pos == len || text[pos] != '\n') && append(m, "\n", 1) == -1)
		goto out;
	if (append(m, text + pos, len - pos) == -1)
		goto out;
	r = 0;
out:
	free(owned);
	return r;
}
