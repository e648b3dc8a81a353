/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_COMMANDS_H
#define FIFE_DNSD_COMMANDS_H

#include "common/ctl.h"

/* fifectl resolver and status. */
extern const struct ctl_command dnsd_commands[];

#endif
