/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_RECEIVED_H
#define FIFE_SMTPD_RECEIVED_H

/* The trace field of RFC 5321, 4.4, and the fields that a submission lacks. */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

struct received {
	enum listener_kind kind;
	const char *helo;
	const char *client_name; /* verified, or "" */
	const char *client;      /* address; ignored for LISTENER_LOCAL */
	uint32_t uid;            /* LISTENER_LOCAL */
	const char *hostname;
	const char *tls; /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" */
	int esmtp;
	int hide_client; /* nothing of whom it came from */
	int authenticated;
	int smtputf8;
	int has_priority; /* RFC 6710, 4.1 */
	int priority;
	const char *qid;
	const char *rcpt; /* "" when there are several */
	int64_t time;
	int zone_min;
};

/* Lines with CR LF. The length, or -1 when it does not fit. *qid_at, if not NULL: where
 * the queue id begins. */
int received_format(const struct received *, char *buf, size_t cap, size_t *qid_at);
/* RFC 6409, 8: Date and Message-ID of a submission that has none. */
int received_add_missing(
    const struct received *, int date, int message_id, char *buf, size_t cap);

#endif
