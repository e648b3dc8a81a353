/* SPDX-License-Identifier: ISC */
#ifndef FIFE_WORKER_H
#define FIFE_WORKER_H

/*
 * authd's workers: processes without any right that make and check password
 * verifiers, so that a flood of logins never delays the answer to a RCPT. They are
 * forked before authd enters its sandbox; the end of one ends authd, which
 * fifed starts again.
 */

#include <stdint.h>
#include <sys/types.h>

#include "authd/password.h"

struct event_base;

#define WORKER_QUEUE_MAX 512

/* result: password_check()'s, or 0/-1 of password_make() with *made. NULL arg
 * on nothing: called exactly once for each request. */
typedef void (*worker_cb)(int result, const struct password *made, void *arg);

/* Fork n workers in root (an empty directory) as uid. 0 or -1 (logged). */
int workers_fork(unsigned int n, const char *root, uid_t uid, gid_t gid);
/* Begin to talk to them. */
int workers_start(struct event_base *);
/* password NULL: nobody to check against, takes as long. -1: too many wait. */
int worker_check(
    const char *plain, const struct password *, uint32_t iterations, worker_cb, void *);
int worker_make(const char *plain, int scram, uint32_t iterations, worker_cb, void *);
unsigned int workers_waiting(void);

#endif
