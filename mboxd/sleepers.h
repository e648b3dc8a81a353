/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SLEEPERS_H
#define FIFE_SLEEPERS_H

/*
 * Sessions that wait without a process. A mailbox process gives its sessions back when
 * all of them have nothing to do: the socket of each, and octets that mean something to
 * a process of that mailbox only. Nothing is read from the sockets here; that there is
 * something to read, or news in the mailbox, wakes them: the next process of that mailbox
 * gets them before anything else.
 */

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct msg;
struct msg_mbox_limits;

/* What a process of the mailbox is started with. */
struct sleeper_cell {
	char mailbox[512];
	uint32_t uid;
	uint64_t quota;
	uint64_t quota_messages;
	uint8_t quota_hard;
};

/*
 * wake: a process is wanted for that mailbox. -1: not now; it is asked again with
 * sleepers_retry().
 */
void sleepers_start(struct event_base *, int (*wake)(const struct sleeper_cell *));
/* MAILBOX_MBOXD_REST of that mailbox's process. -1: there is no room; m keeps its
 * descriptor. */
int sleepers_take(const struct sleeper_cell *, struct msg *m);
/* Hands them all on: give() takes fd, -1 from it ends the session. */
void sleepers_give(const char *mailbox,
    int (*give)(int fd, const uint8_t *state, size_t len, void *arg), void *arg);
/* Their process is to be started with these. */
void sleepers_limits(const struct msg_mbox_limits *);
/* Ends them. */
void sleepers_drop(const char *mailbox);
void sleepers_retry(void);

size_t sleepers_sessions(void);
/* i-th mailbox with how many sessions; 0 at the end. */
int sleepers_at(size_t i, const struct sleeper_cell **, size_t *sessions);

#endif
