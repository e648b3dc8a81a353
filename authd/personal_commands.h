/* SPDX-License-Identifier: ISC */
#ifndef FIFE_PERSONAL_COMMANDS_H
#define FIFE_PERSONAL_COMMANDS_H

/* The commands of access_commands.h with --user: about a user's own list. */

#include "authd/access.h"
#include "common/ctl.h"

/* Takes "--user USER" (or --user=USER) out of the words. *user NULL: not there. -1 after
 * ctl_done(). */
int personal_user_word(struct ctl *, int *argc, char **argv, char **user);
/* only ACCESS_NONE: all kinds. */
void personal_cmd_list(struct ctl *, const char *user, enum access_kind only);
void personal_cmd_add(struct ctl *, const char *user, enum access_kind,
    const char *subject, const char *reason);
void personal_cmd_del(
    struct ctl *, const char *user, enum access_kind, const char *subject);

#endif
