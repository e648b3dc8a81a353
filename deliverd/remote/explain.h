/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_EXPLAIN_H
#define FIFE_DELIVERD_EXPLAIN_H

/*
 * Plain sentences for senders: what happened, and what one can do about it. They
 * stand in bounces beside the words of the remote host.
 */

#include <stddef.h>

/* For an enhanced code (RFC 3463) of a remote host; reply: its words. Never NULL. */
void explain_reply(const char *enhanced, const char *reply, char *out, size_t cap);

/* The enhanced code for a reply that brings none, at that stage. */
enum reply_stage {
	STAGE_CONNECT,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA
};
const char *explain_code(int code, enum reply_stage);

#endif
