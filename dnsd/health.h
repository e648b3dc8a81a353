/* SPDX-License-Identifier: ISC */
#ifndef FIFE_DNSD_HEALTH_H
#define FIFE_DNSD_HEALTH_H

/*
 * Which of the servers that were named answer: each is asked for a record of its
 * zone every half minute, by UDP. The library passes over dead ones by itself; here they
 * are noticed, logged and named in status.
 */

#include <stddef.h>
#include <stdint.h>

#include "dnsd/resolve.h"

enum health {
	HEALTH_UNKNOWN, /* not asked yet */
	HEALTH_UP,
	HEALTH_DOWN
};

struct health_row {
	const char *zone; /* "." for a server that is asked for everything */
	const char *address;
	uint16_t port;
	enum health health;
	uint32_t took_ms; /* of the last answer */
	int64_t since;    /* seconds since 1970, of that health */
};

/* In the sandbox, and again when the settings have changed: rows begin anew. */
void health_start(const struct resolve_conf *);
/* 1, or 0 at the end. */
int health_at(size_t i, struct health_row *);
/* How many are down. */
size_t health_down(void);

#endif
