/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTP_PARSE_H
#define FIFE_SMTP_PARSE_H

/*
 * One command line, without CR LF, to a command (RFC 5321, 4.1.1; RFC 1870, 2852, 3030,
 * 3461, 4865, 4954, 6152, 6531, 6710, 7293, 8689). What stands here is syntax; whether a
 * command may come now is the engine's to know.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/proto/address.h"
#include "smtpd/smtp_reply.h"

#define SMTP_HELO_MAX 255
#define SMTP_MECHANISM_MAX 20 /* RFC 4422, 3.1 */
#define SMTP_ENVID_MAX 100    /* RFC 3461, 5.4, in xtext */
#define SMTP_ORCPT_MAX 500
#define SMTP_HOLD_MAX 39 /* of msg_txn_begin */

/* NOTIFY (RFC 3461, 4.1) and RET (4.3) as the messages to queued carry them; 0: not said.
 */
#define SMTP_NOTIFY_SUCCESS 0x01
#define SMTP_NOTIFY_FAILURE 0x02
#define SMTP_NOTIFY_DELAY 0x04
#define SMTP_NOTIFY_NEVER 0x08
#define SMTP_RET_FULL 1
#define SMTP_RET_HDRS 2

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_LHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_BURL,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_ETRN,
	SMTP_XCLIENT,
	SMTP_XFORWARD,
	SMTP_HTTP, /* a browser sent here by a hostile page */
	SMTP_VERB_MAX
};

struct smtp_command {
	enum smtp_verb verb;
	struct address path; /* MAIL, RCPT */
	char word[SMTP_HELO_MAX +
		  1];   /* name of HELO, ETRN, mechanism of AUTH in capitals */
	uint64_t size;  /* SIZE=, 0 when not said */
	uint8_t body;   /* enum body_type */
	uint64_t chunk; /* BDAT: octets behind the line */
	uint8_t last;   /* BDAT LAST, BURL LAST */
	uint8_t smtputf8;
	uint8_t ret;                  /* SMTP_RET_ */
	uint8_t notify;               /* SMTP_NOTIFY_ */
	int32_t hold_for;             /* HOLDFOR, seconds; 0: not said */
	int64_t hold_until;           /* HOLDUNTIL, wall seconds */
	char hold[SMTP_HOLD_MAX + 1]; /* "for;" or "until;" and the value; "": neither */
	int32_t by;                   /* BY, seconds */
	uint8_t by_mode;              /* 'R' or 'N'; 0: not said */
	uint8_t by_trace;
	uint8_t has_priority;
	int8_t priority; /* MT-PRIORITY */
	uint8_t require_tls;
	int64_t rrvs;                   /* RRVS, wall seconds */
	uint8_t rrvs_action;            /* 'R' or 'C'; 0: not said */
	char envid[SMTP_ENVID_MAX + 1]; /* as it came, xtext */
	char orcpt[SMTP_ORCPT_MAX + 1]; /* "rfc822;" and xtext */
	/* AUTH: initial response, still base64; NULL: none; "=" has length 0. Borrowed
	 * from the line. */
	const char *initial;
	size_t initial_len;
	const char *rest; /* XCLIENT, XFORWARD: the attributes. Borrowed. */
	size_t rest_len;
};

#define SMTP_PARSE_NO_DOMAIN 1 /* addresses without a domain, for sendmail(8) */

/* SMTP_REPLY_NONE, or the reply that refuses it; verb is set in any case. */
enum smtp_reply smtp_parse(
    const char *line, size_t len, unsigned int flags, struct smtp_command *out);

#endif
