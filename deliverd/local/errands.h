/* SPDX-License-Identifier: ISC */
#ifndef FIFE_ERRANDS_H
#define FIFE_ERRANDS_H

/* Deliveries to programs of the site, through execd. */

#include "common/channel.h"
#include "deliverd/local/outcome.h"

struct errand;
typedef void (*errand_done)(const struct outcome *, void *arg);

/*
 * Have it run; fd is taken, the rest is not needed afterwards. done exactly once, never
 * from inside. NULL: it cannot be asked for now.
 */
struct errand *errand_run(
    struct channel *execd, const struct msg_exec_run *, int fd, errand_done, void *arg);
/* Who asked is gone; the program runs all the same. */
void errand_cancel(struct errand *);

#endif
