/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_LISTEN_H
#define FIFE_SMTPD_LISTEN_H

/* The listening sockets that fifed gave. */

#include <stddef.h>

#include "common/msg.h"

/* A round of configuration begins: what is added from now on replaces the present
 * listeners at listen_start(). */
void listen_begin(void);
/* Takes fd. */
void listen_add(const struct msg_listener *, int fd);
/* 0, or -1 when a listener cannot be served. */
int listen_start(void);
void listen_stop(void);
size_t listen_count(void);

#endif
