/* SPDX-License-Identifier: ISC */
/* Reading and writing mboxrd; see mbox_format.h. */
#include "mailbox/mbox_format.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"
#include "mailbox/store.h"

static const char FROM[] = "From ";
#define FROM_LEN 5

/* Which of the fields that tell flags a line is, in their order; 0: none. */
static int
status_name(const char *line, size_t len)
{
	static const char *const names[] = { "Status:", "X-Status:", "X-Keywords:" };

	for (int i = 0; i < 3; i++)
		if (len >= strlen(names[i]) &&
		    strncasecmp(line, names[i], strlen(names[i])) == 0)
			return i + 1;
	return 0;
}

/* ---- writing ---- */

void
mbox_write_begin(struct mbox_writer *w, struct evbuffer *out, const char *sender,
    int64_t internal, uint8_t flags, const char *keywords, const uint8_t *text,
    size_t len)
{
	static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue",
		"Wed" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int64_t t = internal < 0 ? 0 : internal;
	/* A field of the message must not be taken for one of ours. */
	bool all = status_name((const char *)text, len) != 0;
	struct date d;

	memset(w, 0, sizeof(*w));
	date_from_time(t, 0, &d);
	evbuffer_add_printf(out, "From %s %s %s %2d %02d:%02d:%02d %d\n", sender,
	    days[t / 86400 % 7], months[d.month - 1], d.day, d.hour, d.minute, d.second,
	    d.year);
	evbuffer_add_printf(out, "Status: %s\n", flags & FLAG_SEEN ? "RO" : "O");
	if (all || (flags & ~FLAG_SEEN))
		evbuffer_add_printf(out, "X-Status: %s%s%s%s\n",
		    flags & FLAG_ANSWERED ? "A" : "", flags & FLAG_FLAGGED ? "F" : "",
		    flags & FLAG_DRAFT ? "T" : "", flags & FLAG_DELETED ? "D" : "");
	if (all || keywords[0] != '\0')
		evbuffer_add_printf(out, "X-Keywords: %s\n", keywords);
}

/* What was held back goes out; more: and makes a line of ">"s and "From ". */
static void
release(struct mbox_writer *w, struct evbuffer *out, bool quote)
{
	if (w->matched == -1)
		return;
	if (quote)
		evbuffer_add(out, ">", 1);
	for (; w->quotes > 0; w->quotes--)
		evbuffer_add(out, ">", 1);
	evbuffer_add(out, FROM, (size_t)w->matched);
	w->matched = -1;
}

void
mbox_write(struct mbox_writer *w, struct evbuffer *out, const uint8_t *p, size_t len)
{
	size_t from = 0; /* of the octets that go as they are */

	for (size_t i = 0; i < len; i++) {
		uint8_t c = p[i];

		if (w->cr) {
			w->cr = false;
			if (c != '\n') {
				release(w, out, false);
				evbuffer_add(out, "\r", 1);
			}
			from = i;
		}
		if (c == '\r') {
			if (w->matched == -1)
				evbuffer_add(out, p + from, i - from);
			w->cr = true;
			w->text = true;
			from = i + 1;
			continue;
		}
		if (c == '\n') {
			if (w->matched == -1)
				evbuffer_add(out, p + from, i - from);
			else
				release(w, out, false);
			evbuffer_add(out, "\n", 1);
			w->quotes = 0;
			w->matched = 0;
			w->text = false;
			from = i + 1;
			continue;
		}
		w->text = true;
		if (w->matched == -1)
			continue;
		if (c == '>' && w->matched == 0)
			w->quotes++;
		else if (c == (uint8_t)FROM[w->matched]) {
			if (++w->matched == FROM_LEN)
				release(w, out, true);
			else
				continue;
		} else {
			release(w, out, false);
			from = i;
			continue;
		}
		from = i + 1;
	}
	if (w->matched == -1 && !w->cr && from < len)
		evbuffer_add(out, p + from, len - from);
}

void
mbox_write_end(struct mbox_writer *w, struct evbuffer *out)
{
	bool text = w->text;

	release(w, out, false);
	if (w->cr)
		evbuffer_add(out, "\r", 1);
	w->cr = false;
	evbuffer_add(out, "\n\n", text ? 2 : 1);
}

/* ---- reading ---- */

int
mbox_from_line(const char *line, size_t len, int64_t *internal)
{
	const char *p, *end = line + len;
	struct date d;

	if (len < FROM_LEN || memcmp(line, FROM, FROM_LEN) != 0)
		return -1;
	/* The sender may hold spaces within quotes; the date has the first that reads. */
	for (p = line + FROM_LEN; p < end; p++) {
		if (p > line + FROM_LEN && p[-1] != ' ')
			continue;
		if (end - p >= 16 && p[3] == ' ' &&
		    date_parse(p, (size_t)(end - p), &d) == 0) {
			*internal = d.time;
			return 0;
		}
	}
	return -1;
}

