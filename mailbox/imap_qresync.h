/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_QRESYNC_H
#define FIFE_IMAP_QRESYNC_H

/* Quick resynchronisation (RFC 7162, 3.2): what a client missed since a modification
 * sequence. */

#include <stdbool.h>
#include <stdint.h>

#include "mailbox/imap_set.h"

struct imap;
struct imap_args;

struct imap_qresync {
	bool asked;
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_known;
	struct imap_set known;      /* UIDs; without: all */
	struct imap_set seqs, uids; /* sequence match data, in pairs; may be empty */
};

/* "(" uidvalidity modseq [known-uids] [(known-sequence-set known-uid-set)] ")". To be
 * cleared in both cases. */
int imap_qresync_parse(struct imap_args *, struct imap_qresync *);
void imap_qresync_clear(struct imap_qresync *);

/* VANISHED (EARLIER) and changed flags, right after SELECT. */
void imap_qresync_tell(struct imap *, struct imap_qresync *);
/* VANISHED (EARLIER) of those UIDs of the set (resolved; NULL: all) that were expunged
 * after modseq, and have a UID above from. */
void imap_qresync_vanished(
    struct imap *, const struct imap_set *, uint64_t modseq, uint32_t from);

#endif
