/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_QIDS_H
#define FIFE_LOGD_QIDS_H

#include "logd/line.h"

/* A bounded set of queue ids: the messages that «why» follows. */
#define QIDS_MAX 1000

struct qids {
	char *ids[QIDS_MAX];
	size_t n;
	int full; /* one found no room */
};

void qids_clear(struct qids *);
/* Add every queue id that the fact names. */
void qids_collect(struct qids *, const struct line *);
/* 1 if the fact names one of the set. */
int qids_in_line(const struct qids *, const struct line *);

#endif
