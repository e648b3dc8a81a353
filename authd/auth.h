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
	uint8_t secret[32]; /* directory_secret() */
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
    const char *address, const char *mailbox, uint32_t uid, uint64_t quota,
    const char *client, channel_answer_cb, void *arg);

#endif
