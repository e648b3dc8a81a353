/* SPDX-License-Identifier: ISC */
/* Headers of posts; see post.h. */
#include "listd/post.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/addrlist.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "common/proto/rfc2047.h"

void
post_list_id(const char *list, char *out, size_t cap)
{
	const char *at = strrchr(list, '@');
	size_t n = 0;

	for (const char *p = list; *p != '\0' && n + 1 < cap; p++) {
		unsigned char c = (unsigned char)*p;

		if (p == at)
			out[n++] = '.';
		else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			 (c >= 'A' && c <= 'Z') || c == '.' || c == '_')
			out[n++] = (char)c;
		else
			out[n++] = '-';
	}
	out[n] = '\0';
}

/* "Title <id>" of List-Id, or an address with or without brackets: what is in it. */
static void
last_word(const struct header_field *f, char *out, size_t cap)
{
	char value[1000], *p, *end;

	header_unfold(f->value, f->value_len, value, sizeof(value));
	if ((p = strrchr(value, '<')) != NULL && (end = strchr(p, '>')) != NULL) {
		*end = '\0';
		p++;
	} else
		p = value;
	strlcpy(out, p, cap);
}

static bool
has_word(const struct header_field *f, const char *word)
{
	char value[300];
	size_t len = strlen(word);

	header_unfold(f->value, f->value_len, value, sizeof(value));
	for (char *p = value; *p != '\0'; p++) {
		if (strncasecmp(p, word, len) == 0 &&
		    (p[len] == '\0' || strchr(" \t;,(", p[len]) != NULL))
			return true;
		if ((p = strpbrk(p, " \t,;")) == NULL)
			break;
	}
	return false;
}

static void
read_from(const struct header_field *f, struct post_facts *facts)
{
	struct addrlist l;
	struct addrlist_item item;
	struct address a;
	char text[ADDRESS_MAX + 1];

	addrlist_init(&l, f->value, f->value_len);
	while (addrlist_next(&l, &item) == 1) {
		if (item.kind != ADDRLIST_MAILBOX || !item.has_host)
			continue;
		if (addrlist_format(&item, text, sizeof(text)) == -1 ||
		    address_parse(text, strlen(text), &a) == -1)
			continue;
		strlcpy(facts->author, text, sizeof(facts->author));
		if (item.has_name)
			rfc2047_decode(item.name, strlen(item.name), facts->name,
			    sizeof(facts->name));
		for (char *p = facts->name; *p != '\0'; p++)
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				*p = ' ';
		return;
	}
}

/* The domain of d= is that of the author, or above it (relaxed, as DMARC has it). */
static void
read_signature(
    const struct header_field *f, struct post_facts *facts, char *domains, size_t cap)
{
	char value[2000], *p = value, *tag;

	header_unfold(f->value, f->value_len, value, sizeof(value));
	while ((tag = strsep(&p, ";")) != NULL) {
		tag += strspn(tag, " \t");
		if (tag[0] != 'd' || tag[strspn(tag + 1, " \t") + 1] != '=')
			continue;
		tag = strchr(tag, '=') + 1;
		tag += strspn(tag, " \t");
		tag[strcspn(tag, " \t")] = '\0';
		if (*tag != '\0' && strlcat(domains, tag, cap) < cap)
			strlcat(domains, " ", cap);
	}
}

static bool
is_within(const char *domain, const char *above)
{
	size_t n = strlen(domain), k = strlen(above);

	return k > 0 && n >= k && strcasecmp(domain + n - k, above) == 0 &&
	       (n == k || domain[n - k - 1] == '.');
}

static void
read_field(const struct header_field *f, const char *list, const char *id,
    const struct listconf *l, struct post_facts *facts, char *domains, size_t cap)
{
	char word[ADDRESS_MAX + 300];

	if (header_name_is(f, "From")) {
		if (facts->author[0] == '\0')
			read_from(f, facts);
	} else if (header_name_is(f, "Subject")) {
		if (facts->subject[0] == '\0')
			header_decode(f->value, f->value_len, facts->subject,
			    sizeof(facts->subject));
	} else if (header_name_is(f, "Message-ID")) {
		if (facts->message_id[0] == '\0')
			header_unfold(f->value, f->value_len, facts->message_id,
			    sizeof(facts->message_id));
	} else if (header_name_is(f, "List-Id")) {
		last_word(f, word, sizeof(word));
		facts->looped |= strcasecmp(word, id) == 0;
	} else if (header_name_is(f, "X-BeenThere")) {
		last_word(f, word, sizeof(word));
		facts->looped |= strcasecmp(word, list) == 0;
	} else if (header_name_is(f, "Auto-Submitted"))
		facts->auto_reply |=
		    has_word(f, "auto-replied") || has_word(f, "auto-notified");
	else if (header_name_is(f, "Precedence"))
		facts->auto_reply |= has_word(f, "auto_reply");
	else if (header_name_is(f, "X-Autoreply") || header_name_is(f, "X-Autorespond"))
		facts->auto_reply = true;
	else if (header_name_is(f, "Content-Type"))
		facts->report |= has_word(f, "multipart/report");
	else if (header_name_is(f, "DKIM-Signature"))
		read_signature(f, facts, domains, cap);
}

