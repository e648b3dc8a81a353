/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_BOUNCE_H
#define FIFE_QUEUED_BOUNCE_H

/*
 * Composes delivery status notifications: RFC 3462 multipart/report, RFC 3464,
 * RFC 6533 where there are addresses in UTF-8. Pure: bytes out. For people first.
 */

#include <stddef.h>
#include <stdint.h>

#include "queued/words.h"

enum bounce_action {
	BOUNCE_FAILED,
	BOUNCE_DELAYED,
	BOUNCE_DELIVERED,
	BOUNCE_RELAYED,
	BOUNCE_EXPANDED /* an alias: on to several addresses */
};
#define BOUNCE_ACTIONS 5

struct bounce_rcpt {
	const char *address;
	const char *orcpt;    /* as given, "rfc822;a@b" in xtext; "" */
	const char *enhanced; /* "5.1.1"; "" */
	const char *mta;      /* that said it; "" */
	const char *reply;    /* its words; "" */
	const char *text;     /* ours, when there was no reply; "" */
	int64_t until;        /* BOUNCE_DELAYED: when we give up */
	const char *cause;    /* enhanced code of the last try where time ran out; NULL */
};

struct bounce {
	enum bounce_action action;
	const char *hostname;
	const char *qid;        /* of the message that it is about */
	const char *bounce_qid; /* of this one */
	const char *sender;     /* who gets it */
	const char *envid;      /* "" */
	const char *hold;       /* Future-Release-Request (RFC 4865, 5.1.2); NULL: none */
	int64_t by;             /* Deliver-By-Date (RFC 2852, 5); 0: none */
	int64_t arrived;
	int64_t now;
	int full; /* RET=FULL: the content; otherwise its headers */
	int smtputf8;
	enum lang lang; /* of the sender; English follows any other */
	const struct bounce_rcpt *rcpts;
	size_t nrcpt;
	/* Of the original: headers put before it, and the content or its beginning.
	 * complete: nothing was cut off. */
	const uint8_t *prefix;
	size_t prefix_len;
	const uint8_t *content;
	size_t content_len;
	int complete;
};

/* The message, malloc'd, lines end in CRLF; NULL without memory. *eightbit: it has
 * octets above 127. */
char *bounce_compose(const struct bounce *, size_t *len, int *eightbit);
#endif
