/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FRONT_H
#define FIFE_FRONT_H

/*
 * What the fronts of mailboxes (imapd, pop3d) have in common: listeners, TLS, limits,
 * the login through authd, and then the relay of octets between the client and the
 * mailbox process. The protocol before the login is a machine without I/O of the
 * daemon's own, driven through struct front_protocol.
 *
 *	LOGIN -> ASKING (authd) -> [DELAY] -> LOGIN
 *	              \-> OPENING (mboxd's socket) -> RELAY -> end
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/daemon.h"
#include "common/msg.h"

struct evbuffer;

/* What a login machine must know of its connection. */
struct login_facts {
	const char *hostname;
	bool tls;
	bool starttls;    /* may be offered: there is a certificate and no TLS yet */
	bool plain_auth;  /* passwords are accepted without TLS */
	bool certificate; /* the client has shown one: EXTERNAL may be offered */
};

enum login_action {
	LOGIN_NONE,     /* needs more input, or waits for an answer */
	LOGIN_STARTTLS, /* what was written goes out, then TLS begins */
	LOGIN_SASL,     /* ask authd: struct login_sasl; login_result() answers */
	LOGIN_ABORT,    /* the exchange with authd is given up */
	LOGIN_CLOSE,    /* after what was written */
};

struct login_sasl {
	const char *mechanism;
	const uint8_t *data; /* the machine's, until it is given the result */
	size_t len;
	uint8_t first; /* as in struct msg_sasl: 2 is an empty initial response */
};

enum login_status {
	LOGIN_OK, /* the user is known; now the mailbox is opened, login_opened() follows
		   */
	LOGIN_CONTINUE, /* data is the next challenge */
	LOGIN_DENIED,
	LOGIN_TEMP,
};

struct front_protocol {
	enum role role;
	enum service service;
	enum listener_kind kind;
	const char *name;     /* in logs */
	const char *too_many; /* line for a connection beyond the limits */
	const char *stopping; /* line for logged-in clients, "" for none */
	const char *ended;    /* line for one whose login has ended, "" for none */
	const char *idle;     /* line after too long a silence, "" for none */

	/* The machine greets at once. NULL: no memory. */
	void *(*login_new)(const struct login_facts *);
	void (*login_free)(void *);
	/* Returns how many octets were taken: all but when an action is pending. */
	size_t (*login_input)(void *, const uint8_t *, size_t);
	/* Takes the pending action. */
	enum login_action (*login_action)(void *, struct login_sasl *);
	struct evbuffer *(*login_output)(void *);
	/* The client has shown a certificate; before login_tls_ready(). */
	void (*login_certificate)(void *);
	void (*login_tls_ready)(void *);
	void (*login_result)(
	    void *, enum login_status, const uint8_t *data, size_t len, const char *text);
	/* The last reply before the relay, or the refusal. */
	void (*login_opened)(void *, bool ok, const char *text);
	/* A last line before the close. */
	void (*login_bye)(void *, const char *text);
};

#define FRONT_LOGINS_MAX 5 /* failed ones on a connection, then it is closed */

/* The daemon; main() of a front is one line. */
int front_run(const struct front_protocol *);

#endif