static bool
contains(const char *s, const char *part)
{
	size_t len = strlen(part);

	for (; *s != '\0'; s++)
		if (strncasecmp(s, part, len) == 0)
			return true;
	return false;
}

void
post_read(const char *buf, size_t len, const char *list, const struct listconf *l,
    struct post_facts *facts)
{
	char id[ADDRESS_MAX + 1], domains[2000] = "", *p = domains, *d;
	struct header_scan s;
	struct header_field f;
	enum header_result r;
	const char *at;

	memset(facts, 0, sizeof(*facts));
	post_list_id(list, id, sizeof(id));
	header_scan_init(&s, buf, len, true);
	while ((r = header_next(&s, &f)) == HEADER_FIELD)
		read_field(&f, list, id, l, facts, domains, sizeof(domains));
	facts->header_len = s.pos <= len ? s.pos : len;
	facts->complete = r == HEADER_END && len <= POST_HEADER_MAX;
	facts->tagged = l->tag[0] == '\0' || contains(facts->subject, l->tag);
	at = strrchr(facts->author, '@');
	while (at != NULL && (d = strsep(&p, " ")) != NULL)
		facts->signed_by_author |= is_within(at + 1, d) || is_within(d, at + 1);
}

bool
post_rewrites(const struct post_facts *facts, const char *list, const struct listconf *l)
{
	const char *from = strrchr(facts->author, '@'), *own = strrchr(list, '@');

	if (facts->author[0] == '\0' || from == NULL || own == NULL)
		return false;
	switch (l->rewrite) {
	case LIST_REWRITE_ALWAYS:
		return true;
	case LIST_REWRITE_NEVER:
		return false;
	default:
		/* Of our own domain: the post is as good as anything from here. Of
		 * another one (RFC 7489, 3.1): its signature must be there and stay
		 * whole, for the reverse-path is not theirs any more. */
		return strcasecmp(from, own) != 0 &&
		       (!facts->signed_by_author || !facts->tagged);
	}
}

static bool
is_one_of(const struct header_field *f, const char *const *names)
{
	for (; *names != NULL; names++)
		if (header_name_is(f, *names))
			return true;
	return false;
}

/* What belongs to the way to the list, and what would turn on the members. */
static bool
is_removed(const struct header_field *f)
{
	static const char *const names[] = { "Return-Path", "Delivered-To",
		"X-Original-To", "Envelope-To", "Bcc", "Resent-Bcc", "Errors-To",
		"Precedence", "Disposition-Notification-To", "Return-Receipt-To",
		"X-Confirm-Reading-To", "X-Pmrqc", "Approved", "Approve", "X-Approved",
		"X-Approve", NULL };

	return f->name_len == 0 ||
	       (f->name_len > 5 && strncasecmp(f->name, "List-", 5) == 0) ||
	       is_one_of(f, names);
}

