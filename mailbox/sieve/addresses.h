/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SIEVE_ADDRESSES_H
#define FIFE_SIEVE_ADDRESSES_H

/* Addresses as Sieve compares them: RFC 5228, 2.7.4 and 5.1; RFC 5233. */

#include <stdbool.h>
#include <stddef.h>

#include "mailbox/sieve/arena.h"
#include "mailbox/sieve/matching.h"

enum sieve_part {
	PART_ALL,
	PART_LOCAL,
	PART_DOMAIN,
	PART_USER,
	PART_DETAIL
};

struct sieve_mailbox {
	struct sieve_value local, domain; /* unquoted */
	struct sieve_value all;           /* local@domain */
};

struct sieve_mailboxes {
	struct sieve_mailbox *v;
	size_t n;
	bool malformed; /* what is no address was passed over, or ended the list */
};

/* Of a field's value, unfolded. -1: no memory. */
int sieve_mailboxes_parse(
    struct arena *, const char *value, size_t len, struct sieve_mailboxes *);
/* Exactly one address, perhaps with a name; NULL or a reason in *why. */
const struct sieve_mailbox *sieve_mailbox_parse(
    struct arena *, const char *, size_t, const char **why);
/* false: the address has no such part, and matches nothing. */
bool sieve_mailbox_part(
    const struct sieve_mailbox *, enum sieve_part, char separator, struct sieve_value *);

#endif
