/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_QID_H
#define FIFE_QUEUED_QID_H

#include <stdint.h>

#define QID_SIZE 14 /* 13 digits and NUL */
#define QID_FIRST                                                             \
	(UINT64_C(1) << 30) /* seven digits from the start: they sort as text \
			     */

/* Base 32 in lower case without i, l, o, u. */
void qid_format(uint64_t id, char out[QID_SIZE]);
/* Upper case too. 0, or -1 when it is no id. */
int qid_parse(const char *s, uint64_t *id);

#endif
