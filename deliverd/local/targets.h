/* SPDX-License-Identifier: ISC */
#ifndef FIFE_TARGETS_H
#define FIFE_TARGETS_H

/* Where an address leads, as authd says: mailboxes and addresses elsewhere. */

#include "common/channel.h"
#include "deliverd/local/outcome.h"

#define TARGETS_MAX 1000 /* of one address; authd has the same bound */

struct target {
	enum target_kind kind;
	char address[321];
	/* NULL with TARGET_FORWARD; of a command: who names it; of a list: what of it */
	char *mailbox;
	char *command; /* NULL unless TARGET_COMMAND */
	/* a Sieve script of the user's settings, or NULL; of a list: what its posts need
	 */
	char *rules;
};

struct targets {
	struct target *v;
	size_t n;
};
void targets_clear(struct targets *);
/* One more address elsewhere; -1: no room. */
int targets_add_forward(struct targets *, const char *address);

struct resolution;
/* *t is the callback's to keep or clear; with o->status other than JOB_DELIVERED it is
 * empty and o says why. */
typedef void (*targets_cb)(struct targets *t, const struct outcome *o, void *arg);

/* NULL: the question could not be put. cb is never called from inside. */
struct resolution *targets_resolve(
    struct channel *authd, const char *address, targets_cb cb, void *arg);
/* The asker is gone. NULL is fine. */
void targets_cancel(struct resolution *);

#endif
