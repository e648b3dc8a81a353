/*
 * The composer of delivery status notifications, see bounce.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "queued/bounce.h"

#define ORIGINAL_MAX (200 * 1024) /* then its headers only */
#define HEADERS_MAX (64 * 1024)
#define WIDTH 76
/* A report is a message like others and must fit: thousands of recipients with long
 * replies are told in short from here on, and only counted at the end. */
#define HUMAN_MAX (300 * 1024)
#define DETAILS_MAX (600 * 1024)
#define REPORT_MAX (1200 * 1024)

struct text {
	char *p;
	size_t len, cap;
	int bad;
};

static void
add(struct text *t, const void *data, size_t len)
{
	if (t->bad)
		return;
	if (len > t->cap - t->len) {
		size_t cap = t->cap * 2 + len + 1024;
		char *n = realloc(t->p, cap);

		if (n == NULL) {
			t->bad = 1;
			return;
		}
		t->p = n;
		t->cap = cap;
	}
	if (len > 0)
		memcpy(t->p + t->len, data, len);
	t->len += len;
}

static void addf(struct text *, const char *, ...) __attribute__((format(printf, 2, 3)));

static void
addf(struct text *t, const char *fmt, ...)
{
	char buf[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	add(t, buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1);
}

/* Text from outside on lines of our own: no line ends, no controls, valid UTF-8 or ASCII.
 */
static void
clean(const char *in, char *out, size_t cap, int ascii)
{
	size_t n = 0;
	const char *end = in + strlen(in);

	while (in < end && n + 5 < cap) {
		unsigned char c = (unsigned char)*in;
		uint32_t u;
		size_t k;

		if (c < 0x80) {
			out[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
			in++;
			continue;
		}
		k = utf8_get(in, (size_t)(end - in), &u);
		if (k == 0 || ascii) {
			out[n++] = '?';
			in += k == 0 ? 1 : k;
			continue;
		}
		memcpy(out + n, in, k);
		n += k;
		in += k;
	}
	out[n] = '\0';
}

/* What is never parted: a word, or one letter of a script without spaces, with the
 * closing mark behind it. *columns: as a terminal shows it. */
static size_t
atom_len(const char *p, size_t *columns)
{
	const char *end = p + strlen(p);
	size_t n = 0;

	*columns = 0;
	while (p + n < end && p[n] != ' ') {
		uint32_t u = 0;
		size_t k = utf8_get(p + n, (size_t)(end - p - (ptrdiff_t)n), &u);
		int wide = k > 0 && u >= 0x2e80 && u < 0x20000;
		/* ideographic marks and those of full width that close */
		int closes = u == 0x3001 || u == 0x3002 || u == 0xff0c || u == 0xff1a ||
			     u == 0xff1b || u == 0xff09 || u == 0xff01 || u == 0xff1f;

		if (n > 0 && wide && !closes)
			break;
		n += k > 0 ? k : 1;
		*columns += wide ? 2 : 1;
		if (n >= 900)
			break;
		if (wide) {
			const char *next = p + n;
			uint32_t v = 0;

			k = utf8_get(next, (size_t)(end - next), &v);
			if (k == 0 ||
			    !(v == 0x3001 || v == 0x3002 || v == 0xff0c || v == 0xff1a ||
				v == 0xff1b || v == 0xff09 || v == 0xff01 || v == 0xff1f))
				break;
		}
	}
	return n;
}

/* A paragraph, filled, each line after the indent, the first with more before it. */
static void
add_filled(struct text *t, const char *indent, const char *lead, const char *words)
{
	size_t col = 0;

	while (*words != '\0') {
		size_t spaces = strspn(words, " "), width, n;

		words += spaces;
		n = atom_len(words, &width);
		if (n == 0)
			break;
		if (col > 0 && col + (spaces > 0) + width > WIDTH) {
			add(t, "\r\n", 2);
			col = 0;
		}
		if (col == 0) {
			addf(t, "%s%s", indent, lead);
			col = strlen(indent) + strlen(lead);
			lead = "";
		} else if (spaces > 0) {
			add(t, " ", 1);
			col++;
		}
		add(t, words, n);
		col += width;
		words += n;
	}
	if (col > 0)
		add(t, "\r\n", 2);
}

static void
add_date(struct text *t, const char *field, int64_t when)
{
	char date[DATE_MAX];

	if (date_format(when, date_local_zone(when), date, sizeof(date)) != -1)
		addf(t, "%s: %s\r\n", field, date);
}

/* A sentence of the table with one string in it. */
static void
say(char *buf, size_t cap, enum lang l, enum word w, const char *what)
{
	const char *s = words_get(l, w), *at = strstr(s, "%s");

	if (at == NULL)
		snprintf(buf, cap, "%s", s);
	else
		snprintf(buf, cap, "%.*s%s%s", (int)(at - s), s, what, at + 2);
}

static void
date_words(int64_t when, enum lang l, char *buf, size_t cap)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(buf, cap, words_get(l, WORD_DATE), &tm) == 0)
		buf[0] = '\0';
}

