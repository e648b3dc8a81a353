/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGINS_H
#define FIFE_LOGINS_H

/*
 * Exchanges and logins of the fronts. An exchange belongs to a session of one
 * front's channel; its success becomes a login record, whose id is the only
 * thing that fronts and queued pass on.
 */

#include "authd/resolve.h"
#include "common/channel.h"

struct auth; /* authd's state, authd/auth.h */

/* A MSG_FRONT_AUTHD_SASL; answered now or later. */
void logins_sasl(struct channel *, struct msg *);
void logins_abort(struct channel *, uint64_t session);
void logins_logout(struct channel *, uint64_t login);
/* A front is gone with all its sessions. */
void logins_channel_lost(struct channel *);
/* The account was disabled, deleted or renamed, or its password changed: its
 * records are void. */
void logins_forget(const char *address);
/* The address of a login record, NULL if there is none. */
const char *logins_address(uint64_t login);
/* The same, if it is a record of that front's. */
const char *logins_address_of(struct channel *, uint64_t login);
size_t logins_count(void);
/* The failures of a client's address are forgotten. */
void logins_forgive(const char *client);

#endif
