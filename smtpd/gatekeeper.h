/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_GATEKEEPER_H
#define FIFE_SMTPD_GATEKEEPER_H

/*
 * The gate for strangers (gate { } of fife.conf(5)) at work: it counts, waits, asks the
 * DNS, and has gate.c decide at RCPT. A session without anything to check has no
 * struct gatekeeper and costs nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

struct sockaddr;
struct session;
struct gatekeeper;

/* Configuration: staged, then adopted by all sessions that begin from then on. */
void gatekeeper_conf_begin(void);
void gatekeeper_conf(const struct msg_conf_gate *);
void gatekeeper_conf_list(const struct msg_conf_dnslist *);
void gatekeeper_conf_adopt(void);

/* A connection: 0, or -1: its network comes too often. */
int gatekeeper_admit(const struct sockaddr *, enum listener_kind);
/* Once s->peer is known. 1: the greeting has to wait; gatekeeper_holds() until then. */
int gatekeeper_start(struct session *, int implicit_tls);
void gatekeeper_free(struct gatekeeper *);

/* No input may be taken now. */
int gatekeeper_holds(const struct session *);
/* Octets lie there: a client that talks before the greeting is turned away. */
void gatekeeper_input(struct session *);
/* A reply is on its way: is it one error too many? */
void gatekeeper_replied(struct session *, const char *reply, size_t len);
/* Before authd is asked: 1: it answers, or will do so. The address has to live until
 * the answer. */
int gatekeeper_rcpt(struct session *, const char *address);
/* authd has answered, and the client may be in an access list (rcpt_class.allowed): 1:
 * refused here. */
int gatekeeper_rcpt_known(struct session *, int allowed);
/* A recipient has been refused, by whom ever. */
void gatekeeper_refused(struct session *);
/* A message is about to come. */
void gatekeeper_message(struct session *);
/* The message is to be committed: mark it if there is a suspicion. */
void gatekeeper_mark(struct session *);
/* The client's name is known, or never will be. Runs the session, which may be gone
 * afterwards. */
void gatekeeper_name_known(struct session *);
/* Is authd to greylist? */
int gatekeeper_greylists(const struct session *, const char *address);

struct gatekeeper_stats {
	uint64_t rates;   /* connections and messages that came too often */
	uint64_t early;   /* talked before the greeting */
	uint64_t refused; /* recipients, by score or check */
	uint64_t marked;  /* messages */
};
extern struct gatekeeper_stats gatekeeper_stats;

#endif