static void
add_human_rcpt(
    struct text *t, const struct bounce *b, const struct bounce_rcpt *r, enum lang l)
{
	char buf[1600], clear[1100], date[100];

	clean(r->address, clear, 800, 0);
	addf(t, "\r\n<%s>\r\n", clear);
	if (r->reply[0] != '\0') {
		if (r->mta[0] != '\0') {
			clean(r->mta, clear, 300, 0);
			say(buf, sizeof(buf), l, WORD_SAID, clear);
			addf(t, "    %s\r\n", buf);
		}
		clean(r->reply, clear, sizeof(clear), 0);
		add_filled(t, "        ", "", clear);
	}
	if (r->text[0] != '\0') {
		clean(r->text, clear, sizeof(clear), 0);
		add_filled(t, "    ", "", clear);
	}
	if (b->action == BOUNCE_FAILED) {
		clean(r->reply, clear, sizeof(clear), 1);
		words_advice(l, r->enhanced, clear, buf, sizeof(buf));
		add_filled(t, "    ", words_get(l, WORD_ADVICE), buf);
		if (r->cause != NULL && words_advice_known(r->cause)) {
			words_advice(l, r->cause, "", buf, sizeof(buf));
			add_filled(t, "    ", words_get(l, WORD_LAST_TRY), buf);
		}
	}
	if (b->action == BOUNCE_DELAYED && r->until != 0) {
		date_words(r->until, l, date, sizeof(date));
		say(buf, sizeof(buf), l, WORD_UNTIL, date);
		addf(t, "    %s\r\n", buf);
	}
}

static void
add_human(struct text *t, const struct bounce *b, enum lang l)
{
	char date[100], buf[1600], qid[64];

	date_words(b->arrived, l, date, sizeof(date));
	say(buf, sizeof(buf), l, WORD_GREETING, b->hostname);
	addf(t, "%s\r\n\r\n", buf);
	say(buf, sizeof(buf), l, (enum word)(WORD_FAILED + (int)b->action), date);
	add_filled(t, "", "", buf);
	for (size_t i = 0; i < b->nrcpt; i++) {
		if (t->len > HUMAN_MAX) {
			char n[32];
			const char *s = words_get(l, WORD_MORE), *at = strstr(s, "%zu");

			snprintf(n, sizeof(n), "%zu", b->nrcpt - i);
			addf(t, "\r\n%.*s%s%s\r\n", (int)(at - s), s, n, at + 3);
			break;
		}
		add_human_rcpt(t, b, &b->rcpts[i], l);
	}
	addf(t, "\r\n");
	clean(b->qid, qid, sizeof(qid), 1);
	say(buf, sizeof(buf), l, WORD_NUMBER, qid);
	add_filled(t, "", "", buf);
}

/* In lines of 76 (RFC 2045, 6.8). */
static void
add_base64(struct text *t, const char *p, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t col = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)p[i] << 16;
		char four[4];

		if (i + 1 < len)
			v |= (uint32_t)(uint8_t)p[i + 1] << 8;
		if (i + 2 < len)
			v |= (uint8_t)p[i + 2];
		four[0] = digits[v >> 18];
		four[1] = digits[v >> 12 & 63];
		four[2] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		four[3] = i + 2 < len ? digits[v & 63] : '=';
		add(t, four, 4);
		col += 4;
		if (col == 76 || i + 3 >= len) {
			add(t, "\r\n", 2);
			col = 0;
		}
	}
}

/*
 * The part for people: in the sender's language, then in English for whoever else gets to
 * see it. What is not English is written in base64, so that it passes everywhere.
 */
static void
add_human_part(struct text *t, const struct bounce *b)
{
	struct text h = { 0 };

	if (b->lang == LANG_EN) {
		addf(t, "Content-Transfer-Encoding: 8bit\r\nContent-Description: "
			"What happened\r\n\r\n");
		add_human(t, b, LANG_EN);
		return;
	}
	add_human(&h, b, b->lang);
	addf(&h, "\r\n-----\r\n\r\n");
	add_human(&h, b, LANG_EN);
	addf(t, "Content-Language: %s, en\r\n", words_code(b->lang));
	addf(t, "Content-Transfer-Encoding: base64\r\nContent-Description: "
		"What happened\r\n\r\n");
	if (h.bad)
		t->bad = 1;
	else
		add_base64(t, h.p, h.len);
	free(h.p);
}

