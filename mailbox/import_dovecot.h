/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMPORT_DOVECOT_H
#define FIFE_IMPORT_DOVECOT_H

/*
 * What import makes of Dovecot's own files in a Maildir: UIDVALIDITY, UIDs and the
 * identifiers of POP3 out of dovecot-uidlist, which comes before the folder's messages;
 * and subscriptions. The files are the user's: nothing of them is taken on trust.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto/dovecot_uidlist.h"
#include "mailbox/store.h"
#include "mailbox/uidl.h"

struct dovecot_import {
	struct dovecot_uidlist list;
	struct uidl uidl; /* of the messages that were imported */
	bool numbered;    /* the folder has the list's UIDVALIDITY */
	char *text;       /* of a file that is read */
	size_t text_len, text_cap;
};

/* A file of so many octets: may all of it be read? -1: no memory; 0: too large. */
int dovecot_import_file(struct dovecot_import *, uint64_t size);
void dovecot_import_data(struct dovecot_import *, const uint8_t *, size_t);
/* What was read is the uidlist of the folder, whose messages follow. */
enum store_error dovecot_import_list(struct dovecot_import *, struct folder *);
/* What was read are subscriptions, of folders below base or "". */
void dovecot_import_subscriptions(
    struct dovecot_import *, struct store *, const char *base);

enum dovecot_message {
	DOVECOT_NEW,   /* with the next UID */
	DOVECOT_UID,   /* with its own */
	DOVECOT_KNOWN, /* an earlier import brought it */
};
/* What becomes of the message. size and internal: as it would be here. */
enum dovecot_message dovecot_import_message(const struct dovecot_import *,
    const struct folder *, const struct dovecot_entry *, uint64_t size, int64_t internal);
/* It has this UID now. */
void dovecot_import_imported(
    struct dovecot_import *, const struct dovecot_entry *, uint32_t uid);
/* The folder is complete. Leaves it to the next one. */
enum store_error dovecot_import_leave(struct dovecot_import *, struct folder *);
void dovecot_import_clear(struct dovecot_import *);

#endif
