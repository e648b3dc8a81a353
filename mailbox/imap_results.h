/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_RESULTS_H
#define FIFE_IMAP_RESULTS_H

/* What SEARCH and SORT answer: plain, or as ESEARCH (RFC 4731, RFC 5267, RFC 9394), and
 * what is saved of it (RFC 5182). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailbox/imap_search.h"

struct imap;

struct imap_results {
	const char *command; /* SEARCH or SORT */
	bool uid;
	struct folder *folder;
	const char *mailbox;   /* to be named (RFC 7377), or NULL */
	const uint32_t *uids;  /* in the order to be told */
	const uint8_t *scores; /* of each, by FUZZY */
	size_t n;
};

void imap_results_print(
    struct imap *, const struct imap_search *, const struct imap_results *);
/* -1: no memory; nothing is saved then. */
int imap_results_save(
    struct imap *, const struct imap_search *, const struct imap_results *);
void imap_results_forget(struct imap *);

#endif
