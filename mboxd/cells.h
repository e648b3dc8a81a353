/* SPDX-License-Identifier: ISC */
#ifndef FIFE_CELLS_H
#define FIFE_CELLS_H

/*
 * Cells: one process for each mailbox that is in use, forked from here into its own
 * directory and uid. A request that must not meet a running process (rename,
 * remove) or that found one on its way out waits until the process has been reaped;
 * requests on one mailbox are done in the order in which they came.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/channel.h"

struct event_base;

struct cells_conf {
	uint32_t processes_max;
	uint32_t linger_s;
	uint32_t sleep_s;
	uint64_t quota_default;
	char other_users[64];
	uint32_t message_limit; /* of IMAP, as save_limit */
	uint32_t save_limit;
	uint32_t uid_first; /* of mailboxes */
	uint32_t uid_last;
	int debug;
};

int cells_start(struct event_base *, const struct cells_conf *);
void cells_configure(const struct cells_conf *);

/* Requests of authd, answered by MBOXD_AUTHD_OPENED or MBOXD_AUTHD_DONE. */
void cells_request(struct channel *authd, struct msg *);
/*
 * A session for root's own command: given() gets its descriptor, or -1 and why not;
 * perhaps before this returns. forget: what waits with that arg is not wanted any more.
 */
typedef void (*cells_given)(int fd, const char *why, void *arg);
void cells_admin(
    const char *mailbox, const char *address, uint32_t uid, cells_given, void *arg);
void cells_admin_forget(void *arg);
/* One of another user's process, known there as guest says. -1: given() is not called. */
int cells_share(
    const struct msg_mbox_open *, const char *guest, cells_given given, void *arg);
/* Other limits hold for a mailbox, and its process is told. */
void cells_limits(const struct msg_mbox_limits *);
/* End the sessions of a mailbox now. */
void cells_kick(const char *mailbox);
/* The scripts of the site, for those that start and for those that run; fd is taken, -1:
 * none. */
void cells_scripts(int fd, uint64_t size);
/* The mailbox says again what it holds. */
void cells_look(const char *mailbox, uint32_t uid);
/* A new authd is told what all of them hold. */
void cells_new_authd(void);
/* A new logd: the processes get new channels. */
void cells_new_log(void);
/* All are told to exit; done() when the last is gone. */
void cells_stop(void (*done)(void));

struct cell_facts {
	const char *mailbox;
	pid_t pid;
	uint32_t uid;
	uint64_t sessions_given;
};
size_t cells_count(void);
/* i-th running process; 0 at the end. */
int cells_at(size_t i, struct cell_facts *);

#endif