void
mbox_reader_init(struct mbox_reader *r, const struct mbox_sink *sink, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->sink = sink;
	r->arg = arg;
}

/*
 * A field that tells flags: taken note of, unless the message began with such fields. 1:
 * it is not the message's own.
 */
static bool
status_field(struct mbox_reader *r, const char *line, size_t len)
{
	int which = status_name(line, len);
	const char *v;
	size_t n;

	if (which == 0)
		return false;
	if (r->leading ? which <= r->last_status : r->last_status > 0)
		return false;
	if (r->leading)
		r->last_status = which;
	v = (const char *)memchr(line, ':', len) + 1;
	n = len - (size_t)(v - line);
	while (n > 0 && *v == ' ') {
		v++;
		n--;
	}
	if (which == 3) {
		if (n >= sizeof(r->keywords) || memchr(v, '\0', n) != NULL)
			n = 0;
		memcpy(r->keywords, v, n);
		r->keywords[n] = '\0';
		return r->leading;
	}
	for (; n > 0; n--, v++)
		r->flags |= *v == 'R'   ? FLAG_SEEN
			    : *v == 'A' ? FLAG_ANSWERED
			    : *v == 'F' ? FLAG_FLAGGED
			    : *v == 'T' ? FLAG_DRAFT
			    : *v == 'D' ? FLAG_DELETED
					: 0;
	return r->leading;
}

static int
end_message(struct mbox_reader *r)
{
	return r->started ? r->sink->end(r->arg, r->flags, r->keywords) : 0;
}

/* A line, or a piece of one that is too long. */
static int
take(struct mbox_reader *r, bool complete)
{
	static const uint8_t crlf[2] = { '\r', '\n' };
	bool first = !r->mid;
	const uint8_t *p = r->line;
	size_t len = r->len, quotes = 0, bare;
	int64_t internal;
	int e;

	r->len = 0;
	r->mid = !complete;
	bare = len - (complete && len > 0 && p[len - 1] == '\r');
	if (first && complete && (!r->started || r->blank) &&
	    mbox_from_line((const char *)p, bare, &internal) == 0) {
		if ((e = end_message(r)) != 0)
			return e;
		r->started = r->leading = r->in_header = r->fresh = true;
		r->blank = false;
		r->flags = 0;
		r->last_status = 0;
		r->keywords[0] = '\0';
		return r->sink->begin(r->arg, internal);
	}
	if (!r->started)
		return first && complete && bare == 0 ? 0 : -1;
	if (r->fresh)
		r->crlf = bare != len;
	r->fresh = false;
	if (r->crlf)
		len = bare;
	if (first && complete && r->in_header && status_field(r, (const char *)p, len) &&
	    r->leading)
		return 0;
	r->leading = false;
	if (r->blank && (e = r->sink->data(r->arg, crlf, 2)) != 0)
		return e;
	r->blank = false;
	if (first && complete && len == 0) {
		r->in_header = false;
		r->blank = true;
		return 0;
	}
	if (first) {
		while (quotes < len && p[quotes] == '>')
			quotes++;
		if (quotes > 0 && len - quotes >= FROM_LEN &&
		    memcmp(p + quotes, FROM, FROM_LEN) == 0) {
			p++;
			len--;
		}
	}
	if (len > 0 && (e = r->sink->data(r->arg, p, len)) != 0)
		return e;
	return complete ? r->sink->data(r->arg, crlf, 2) : 0;
}

int
mbox_reader_feed(struct mbox_reader *r, const uint8_t *p, size_t len)
{
	int e;

	while (len > 0) {
		size_t room = sizeof(r->line) - r->len, n = len < room ? len : room;
		const uint8_t *nl = memchr(p, '\n', n);

		if (nl != NULL)
			n = (size_t)(nl - p);
		memcpy(r->line + r->len, p, n);
		r->len += n;
		p += n;
		len -= n;
		if (nl != NULL) {
			p++;
			len--;
			if ((e = take(r, true)) != 0)
				return e;
		} else if (r->len == sizeof(r->line)) {
			bool cr = r->line[r->len - 1] == '\r';

			/* It may belong to the line's end. */
			r->len -= cr;
			if ((e = take(r, false)) != 0)
				return e;
			if (cr)
				r->line[r->len++] = '\r';
		}
	}
	return 0;
}

int
mbox_reader_finish(struct mbox_reader *r)
{
	int e;

	if ((r->len > 0 || r->mid) && (e = take(r, true)) != 0)
		return e;
	return end_message(r);
}
