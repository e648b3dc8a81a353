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
#include "common/front/login.h"
#include "common/msg.h"

struct front_protocol {
	enum role role;
	enum service service;
	enum listener_kind kind;
	const char *name;     /* in logs */
	const char *too_many; /* line for a connection beyond the limits */
	const char *stopping; /* line for logged-in clients, "" for none */
	const char *ended;    /* line for one whose login has ended, "" for none */
	bool unauthenticates; /* a session may end so that the client logs in anew */
	const char *idle;     /* line after too long a silence, "" for none */

	/* The machine (login.h) greets at once. NULL: no memory. */
	struct login *(*login_new)(const struct login_facts *);
	void (*login_free)(struct login *);
	/* Returns how many octets were taken: all but when an action is pending. */
	size_t (*login_input)(struct login *, const uint8_t *, size_t);
	void (*login_tls_ready)(struct login *);
	void (*login_result)(struct login *, enum login_status, const uint8_t *data,
	    size_t len, const char *text);
	/* The last reply before the relay, or the refusal. */
	void (*login_opened)(struct login *, bool ok, const char *text);
	/* What the mailbox process gets before all octets of the client; NULL: nothing.
	 * Returns how many. */
	size_t (*login_hello)(struct login *, char out[LOGIN_HELLO_MAX]);
	/* A last line before the close. */
	void (*login_bye)(struct login *, const char *text);
};

#define FRONT_LOGINS_MAX 5 /* failed ones on a connection, then it is closed */

/* The daemon; main() of a front is one line. */
int front_run(const struct front_protocol *);

#endif
