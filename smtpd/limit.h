/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_LIMIT_H
#define FIFE_SMTPD_LIMIT_H

/* Connections in all and from one client: an IPv4 address, or an IPv6 /64, since
 * whoever has one address there has all of them. */

#include <stdint.h>

struct sockaddr;

/* 0: counted. -1: over total_max, or over per_client_max (0: no such bound). */
int limit_take(const struct sockaddr *, uint32_t total_max, uint32_t per_client_max);
/* Give back what limit_take() counted. */
void limit_drop(const struct sockaddr *);
int limit_is_loopback(const struct sockaddr *);

#endif
