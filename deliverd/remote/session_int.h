/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DELIVERD_SESSION_INT_H
#define FIFE_DELIVERD_SESSION_INT_H

/* Shared by session.c and login.c. */

#include "common/proto/recode.h"
#include "deliverd/remote/remote.h"

struct login;

struct session {
	TAILQ_ENTRY(session) entry;
	TAILQ_ENTRY(session) idle; /* while it has no job */
	struct conn *conn;
	struct smtp_out *engine;
	struct job *job;
	char key[ROUTE_MAX + 270]; /* of those jobs that may share it */
	char mta[256];             /* "mx.example.net [192.0.2.1]" */
	char helo[256];
	struct dnshost host;
	struct dnsaddr addr;
	struct tlspolicy policy;
	struct login *login;    /* while it goes on */
	struct recode *convert; /* while content of a message is made 7-bit */
	bool connected;
	bool handshake;
	bool implicit; /* TLS from the start */
	bool defer_downgrade;
	bool downgrade_told;
	bool reported; /* how its TLS went */
	bool reused;
	bool feeding;
	uint64_t offset; /* of prefix and content */
	uint64_t replies;
	unsigned int messages, messages_max;
};

/* Do what the engine wishes; the session may be gone after it. */
void session_run(struct session *);
/* The session ends, the job looks for another host. */
void session_failed(struct session *, enum job_status, const char *enhanced,
    const char *reply, const char *text);

#endif
