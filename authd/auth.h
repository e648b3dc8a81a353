/* SPDX-License-Identifier: ISC */
#ifndef FIFE_AUTH_H
#define FIFE_AUTH_H

/* What authd's own modules share. */

#include "authd/resolve.h"
#include "common/ctl.h"

struct auth {
	struct directory *directory;
	struct resolver resolver;
	uint32_t iterations;
	char default_domain[256];
	int trust_loopback;
	uint64_t pop3_delay_ms; /* LOGIN-DELAY; 0: none */
	uint8_t secret[32];     /* directory_secret() */
	struct limits limits;   /* fife.conf's */
	int quota_hard;         /* waiting for room is no use */
	int quotaset;           /* administrators may set limits over IMAP */
	struct msg_conf_watch watch;
	struct x509_store_st *client_ca; /* NULL: certificates by fingerprint only */
};

extern struct auth auth;
extern const struct ctl_command auth_commands[];

/* The directory changed: queued forgets what it knows of routes and domains. */
void auth_changed(const char *domain);
/*
 * Ask mboxd to open a session on a mailbox for a front or deliverd-local. cb as
 * with channel_ask(). -1: there is no mboxd.
 */
int auth_open_mailbox(struct channel *for_whom, enum mbox_purpose, uint64_t token,
    const struct user *, const char *client, channel_answer_cb, void *arg);

/* Whose mailbox (DOMAIN/LOCAL) is it? 0, or -1. */
int auth_user_of_mailbox(const char *mailbox, struct user *);

#endif
