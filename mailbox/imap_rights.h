/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_RIGHTS_H
#define FIFE_IMAP_RIGHTS_H

/*
 * What a session may do with folders (RFC 4314): the owner's everything, another user's
 * what the folder's list gives him. Every command opens folders by imap_open(); a right
 * counts from the moment at which it is given or taken away.
 */

#include "mailbox/acl.h"
#include "mailbox/imap.h"

#define IMAP_GUEST_PREFIX_MAX 447 /* "Other Users/" and an address */
#define IMAP_GUEST_NAME_MAX (IMAP_GUEST_PREFIX_MAX + 1 + STORE_NAME_MAX)

struct imap_guest {
	char prefix[IMAP_GUEST_PREFIX_MAX + 1]; /* without a "/" at its end */
	char **identifiers;                     /* the first one is his address */
	size_t n;
};

void imap_guest_free(struct imap_guest *);
/* A name as the guest writes it to that of the folder, in place. -1: not in here. */
int imap_guest_strip(const struct imap_guest *, char *name);
/* And back. */
void imap_guest_name(
    const struct imap_guest *, const char *name, char out[IMAP_GUEST_NAME_MAX + 1]);
/* The selected mailbox may not be read any more. */
bool imap_guest_lost(const struct imap *);

/* Bits of enum acl_right. name is the folder's, not the wire's. */
unsigned int imap_rights(const struct imap *, const char *name);
/* On the selected folder. */
unsigned int imap_rights_here(const struct imap *);
/* Are all of these there? STORE_DENIED, or STORE_NOT_FOUND when he may not even know. */
enum store_error imap_may(const struct imap *, const char *name, unsigned int need);
/* The same for making a folder of that name: by the nearest parent that is there. */
enum store_error imap_may_create(struct imap *, const char *name);
/* folder_open() when the rights are there. */
enum store_error imap_open(
    struct imap *, const char *name, unsigned int need, struct folder **);
/* What of these flags may be set or cleared. */
void imap_rights_flags(unsigned int rights, uint8_t *flags, uint64_t *keywords);

#endif
