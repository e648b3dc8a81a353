/* SPDX-License-Identifier: ISC */
#ifndef FIFE_GRANTS_H
#define FIFE_GRANTS_H

/*
 * Who shares something of his mailbox with whom: for each owner the identifiers that his
 * folders' lists name (RFC 4314; with "-" those from whom rights are taken), as his
 * mailbox process said last. What exactly is granted is kept and enforced there; here it
 * decides who may knock at all. Kept in an lmdb file of its own, for what is lost is told
 * again when the owner's mailbox is opened.
 */

#include <stddef.h>

#include "authd/directory.h"
#include "common/channel.h"

#define GRANTS_TEXT_MAX 12000 /* of one owner */
#define GRANTS_OWNERS_MAX 100000

void grants_open(const char *path); /* fails with a log line: nothing is kept */
void grants_close(void);
/* The account is gone, or has another name. */
void grants_forget(const char *owner);
void grants_rename(const char *owner, const char *new_owner);

/* All identifiers, a line each; "": none. -1: not such a text, or it cannot be kept. */
int grants_put(const char *owner, const char *text, size_t len);
/* Of the owner's identifiers those that mean this user, his own address first, a line
 * each. 0: none. */
int grants_identify(const char *owner, const struct user *, char *out, size_t cap);
/* Owners who share with him, a line each, as many as fit. */
size_t grants_owners(const struct user *, char *out, size_t cap);

/* A question of mboxd. */
void grants_message(struct channel *, struct msg *);

#endif
