/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DOVECOT_UIDLIST_H
#define FIFE_DOVECOT_UIDLIST_H

/*
 * Dovecot's file dovecot-uidlist in a folder of a Maildir: which file is which UID.
 *	1 UIDVALIDITY UIDNEXT			then	UID FILENAME
 *	3 VUIDVALIDITY NUIDNEXT ...		then	UID [P<UIDL>] ... :FILENAME
 * The file is the user's to write: nothing of it is taken on trust. No I/O.
 */

#include <stddef.h>
#include <stdint.h>

#define DOVECOT_UIDLIST_MAX (256u * 1024 * 1024)
#define DOVECOT_ENTRIES_MAX 2000000
#define DOVECOT_UID_MAX 4000000000u /* room is left for messages that come later */

struct dovecot_entry {
	uint32_t uid;
	const char *name; /* up to the flags, in text */
	const char *uidl; /* that POP3 showed; NULL: what it makes by default */
};

struct dovecot_uidlist {
	uint32_t uidvalidity, uidnext;
	struct dovecot_entry *v; /* by UID, each there once */
	size_t n;
	uint32_t *by_name; /* indexes of v */
	char *text;
};

/*
 * Takes text, which malloc() made, of len octets and room for one more. -1: it is no
 * uidlist, or there is no memory; *u is empty then. Lines that are none are
 * passed over.
 */
int dovecot_uidlist_parse(struct dovecot_uidlist *, char *text, size_t len);
void dovecot_uidlist_clear(struct dovecot_uidlist *);
/* Of a file's name, with or without flags; NULL: it is not there. */
const struct dovecot_entry *dovecot_uidlist_find(
    const struct dovecot_uidlist *, const char *file);

/* The identifier that Dovecot's POP3 shows by default. */
#define DOVECOT_UIDL_SIZE 17
void dovecot_uidl(uint32_t uidvalidity, uint32_t uid, char out[DOVECOT_UIDL_SIZE]);

/* A line of the file "subscriptions", of the second form when it has begun so: the
 * folder's name in the form of directories, "a.b". In place; NULL: none. */
char *dovecot_subscription(char *line, int second_form);

#endif
