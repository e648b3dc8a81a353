/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_MAILTO_H
#define FIFE_SIEVE_MAILTO_H

/* mailto: as a method of notify (RFC 5436, RFC 6068). */

#include <stddef.h>

#include "mailbox/sieve/arena.h"
#include "mailbox/sieve/matching.h"

#define SIEVE_MAILTO_MAX 8 /* recipients of each kind, and other fields */

struct sieve_mailto {
	struct sieve_value to[SIEVE_MAILTO_MAX], cc[SIEVE_MAILTO_MAX],
	    bcc[SIEVE_MAILTO_MAX];
	size_t n_to, n_cc, n_bcc;
	struct sieve_value subject, body; /* s NULL: not given */
	struct sieve_value name[SIEVE_MAILTO_MAX], value[SIEVE_MAILTO_MAX];
	size_t n_fields;
};

/* 0, or -1 with a reason. Values are in the arena. */
int sieve_mailto_parse(
    struct arena *, const char *, size_t, struct sieve_mailto *, const char **why);

#endif
