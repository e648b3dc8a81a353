/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_SET_H
#define FIFE_IMAP_SET_H

/* Sequence sets (RFC 9051, 9: sequence-set). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/imap/imap_parse.h"

struct evbuffer;

#define IMAP_SET_MAX 20000 /* ranges */

struct imap_range {
	uint32_t lo, hi;
};

/* Ascending and disjoint after imap_set_resolve(). "*" is 0 before that. */
struct imap_set {
	struct imap_range *r;
	size_t n;
	bool saved; /* "$" (RFC 5182): the saved result of SEARCH, and no ranges */
};

/* 0, or -1 with a->error. The set is the caller's to clear in both cases. */
int imap_set_parse(struct imap_args *, struct imap_set *);
/* "*" becomes max (which may be 0: empty); sorts and joins. */
void imap_set_resolve(struct imap_set *, uint32_t max);
int imap_set_has(const struct imap_set *, uint32_t);
void imap_set_clear(struct imap_set *);

/* A window on a result (RFC 9394): 1 is the first, -1 the last. lo <= hi in absolute
 * value, both of one sign. */
struct imap_partial {
	bool asked;
	bool from_end;
	uint32_t lo, hi;
};
int imap_partial_parse(struct imap_args *, struct imap_partial *);
/* The window's indexes [*from, *to) of n results; may be empty. */
void imap_partial_slice(const struct imap_partial *, size_t n, size_t *from, size_t *to);

/* Prints ascending or not numbers as "1:3,7"; n > 0. */
void imap_set_print(struct evbuffer *, const uint32_t *, size_t n);

#endif
