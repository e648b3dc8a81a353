/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_INDEX_FILE_H
#define FIFE_LOGD_INDEX_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/log.h"
#include "logd/index.h"

/* The octets of an index file; see index.h. */

struct index_entry {
	uint64_t offset;
	uint32_t len;
	uint8_t filter[INDEX_FILTER];
};

void index_head_encode(uint8_t out[INDEX_HEAD]);
/* 0; -1: not the head of an index of this form. */
int index_head_check(const uint8_t in[INDEX_HEAD]);
void index_entry_encode(uint8_t out[INDEX_ENTRY], const struct index_entry *);
/* 0; -1: damaged, or not the entry of a block that begins at offset. */
int index_entry_decode(
    const uint8_t in[INDEX_ENTRY], uint64_t offset, struct index_entry *);

/* Opens the index of that day's file with these flags of open(2); -1: errno. */
int index_file_open(enum log_kind, int32_t day, int flags);

#endif
