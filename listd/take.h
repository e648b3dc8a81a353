/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_TAKE_H
#define FIFE_LISTD_TAKE_H

/*
 * A message that deliverd-local hands over, for one of a list's addresses, to what it
 * answers. A delivery may come again after an interruption: what is done here is the same
 * then, and what is sent counts only with the answer.
 */

#include <stdint.h>

#include "common/channel.h"

#define TAKES_MAX 256 /* at work at once; more have to wait in the queue */

struct take_stats {
	uint32_t running;
	uint64_t posted, held, rejected, dropped, commands, bounces;
};
extern struct take_stats take_stats;

/* MSG_LDELIVER_LISTD_TAKE. */
void take_start(struct channel *, struct msg *);

#endif
