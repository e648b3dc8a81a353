/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LISTD_OFTEN_H
#define FIFE_LISTD_OFTEN_H

/*
 * How often somebody was answered (RFC 3834, 2): whom From names need not have written,
 * and must not get a letter for each message that somebody else sends in his name. Kept
 * in memory, of the addresses that were answered last.
 */

#include <stdint.h>

#define OFTEN_A_DAY 30

/* Counts an answer to that address. 1: it has had enough of them for a day. */
int often_answered(const char *address, uint64_t now_ms);

#endif
