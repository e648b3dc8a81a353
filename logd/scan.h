/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_SCAN_H
#define FIFE_LOGD_SCAN_H

#include "common/log.h"
#include "logd/line.h"

struct scan;
struct index_query;

#define SCAN_ALL ((1u << LOG_KIND_MAX) - 1)

/*
 * Read the files of one day, those of all kinds in the set merged by time.
 * tail: begin at most so many octets before the end of each file; 0: at the start.
 * query: leave out what the index says has nothing of it (borrowed); NULL: read all.
 * NULL: no memory. A missing file is an empty one.
 */
struct scan *scan_new(
    unsigned int kinds, int32_t day, size_t tail, const struct index_query *query);
void scan_free(struct scan *);
/*
 * 1 and the next line, which is valid until the next call; 0 when there is no
 * more now: later lines of the day are found by calling again; -1 when it looked at much
 * of the index and has no line yet.
 */
int scan_next(struct scan *, struct line *, enum log_kind *);
/* Octets read so far. */
uint64_t scan_octets(const struct scan *);

#endif
