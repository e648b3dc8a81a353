/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_DELIVER_H
#define FIFE_QUEUED_DELIVER_H

/*
 * Jobs: a message for the recipients of one route, given to deliverd with its content.
 * A local delivery counts only when mboxd has synced after it; what a lost deliverd had
 * in hand goes back at once, without counting as a try.
 */

#include "common/channel.h"
#include "queued/index.h"

int deliver_start(void);
/* No new jobs from now on. */
void deliver_stop(void);
/* A message is durable: make it live. */
void deliver_admit(uint64_t id);
/* Put what is to be delivered of it into the schedule (again). */
void deliver_schedule(struct qmsg *);
/* Take it off the schedule; jobs that run go on. */
void deliver_unschedule(struct qmsg *);
/* Try now. Returns the number of recipients that this concerns. */
uint32_t deliver_hurry(struct qmsg *);
/* A freeze rule has gone: what was kept back waits for its turn. How many messages. */
uint32_t deliver_thaw(void);
/* Tell deliverd that nobody waits for this message's jobs any more. */
void deliver_cancel(uint64_t id);
/* Do what can be done, at the end of this turn of the loop. */
void deliver_wake(void);
void deliver_tick(void);

void deliver_peer_new(struct channel *);
void deliver_peer_lost(struct channel *);
void deliver_message(struct channel *, struct msg *);
uint32_t deliver_jobs(void);
/* "" or why nothing goes out. */
const char *deliver_degraded(void);

/* route.c */
void route_start(void);
void route_pump(void);
/* An item that was popped, whose sender may turn the route: authd is asked, then it
 * starts. 0, or -1: it cannot be asked. */
int route_ask_sender(uint32_t item);
void route_changed(const char *domain);
void route_peer_lost(void);

#endif
