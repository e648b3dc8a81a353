/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RELAY_H
#define FIFE_RELAY_H

/*
 * Octets both ways between two connections, unseen and unchanged: reading of one side
 * rests while the other's unsent output is above RELAY_HIGH_WATER. The end of one side
 * ends the other, after what was under way has been sent.
 */

#include <stdint.h>

#include "common/conn.h"

#define RELAY_HIGH_WATER (256 * 1024)

struct relay;

enum relay_end {
	RELAY_CLIENT,  /* the client went away */
	RELAY_MAILBOX, /* the mailbox side ended, as after LOGOUT */
	RELAY_BACK,    /* relay_expect_back() */
	RELAY_IDLE,    /* nothing came from the client for idle_ms */
};

/*
 * Takes both connections. ended is called once, from the loop; the relay is gone after
 * it. idle_text goes to the client before an end by silence, when it stands at the
 * beginning of a line. -1: no memory, both are freed.
 */
struct relay *relay_new(struct conn *client, struct conn *mailbox, uint32_t idle_ms,
    const char *idle_text, void (*ended)(enum relay_end, void *), void *arg);
/* The mailbox side may give the connection back by a mark (conn.h): then the client's
 * connection is the owner's again, with the input that the mailbox sent back before its
 * own. Whoever sends it must log in anew, so that it need not be trusted. */
void relay_expect_back(struct relay *);
/* The client had closed its sending half before relay_new(). */
void relay_client_eof(struct relay *);
/* Ends it with a last word for the client; ended is not called. NULL is fine. */
void relay_stop(struct relay *, const char *text);
uint64_t relay_octets_in(const struct relay *);
uint64_t relay_octets_out(const struct relay *);

#endif
