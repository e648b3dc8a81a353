/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOXES_H
#define FIFE_MAILBOXES_H

/*
 * Sessions with mailbox processes, one a mailbox, and the deliveries that go through
 * them. A session is asked of authd, and its socket comes from mboxd; it stays for
 * a while without deliveries, and there is a bound on sessions, at which the one idle
 * longest makes room. So it does where openings take long: mboxd has a bound of its own
 * on processes, and a process with a session cannot go.
 */

#include <event2/event.h>

#include "common/channel.h"
#include "deliverd/local/outcome.h"

#define MAILBOXES_SESSIONS_MAX 2048
#define MAILBOXES_IN_FLIGHT_MAX 16 /* deliveries that one mailbox has before it */

/* Neighbours by role; daemon_peer(), or a test's. */
typedef struct channel *(*mailboxes_peer)(enum role);

/* 0, or -1: no memory. */
int mailboxes_init(struct event_base *, uint32_t instance, mailboxes_peer);
/* Sessions end, deliveries are forgotten without a word. */
void mailboxes_clear(void);

struct parcel;
/*
 * When it is the turn of a delivery: fill d (all zero; its prefix borrows what must
 * live until return) and return the descriptor of the content, which is taken. -1: it
 * cannot be delivered now.
 */
typedef int (*mailboxes_fill)(struct msg_deliver *d, void *arg);
typedef void (*mailboxes_done)(const struct outcome *, void *arg);
/* Before done: something to send, as a script wants it; its descriptor may be taken. */
typedef void (*mailboxes_outlet)(struct msg *, void *arg);

/*
 * Deliver into that mailbox: fill once the session is there, then done, exactly once,
 * never from inside. NULL: no memory.
 */
struct parcel *mailboxes_deliver(const char *mailbox, mailboxes_fill fill,
    mailboxes_outlet outlet, mailboxes_done done, void *arg);
/*
 * Ask the mailbox about its scripts; fd (or -1) is taken. answer gets each row and the
 * last message, and may take its descriptor; then done, as above.
 */
typedef void (*mailboxes_answer)(struct msg *, void *arg);
struct parcel *mailboxes_script(const char *mailbox, const struct msg_script *, int fd,
    mailboxes_answer answer, mailboxes_done done, void *arg);
/* Who asked is gone. What the mailbox has already got it may well deliver. */
void mailboxes_cancel(struct parcel *);

/* MSG_MBOXD_FRONT_SESSION. */
void mailboxes_session(struct msg *);

struct mailboxes_stats {
	size_t sessions; /* open or being opened */
	size_t idle;
	size_t waiting; /* deliveries that the mailbox has not got */
	size_t in_flight;
	uint64_t opened; /* sessions since the start */
	uint64_t lost;   /* of these, ended by the other side or without an answer */
};
void mailboxes_get_stats(struct mailboxes_stats *);
/* Milliseconds after which idle sessions end and openings are given up; for tests. */
void mailboxes_set_times(uint32_t idle_ms, uint32_t open_ms);
void mailboxes_set_sessions_max(size_t); /* for tests too */

#endif
