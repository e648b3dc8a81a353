/* SPDX-License-Identifier: ISC */
#ifndef FIFE_HOSTLIST_H
#define FIFE_HOSTLIST_H

/*
 * Lists of hosts as configured: addresses and prefixes with a space between them, as
 * "192.0.2.1 198.51.100.0/24 2001:db8::/32".
 */

#include <stddef.h>

struct sockaddr;

/* One entry that can be part of a list: 1 or 0. A prefix has no bits behind its length.
 */
int hostlist_is_entry(const char *);
/* Is that address in it? IPv4 also in IPv6's clothes; other families never are. */
int hostlist_has(const char *list, const struct sockaddr *);

#endif
