/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_REGEX_H
#define FIFE_SIEVE_REGEX_H

/* Regular expressions (draft-ietf-sieve-regex) by PCRE2 with bounds, without its JIT. */

#include "mailbox/sieve/matching.h"

#define SIEVE_REGEX_MAX 4096 /* octets of an expression */

struct sieve_regex;
/* NULL: why is told in error. */
struct sieve_regex *sieve_regex_new(
    const char *, size_t, enum sieve_comparator, char *error, size_t cap);
void sieve_regex_free(void *);
/* 1, 0, or -1: it took more work or memory than it may. */
int sieve_regex_match(
    struct sieve_regex *, const struct sieve_value *, struct sieve_matches *);

#endif