static void
add_subject(struct text *t, const struct bounce *b)
{
	const char *s =
	    words_get(b->lang, (enum word)(WORD_SUBJECT_FAILED + (int)b->action));

	if (b->lang == LANG_EN) {
		addf(t, "Subject: %s\r\n", s);
		return;
	}
	/* Short enough for one encoded word (RFC 2047, 2). */
	addf(t, "Subject: =?utf-8?B?");
	add_base64(t, s, strlen(s));
	if (!t->bad)
		t->len -= 2;
	addf(t, "?=\r\n");
}

/* A field of the machine's part, never longer than a line may be (RFC 5322, 2.1.1). */
static void
add_field(
    struct text *t, const char *name, const char *type, const char *value, int ascii)
{
	char buf[920];

	if (value[0] == '\0')
		return;
	clean(value, buf, sizeof(buf), ascii);
	addf(t, "%s: %s%s%s\r\n", name, type, type[0] != '\0' ? "; " : "", buf);
}

static int
is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s > 127)
			return 0;
	}
	return 1;
}

static const char *
action_word(enum bounce_action a)
{
	static const char *const words[] = { "failed", "delayed", "delivered", "relayed",
		"expanded" };

	return words[a];
}

/* Of ORCPT: xtext, or an address in UTF-8 as it is (RFC 6533, 3). */
static int
original_address(const char *in, char *out, size_t cap)
{
	size_t len = strlen(in);
	int n;

	if (!is_ascii(in) && utf8_valid(in, len))
		return snprintf(out, cap, "%s", in);
	if ((n = xtext_decode(in, len, out, cap - 1)) >= 0)
		out[n] = '\0';
	return n;
}

/* utf-8-addr-xtext of RFC 6533, 3: for a report whose fields are ASCII. */
static void
address_escape(const char *in, char *out, size_t cap)
{
	const char *end = in + strlen(in);
	size_t n = 0;

	out[0] = '\0';
	while (in < end && n + 16 < cap) {
		uint32_t u = (unsigned char)*in;
		size_t k = u < 0x80 ? 1 : utf8_get(in, (size_t)(end - in), &u);

		if (k == 0) {
			u = 0xfffd;
			k = 1;
		}
		if (u > 0x7f || u <= 0x20 || u == 0x7f || u == '\\' || u == '+' ||
		    u == '=')
			n += (size_t)snprintf(out + n, cap - n, "\\x{%X}", u);
		else {
			out[n++] = (char)u;
			out[n] = '\0';
		}
		in += k;
	}
}

static void
add_status(struct text *t, const struct bounce *b)
{
	char buf[600];
	int n;

	if (b->envid[0] != '\0' &&
	    (n = xtext_decode(b->envid, strlen(b->envid), buf, sizeof(buf) - 1)) >= 0) {
		buf[n] = '\0';
		add_field(t, "Original-Envelope-Id", "", buf, 1);
	}
	addf(t, "Reporting-MTA: dns; %s\r\n", b->hostname);
	add_date(t, "Arrival-Date", b->arrived);
	if (b->by != 0)
		add_date(t, "Deliver-By-Date", b->by);
	if (b->hold != NULL)
		add_field(t, "Future-Release-Request", "", b->hold, 1);
	for (size_t i = 0; i < b->nrcpt; i++) {
		const struct bounce_rcpt *r = &b->rcpts[i];
		const char *semi = strchr(r->orcpt, ';');
		const char *status = r->enhanced;
		int details = t->len <= DETAILS_MAX;

		if (t->len > REPORT_MAX)
			break;

		add(t, "\r\n", 2);
		if (details && semi != NULL && semi > r->orcpt && semi - r->orcpt < 40 &&
		    (n = original_address(semi + 1, buf, sizeof(buf))) >= 0) {
			char type[64];

			snprintf(
			    type, sizeof(type), "%.*s", (int)(semi - r->orcpt), r->orcpt);
			if (is_ascii(type) && strpbrk(type, " \t\r\n") == NULL)
				add_field(
				    t, "Original-Recipient", type, buf, !b->smtputf8);
		}
		if (is_ascii(r->address))
			add_field(t, "Final-Recipient", "rfc822", r->address, 1);
		else if (b->smtputf8)
			add_field(t, "Final-Recipient", "utf-8", r->address, 0);
		else {
			address_escape(r->address, buf, sizeof(buf));
			add_field(t, "Final-Recipient", "utf-8", buf, 1);
		}
		addf(t, "Action: %s\r\n", action_word(b->action));
		if (status[0] == '\0')
			status = b->action == BOUNCE_FAILED    ? "5.0.0"
				 : b->action == BOUNCE_DELAYED ? "4.0.0"
							       : "2.0.0";
		/* The class agrees with the action; but a failure whose cause was
		 * temporary to the end keeps its 4 (RFC 3464, appendix E). */
		addf(t, "Status: %c%s\r\n",
		    b->action == BOUNCE_FAILED    ? (status[0] == '4' ? '4' : '5')
		    : b->action == BOUNCE_DELAYED ? '4'
						  : '2',
		    strlen(status) > 1 && is_ascii(status) &&
			    strpbrk(status, " \r\n") == NULL
			? status + 1
			: ".0.0");
		if (!details)
			continue;
		add_field(t, "Remote-MTA", "dns", r->mta, 1);
		add_field(t, "Diagnostic-Code", "smtp", r->reply, !b->smtputf8);
		add_date(t, "Last-Attempt-Date", b->now);
		if (b->action == BOUNCE_DELAYED && r->until != 0)
			add_date(t, "Will-Retry-Until", r->until);
	}
}

