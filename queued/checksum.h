/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_CHECKSUM_H
#define FIFE_QUEUED_CHECKSUM_H

/*
 * Checksums of large contents, a slice in each turn of the event loop: whoever has a
 * small message does not wait for somebody's large one. Those under way take turns.
 */

#include <stdint.h>

#define CHECKSUM_SLICE (256 * 1024)

struct event_base;
struct checksum;

/* error: 0 or an errno. Called once, from the loop, never from checksum_start(). */
typedef void (*checksum_cb)(int error, uint32_t crc, void *arg);

int checksum_init(struct event_base *);
/* What is under way is dropped without its callback. */
void checksum_stop(void);
/* fd is borrowed until the callback. NULL: no memory. */
struct checksum *checksum_start(int fd, uint64_t size, checksum_cb, void *arg);
/* It ends without its callback. NULL is fine. */
void checksum_cancel(struct checksum *);
/* Slices done since the start, for those who measure. */
uint64_t checksum_slices(void);

#endif
