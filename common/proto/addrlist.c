/* SPDX-License-Identifier: ISC */
/*
 * Address lists as people send them.  Each call reads one item and moves forward by at
 * least one octet or ends, whatever the text is.
 */
#include <string.h>

#include "common/proto/addrlist.h"
#include "common/proto/address.h"
#include "common/proto/encoding.h"

#define ANGLE_MAX 4096 /* how far the end of "<" is looked for: keeps all linear */

/* A bounded string that remembers where its last word began. */
struct text {
	char *s;
	size_t cap, n;
};

static void
text_put(struct text *t, char c)
{
	if (c != '\0' && c != '\r' && c != '\n' && t->n + 1 < t->cap)
		t->s[t->n++] = c;
	t->s[t->n] = '\0';
}

static void
text_trim(struct text *t)
{
	while (t->n > 0 && (t->s[t->n - 1] == ' ' || t->s[t->n - 1] == '\t'))
		t->n--;
	t->s[t->n] = '\0';
}

/* A cut in the middle of a character would make an invalid string of a valid one. */
static void
text_close(struct text *t)
{
	uint32_t c;

	if (t->n + 1 < t->cap)
		return;
	for (size_t back = 1; back < 4 && back <= t->n; back++) {
		unsigned char lead = (unsigned char)t->s[t->n - back];

		if (lead >= 0xc0) {
			if (utf8_get(t->s + t->n - back, back, &c) == 0)
				t->n -= back;
			break;
		}
		if (lead < 0x80)
			break;
	}
	t->s[t->n] = '\0';
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

void
addrlist_init(struct addrlist *l, const char *value, size_t len)
{
	memset(l, 0, sizeof(*l));
	l->s = value;
	l->len = len;
}

static int
peek(const struct addrlist *l)
{
	return l->pos < l->len ? (unsigned char)l->s[l->pos] : -1;
}

/* At "(": to after its ")"; the content goes to t, nested parentheses included. */
static void
read_comment(struct addrlist *l, struct text *t)
{
	size_t depth = 1;

	t->n = 0;
	t->s[0] = '\0';
	for (l->pos++; l->pos < l->len; l->pos++) {
		char c = l->s[l->pos];

		if (c == '\\' && l->pos + 1 < l->len)
			c = l->s[++l->pos];
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			l->pos++;
			break;
		}
		text_put(t, c);
	}
	text_trim(t);
}

/* Skips white space and comments; true when there were any.  comment keeps the last. */
static bool
skip_cfws(struct addrlist *l, struct text *comment)
{
	size_t start = l->pos;

	for (;;) {
		if (peek(l) == '(')
			read_comment(l, comment);
		else if (l->pos < l->len && is_space(l->s[l->pos]))
			l->pos++;
		else
			return l->pos > start;
	}
}

/* At a double quote: to after the closing one, or to the end when there is none. */
static void
read_quoted(struct addrlist *l, struct text *t)
{
	for (l->pos++; l->pos < l->len; l->pos++) {
		char c = l->s[l->pos];

		if (c == '"') {
			l->pos++;
			return;
		}
		if (c == '\\' && l->pos + 1 < l->len)
			c = l->s[++l->pos];
		text_put(t, c);
	}
}

/* After "@": a domain or literal, white space within left out, up to one of stops. */
static void
read_domain(struct addrlist *l, struct text *t, struct text *comment, const char *stops)
{
	int c;

	skip_cfws(l, comment);
	if (peek(l) == '[') {
		do {
			c = peek(l);
			if (!is_space((char)c))
				text_put(t, (char)c);
			l->pos++;
		} while (c != ']' && l->pos < l->len);
		return;
	}
	while ((c = peek(l)) != -1 && strchr(stops, c) == NULL) {
		if (c == '(' || is_space((char)c)) {
			skip_cfws(l, comment);
			/* Obsolete white space around dots; anything else ends it. */
			if (peek(l) != '.' && (t->n == 0 || t->s[t->n - 1] != '.'))
				return;
			continue;
		}
		text_put(t, (char)c);
		l->pos++;
	}
}

