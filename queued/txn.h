/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_TXN_H
#define FIFE_QUEUED_TXN_H

/*
 * Transactions of smtpd:
 *
 *	BEGIN -> (RCPT, SPILL)* -> COMMIT or ABORT
 *
 * The content is written by smtpd into sealable memory, or into a body file when it is
 * large or grew large (SPILL: what was in memory is in the file already, and its
 * descriptor stands behind it). At COMMIT memory must be sealed and lengths
 * must agree; the checksum is taken here. COMMITTED says OK only when everything is on
 * the disk. A whole one brings a small content in messages, when no judge is to see it:
 *
 *	BEGIN, RCPT*, CONTENT*, COMMIT
 *
 * What a login sends is committed only when authd, asked by the id of the login, grants
 *the sender and as many recipients. A channel that is lost drops its transactions, but
 *not those committing.
 */

#include "common/channel.h"

#define TXN_PER_CHANNEL_MAX 4096
#define TXN_RCPTS_MAX 10000
#define TXN_PREFIX_MAX 8192   /* as in payload.def */
#define TXN_CONTENT_MAX 49152 /* of a whole one */

void txn_message(struct channel *, struct msg *);
void txn_channel_lost(struct channel *);
/* Open ones. */
uint32_t txn_count(void);
/* The lowest queue id that one of them may still bring in; UINT64_MAX: none. */
uint64_t txn_oldest(void);

#endif
