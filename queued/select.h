/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_SELECT_H
#define FIFE_QUEUED_SELECT_H

/* Which messages a command means: --to --from --state --older, ids, --all. Pure. */

#include <stdint.h>

#include "queued/record.h"

#define SELECT_IDS_MAX 64

enum select_state {
	SELECT_ANY,
	SELECT_READY,
	SELECT_DEFERRED,
	SELECT_HELD,
	SELECT_ACTIVE
};

struct select {
	const char *to; /* domain, @domain or address; NULL: any. Borrowed from argv. */
	const char *from;
	enum select_state state;
	uint32_t older_s;
	int all;
	uint64_t ids[SELECT_IDS_MAX];
	int nids;
};

/* 0, or -1 with a sentence. filter: it says something at all. */
int select_parse(int argc, char **argv, struct select *, char *why, size_t why_cap);
int select_is_empty(const struct select *);
/* Does an address agree with a pattern: all of it, or its domain. */
int select_address(const char *pattern, const char *address);
/* State word of a message with these facts. */
const char *select_state_word(uint32_t flags, int deferred, int running);
/* The parts that need not read the disk. */
int select_quick(const struct select *, uint64_t id, uint32_t flags, int deferred,
    int running, int64_t age);

#endif
