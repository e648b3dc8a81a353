/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_UIDL_H
#define FIFE_MAILBOX_UIDL_H

/*
 * The file fife-uidl in a folder's directory: unique identifiers of POP3 that messages
 * had on the server they were imported from. Lines:
 *	uidvalidity 1732475268		of the folder; with another the file counts for
 *					nothing
 *	17 0000001167a4b2c3		UID, identifier
 * in order of UIDs. Messages that are not there have those that pop3_maildrop.c makes.
 */

#include <stddef.h>
#include <stdint.h>

#include "mailbox/store.h"

#define UIDL_MAX 70 /* octets (RFC 1939, 7) */
#define UIDL_ENTRIES_MAX 4000000
#define UIDL_FILE_MAX (256u * 1024 * 1024)

struct uidl_entry {
	uint32_t uid;
	uint32_t at; /* in text */
};
struct uidl {
	struct uidl_entry *v; /* in order of uid */
	size_t n, cap;
	char *text; /* identifiers, each with its NUL */
	size_t text_len, text_cap;
};

void uidl_clear(struct uidl *);
/* Is it one that POP3 can show? */
int uidl_valid(const char *, size_t len);
/* UIDs ascending. -1: no memory, too many, not ascending or not valid. */
int uidl_add(struct uidl *, uint32_t uid, const char *, size_t len);
/* NULL: none is kept. */
const char *uidl_find(const struct uidl *, uint32_t uid);
/* Of an open folder, into a cleared one. -1: it cannot be read; *u is empty then. A
 * line that is none ends it. */
int uidl_load(struct folder *, struct uidl *);
/* Of the file's octets; for tests. */
void uidl_parse(const char *, size_t len, uint32_t uidvalidity, struct uidl *);
/* Durable before it returns; an empty one removes the file. */
enum store_error uidl_save(struct folder *, const struct uidl *);

#endif
