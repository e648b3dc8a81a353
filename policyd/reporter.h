/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_REPORTER_H
#define FIFE_POLICYD_REPORTER_H

/*
 * Sends what tally.h has counted, day by day, to whoever wants it (RFC 8460): the TXT
 * record of _smtp._tls of the domain is looked up some hours after the end of the day,
 * the report goes by mail through queued, or by HTTPS. What cannot be sent is tried
 * again for a day.
 */

#include <stdint.h>

#include "common/ctl.h"
#include "common/msg.h"

/* In the sandbox: read what was kept. on: as tls-reports says. */
void reporter_open(int on);
void reporter_set(int on);
void reporter_stop(void);
/* What deliverd tells, which is not trusted; strings are of the applied policy. */
void reporter_count(const struct msg_tls_result *);
/* The policy of a domain could not be had: result is one of its kinds. */
void reporter_count_fetch(const char *domain, uint8_t result, const char *why);
uint64_t reporter_sent(void);

/* tlsrpt show [DOMAIN], tlsrpt send [--now] [DOMAIN] */
void reporter_show(struct ctl *, int argc, char **argv);
void reporter_send(struct ctl *, int argc, char **argv);

#endif
