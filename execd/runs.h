/* SPDX-License-Identifier: ISC */
#ifndef FIFE_EXECD_RUNS_H
#define FIFE_EXECD_RUNS_H

/*
 * Programs of the site for messages of deliverd-local:
 *
 *	ASKING (authd: may it, and as whom?) -> WAITING (for a place) -> RUNNING ->
 *answered
 *
 * Each gets an answer, also when its program does not end: its group is ended then.
 */

#include "common/channel.h"

#define RUNS_MAX 1000       /* beyond it: try again later */
#define RUNS_AT_ONCE_MAX 50 /* programs, of all commands */
#define RUNS_WAIT_MS (5 * 60 * 1000)

struct event_base;

int runs_start(struct event_base *);
/* A round of configuration: begin, a command each, end. */
void runs_conf_begin(void);
void runs_conf_add(const struct msg_conf_command *);
void runs_conf_end(void);
/* MSG_LDELIVER_EXECD_RUN. */
void runs_message(struct channel *, struct msg *);
/* Nothing new; what runs is ended after a while. done() when nothing is left. */
void runs_stop(void (*done)(void));

struct runs_stats {
	size_t commands;
	size_t running;
	size_t waiting;
	uint64_t delivered, deferred, failed, timeouts;
};
void runs_get_stats(struct runs_stats *);

struct ctl;
void runs_list(struct ctl *); /* a row each */

#endif
