/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CHANGE_H
#define FIFE_QUEUED_CHANGE_H

/* What fifectl(8) changes in the queue: each of them of the messages that are meant. */

#include "common/ctl.h"

void queue_retry(struct ctl *, int argc, char **argv);
void queue_hold(struct ctl *, int argc, char **argv);
void queue_release(struct ctl *, int argc, char **argv);
void queue_remove(struct ctl *, int argc, char **argv);
void queue_bounce(struct ctl *, int argc, char **argv);
void queue_set(struct ctl *, int argc, char **argv);

#endif
