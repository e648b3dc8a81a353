/* SPDX-License-Identifier: ISC */
/* What the client of smtp_out.h says: the commands of the envelope, and the content. */
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/address.h"
#include "common/proto/date.h"
#include "common/proto/encoding.h"
#include "deliverd/remote/smtp_out_int.h"

void
smtp_out_say(struct smtp_out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = evbuffer_add_vprintf(o->out, fmt, ap);
	va_end(ap);
	if (n == -1)
		smtp_out_no_memory(o);
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/*
 * An address in the form that the server can take: as it is, or with the domain in
 * A-labels. -1: it needs SMTPUTF8, or is no address at all (a line end within).
 */
static int
wire_address(const struct smtp_out *o, const char *in, char out[ADDRESS_MAX + 1])
{
	struct address a;
	char domain[ADDRESS_DOMAIN_MAX + 1];

	if (strlen(in) > ADDRESS_MAX || strpbrk(in, "\r\n") != NULL)
		return -1;
	/* Angles are legal within quotes only. */
	if (strpbrk(in, "<>") != NULL &&
	    address_parse_flags(in, strlen(in), ADDRESS_NO_DOMAIN, &a) == -1)
		return -1;
	if (is_ascii(in) || (o->ext & EXT_SMTPUTF8)) {
		strlcpy(out, in, ADDRESS_MAX + 1);
		return 0;
	}
	if (address_parse(in, strlen(in), &a) == -1 || !is_ascii(a.local) ||
	    address_domain_ascii(a.domain, domain, sizeof(domain)) == -1)
		return -1;
	strlcpy(a.domain, domain, sizeof(a.domain));
	return address_format(&a, out, ADDRESS_MAX + 1) == -1 ? -1 : 0;
}

bool
smtp_out_binary(const struct smtp_out *o)
{
	return (~o->ext & (EXT_CHUNKING | EXT_BINARYMIME)) == 0;
}

bool
smtp_out_chunks(const struct smtp_out *o)
{
	return o->conf.chunking && (~o->ext & (EXT_CHUNKING | EXT_PIPELINING)) == 0;
}

/* An alias may have brought an address in UTF-8 to a message that had none. */
static bool
needs_utf8(const struct smtp_out_message *m)
{
	if (m->smtputf8 || !is_ascii(m->sender))
		return true;
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!is_ascii(m->rcpts[i].address))
			return true;
	return false;
}

static int
send_mail(struct smtp_out *o)
{
	const struct smtp_out_message *m = o->m;
	char sender[ADDRESS_MAX + 1];

	if (wire_address(o, m->sender, sender) == -1)
		return -1;
	smtp_out_say(o, "MAIL FROM:<%s>", sender);
	/* What is to be converted grows by as much as nobody knows yet. */
	if ((o->ext & EXT_SIZE) && (m->body == BODY_7BIT || !smtp_out_needs_7bit(o)))
		smtp_out_say(o, " SIZE=%llu", (unsigned long long)m->size);
	if (m->body == BODY_BINARYMIME && smtp_out_binary(o))
		smtp_out_say(o, " BODY=BINARYMIME");
	else if ((o->ext & EXT_8BITMIME) && m->body == BODY_8BITMIME)
		smtp_out_say(o, " BODY=8BITMIME");
	if ((o->ext & EXT_SMTPUTF8) && needs_utf8(m))
		smtp_out_say(o, " SMTPUTF8");
	if (o->ext & EXT_DSN) {
		if (m->ret == 1 || m->ret == 2)
			smtp_out_say(o, " RET=%s", m->ret == 1 ? "FULL" : "HDRS");
		if (m->envid[0] != '\0' && strpbrk(m->envid, " \r\n") == NULL)
			smtp_out_say(o, " ENVID=%s", m->envid);
	}
	if (m->require_tls && (o->ext & EXT_REQUIRETLS) &&
	    (o->conf.verified || m->sender[0] == '\0'))
		smtp_out_say(o, " REQUIRETLS");
	if (o->ext & EXT_MT_PRIORITY)
		smtp_out_say(o, " MT-PRIORITY=%d", m->priority);
	if ((o->ext & EXT_DELIVERBY) && m->by_mode != 0)
		smtp_out_say(o, " BY=%lld;%c%s", smtp_out_by_left(o), m->by_mode,
		    m->by_trace ? "T" : "");
	smtp_out_say(o, "\r\n");
	o->mail_sent = true;
	return 0;
}

/* RFC 2852, 4.1.4.2: who does not know of the time shall at least tell of a delay. */
static uint8_t
notify_of(const struct smtp_out *o, uint8_t notify)
{
	if (o->m->by_mode != 'N' || (o->ext & EXT_DELIVERBY) ||
	    notify & SMTP_OUT_NOTIFY_NEVER)
		return notify;
	return notify == 0 ? SMTP_OUT_NOTIFY_FAILURE | SMTP_OUT_NOTIFY_DELAY
			   : notify | SMTP_OUT_NOTIFY_DELAY;
}

/* RFC 6533, 3: letters beyond ASCII as they are only where SMTPUTF8 is offered. */
static void
say_orcpt(struct smtp_out *o, const char *orcpt)
{
	const char *end = orcpt + strlen(orcpt);
	uint32_t u;
	size_t n;

	if (is_ascii(orcpt) || (o->ext & EXT_SMTPUTF8)) {
		smtp_out_say(o, " ORCPT=%s", orcpt);
		return;
	}
	if (!utf8_valid(orcpt, (size_t)(end - orcpt)))
		return;
	smtp_out_say(o, " ORCPT=");
	for (const char *p = orcpt; p < end; p += n) {
		n = utf8_get(p, (size_t)(end - p), &u);
		if (n == 0)
			break;
		if (n > 1)
			smtp_out_say(o, "\\x{%02X}", u);
		else
			smtp_out_say(o, "%c", *p);
	}
}

