/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_TLSREPORT_H
#define FIFE_QUEUED_TLSREPORT_H

/*
 * Reports on TLS by mail (RFC 8460, 5.3). policyd has the report and says where to; it
 * speaks with web servers of strangers, so the message is written here, and what it
 * can have sent is this form and so many an hour.
 */

#include "common/channel.h"
#include "common/msg.h"

/* Its answer goes back once the message is durable, or was not taken. */
void tlsreport_message(struct channel *, struct msg *);

#endif
