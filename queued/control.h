/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CONTROL_H
#define FIFE_QUEUED_CONTROL_H

#include "common/ctl.h"

/* The commands of fifectl(8) that queued answers. */
extern const struct ctl_command queued_commands[];

#endif
