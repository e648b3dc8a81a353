/* SPDX-License-Identifier: ISC */
#ifndef FIFE_USER_COMMANDS_H
#define FIFE_USER_COMMANDS_H

/* Commands of fifectl(8) about users: they hash passwords and move mailboxes. */

#include <stddef.h>

#include "common/ctl.h"

void user_add(struct ctl *, int, char **);
void user_del(struct ctl *, int, char **);
void user_passwd(struct ctl *, int, char **);
void user_rename(struct ctl *, int, char **);

/* The key of an address with a domain; -1 after ctl_done() with what is wrong. */
int address_key(struct ctl *, const char *word, char *key, size_t cap);

/* The user of that address; -1 as above. */
struct user;
int user_arg(struct ctl *, const char *word, struct user *);
/* From the password that came with the command; ends it. */
void user_rehash(struct ctl *, const struct user *, int scram);

#endif