/* After "<": to after ">". */
static void
read_angle(struct addrlist *l, struct addrlist_item *it, struct text *comment)
{
	struct text route = { it->route, sizeof(it->route), 0 };
	struct text local = { it->local, sizeof(it->local), 0 };
	struct text host = { it->host, sizeof(it->host), 0 };
	const char *colon, *end;
	size_t ahead;
	int c;

	it->local[0] = it->host[0] = it->route[0] = '\0';
	skip_cfws(l, comment);
	while (peek(l) == '<')
		l->pos++;
	ahead = l->len - l->pos < ANGLE_MAX ? l->len - l->pos : ANGLE_MAX;
	end = memchr(l->s + l->pos, '>', ahead);
	if (peek(l) == '@') {
		/* A route ends in a colon before the ">". */
		colon = memchr(l->s + l->pos, ':',
		    end != NULL ? (size_t)(end - (l->s + l->pos)) : ahead);
		if (colon != NULL) {
			for (; l->s + l->pos < colon; l->pos++) {
				if (!is_space(l->s[l->pos]))
					text_put(&route, l->s[l->pos]);
			}
			l->pos++;
			it->has_route = route.n > 0;
		}
	}
	while ((c = peek(l)) != -1 && c != '>') {
		if (c == '"')
			read_quoted(l, it->has_host ? &host : &local);
		else if (c == '(' || is_space((char)c))
			skip_cfws(l, comment);
		else if (c == '@' && !it->has_host) {
			it->has_host = true;
			l->pos++;
			read_domain(l, &host, comment, ">,;<\"");
			c = peek(l);
			if (c == ',' || c == ';' || c == '<')
				break;
		} else if (c == ',' && end == NULL)
			break;
		else {
			text_put(it->has_host ? &host : &local, (char)c);
			l->pos++;
		}
	}
	if (peek(l) == '>')
		l->pos++;
	while (peek(l) == '>')
		l->pos++;
	text_close(&route);
	text_close(&local);
	text_close(&host);
}

/* Words up to what ends them.  name gets them with spaces, local the last run without. */
struct words {
	struct text name, local;
	size_t last; /* where in name the last run begins */
	bool any;
};

static void
read_words(struct addrlist *l, struct words *w, struct text *comment)
{
	bool gap = false;
	int c;

	while ((c = peek(l)) != -1) {
		if (c == '(' || is_space((char)c)) {
			gap |= skip_cfws(l, comment);
			continue;
		}
		if (c == ',' || c == ';' || c == '<' || c == '@' ||
		    (c == ':' && !l->in_group))
			return;
		if (gap && w->any) {
			text_put(&w->name, ' ');
			/* Not around a dot: "a . b" is one local part in old syntax. */
			if (c != '.' && w->local.n > 0 &&
			    w->local.s[w->local.n - 1] != '.') {
				w->last = w->name.n;
				w->local.n = 0;
				w->local.s[0] = '\0';
			}
		}
		gap = false;
		w->any = true;
		if (c == '"') {
			size_t start = w->name.n;

			read_quoted(l, &w->name);
			for (size_t i = start; i < w->name.n; i++)
				text_put(&w->local, w->name.s[i]);
		} else {
			text_put(&w->name, (char)c);
			text_put(&w->local, (char)c);
			l->pos++;
		}
	}
}

static void
set_name(struct addrlist_item *it, const char *s)
{
	size_t n = strlen(s);

	if (n >= sizeof(it->name))
		n = sizeof(it->name) - 1;
	memmove(it->name, s, n);
	it->name[n] = '\0';
	it->has_name = n > 0;
}

static void
clear_item(struct addrlist_item *it)
{
	it->kind = ADDRLIST_MAILBOX;
	it->has_name = it->has_route = it->has_host = false;
	it->name[0] = it->route[0] = it->local[0] = it->host[0] = '\0';
}

