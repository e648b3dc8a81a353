/* SPDX-License-Identifier: ISC */
#ifndef FIFE_COUNTS_H
#define FIFE_COUNTS_H

/*
 * What the processes of smtpd know together of the networks that come: a page for each,
 * which that one alone writes and the others only read, so nothing is ever locked, and
 * one that dies at any moment leaves nothing half done. fifed makes the pages, hands them
 * out and wipes the live part of one whose process has gone: its connections have gone
 * too.
 *
 * A cell is a tag and a value. The tag is a keyed hash, so no address stands in the
 * page and nobody can choose its place. A cell belongs into the bucket that its tag
 * names; elsewhere it is never found. Readers take values for a neighbour's word, within
 * bounds: the worst that a hostile one can do is to have some network refused.
 */

#include <stdatomic.h>
#include <stdint.h>

#define COUNTS_CELLS 8 /* of a bucket */
#define COUNTS_LIVE_BUCKETS 4096
#define COUNTS_RATE_BUCKETS 2048

struct counts_cell {
	_Atomic uint64_t tag; /* 0: free */
	_Atomic uint64_t value;
};

struct counts_page {
	/* Connections at this moment. */
	struct counts_live {
		_Atomic uint64_t total;
		uint64_t reserved[7];
		struct counts_cell cells[COUNTS_LIVE_BUCKETS][COUNTS_CELLS];
	} live;
	/* Rates: when an even pace would have the next event, monotonic milliseconds. */
	struct counts_cell rates[COUNTS_RATE_BUCKETS][COUNTS_CELLS];
};

#endif