/* Octets of the header section with its empty line, or of all there is. */
static size_t
headers_len(const uint8_t *p, size_t len, int *whole)
{
	*whole = 1;
	for (size_t i = 0; i + 1 < len; i++) {
		if (p[i] == '\n' && p[i + 1] == '\n')
			return i + 2;
		if (i + 3 < len && memcmp(p + i, "\r\n\r\n", 4) == 0)
			return i + 4;
	}
	*whole = 0;
	return len;
}

static int
has_eightbit(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		if (p[i] > 127)
			return 1;
	}
	return 0;
}

/* A line of the original may not end the part. */
static void
boundary_make(const struct bounce *b, char *out, size_t cap)
{
	uint32_t salt = 0;

	do {
		snprintf(out, cap, "=_fife.%s.%08x", b->bounce_qid,
		    (uint32_t)(b->now * 2654435761LL) ^ salt++);
	} while (memmem(b->content, b->content_len, out, strlen(out)) != NULL ||
		 memmem(b->prefix, b->prefix_len, out, strlen(out)) != NULL);
}

char *
bounce_compose(const struct bounce *b, size_t *len, int *eightbit)
{
	struct text t = { 0 };
	char boundary[96], sender[400];
	size_t original_len;
	int full, whole, eight_original;

	full = b->full && b->complete && b->prefix_len + b->content_len <= ORIGINAL_MAX;
	if (full)
		original_len = b->content_len;
	else {
		original_len = headers_len(b->content, b->content_len, &whole);
		if (original_len > HEADERS_MAX)
			original_len = HEADERS_MAX;
	}
	eight_original = has_eightbit(b->prefix, b->prefix_len) ||
			 has_eightbit(b->content, original_len);
	boundary_make(b, boundary, sizeof(boundary));
	clean(b->sender, sender, sizeof(sender), 0);

	add_date(&t, "Date", b->now);
	addf(&t, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n", b->hostname);
	addf(&t, "To: <%s>\r\n", sender);
	add_subject(&t, b);
	addf(&t, "Message-ID: <%s.%lld@%s>\r\n", b->bounce_qid, (long long)b->now,
	    b->hostname);
	addf(&t, "Auto-Submitted: auto-replied\r\n");
	addf(&t, "MIME-Version: 1.0\r\n");
	addf(&t,
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n\r\n",
	    boundary);
	addf(&t, "This is a report in several parts, for people and for programs.\r\n");

	addf(&t, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n", boundary);
	add_human_part(&t, b);

	addf(&t, "\r\n--%s\r\nContent-Type: message/%sdelivery-status\r\n", boundary,
	    b->smtputf8 ? "global-" : "");
	addf(&t, "Content-Transfer-Encoding: 8bit\r\n");
	addf(&t, "Content-Description: For programs\r\n\r\n");
	add_status(&t, b);

	addf(&t, "\r\n--%s\r\n", boundary);
	if (full)
		addf(&t, "Content-Type: message/%s\r\n",
		    b->smtputf8 ? "global" : "rfc822");
	else
		addf(&t, "Content-Type: %s\r\n",
		    b->smtputf8 ? "message/global-headers" : "text/rfc822-headers");
	if (eight_original)
		addf(&t, "Content-Transfer-Encoding: 8bit\r\n");
	addf(&t, "Content-Description: %s\r\n\r\n",
	    full ? "Your message" : "The headers of your message");
	add(&t, b->prefix, b->prefix_len);
	add(&t, b->content, original_len);
	addf(&t, "\r\n--%s--\r\n", boundary);
	if (t.bad) {
		free(t.p);
		return NULL;
	}
	*len = t.len;
	*eightbit = has_eightbit(t.p, t.len);
	return t.p;
}
