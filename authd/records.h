/* SPDX-License-Identifier: ISC */
#ifndef FIFE_RECORDS_H
#define FIFE_RECORDS_H

/*
 * Login records: who is logged in, at which front, how. The id is the only thing that
 * fronts and queued pass on. A record that is forgotten here ends the session there.
 */

#include <sys/queue.h>

#include "authd/directory.h"
#include "common/channel.h"

struct login {
	LIST_ENTRY(login) bucket;
	LIST_ENTRY(login) same; /* by address */
	uint64_t id;
	uint64_t channel; /* serial */
	int64_t since;
	uint64_t message_size_max;
	uint32_t granted;  /* recipients, and not yet in a message of the queue */
	uint8_t service;   /* enum service */
	uint8_t quotaset;  /* the right went with it, see quota_admin.h */
	uint64_t began_ms; /* monotonic */
	char address[ADDRESS_MAX + 1];
	char client[64];
	char method[32];
	char tls[32]; /* "no" without */
	/* What opened it, when it was not the password: "app NAME", "certificate NAME" */
	char by[56];
};

/* NULL: too many of this front, or of all; or no memory. */
struct login *login_new(uint64_t channel, const char *address);
void login_free(struct login *);
struct login *login_find(uint64_t id);

void logins_logout(struct channel *, uint64_t login);
/*
 * The account was disabled, deleted or renamed, or its password changed: its records are
 * void, and the fronts are told to end the sessions. by: only those that it opened; NULL:
 * all. Returns how many there were.
 */
size_t logins_forget(const char *address, const char *by);
/* A front is gone with all its sessions. */
void logins_front_gone(uint64_t channel);
/* The address of a login record, NULL if there is none. */
const char *logins_address(uint64_t login);
/* The same, if it is a record of that front's. */
const char *logins_address_of(struct channel *, uint64_t login);
size_t logins_count(void);
size_t logins_count_of(const char *address);
/* The next in no particular order, from NULL on; the table must not change meanwhile. */
const struct login *logins_next(const struct login *);

#endif
