/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_FILES_H
#define FIFE_LOGD_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "common/log.h"

struct event_base;

/*
 * The day files KIND-YYYY-MM-DD.log (UTC) in the current directory. Lines are
 * collected for a moment and written together. What can not be written is
 * dropped and counted, and a line says so when it works again.
 */

#define FILES_NAME_MAX 40

struct files_stats {
	uint64_t lines;      /* written or waiting to be */
	uint64_t lost_disk;  /* an error of the disk */
	uint64_t lost_bound; /* beyond the day's bound */
	uint64_t day_octets[LOG_KIND_MAX];
	int error; /* errno of the last write, 0: it worked */
	int full;  /* kinds that reached the day's bound today */
};

void files_configure(uint32_t keep_days, uint64_t day_bytes_max);
/* Begin to write; lines are held in memory before. base may be NULL (tests). */
int files_start(struct event_base *);
/* One line; text as it came from the process, name with nothing but word
 * characters. Never fails. */
void files_line(
    enum log_kind, int64_t time_us, const char *name, uint32_t pid, const char *text);
void files_flush(void);
/* Remove what is older than keep_days before today. */
void files_expire(int32_t today);
void files_close(void);
const struct files_stats *files_stats(void);

void files_name(char buf[FILES_NAME_MAX], enum log_kind, int32_t day);
/* NULL at the end. */
const char *files_kind(size_t);
/* Day and kind of a file name; -1: it is none of ours. */
int files_name_parse(const char *, enum log_kind *, int32_t *day);
/* First and last day of which there is a file, -1: none. */
int files_days(int32_t *first, int32_t *last);

/* Called with each line as it is written, without the newline: follow mode. */
void files_on_line(void (*)(enum log_kind, const char *line, size_t len));

#endif
