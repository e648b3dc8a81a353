/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_SYSLOG_H
#define FIFE_LOGD_SYSLOG_H

#include <stdint.h>

#include "common/log.h"

/*
 * Lines also go to the system's log, if it was there when we started: the socket
 * is opened before the sandbox. Best effort: a busy or dead system log costs lines
 * there, never time here.
 */
void syslog_open(void);
void syslog_line(
    enum log_level, int64_t time_us, const char *name, uint32_t pid, const char *text);
/* 1 while the socket is there. */
int syslog_ready(void);
uint64_t syslog_lost(void);

#endif
