/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CONCURRENCY_H
#define FIFE_QUEUED_CONCURRENCY_H

/*
 * How many jobs at a time a destination can take, found out by what becomes of them.
 * It begins with a few. While a round of jobs goes well there may be twice as many in
 * the next; a host that hangs up, refuses connections or says 421 halves the number,
 * from where it grows by one a round. Jobs that ran already when it shrank say nothing
 * new and shrink it no further. Never less than one, never more than the ceiling. Pure.
 */

#include <stdint.h>

#define CONCURRENCY_FIRST 5

struct concurrency {
	uint16_t window;
	uint16_t threshold; /* up to here it doubles; 0: it has never shrunk */
	uint16_t credit;    /* good ends since it grew */
	uint8_t epoch;      /* changes when it shrinks; CONCURRENCY_EPOCHS of them */
};
#define CONCURRENCY_EPOCHS 64

enum concurrency_end {
	CONCURRENCY_SAME, /* says nothing about the host's load */
	CONCURRENCY_GOOD,
	CONCURRENCY_PRESSED
};

void concurrency_init(struct concurrency *);
uint32_t concurrency_limit(const struct concurrency *, uint32_t ceiling);
/* A job ended. epoch: at its start; full: others wait for its place. */
void concurrency_end(struct concurrency *, enum concurrency_end, uint8_t epoch, int full,
    uint32_t ceiling);

#endif
