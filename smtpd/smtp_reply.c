/* SPDX-License-Identifier: ISC */
/* Replies to octets; see smtp_reply.h. */
#include "smtpd/smtp_reply.h"

#include <stdio.h>
#include <string.h>

static const struct {
	int code;
	const char *enhanced;
	const char *text;
} replies[] = {
	{ 250, "2.0.0", "" }, /* SMTP_REPLY_NONE */
#define REPLY(name, code, enhanced, text) { code, enhanced, text },
#include "smtpd/smtp_reply.def"
#undef REPLY
};

int
smtp_reply_code(enum smtp_reply r)
{
	return replies[r].code;
}

const char *
smtp_reply_enhanced(enum smtp_reply r)
{
	return replies[r].enhanced;
}

const char *
smtp_reply_text(enum smtp_reply r)
{
	return replies[r].text;
}

/* "2.1.5" of the class that the code has (RFC 2034, 4). */
static int
enhanced_suits(const char *s, int code)
{
	int parts = 0, digits = 0;

	if (s[0] != '0' + code / 100)
		return 0;
	for (; *s != '\0'; s++) {
		if (*s == '.') {
			if (digits == 0)
				return 0;
			parts++;
			digits = 0;
		} else if (*s < '0' || *s > '9' || ++digits > 3)
			return 0;
	}
	return parts == 2 && digits > 0;
}

static size_t
put(char *buf, size_t len, size_t cap, const char *s, size_t n)
{
	if (n > cap - len)
		n = cap - len;
	memcpy(buf + len, s, n);
	return len + n;
}

size_t
smtp_reply_put_text(
    char *buf, size_t len, size_t cap, int code, const char *enhanced, const char *text)
{
	char prefix[32], clean[SMTP_REPLY_LINE_MAX];
	size_t left = strlen(text), room, n;
	int more;

	if (left > 1023)
		left = 1023;
	do {
		n = (size_t)snprintf(prefix, sizeof(prefix), "%03d ", code);
		if (*enhanced != '\0')
			n = (size_t)snprintf(prefix, sizeof(prefix), "%03d %s ", code,
			    enhanced_suits(enhanced, code) ? enhanced
			    : code < 300                   ? "2.0.0"
			    : code < 500                   ? "4.0.0"
							   : "5.0.0");
		room = SMTP_REPLY_LINE_MAX - n;
		more = left > room;
		if (more)
			prefix[3] = '-';
		else
			room = left;
		len = put(buf, len, cap, prefix, n);
		for (size_t i = 0; i < room; i++)
			clean[i] = (unsigned char)text[i] < ' ' || text[i] == 127
				       ? '?'
				       : text[i];
		len = put(buf, len, cap, clean, room);
		len = put(buf, len, cap, "\r\n", 2);
		text += room;
		left -= room;
	} while (more);
	return len;
}

size_t
smtp_reply_put(char *buf, size_t len, size_t cap, enum smtp_reply r, const char *hostname)
{
	char text[512];
	const char *src = replies[r].text, *h = strstr(src, "%h");

	if (h != NULL) {
		snprintf(
		    text, sizeof(text), "%.*s%s%s", (int)(h - src), src, hostname, h + 2);
		src = text;
	}
	return smtp_reply_put_text(
	    buf, len, cap, replies[r].code, replies[r].enhanced, src);
}
