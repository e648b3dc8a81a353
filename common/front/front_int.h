/* SPDX-License-Identifier: ISC */
#ifndef FIFE_FRONT_INT_H
#define FIFE_FRONT_INT_H

/* Between front.c (the daemon) and front_session.c (its connections). */

#include <sys/socket.h>

#include "common/front/front.h"
#include "common/front/limit.h"

struct tls_certs;

struct front {
	const struct front_protocol *proto;
	struct msg_conf_front conf;
	struct tls_certs *certs; /* may have no certificate */
	struct limit *limit;
};
extern struct front front;

struct front_counts {
	uint64_t connections, logged_in, logins, failed, refused;
};

/* Takes fd. */
void front_session_new(int fd, const struct sockaddr *, const struct msg_listener *);
/* A socket of a mailbox, or the news that there is none. */
void front_session_opened(struct msg *);
/* authd has ended a login: the session goes with it. */
void front_session_login_ended(uint64_t login);
/* mboxd is gone: nobody opens what is being waited for. */
void front_sessions_unavailable(void);
void front_sessions_stop(void);
struct front_counts front_counts(void);

#endif
