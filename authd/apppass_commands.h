/* SPDX-License-Identifier: ISC */
#ifndef FIFE_APPPASS_COMMANDS_H
#define FIFE_APPPASS_COMMANDS_H

/* Commands of fifectl(8) about app passwords; add says the password, once. */

#include "common/ctl.h"

void apppass_cmd_add(struct ctl *, int, char **);
void apppass_cmd_del(struct ctl *, int, char **);
void apppass_cmd_list(struct ctl *, int, char **);

#endif
