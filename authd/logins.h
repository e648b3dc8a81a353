/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGINS_H
#define FIFE_LOGINS_H

/*
 * Exchanges of the fronts. An exchange belongs to a session of one front's channel;
 * its success becomes a login record (records.h).
 */

#include "authd/records.h"
#include "authd/resolve.h"
#include "common/channel.h"

struct auth; /* authd's state, authd/auth.h */

/* A MSG_FRONT_AUTHD_SASL; answered now or later. */
void logins_sasl(struct channel *, struct msg *);
void logins_abort(struct channel *, uint64_t session);
/* A front is gone with all its sessions. */
void logins_channel_lost(struct channel *);
/* The failures of a client's address are forgotten. */
void logins_forgive(const char *client);

#endif
