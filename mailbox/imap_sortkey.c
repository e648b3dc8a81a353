/* SPDX-License-Identifier: ISC */
/* Records for SORT and THREAD; see imap_sortkey.h. */
#include "mailbox/imap_sortkey.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/addrlist.h"
#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "common/proto/header.h"
#include "mailbox/imap_search.h"

#define VERSION 1
#define FIELD_MAX 8192 /* octets of a field that are looked at */

/* ---- base subject (RFC 5256, 2.1) ---- */

struct span {
	const char *s;
	size_t len;
};

static bool
word_at(const struct span *p, size_t at, const char *word)
{
	size_t n = strlen(word);

	return at <= p->len && p->len - at >= n && ascii_equal(p->s + at, n, word);
}

static size_t
spaces(const struct span *p, size_t at)
{
	while (at < p->len && (p->s[at] == ' ' || p->s[at] == '\t'))
		at++;
	return at;
}

/* "[" ... "]" *WSP at that place: its end, or at. */
static size_t
blob(const struct span *p, size_t at)
{
	size_t i = at;

	if (i >= p->len || p->s[i] != '[')
		return at;
	for (i++; i < p->len && p->s[i] != '[' && p->s[i] != ']'; i++)
		;
	if (i >= p->len || p->s[i] != ']')
		return at;
	return spaces(p, i + 1);
}

/* *subj-blob ("re" / "fw" / "fwd") *WSP [subj-blob] ":" at the start: its end, or 0. */
static size_t
leader(const struct span *p)
{
	size_t at = 0, next;

	while ((next = blob(p, at)) != at)
		at = next;
	if (word_at(p, at, "re"))
		at += 2;
	else if (word_at(p, at, "fwd"))
		at += 3;
	else if (word_at(p, at, "fw"))
		at += 2;
	else
		return 0;
	at = blob(p, spaces(p, at));
	return at < p->len && p->s[at] == ':' ? at + 1 : 0;
}

static void
trim_end(struct span *p, bool *reply)
{
	for (;;) {
		if (p->len > 0 && (p->s[p->len - 1] == ' ' || p->s[p->len - 1] == '\t'))
			p->len--;
		else if (p->len >= 5 && word_at(p, p->len - 5, "(fwd)")) {
			p->len -= 5;
			*reply = true;
		} else
			return;
	}
}

static void
trim_start(struct span *p, bool *reply)
{
	for (;;) {
		size_t n = spaces(p, 0), b;

		if (n == 0 && (n = leader(p)) > 0)
			*reply = true;
		if (n == 0) {
			b = blob(p, 0);
			/* Not when nothing would be left. */
			if (b < p->len)
				n = b;
		}
		if (n == 0)
			return;
		p->s += n;
		p->len -= n;
	}
}

size_t
imap_base_subject(const char *in, size_t len, char *out, bool *reply)
{
	struct span p = { in, len };

	*reply = false;
	for (;;) {
		trim_end(&p, reply);
		trim_start(&p, reply);
		if (p.len < 6 || !word_at(&p, 0, "[fwd:") || p.s[p.len - 1] != ']')
			break;
		*reply = true;
		p.s += 5;
		p.len -= 6;
	}
	memmove(out, p.s, p.len);
	return p.len;
}

/* ---- making ---- */

