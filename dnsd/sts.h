/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_STS_H
#define FIFE_DNSD_STS_H

/*
 * The MTA-STS policy of a domain (RFC 8461): the id of its TXT record is looked up
 * here, policyd has or fetches the policy itself. Where policyd is away or the
 * policy cannot be had, there is none (5: mail goes on as without).
 */

#include "common/msg.h"

struct sts_find;

/* What it says dies on return. Never from inside sts_find(). */
typedef void (*sts_cb)(const struct msg_sts_policy *, void *arg);

/* NULL: no memory, cb is not called. */
struct sts_find *sts_find(const char *domain, sts_cb, void *arg);
/* NULL is fine. */
void sts_cancel(struct sts_find *);

/*
 * The id of a TXT record "v=STSv1; id=...;" (3.1). 0, or -1 when it is none.
 */
int sts_record_id(const uint8_t *txt, size_t len, char id[33]);

#endif
