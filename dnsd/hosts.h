/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_HOSTS_H
#define FIFE_DNSD_HOSTS_H

/*
 * Which hosts take a domain's mail: RFC 5321, 5.1, and the null MX of RFC 7505.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"
#include "common/proto/dnshosts.h"
#include "dnsd/wire.h"

/* The answer; hosts borrows and dies on return. Never from inside hosts_find(). */
typedef void (*hosts_cb)(const struct msg_dns_hosts_are *, void *arg);

/*
 * mx: by MX records, without any by the domain's own addresses; otherwise the
 * addresses of that name alone. sts: with the domain's MTA-STS policy. self: our own
 * name, at which a list ends. 0, or -1: no memory, cb is not called.
 */
int hosts_find(
    const char *domain, int mx, int sts, const char *self, hosts_cb, void *arg);

/*
 * The pure part: MX records to hosts in the order of trial. Equal preferences are
 * shuffled by random(bound), 0 <= r < bound. Returns the number of hosts; *null_mx is
 * set for a null MX, *loop when hosts were cut because this one is among them.
 */
size_t hosts_from_mx(const struct wire_answer *, const char *self,
    uint32_t (*random)(uint32_t), struct dnshost hosts[DNSHOSTS_MAX], int *null_mx,
    int *loop);

#endif