static void
put_number(struct evbuffer *out, uint64_t v, size_t n)
{
	uint8_t raw[8];

	for (size_t i = 0; i < n; i++)
		raw[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	evbuffer_add(out, raw, n);
}

static void
put_text(struct evbuffer *out, const char *s, size_t len)
{
	put_number(out, len, 2);
	evbuffer_add(out, s, len);
}

/* UTF-8 without regard to case, in an order in which letters come as in RFC 5051. */
static void
put_folded(struct evbuffer *out, const char *s, size_t len)
{
	char buf[IMAP_FOLD_SIZE(IMAP_SORT_TEXT_MAX)];
	bool space = false;
	size_t n;

	len = utf8_cut(s, len, IMAP_SORT_TEXT_MAX);
	n = imap_fold(s, len, buf, &space);
	for (size_t i = 0; i < n; i++)
		if (buf[i] >= 'a' && buf[i] <= 'z')
			buf[i] -= 'a' - 'A';
	n = utf8_cut(buf, n, IMAP_SORT_TEXT_MAX);
	put_text(out, buf, n);
}

static void
put_subject(struct evbuffer *out, const char *header, size_t len)
{
	char text[FIELD_MAX + 4];
	struct header_field f;
	bool reply = false;
	size_t n = 0, k = 0;

	if (header_get(header, len, "Subject", 0, &f) == 0)
		n = header_decode(f.value,
		    f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX, text,
		    sizeof(text));
	/* One space for each run of white space. */
	for (size_t i = 0; i < n; i++) {
		bool gap = text[i] == ' ' || text[i] == '\t' || text[i] == '\r' ||
			   text[i] == '\n';

		if (!gap)
			text[k++] = text[i];
		else if (k > 0 && text[k - 1] != ' ')
			text[k++] = ' ';
	}
	n = imap_base_subject(text, k, text, &reply);
	put_number(out, reply, 1);
	put_folded(out, text, n);
}

/* The first address: its local part, or its name as people see it (RFC 5957, 3). */
static void
put_address(
    struct evbuffer *out, const char *header, size_t len, const char *field, bool display)
{
	char text[2048], folded[1024];
	struct addrlist_item it;
	struct header_field f;
	struct addrlist l;

	if (header_get(header, len, field, 0, &f) == -1) {
		put_text(out, "", 0);
		return;
	}
	addrlist_init(&l, f.value, f.value_len < FIELD_MAX ? f.value_len : FIELD_MAX);
	if (addrlist_next(&l, &it) != 1) {
		put_text(out, "", 0);
		return;
	}
	if (!display) {
		put_folded(out, it.local, strlen(it.local));
		return;
	}
	if (it.has_name && it.name[0] != '\0') {
		size_t n = header_decode(it.name, strlen(it.name), text, sizeof(text));

		put_folded(out, text, n);
		return;
	}
	(void)strlcpy(folded, it.local, sizeof(folded));
	if (it.has_host && it.host[0] != '\0') {
		(void)strlcat(folded, "@", sizeof(folded));
		(void)strlcat(folded, it.host, sizeof(folded));
	}
	put_folded(out, folded, strlen(folded));
}

/* The next <...> from *at on, without its quotes (RFC 5256, 3). 0: no more. */
static size_t
next_id(const char *s, size_t len, size_t *at, char *out, size_t cap)
{
	size_t n = 0, i = *at;

	while (i < len && s[i] != '<')
		i++;
	for (i++; i < len && s[i] != '>'; i++) {
		if (s[i] == '<') /* begins anew */
			n = 0;
		else if (s[i] != '"' && s[i] != '\\' && (unsigned char)s[i] > ' ' &&
			 n < cap)
			out[n++] = s[i];
	}
	*at = i < len ? i + 1 : len;
	return i < len ? n : 0;
}

static void
put_references(struct evbuffer *out, const char *header, size_t len)
{
	static const size_t head = IMAP_SORT_REFERENCES / 2;
	char ids[IMAP_SORT_REFERENCES][IMAP_SORT_TEXT_MAX];
	size_t lens[IMAP_SORT_REFERENCES], n = 0, at = 0, k;
	struct header_field f;

	if (header_get(header, len, "References", 0, &f) == 0)
		while (at < f.value_len) {
			/* Of too many the middle is left out. */
			if (n == IMAP_SORT_REFERENCES) {
				memmove(ids + head, ids + head + 1,
				    (n - head - 1) * sizeof(ids[0]));
				memmove(lens + head, lens + head + 1,
				    (n - head - 1) * sizeof(lens[0]));
				n--;
			}
			k = next_id(
			    f.value, f.value_len, &at, ids[n], IMAP_SORT_TEXT_MAX);
			if (k > 0)
				lens[n++] = k;
		}
	at = 0;
	if (n == 0 && header_get(header, len, "In-Reply-To", 0, &f) == 0) {
		k = next_id(f.value, f.value_len, &at, ids[0], IMAP_SORT_TEXT_MAX);
		if (k > 0)
			lens[n++] = k;
	}
	put_number(out, n, 1);
	for (size_t i = 0; i < n; i++)
		put_text(out, ids[i], lens[i]);
}

void
imap_sortkey_make(const char *header, size_t len, struct evbuffer *out)
{
	char id[IMAP_SORT_TEXT_MAX];
	struct header_field f;
	struct date d = { 0 };
	bool has_date = header_get(header, len, "Date", 0, &f) == 0 &&
			date_parse(f.value, f.value_len, &d) == 0;
	size_t n = 0, at = 0;

	put_number(out, VERSION, 1);
	put_number(out, has_date, 1);
	put_number(out, (uint64_t)d.time, 8);
	put_subject(out, header, len);
	put_address(out, header, len, "From", false);
	put_address(out, header, len, "To", false);
	put_address(out, header, len, "Cc", false);
	put_address(out, header, len, "From", true);
	put_address(out, header, len, "To", true);
	if (header_get(header, len, "Message-ID", 0, &f) == 0)
		n = next_id(f.value, f.value_len, &at, id, sizeof(id));
	put_text(out, id, n);
	put_references(out, header, len);
}

/* ---- reading ---- */

struct reader {
	const uint8_t *p;
	size_t len;
	bool failed;
};

static uint64_t
take(struct reader *r, size_t n)
{
	uint64_t v = 0;

	if (r->len < n) {
		r->failed = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | r->p[i];
	r->p += n;
	r->len -= n;
	return v;
}

static struct imap_text
take_text(struct reader *r)
{
	struct imap_text t = { "", 0 };
	size_t n = (size_t)take(r, 2);

	if (n > r->len)
		r->failed = true;
	if (r->failed)
		return t;
	t.s = (const char *)r->p;
	t.len = n;
	r->p += n;
	r->len -= n;
	return t;
}

int
imap_sortkey_read(const uint8_t *data, size_t len, struct imap_sortkey *k)
{
	struct reader r = { data, len, false };

	memset(k, 0, sizeof(*k));
	if (take(&r, 1) != VERSION)
		return -1;
	k->has_date = take(&r, 1) != 0;
	k->date = (int64_t)take(&r, 8);
	k->reply = take(&r, 1) != 0;
	for (size_t i = 0; i < IMAP_SORT_TEXTS; i++)
		k->text[i] = take_text(&r);
	k->n_references = (size_t)take(&r, 1);
	if (k->n_references > IMAP_SORT_REFERENCES)
		return -1;
	for (size_t i = 0; i < k->n_references; i++)
		k->references[i] = take_text(&r);
	return r.failed || r.len != 0 ? -1 : 0;
}
