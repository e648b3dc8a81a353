/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LAUNCHER_H
#define FIFE_LAUNCHER_H

/*
 * The process that mailbox processes are forked from: a copy of mboxd as it was when it
 * began, which does nothing else. What they inherit is small, never changes, and is so
 * shared by all of them, whatever mboxd's own memory does meanwhile; and a fork has
 * little to copy. It has mboxd's rights and filter and ends with it.
 */

#include <stdint.h>
#include <sys/types.h>

struct event_base;

struct launch {
	uint64_t id; /* of the caller */
	uint64_t quota;
	uint64_t quota_messages;
	uint32_t uid;
	uint32_t linger_s;
	uint32_t sleep_s;
	int32_t debug;
	int32_t quota_hard;
	uint32_t message_limit;
	uint32_t save_limit;
	char mailbox[512];
	char hostname[256];
	char other_users[64];
};

/* Forks it; in mboxd's sandbox, before there are threads. 0 or -1. */
int launcher_start(struct event_base *);
/*
 * A mailbox process with fd as its channel to mboxd; fd is closed here. -1: it cannot be
 * asked. launcher_started() follows with its pid, or -1 where it could not be forked, and
 * after it has ended launcher_ended() with the status of waitpid(2).
 */
int launcher_fork(const struct launch *, int fd);

/* What the user of this module is told. */
void launcher_started(uint64_t id, pid_t);
void launcher_ended(uint64_t id, int status);

#endif
