/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DAEMON_H
#define FIFE_DAEMON_H

/*
 * The life of a daemon, the same for all of them:
 *
 *	int main(void) { return daemon_run(&smtpd_daemon); }
 *
 * fifed starts it by fork and exec with descriptor 3 as the channel to fifed.
 * Then: HELLO; CONF, the role's own configuration messages, descriptors
 * (listeners, certificates, control socket) and channels; START. On the first
 * START: open() as root in the real root directory, then sandbox_enter() (chroot,
 * uid, rlimits, filter), then start(), READY, and the loop. On a reload the
 * configuration messages come again, ended by another START: reload().
 * The end of fifed's channel ends the process at once.
 */

#include <stdint.h>

#include "common/channel.h"
#include "common/ctl.h"

struct event_base;

struct daemon {
	enum role role;
	/* A configuration message or descriptor of this role; before open() and
	 * again before each reload(). CONF itself is kept by daemon_conf(). A new
	 * round begins with MSG_FIFED_ANY_CONF, which is passed on as well. */
	void (*conf)(struct msg *);
	/* As root, before the sandbox: load keys, open databases. 0 or -1 (logged). */
	int (*open)(void);
	/* In the sandbox: add events. 0 or -1 (logged): the process ends. */
	int (*start)(void);
	void (*reload)(void);
	/* A channel to a neighbour or to logd is there (also after its restart). May be
	 * NULL. */
	void (*peer_new)(struct channel *);
	/* A message from a neighbour that is no answer. */
	void (*peer_message)(struct channel *, struct msg *);
	/* A neighbour is gone; its waiters have been told. May be NULL. */
	void (*peer_lost)(struct channel *);
	/* fifed asks to stop: finish, then call daemon_stopped(). NULL: at once. */
	void (*stop)(void);
	/* Commands of fifectl, common/ctl.h; NULL: no control socket. */
	const struct ctl_command *commands;
};

int daemon_run(const struct daemon *);

/* Valid from the first conf() call on. */
const struct msg_conf *daemon_conf(void);
struct event_base *daemon_base(void);
/* A channel to a process of that role, or NULL while there is none; with
 * several instances the one asked least recently. */
struct channel *daemon_peer(enum role);
/* The channel to that very instance, or NULL. */
struct channel *daemon_peer_instance(enum role, uint32_t instance);
/* The channel to fifed. */
struct channel *daemon_parent(void);
/* i-th channel to that role, NULL at the end: to tell all of them. */
struct channel *daemon_peer_at(enum role, unsigned int i);
/* End the loop; the process exits 0. */
void daemon_stopped(void);

/* Monotonic milliseconds, for timers and deadlines. */
uint64_t now_ms(void);
/* Wall time: seconds and microseconds since 1970. */
int64_t wall_s(void);
int64_t wall_us(void);

#endif
