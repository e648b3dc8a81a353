/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CERT_COMMANDS_H
#define FIFE_CERT_COMMANDS_H

/* fifectl user cert: certificates that open an account (external.h). */

#include "common/ctl.h"

#define CERT_NAME_MAX 32

void cert_cmd_add(struct ctl *, int, char **);
void cert_cmd_del(struct ctl *, int, char **);
void cert_cmd_list(struct ctl *, int, char **);

/* Of a stored value: ADDRESS NAME CREATED. 0 or -1. */
int cert_value(const char *text, char *address, size_t cap, char name[CERT_NAME_MAX + 1],
    int64_t *created);

#endif
