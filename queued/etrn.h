/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_ETRN_H
#define FIFE_QUEUED_ETRN_H

/* ETRN (RFC 1985): a host is there again and wants what waits for a domain. */

#include "common/channel.h"

void etrn_message(struct channel *, struct msg *);
/* Forget what has not been walked through yet. */
void etrn_stop(void);

#endif
