/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_SESSION_H
#define FIFE_SMTPD_SESSION_H

/*
 * One client: its connection, its engine, and the questions that are asked for it.
 * Questions are found by id; a session that dies forgets them.
 */

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/channel.h"
#include "common/conn.h"
#include "smtpd/smtp_in.h"

/* What smtpd counts, for the status command. */
struct smtpd_stats {
	uint64_t connections;
	uint64_t refused_connections;
	uint64_t messages;
	uint64_t refused_rcpts;
	uint64_t rejected; /* messages, 5xx */
	uint64_t deferred; /* messages, 4xx */
	uint64_t login_failures;
	uint32_t sessions;
};
extern struct smtpd_stats smtpd_stats;

/* A listener as the session sees it. */
struct session_listener {
	enum listener_kind kind;
	enum listener_tls tls;
	int auth_without_tls;
	int client_certificates;
	char proxy_from[512]; /* common/proto/hostlist.h */
	char xclient_from[512];
	char etrn_from[512];
	char priority_from[512];
	int no_mail; /* 521 and nothing else (RFC 7504) */
};

/* Takes fd. address: the client's, as a proxy says perhaps; key of smtpd/limit.h, given
 * back at the end. */
void session_new(
    int fd, const struct session_listener *, const struct sockaddr *, int counted);
/* authd has ended a login of ours: 421. */
void session_login_ended(uint64_t channel, uint64_t login);
/* 421 to those that are idle; cb when the last one is gone. */
void session_stop_all(void (*cb)(void));

#endif
