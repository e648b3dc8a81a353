/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_TALLY_FILE_H
#define FIFE_POLICYD_TALLY_FILE_H

/*
 * The counts of tally.h on the disk, so that they outlive a restart: a file a UTC day,
 * .tls/YYYYMMDD below the daemon's root, of lines that add up:
 *	P number domain since type policy-domain mx strings	a policy
 *	C number result count sending-ip mx ip helo reason	sessions under it
 *	E number to		what the policy's domain has so far is to be reported
 *	X number		it has been, and is forgotten
 * with tabs between. Lines go out once a second; a file that has grown far beyond
 * what is in it is written anew. What a crash of the system cuts off is left out.
 */

#include <stdint.h>

#include "policyd/tally.h"

/* In the daemon's root directory: read what was kept. */
void tally_file_open(void);
/* Count it under the day that now (wall seconds) is in, in memory and in the file. 0, or
 * -1: not counted. */
int tally_file_count(const struct tally_event *, int64_t now);
void tally_file_close_tally(struct tally *, int64_t to);
/* It is forgotten, in memory too. */
void tally_file_done(struct tally *);
void tally_file_flush(void);

/* One line, without its end, of the file of that day; for tests too. 0 or -1. */
int tally_file_line(int32_t day, char *line);
/* Numbers mean nothing any more. */
void tally_file_forget_numbers(void);

#endif
