/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_LIMIT_H
#define FIFE_SMTPD_LIMIT_H

/*
 * Connections in all, from one client, and from its neighbourhood, of all processes of
 * smtpd together (counts.h). A client is an IPv4 address, or an IPv6 /64, since whoever
 * has one address there has all of them; its neighbourhood is the /24 or the /48.
 */

#include <stdint.h>

struct sockaddr;

struct limits {
	uint32_t total;
	uint32_t per_client;  /* 0: no such bound */
	uint32_t per_network; /* 0: no such bound */
};

/* 0: counted. -1: over one of them, or no memory. */
int limit_take(const struct sockaddr *, const struct limits *);
/* Give back what limit_take() counted. */
void limit_drop(const struct sockaddr *);
/* Is three quarters of the total there already? */
int limit_is_crowded(uint32_t total_max);
int limit_is_loopback(const struct sockaddr *);

#endif
