/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MBOXD_DIRS_H
#define FIFE_MBOXD_DIRS_H

/*
 * The directories of mailboxes below the mail root (our chroot): DOMAIN/LOCAL,
 * owned by the mailbox's uid. What authd says is checked all the same: a name can
 * never lead out of the two levels, and nothing of another uid is touched.
 * Functions return NULL, or a sentence that says what is wrong.
 */

#include <stddef.h>
#include <stdint.h>

/* Exactly two components, neither empty nor beginning with a dot, no controls. */
int mailbox_name_valid(const char *name);

/* NULL when it is there and belongs to uid. */
const char *mailbox_dir_check(const char *name, uint32_t uid);
const char *mailbox_dir_create(const char *name, uint32_t uid);
const char *mailbox_dir_rename(const char *from, const char *to, uint32_t uid);
/*
 * Moves it out of sight at once, to a name that trash_empty() knows. trash gets
 * that name.
 */
const char *mailbox_dir_discard(const char *name, uint32_t uid, char *trash, size_t cap);
/* Remove everything in a directory that was discarded; slow, run in a child
 * process as the mailbox's uid. */
void trash_empty(const char *trash);
/* The next directory that is still to be emptied (after a restart); 0 at the end. */
int trash_next(char *trash, size_t cap, uint32_t *uid);

#endif
