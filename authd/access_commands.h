/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ACCESS_COMMANDS_H
#define FIFE_ACCESS_COMMANDS_H

/* Commands of fifectl(8) about access lists and bans. */

#include "common/ctl.h"

void access_list(struct ctl *, int, char **);
void access_allow_list(struct ctl *, int, char **);
void access_deny_list(struct ctl *, int, char **);
void access_ban_list(struct ctl *, int, char **);
void access_allow_add(struct ctl *, int, char **);
void access_deny_add(struct ctl *, int, char **);
void access_allow_del(struct ctl *, int, char **);
void access_deny_del(struct ctl *, int, char **);
void access_ban_del(struct ctl *, int, char **);
void access_junk_list(struct ctl *, int, char **);
void access_junk_add(struct ctl *, int, char **);
void access_junk_del(struct ctl *, int, char **);

#endif
