/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SYNCER_H
#define FIFE_QUEUED_SYNCER_H

/*
 * A thread that calls fdatasync(2) and fsync(2) and nothing else. Jobs run in
 * order; callbacks come from the event loop.
 */

#define SYNCER_FDS_MAX 8

struct event_base;
struct syncer;

typedef void (*syncer_cb)(int error, void *arg);

/* base NULL: every job is done at once, within syncer_submit(). NULL: no memory
 * or no thread. */
struct syncer *syncer_new(struct event_base *base);
/* Waits for the running jobs; callbacks that have not come do not come. */
void syncer_free(struct syncer *);
/*
 * Sync the first nfds descriptors' data, and the last of them fully when full is
 * set (a directory). They are borrowed until the callback. 0, or -1: no memory.
 */
int syncer_submit(
    struct syncer *, const int *fds, int nfds, int full_last, syncer_cb, void *arg);
/* Wait for all jobs and call back. */
void syncer_drain(struct syncer *);

#endif