static int
send_rcpt(struct smtp_out *o, const struct smtp_out_rcpt *r)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
	char address[ADDRESS_MAX + 1], since[DATE_MAX];

	if (wire_address(o, r->address, address) == -1)
		return -1;
	smtp_out_say(o, "RCPT TO:<%s>", address);
	if (o->ext & EXT_DSN) {
		uint8_t notify = notify_of(o, r->notify);
		const char *sep = " NOTIFY=";

		if (notify & SMTP_OUT_NOTIFY_NEVER)
			smtp_out_say(o, " NOTIFY=NEVER");
		for (int i = 0; i < 3 && !(notify & SMTP_OUT_NOTIFY_NEVER); i++)
			if (notify & 1u << i) {
				smtp_out_say(o, "%s%s", sep, words[i]);
				sep = ",";
			}
		if (r->orcpt[0] != '\0' && strpbrk(r->orcpt, " \r\n") == NULL)
			say_orcpt(o, r->orcpt);
	}
	if ((o->ext & EXT_RRVS) && r->rrvs_action != 0 &&
	    date_format_iso(r->rrvs, since, sizeof(since)) != -1)
		smtp_out_say(o, " RRVS=%s;%c", since, r->rrvs_action);
	smtp_out_say(o, "\r\n");
	return 0;
}

/* MAIL and the recipients, as many at once as the server allows. */
void
smtp_out_send_envelope(struct smtp_out *o)
{
	if (!o->mail_sent) {
		if (!smtp_out_suits(o))
			return;
		if (send_mail(o) == -1) {
			smtp_out_settle_waiting(o, "5.6.7",
			    "The sender's address has letters beyond ASCII, which the "
			    "remote host "
			    "cannot handle: send from another address.");
			return;
		}
		if (!(o->ext & EXT_PIPELINING))
			return;
	}
	for (; o->next_send < o->m->n_rcpts; o->next_send++) {
		struct rcpt *r = &o->rcpts[o->next_send];

		if (r->state != R_WAIT)
			continue;
		if (send_rcpt(o, &o->m->rcpts[o->next_send]) == -1) {
			smtp_out_settle(o, o->next_send, JOB_FAILED, "5.6.7", "",
			    "The address has letters beyond ASCII, which the remote host "
			    "cannot "
			    "handle: use another address of the recipient.");
			continue;
		}
		r->state = R_SENT;
		if (!(o->ext & EXT_PIPELINING)) {
			o->next_send++;
			return;
		}
	}
}

/* ---- content ---- */

static int
put(struct smtp_out *o, const void *data, size_t len)
{
	if (o->chunked && o->body == NULL && (o->body = evbuffer_new()) == NULL) {
		smtp_out_no_memory(o);
		return -1;
	}
	if (len == 0 || evbuffer_add(o->chunked ? o->body : o->out, data, len) == 0)
		return 0;
	smtp_out_no_memory(o);
	return -1;
}

/* What has been gathered goes out whole, so that commands may follow at any time. */
static int
put_chunk(struct smtp_out *o, bool last)
{
	size_t len = o->body != NULL ? evbuffer_get_length(o->body) : 0;

	smtp_out_say(o, "BDAT %zu%s\r\n", len, last ? " LAST" : "");
	if (len > 0 && evbuffer_add_buffer(o->out, o->body) == -1)
		smtp_out_no_memory(o);
	o->chunks++;
	return o->state == S_CLOSED ? -1 : 0;
}

/* RFC 5321, 2.3.8: CR and LF never go out alone; a lone one ends a line. */
int
smtp_out_content(struct smtp_out *o, const void *data, size_t len)
{
	const char *p = data, *end = p + len;

	if (o->state != S_CONTENT)
		return -1;
	if (o->raw)
		return put(o, data, len);
	if (o->chunked && o->body != NULL &&
	    evbuffer_get_length(o->body) >= SMTP_OUT_CHUNK && put_chunk(o, false) == -1)
		return -1;
	while (p < end) {
		const char *start = p;

		if (o->held_cr) {
			o->held_cr = false;
			if (put(o, "\r\n", 2) == -1)
				return -1;
			o->at_line_start = true;
			if (*p == '\n') {
				p++;
				continue;
			}
		}
		if (o->at_line_start && *p == '.' && !o->chunked && put(o, ".", 1) == -1)
			return -1;
		while (p < end && *p != '\r' && *p != '\n')
			p++;
		if (put(o, start, (size_t)(p - start)) == -1)
			return -1;
		if (p > start)
			o->at_line_start = false;
		if (p == end)
			break;
		if (*p++ == '\r')
			o->held_cr = true;
		else {
			if (put(o, "\r\n", 2) == -1)
				return -1;
			o->at_line_start = true;
		}
	}
	return 0;
}

int
smtp_out_content_end(struct smtp_out *o)
{
	if (o->state != S_CONTENT)
		return -1;
	if (!o->raw && (o->held_cr || !o->at_line_start) && put(o, "\r\n", 2) == -1)
		return -1;
	if (o->chunked ? put_chunk(o, true) == -1 : !o->raw && put(o, ".\r\n", 3) == -1)
		return -1;
	o->state = S_END;
	return 0;
}
