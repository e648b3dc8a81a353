/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_REPLY_H
#define FIFE_SMTP_REPLY_H

/* What smtpd says; the sentences are in smtp_reply.def. */

#include <stddef.h>

enum smtp_reply {
	SMTP_REPLY_NONE,
#define REPLY(name, code, enhanced, text) SMTP_REPLY_##name,
#include "smtpd/smtp_reply.def"
#undef REPLY
};

/* RFC 5321, 4.5.3.1.5, without CR LF. */
#define SMTP_REPLY_LINE_MAX 510
/* Room for one reply whose text has at most 1023 octets. */
#define SMTP_REPLY_MAX 1536

int smtp_reply_code(enum smtp_reply);
const char *smtp_reply_enhanced(enum smtp_reply);
/* As in the table, %h and all. */
const char *smtp_reply_text(enum smtp_reply);

/* Appends the reply with CR LF; cap should have room for SMTP_REPLY_MAX. Returns the
 * new length. */
size_t smtp_reply_put(
    char *buf, size_t len, size_t cap, enum smtp_reply, const char *hostname);
/*
 * The same for words of others: controls become "?", a long text becomes several
 * lines, an enhanced code that does not suit code is replaced by x.0.0. enhanced
 * may be "" to have none.
 */
size_t smtp_reply_put_text(
    char *buf, size_t len, size_t cap, int code, const char *enhanced, const char *text);

#endif
