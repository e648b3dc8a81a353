/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_GATE_H
#define FIFE_SMTPD_GATE_H

/*
 * What is thought of a stranger: facts in, a decision with its sentence out. Pure;
 * gatekeeper.c gathers the facts.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

enum gate_reverse {
	GATE_REVERSE_UNKNOWN, /* not known (yet), or the DNS is in trouble */
	GATE_REVERSE_NONE,
	GATE_REVERSE_UNCONFIRMED, /* the name does not have the address */
	GATE_REVERSE_CONFIRMED
};

/* A list on which the client is. */
struct gate_hit {
	const struct msg_conf_dnslist *list;
	const char *text; /* what the list says, may be "" */
};

struct gate_facts {
	const char *hostname; /* ours */
	const char *helo;
	const char *client; /* printed */
	const uint8_t *ip;
	size_t ip_len; /* 4 or 16 */
	enum gate_reverse reverse;
	const struct gate_hit *hits;
	size_t n_hits;
};

enum gate_verdict {
	GATE_PASS,
	GATE_JUNK,
	GATE_REFUSE
};

struct gate_decision {
	enum gate_verdict verdict;
	int32_t score;
	/* "listed by zen.example.net (5); no name in the DNS (2)"; "" when nothing speaks
	 * against it. */
	char why[400];
	char reply[700]; /* GATE_REFUSE: the sentence behind 554 5.7.1 */
};

void gate_decide(
    const struct msg_conf_gate *, const struct gate_facts *, struct gate_decision *);
/* postmaster and abuse hear everybody (RFC 5321, 4.5.1; RFC 2142). */
int gate_is_open_for(const char *rcpt);

#endif
