/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_PROXIED_H
#define FIFE_SMTPD_PROXIED_H

/* Connections of listed proxies that have not said yet whose they are (smtpd/proxy.h). */

#include <sys/socket.h>

#include "smtpd/session.h"

/* Takes fd. client: what the proxy said, or the proxy itself. */
typedef void (*proxied_cb)(
    int fd, const struct session_listener *, const struct sockaddr *client);

/* Takes fd; waits for the header and calls cb, or closes fd. Nothing beyond the header
 * is read: what follows may be TLS. */
void proxied_wait(
    int fd, const struct session_listener *, const struct sockaddr *proxy, proxied_cb);
/* Close all of them. */
void proxied_stop(void);

#endif
