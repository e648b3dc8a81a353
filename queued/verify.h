/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_VERIFY_H
#define FIFE_QUEUED_VERIFY_H

#include "common/ctl.h"

/* queue verify [--repair], of the running daemon. */
void queue_verify(struct ctl *, int argc, char **argv);
/*
 * The same of a spool that nobody uses: queued verify SPOOL [--repair]. Runs as the owner
 * of the directory, never as root. An exit status of fifectl(8).
 */
int verify_main(int argc, char **argv);

#endif
