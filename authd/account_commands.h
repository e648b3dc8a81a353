/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ACCOUNT_COMMANDS_H
#define FIFE_ACCOUNT_COMMANDS_H

/* Commands of fifectl(8) about what accounts and groups are set to, and who is there. */

#include "common/ctl.h"

void user_show(struct ctl *, int, char **);
struct user;

/* One setting of a user: NULL, or what is wrong. */
const char *account_set(struct user *, const char *key, const char *value);
void user_set(struct ctl *, int, char **);
void user_rule_add(struct ctl *, int, char **);
void user_rule_del(struct ctl *, int, char **);
void user_rule_list(struct ctl *, int, char **);
void user_sessions(struct ctl *, int, char **);
void user_kick(struct ctl *, int, char **);
void group_add(struct ctl *, int, char **);
void group_del(struct ctl *, int, char **);
void group_list(struct ctl *, int, char **);
void group_set(struct ctl *, int, char **);
void group_show(struct ctl *, int, char **);

#endif
