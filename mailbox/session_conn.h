/* SPDX-License-Identifier: ISC */
#ifndef FIFE_MAILBOX_SESSION_CONN_H
#define FIFE_MAILBOX_SESSION_CONN_H

/*
 * The glue between a session's socket and its machine (imap.h, pop3.h): octets both ways
 * with back-pressure. Long commands are brought forward by an event of their own, so
 * that all sessions of the mailbox get their turn.
 */

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct event_base;
struct session_conn;

/* Of one session, until others have their turn: many commands can come at once. */
#define SESSION_TURN_MS 20

/* What the glue wants of a machine; the functions are those of imap.h. */
struct session_machine {
	/* Several commands only if each is quick: time is looked at between calls. */
	size_t (*input)(void *, const uint8_t *, size_t);
	int (*run)(void *, size_t unsent);
	int (*idle)(void *);
	struct evbuffer *(*output)(void *);
	int (*ended)(void *);
	void (*free)(void *);
	/* It has ended, and the front goes on with the client (conn_send_mark()); input
	 * that was not taken goes back. May be NULL. */
	int (*hands_back)(void *);
	size_t high_water; /* unsent octets above which it is not run */
};

LIST_HEAD(session_conns, session_conn);

/*
 * Take fd, and on success the machine m too, which is freed by its free() when the
 * session is over; then ended(arg) is called, never from inside of here. The session
 * stands in the list meanwhile. NULL: no memory; fd is closed, m is still the caller's.
 */
struct session_conn *session_conn_start(struct event_base *, int fd,
    struct session_conns *, const struct session_machine *, void *m,
    void (*ended)(void *), void *arg);
/* Bring the machine forward; the session may be gone afterwards. */
void session_conn_forward(struct session_conn *);
/* The same soon, by an event. */
void session_conn_wake(struct session_conn *);
/* The machine, as given. */
void *session_conn_machine(struct session_conn *);
/* Nothing is under way either way, and nothing is put off. */
int session_conn_quiet(const struct session_conn *);
/* Of a quiet one: its descriptor, and the session here is over. -1: not now. */
int session_conn_detach(struct session_conn *);
/* Send what the machine has said, and end the session. */
void session_conn_finish(struct session_conn *);

#endif
