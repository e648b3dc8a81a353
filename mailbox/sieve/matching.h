/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_MATCHING_H
#define FIFE_SIEVE_MATCHING_H

/* Match types and comparators: RFC 5228, 2.7; RFC 5231; RFC 4790; RFC 5051. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIEVE_MATCHES_MAX 32 /* ${32}; RFC 5229 asks for 9 */

enum sieve_match_type {
	MATCH_IS,
	MATCH_CONTAINS,
	MATCH_MATCHES,
	MATCH_REGEX,
	MATCH_COUNT,
	MATCH_VALUE
};

enum sieve_comparator {
	COMPARATOR_CASEMAP, /* the default */
	COMPARATOR_OCTET,
	COMPARATOR_NUMERIC,
	COMPARATOR_UNICODE
};

enum sieve_relation {
	RELATION_GT,
	RELATION_GE,
	RELATION_LT,
	RELATION_LE,
	RELATION_EQ,
	RELATION_NE
};

struct sieve_value {
	const char *s;
	size_t len;
};

/* -1: none of that name. */
int sieve_comparator_find(const char *name, size_t len);
int sieve_relation_find(const char *name, size_t len);

/* Below, equal to or above 0. */
int sieve_compare(
    enum sieve_comparator, const struct sieve_value *, const struct sieve_value *);
bool sieve_relation_holds(enum sieve_relation, int compared);
bool sieve_contains(
    enum sieve_comparator, const struct sieve_value *, const struct sieve_value *key);

/* What was matched: [0] the whole, then each wildcard or group; pieces of the value. */
struct sieve_matches {
	struct sieve_value v[SIEVE_MATCHES_MAX + 1];
	size_t n;
};
/*
 * The value against a pattern with * and ? (RFC 5228, 2.7.1); each star takes as
 * little as it can. Work is bounded by steps, which is lowered; 1, 0, or -1 when
 * they are used up.
 */
int sieve_glob(enum sieve_comparator, const struct sieve_value *,
    const struct sieve_value *pattern, struct sieve_matches *, uint32_t *steps);

#endif