/* The rest of a mailbox after its words; the cursor is where they ended. */
static void
read_mailbox(
    struct addrlist *l, struct addrlist_item *it, struct words *w, struct text *comment)
{
	struct text host = { it->host, sizeof(it->host), 0 };
	char spec[sizeof(it->local) + 1 + sizeof(it->host)];
	size_t n;

	if (peek(l) == '@') {
		l->pos++;
		it->has_host = true;
		read_domain(l, &host, comment, ",;<>:\"@");
		text_close(&host);
		skip_cfws(l, comment);
		if (peek(l) == '<') {
			/* An address where the display name should be, unquoted. */
			n = strlen(it->local);
			memcpy(spec, it->local, n);
			spec[n++] = '@';
			memcpy(spec + n, it->host, host.n + 1);
			set_name(it, spec);
			it->has_host = false;
		} else {
			w->name.n = w->last;
			text_trim(&w->name);
			it->has_name = w->name.n > 0;
		}
	} else if (peek(l) != '<') {
		/* Words alone: a local part without a host. */
		memcpy(it->local, it->name, sizeof(it->local) - 1);
		it->local[sizeof(it->local) - 1] = '\0';
		it->name[0] = '\0';
	} else
		it->has_name = w->name.n > 0;
	if (peek(l) == '<') {
		l->pos++;
		read_angle(l, it, comment);
	}
	/* Whatever else stands before the next separator has no place in an address. */
	for (;;) {
		skip_cfws(l, comment);
		if (l->pos >= l->len || peek(l) == ',' || peek(l) == ';')
			break;
		l->pos++;
	}
	if (!it->has_name && comment->n > 0)
		set_name(it, comment->s);
}

int
addrlist_next(struct addrlist *l, struct addrlist_item *it)
{
	char comment_buf[sizeof(it->name)];
	struct text comment = { comment_buf, sizeof(comment_buf), 0 };
	struct words w = { .name = { it->name, sizeof(it->name), 0 },
		.local = { it->local, sizeof(it->local), 0 } };

	clear_item(it);
	comment_buf[0] = '\0';
	if (l->items >= ADDRLIST_MAX && !l->in_group)
		return 0;
	for (;;) {
		skip_cfws(l, &comment);
		if (l->items >= ADDRLIST_MAX)
			l->pos = l->len;
		if (l->pos >= l->len || (peek(l) == ';' && l->in_group)) {
			if (!l->in_group)
				return 0;
			l->pos += l->pos < l->len;
			l->in_group = false;
			it->kind = ADDRLIST_GROUP_END;
			l->items++;
			return 1;
		}
		if (peek(l) != ',' && peek(l) != ';')
			break;
		l->pos++;
	}
	comment.n = 0;
	comment_buf[0] = '\0';
	l->items++;
	read_words(l, &w, &comment);
	text_trim(&w.name);
	text_close(&w.name);
	text_close(&w.local);
	if (peek(l) == ':' && !l->in_group) {
		l->pos++;
		l->in_group = true;
		it->kind = ADDRLIST_GROUP;
		it->has_name = it->name[0] != '\0';
		memcpy(it->local, it->name, sizeof(it->local) - 1);
		it->local[sizeof(it->local) - 1] = '\0';
		return 1;
	}
	read_mailbox(l, it, &w, &comment);
	return 1;
}

int
addrlist_format(const struct addrlist_item *it, char *out, size_t cap)
{
	struct address a;
	size_t llen = strlen(it->local), hlen = strlen(it->host);

	if (llen > ADDRESS_LOCAL_MAX || hlen > ADDRESS_DOMAIN_MAX)
		return -1;
	memcpy(a.local, it->local, llen + 1);
	memcpy(a.domain, it->host, hlen + 1);
	return address_format(&a, out, cap);
}
