/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_FREEZE_CONTROL_H
#define FIFE_QUEUED_FREEZE_CONTROL_H

#include "common/ctl.h"

/* The rules of the spool come into force; after it is open. */
void freeze_start(void);
void freeze_stop(void);
/* queue freeze add|del|list */
void queue_freeze(struct ctl *, int argc, char **argv);

#endif
