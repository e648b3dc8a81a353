/* SPDX-License-Identifier: ISC */
#ifndef FIFE_KEYD_RELAY_H
#define FIFE_KEYD_RELAY_H

/* Logins at relays, for deliverd-remote, and the secrets' commands of fifectl. */

#include "common/channel.h"
#include "common/ctl.h"

void relay_begin(struct channel *, struct msg *);
void relay_next(struct channel *, struct msg *);
/* deliverd-remote is gone, and its logins with it. */
void relay_lost(struct channel *);

void relay_secret_add(struct ctl *, int argc, char **argv);
void relay_secret_del(struct ctl *, int argc, char **argv);
void relay_secret_list(struct ctl *, int argc, char **argv);

#endif
