/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CLASS_H
#define FIFE_QUEUED_CLASS_H

/*
 * Classes of mail: when a recipient is tried again, when it is given up, and when the
 * sender is told of the delay. Chosen by facts of the envelope, the first class that
 * agrees; otherwise the queue's own settings, or those for bounces. Pure.
 */

#include <stdint.h>

#include "common/msg.h"
#include "queued/retry.h"

#define CLASSES_MAX 32

struct class_times {
	char name[32];
	struct retry retry;
	uint32_t expire_s;
	uint32_t delay_warning_s; /* 0: never */
};

struct class {
	char from[321], to[321], login[321]; /* patterns; "": any */
	int priority_min, priority_max;
	int bounces; /* only what has a null reverse-path */
	struct class_times times;
};

struct classes {
	struct class *v[CLASSES_MAX];
	uint32_t n;
	struct class_times normal, bounce;
	uint32_t expire_min_s; /* the shortest of all */
};

struct class_facts {
	const char *sender;
	const char *rcpt;
	const char *login; /* address, "": none */
	int priority;
};

void classes_clear(struct classes *);
/* The queue's own settings; what was there goes. */
void classes_set_default(struct classes *, const struct msg_conf_queued *);
/* 0, or -1: too many, no retry schedule, or no memory. */
int classes_add(struct classes *, const struct msg_conf_queue_class *);
/* Never NULL. */
const struct class_times *classes_find(
    const struct classes *, const struct class_facts *);

#endif
