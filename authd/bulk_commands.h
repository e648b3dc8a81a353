/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTHD_BULK_COMMANDS_H
#define FIFE_AUTHD_BULK_COMMANDS_H

/* fifectl user set for many accounts: of a domain, of a group, or by a pattern. */

#include "common/ctl.h"

/* "@DOMAIN", "group:NAME", or with * or ? in it: not one address. */
int bulk_is_pattern(const char *word);
void bulk_user_set(struct ctl *, int argc, char **argv);
/* Other limits hold for the members of that group. */
void bulk_group_changed(const char *name);

#endif
