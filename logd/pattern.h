/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_PATTERN_H
#define FIFE_LOGD_PATTERN_H

#include <stddef.h>

/*
 * A regular expression of a person at fifectl, with bounds on the work for each
 * line, so that no expression can hold up the log.
 */
struct pattern;

/* NULL: not valid (or no memory), with a sentence in err. */
struct pattern *pattern_new(const char *regex, char *err, size_t cap);
void pattern_free(struct pattern *);
/* 1 found, 0 not, -1 given up at a bound. */
int pattern_match(struct pattern *, const char *text, size_t len);

#endif
