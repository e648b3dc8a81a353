/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_EXPLAIN_H
#define FIFE_LOGD_EXPLAIN_H

#include <stddef.h>

#include "logd/line.h"

/*
 * The fact as a sentence for people; values that the sentence does not use
 * follow in brackets, so nothing that the line says is lost. A line that is no
 * fact, or one of an unknown event, stays as it is. Truncates; returns the length.
 */
size_t explain_line(const struct line *, char *buf, size_t cap);

#endif
