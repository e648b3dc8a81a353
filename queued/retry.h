/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_RETRY_H
#define FIFE_QUEUED_RETRY_H

#include <stddef.h>
#include <stdint.h>

#define RETRY_STEPS_MAX 32

struct retry {
	uint32_t step_s[RETRY_STEPS_MAX];
	size_t nsteps;
};

/* "5m 15m 1h": numbers with s, m, h, d (none: seconds). 0, or -1: not one of these. */
int retry_parse(const char *s, struct retry *out);
/* A single "4h"; UINT32_MAX when it is none. */
uint32_t retry_duration(const char *s);
/* Seconds until the next try after that many attempts (from 1); the last step repeats. */
uint32_t retry_delay(const struct retry *, unsigned int attempts);
/* The same spread by up to a tenth, so that what failed together does not come back
 * together. seed: any number of the message. */
uint32_t retry_delay_spread(const struct retry *, unsigned int attempts, uint32_t seed);

#endif
