/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SESSION_H
#define FIFE_MAILBOX_SESSION_H

/*
 * Sessions of the mailbox process (mailbox/main.c): what a socket that mboxd
 * passed becomes, by its purpose. A front relays the bytes of a client that has
 * logged in; the session speaks IMAP from the authenticated state on
 * (imap_session.c), POP3 in the TRANSACTION state (pop3_session.c), or the
 * catalogue's delivery messages (deliver.c).
 */

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct msg_mbox_label;
struct store;

/*
 * Take fd. The store is borrowed and outlives the session; that of an IMAP session is
 * opened by a command that needs it: open() gives it, or NULL. The label (address,
 * client) is not kept. ended(arg) is called once when the session is over, never
 * from inside the start. -1: cannot be served; fd is closed and ended() is
 * not called.
 */
int imap_session_start(struct event_base *, int fd, struct store *(*open)(void),
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);
int pop3_session_start(struct event_base *, int fd, struct store *,
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);
int sieve_session_start(struct event_base *, int fd, struct store *,
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);
int deliver_session_start(struct event_base *, int fd, struct store *,
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);

/*
 * Sessions that wait and need no process meanwhile. rest: all of them have been quiet for
 * that many ms, and there are no more than those n sessions; what other programs did is
 * looked for before. away() takes each of them: its socket, and octets for
 * imap_session_wake(); of the last call octets is NULL, and fd tells by being readable
 * that there is news, or is -1. Returns 0 when they are gone, -1 when one of them has to
 * go on, and nothing was done.
 */
int imap_sessions_rest(
    size_t n, uint64_t ms, void (*away)(int fd, const uint8_t *octets, size_t len));
int imap_session_wake(struct event_base *, int fd, struct store *(*open)(void),
    const uint8_t *octets, size_t len, void (*ended)(void *), void *arg);

/* Questions of others about URLs into this mailbox (mailbox/url_asks.c). */
int url_session_start(struct event_base *, int fd, struct store *,
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);

/* Root's commands on the mailbox, from mboxd (mailbox/admin.c). */
int admin_session_start(struct event_base *, int fd, struct store *,
    const struct msg_mbox_label *, void (*ended)(void *), void *arg);

/* End all of them now, saying so to the client where the protocol can. */
void imap_sessions_stop(void);
void pop3_sessions_stop(void);
void sieve_sessions_stop(void);
void channel_sessions_stop(void); /* of deliver, url and admin */

/*
 * The life of a mailbox process, called by mboxd in the forked child: enters the
 * sandbox with root as its root directory and serves until mboxd says exit.
 */
struct mailbox_start {
	int mboxd_fd;     /* channel to mboxd */
	const char *root; /* directory of the mailbox */
	const char *name; /* of the mailbox, for log lines */
	const char *hostname;
	unsigned int uid;
	unsigned int linger_s;
	unsigned int sleep_s;     /* 0: sessions that wait keep the process */
	unsigned long long quota; /* octets, 0: none */
	unsigned long long quota_messages;
	int quota_hard;             /* beyond it waiting is no use */
	unsigned int message_limit; /* of IMAP (RFC 9738), as save_limit; 0: none */
	unsigned int save_limit;
	const char *other_users; /* what their folders' names begin with; "": nothing */
	int debug;
};
/* This host's name, for what scripts send. */
const char *session_hostname(void);
/* Is waiting of no use when the mailbox is full? */
int session_quota_hard(void);
/* What IMAP limits now. */
void session_limits(uint32_t *message, uint32_t *save);
void mailbox_main(const struct mailbox_start *) __attribute__((noreturn));

#endif