/* A phrase of RFC 5322: an encoded word, or quoted. */
static void
put_phrase(struct text *t, const char *s, size_t column)
{
	char out[2048], clean[600];
	size_t n = 0;
	bool ascii = true;

	for (; *s != '\0' && n + 3 < sizeof(clean); s++) {
		ascii &= (unsigned char)*s < 0x80;
		clean[n++] = (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s;
	}
	clean[n] = '\0';
	if (!ascii) {
		if (rfc2047_encode(clean, n, column, out, sizeof(out)) == -1)
			t->bad = true;
		else
			text_add(t, "%s", out);
		return;
	}
	text_put(t, "\"", 1);
	for (s = clean; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			text_put(t, "\\", 1);
		text_put(t, s, 1);
	}
	text_put(t, "\"", 1);
}

static void
put_from(struct text *t, const struct post_facts *f, const char *list,
    const struct listconf *l)
{
	char name[POST_NAME_MAX + ADDRESS_MAX + LISTCONF_TITLE_MAX + 8];
	const char *at = strrchr(list, '@');

	snprintf(name, sizeof(name), "%s via %.*s",
	    f->name[0] != '\0' ? f->name : f->author,
	    l->title[0] != '\0' ? LISTCONF_TITLE_MAX : (int)(at - list),
	    l->title[0] != '\0' ? l->title : list);
	text_add(t, "From: ");
	put_phrase(t, name, 6);
	text_add(t, "\r\n\t<%s>\r\n", list);
}

/* The words stay as they are: encoded words are not decoded and made anew. */
static void
put_subject(struct text *t, const struct header_field *f, const struct listconf *l)
{
	char tag[6 * LISTCONF_TAG_MAX];

	if (rfc2047_encode(l->tag, strlen(l->tag), 9, tag, sizeof(tag)) == -1) {
		t->bad = true;
		return;
	}
	text_add(t, "Subject: %s", tag);
	if (f == NULL || f->value_len == 0)
		text_add(t, " (no subject)\r\n");
	else {
		if (*f->value != ' ' && *f->value != '\t')
			text_put(t, " ", 1);
		text_put(t, f->value, f->value_len);
		text_put(t, "\r\n", 2);
	}
}

static void
put_list_fields(struct text *t, const char *list, const struct listconf *l)
{
	char id[ADDRESS_MAX + 1], address[ADDRESS_MAX + 1], uri[3 * ADDRESS_MAX + 10];
	static const struct {
		const char *field, *what, *rest;
	} rows[] = {
		{ "List-Help", "request", "?subject=help" },
		{ "List-Subscribe", "join", "" },
		{ "List-Owner", "owner", "" },
	};

	post_list_id(list, id, sizeof(id));
	text_add(t, "List-Id: ");
	if (l->title[0] != '\0') {
		put_phrase(t, l->title, 9);
		text_put(t, "\r\n\t", 3);
	}
	text_add(t, "<%s>\r\n", id);
	if (l->post == LIST_POST_OWNERS || l->post == LIST_POST_LISTED)
		text_add(t, "List-Post: NO (posting is restricted)\r\n");
	else if (listpost_mailto(list, uri, sizeof(uri)) == 0)
		text_add(t, "List-Post: <%s>\r\n", uri);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i == 1 && l->join == LIST_JOIN_CLOSED)
			continue;
		if (listpost_plain(list, rows[i].what, address, sizeof(address)) == 0 &&
		    listpost_mailto(address, uri, sizeof(uri)) == 0)
			text_add(t, "%s: <%s%s>\r\n", rows[i].field, uri, rows[i].rest);
	}
	if (l->archive[0] != '\0')
		text_add(t, "List-Archive: <%s>\r\n", l->archive);
	text_add(t, "Precedence: list\r\nX-BeenThere: %s\r\n", list);
}

struct build {
	struct text *t;
	const struct post_facts *facts;
	const char *list;
	const struct listconf *l;
	bool from, subject, reply; /* are replaced */
	bool had_from, had_subject, had_reply;
	struct header_field original;
};

static void
put_field(struct build *b, const struct header_field *f)
{
	static const char *const signatures[] = { "DKIM-Signature", "DomainKey-Signature",
		NULL };

	if (is_removed(f))
		return;
	if (b->from && header_name_is(f, "From")) {
		if (!b->had_from) {
			b->original = *f;
			put_from(b->t, b->facts, b->list, b->l);
		}
		b->had_from = true;
		return;
	}
	if (b->subject && header_name_is(f, "Subject")) {
		if (!b->had_subject)
			put_subject(b->t, f, b->l);
		b->had_subject = true;
		return;
	}
	if (header_name_is(f, "Reply-To")) {
		if (b->reply)
			return;
		b->had_reply = true;
	}
	/* One that cannot hold any more is worse than none (RFC 6377, 5.7). */
	if ((b->from || b->subject || b->reply) && is_one_of(f, signatures))
		return;
	text_put(b->t, f->name, f->name_len);
	text_put(b->t, ":", 1);
	text_put(b->t, f->value, f->value_len);
	text_put(b->t, "\r\n", 2);
}

static void
put_section(struct build *b, const char *buf, size_t len)
{
	struct header_scan s;
	struct header_field f;

	header_scan_init(&s, buf, len, true);
	while (header_next(&s, &f) == HEADER_FIELD)
		put_field(b, &f);
}

void
post_header(struct text *t, const char *prefix, size_t prefix_len, const char *buf,
    const struct post_facts *facts, const char *list, const struct listconf *l)
{
	struct build b = { .t = t, .facts = facts, .list = list, .l = l };

	b.from = post_rewrites(facts, list, l);
	b.subject = !facts->tagged;
	b.reply = l->reply == LIST_REPLY_LIST;
	put_section(&b, prefix, prefix_len);
	put_section(&b, buf, facts->header_len);
	if (b.subject && !b.had_subject)
		put_subject(t, NULL, l);
	if (b.reply)
		text_add(t, "Reply-To: <%s>\r\n", list);
	else if (b.from && b.had_from && !b.had_reply) {
		text_add(t, "Reply-To:");
		text_put(t, b.original.value, b.original.value_len);
		text_put(t, "\r\n", 2);
	}
	if (b.from && b.had_from) {
		text_add(t, "X-Original-From:");
		text_put(t, b.original.value, b.original.value_len);
		text_put(t, "\r\n", 2);
	}
	put_list_fields(t, list, l);
	text_put(t, "\r\n", 2);
}
