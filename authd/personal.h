/* SPDX-License-Identifier: ISC */
#ifndef FIFE_PERSONAL_H
#define FIFE_PERSONAL_H

/*
 * A user's own list of whom mail is taken from: allowed, denied, or put into the junk
 * folder. It is one text in the directory, a line an entry: "KIND SUBJECT REASON",
 * with a subject in the canonical form of access_subject(). A subject is there once.
 * Pure functions on that text, and the commands in personal_commands.c.
 */

#include <stddef.h>

#include "authd/access.h"

#define PERSONAL_ENTRIES_MAX 500
#define PERSONAL_TEXT_MAX 32000
#define PERSONAL_REASON_MAX 100

/* The line at *text, which moves on to the next. 0, or -1 at the end; a line that is no
 * entry is passed over. */
int personal_next(const char **text, enum access_kind *, char *subject, size_t cap,
    char *reason, size_t reason_cap);
/* Enter it, in place of what was there for the subject. text has PERSONAL_TEXT_MAX + 1
 * octets. DIR_OK; DIR_FULL; DIR_BAD: the reason is too long, or no text. */
enum dir_status personal_put(
    char *text, enum access_kind, const char *subject, const char *reason);
/* DIR_OK or DIR_NONE. */
enum dir_status personal_del(char *text, enum access_kind, const char *subject);
/*
 * What counts for a message: of the entries for the client the narrowest, else of those
 * for the sender the narrowest. client and sender may be "". *subject gets the entry.
 */
enum access_kind personal_match(
    const char *text, const char *client, const char *sender, char *subject, size_t cap);

#endif
