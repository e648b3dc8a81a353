/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SELECT_H
#define FIFE_QUEUED_SELECT_H

/* Which messages a command means: --to --from --state --older --newer, ids, --all. Pure.
 */

#include <stdint.h>

#include "queued/record.h"

#define SELECT_IDS_MAX 64

enum select_state {
	SELECT_ANY,
	SELECT_READY,
	SELECT_DEFERRED,
	SELECT_HELD,
	SELECT_ACTIVE,
	SELECT_SCHEDULED, /* its time of release (RFC 4865) is to come */
	SELECT_FROZEN,    /* a freeze rule concerns it: the caller's to check */
	SELECT_QUARANTINED
};

struct select {
	/* Patterns (select_address()); NULL: any. Borrowed from argv, as reason is. */
	const char *to;
	const char *from;
	enum select_state state;
	uint32_t older_s, newer_s;
	int all;
	int dry_run;      /* count only */
	int has_priority; /* what to do */
	int priority;
	const char *reason; /* of a bounce; NULL: none */
	uint64_t ids[SELECT_IDS_MAX];
	int nids;
};

/* 0, or -1 with a sentence. filter: it says something at all. */
int select_parse(int argc, char **argv, struct select *, char *why, size_t why_cap);
int select_is_empty(const struct select *);
/* Does an address agree with a pattern: an address, a domain (or @domain), <> for the
 * null path, or all of it with *, ? and [...]. Any case. */
int select_address(const char *pattern, const char *address);
/* State word of a message with these facts. */
const char *select_state_word(uint32_t flags, int deferred, int running, int scheduled);
/* The parts that need not read the disk. */
int select_quick(const struct select *, uint64_t id, uint32_t flags, int deferred,
    int running, int scheduled, int64_t age);

#endif
