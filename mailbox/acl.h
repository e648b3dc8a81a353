/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_ACL_H
#define FIFE_MAILBOX_ACL_H

/*
 * Access control lists (RFC 4314): who else may do what with a folder. The owner may do
 * everything and stands in no list. Identifiers are addresses as address_fold_key() makes
 * them, "$group", "anyone" and "authenticated", each also with "-" before it for rights
 * that are taken away. On disk, in a folder's fife-acl: lines of rights, a space and the
 * identifier.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto/address.h"

/* In the order of RFC 4314, 2.1. */
enum acl_right {
	ACL_LOOKUP = 0x001,  /* l */
	ACL_READ = 0x002,    /* r */
	ACL_SEEN = 0x004,    /* s */
	ACL_WRITE = 0x008,   /* w: flags but \Seen and \Deleted */
	ACL_INSERT = 0x010,  /* i */
	ACL_POST = 0x020,    /* p: by mail to its address */
	ACL_CREATE = 0x040,  /* k: folders below */
	ACL_REMOVE = 0x080,  /* x: the folder */
	ACL_DELETED = 0x100, /* t: \Deleted */
	ACL_EXPUNGE = 0x200, /* e */
	ACL_ADMIN = 0x400,   /* a */
};
#define ACL_ALL 0x7ffu
/* One of them lets a user see that the folder is there (RFC 4314, 4: MYRIGHTS). */
#define ACL_KNOWN \
	(ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_CREATE | ACL_REMOVE | ACL_ADMIN)

#define ACL_IDENTIFIER_MAX (ADDRESS_MAX + 1)
#define ACL_RIGHTS_SIZE 16 /* printed, with c, d and NUL */
#define ACL_ENTRIES_MAX 200
#define ACL_BYTES_MAX 65536 /* of a file */

struct acl_entry {
	char *identifier;
	unsigned int rights; /* enum acl_right; never 0 */
};

struct acl {
	struct acl_entry *v; /* in order of identifiers */
	size_t n;
};

void acl_clear(struct acl *);
/* rights 0: it is removed. 0; -1: too many, or no memory, nothing changed. */
int acl_set(struct acl *, const char *identifier, unsigned int rights);
unsigned int acl_get(const struct acl *, const char *identifier);
int acl_copy(const struct acl *from, struct acl *to); /* to was empty */
/* What somebody may do who is known by all of these identifiers, and as anyone. */
unsigned int acl_rights(const struct acl *, char *const *identifiers, size_t n);

/* "lrs", with c and d as RFC 4314, 2.1.1 has them: c is k and x, d is e and t. -1: an
 * unknown one. */
int acl_rights_parse(const char *, size_t, unsigned int *rights);
/* The same of an answer, where c and d say nothing of their own. */
int acl_rights_told(const char *, size_t, unsigned int *rights);
/* virtual_too: with c and d. */
void acl_rights_print(unsigned int rights, bool virtual_too, char out[ACL_RIGHTS_SIZE]);
/*
 * What a client wrote, in its canonical form. domain: of the owner, for names without
 * one. -1: no identifier.
 */
int acl_identifier(const char *, size_t, const char *domain, char *out, size_t cap);

/* A file's octets; malloc'd, *len of them. NULL: no memory. */
char *acl_print(const struct acl *, size_t *len);
/* And back. Lines that say nothing are passed over. -1: no memory. */
int acl_parse(const char *, size_t, struct acl *);

#endif
