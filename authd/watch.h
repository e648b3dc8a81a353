/* SPDX-License-Identifier: ISC */
#ifndef FIFE_WATCH_H
#define FIFE_WATCH_H

/*
 * Accounts that look stolen: marked in their record, with a line in the log, a mail to
 * the postmaster, a sentence in the status; throttled or held as fife.conf's watch { }
 * says, until the password is changed or somebody says that all is well.
 */

#include "authd/directory.h"
#include "authd/usage.h"
#include "common/channel.h"

/* Reads what was saved; afterwards it is saved now and then. */
void watch_open(const char *path);
/* Saves. */
void watch_close(void);
/* NULL without memory. */
struct usage *watch_usage(void);

/* A recipient of that login was taken, or refused as unknown; a login came. */
void watch_sent(const char *address, const char *client);
void watch_refused(const char *address, const char *client);
void watch_login(const char *address, const char *client);
/* The record says that it looks stolen no more, which the caller stores. */
void watch_forgive(struct user *);
/* Users have come or gone by themselves. */
void watch_look_again(void);
/* A sentence when there is one to be named, else NULL. */
const char *watch_degraded(char *buf, size_t cap);
/* The channel to queued is there: what could not be told before is told. */
void watch_queued_there(struct channel *);

#endif
