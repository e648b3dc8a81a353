/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POP3_MAILDROP_H
#define FIFE_POP3_MAILDROP_H

/*
 * What one POP3 session sees: the messages that the chosen folders had at its start,
 * numbered INBOX first and then in order of the folders' names, with their identifiers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"
#include "mailbox/uidl.h"

#define MAILDROP_FOLDERS_MAX 256 /* of one session */
/* Room for an identifier with its NUL. */
#define MAILDROP_UIDL_SIZE (UIDL_MAX + 1)

struct maildrop_entry {
	uint32_t uid, size;
	uint16_t folder; /* in folders */
	bool deleted;
	bool own_uidl; /* the kept one is another message's too */
};

struct maildrop_folder {
	struct folder *f;
	struct uidl uidl; /* what was kept */
	bool inbox;
};

struct maildrop {
	struct maildrop_folder *folders;
	size_t n_folders;
	struct maildrop_entry *v;
	size_t n;
	/* of those that are not deleted */
	size_t live;
	uint64_t octets;
};

/*
 * folders: names separated by commas; "NAME/" and a star for all below, a star alone for
 * all; '!' before one leaves it out; "" is INBOX. On failure there is nothing to
 * clear (STORE_OK with -1: no memory).
 */
int maildrop_open(
    struct maildrop *, struct store *, const char *folders, enum store_error *);
void maildrop_close(struct maildrop *);
/* Does such a setting show the folder? */
bool maildrop_shows(const char *folders, const char *name);

void maildrop_delete(struct maildrop *, struct maildrop_entry *);
void maildrop_undelete_all(struct maildrop *);
/* Removes what is deleted. */
enum store_error maildrop_expunge(struct maildrop *);
struct folder *maildrop_folder(const struct maildrop *, const struct maildrop_entry *);
/* Returns its length. */
size_t maildrop_uidl(
    const struct maildrop *, const struct maildrop_entry *, char out[MAILDROP_UIDL_SIZE]);

#endif
