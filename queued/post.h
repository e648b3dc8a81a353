/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_POST_H
#define FIFE_QUEUED_POST_H

/*
 * Posts of mailing lists. deliverd-local hands one over with the result of the recipient
 * that is the list, and it enters the queue together with that result, as the messages of
 * scripts do (outlet.c); but it may be large, and is then in a file of its own before.
 */

#include <stdint.h>

#include "queued/job.h"
#include "queued/spool.h"

/*
 * Content of the outlet from fd, which stays the caller's, with CRLF line ends. 0, or -1.
 * It may take a while to be durable: post_waits() of its job says so, and done(job) is
 * called when that is over.
 */
int post_take(
    struct job *, struct job_outlet *, uint64_t size, int fd, void (*done)(struct job *));
int post_waits(const struct job *);
/* It could not be made durable, and never will be. */
int post_failed(const struct job_outlet *);
/* The message that it becomes: id, the recipient (malloc'd) and the rest. 0 or -1. */
int post_make(struct job_outlet *, int64_t now, uint64_t *id, struct spool_message *,
    uint8_t **list);
/* It is in the queue. */
void post_kept(struct job_outlet *);
void post_free(struct job_outlet *);
/* The lowest id of those that are not in the queue yet; UINT64_MAX: none. */
uint64_t post_oldest(void);

/* A member was not reached with that status (RFC 3463): authd counts. */
void post_bounced(
    const char *list, const char *member, const char *enhanced, const char *words);
/* listd orders a mail to an address of a list. */
struct channel;
struct msg;
void post_order(struct channel *, const struct msg *);

#endif
