/* SPDX-License-Identifier: ISC */
/* Trace fields; see received.h. */
#include "smtpd/received.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/date.h"

/* Appends; *len becomes SIZE_MAX when it does not fit. */
static void __attribute__((format(printf, 4, 5)))
add(char *buf, size_t cap, size_t *len, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (*len == SIZE_MAX)
		return;
	va_start(ap, fmt);
	n = vsnprintf(buf + *len, cap - *len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= cap - *len)
		*len = SIZE_MAX;
	else
		*len += (size_t)n;
}

static int
is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s > 126)
			return 0;
	return 1;
}

/* RFC 3848; RFC 6531, 4.3. */
static void
protocol(const struct received *r, char *buf, size_t cap)
{
	const char *base = r->kind == LISTENER_LMTP ? "LMTP"
			   : r->esmtp               ? "ESMTP"
						    : "SMTP";

	if (r->smtputf8)
		base = r->kind == LISTENER_LMTP ? "UTF8LMTP" : "UTF8SMTP";
	/* There is no SMTPS: TLS and AUTH say ESMTP. */
	if (strcmp(base, "SMTP") == 0 && (r->tls[0] != '\0' || r->authenticated))
		base = "ESMTP";
	snprintf(buf, cap, "%s%s%s", base, r->tls[0] != '\0' ? "S" : "",
	    r->authenticated ? "A" : "");
}

int
received_format(const struct received *r, char *buf, size_t cap, size_t *qid_at)
{
	char with[16], date[DATE_MAX];
	size_t len = 0;

	if (date_format(r->time, r->zone_min, date, sizeof(date)) == -1)
		return -1;
	if (r->kind == LISTENER_LOCAL)
		add(buf, cap, &len, "Received: by %s (local user %u)\r\n\tid ",
		    r->hostname, r->uid);
	else if (r->hide_client) {
		protocol(r, with, sizeof(with));
		add(buf, cap, &len, "Received: by %s with %s id ", r->hostname, with);
	} else {
		protocol(r, with, sizeof(with));
		add(buf, cap, &len, "Received: from %s (%s%s[%s%s])\r\n",
		    is_ascii(r->helo) || r->smtputf8 ? r->helo : "unknown",
		    r->client_name, r->client_name[0] != '\0' ? " " : "",
		    strchr(r->client, ':') != NULL ? "IPv6:" : "", r->client);
		if (r->tls[0] != '\0')
			add(buf, cap, &len, "\t(using %s)\r\n", r->tls);
		add(buf, cap, &len, "\tby %s with %s id ", r->hostname, with);
	}
	if (qid_at != NULL)
		*qid_at = len;
	add(buf, cap, &len, "%s", r->qid);
	if (r->rcpt[0] != '\0')
		add(buf, cap, &len, "\r\n\tfor <%s>", r->rcpt);
	if (r->has_priority)
		add(buf, cap, &len, "\r\n\tPRIORITY %d", r->priority);
	add(buf, cap, &len, "; %s\r\n", date);
	return len == SIZE_MAX ? -1 : (int)len;
}

int
received_add_missing(
    const struct received *r, int date, int message_id, char *buf, size_t cap)
{
	char text[DATE_MAX];
	size_t len = 0;

	if (date_format(r->time, r->zone_min, text, sizeof(text)) == -1)
		return -1;
	if (date)
		add(buf, cap, &len, "Date: %s\r\n", text);
	if (message_id)
		add(buf, cap, &len, "Message-ID: <%s.%08x@%s>\r\n", r->qid, arc4random(),
		    r->hostname);
	return len == SIZE_MAX ? -1 : (int)len;
}
