/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_QUEUED_H
#define FIFE_QUEUED_QUEUED_H

#include "common/daemon.h"

extern const struct daemon queued_daemon;

#endif
