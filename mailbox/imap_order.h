/* SPDX-License-Identifier: ISC */
#ifndef FIFE_IMAP_ORDER_H
#define FIFE_IMAP_ORDER_H

/* The order of SORT (RFC 5256, RFC 5957, RFC 6203), and what it and THREAD compare. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/imap/imap_parse.h"
#include "mailbox/imap_sortkey.h"

struct imap;
struct imap_match;

#define IMAP_CRITERIA_MAX 20

enum imap_criterion {
	IMAP_BY_ARRIVAL,
	IMAP_BY_CC,
	IMAP_BY_DATE,
	IMAP_BY_FROM,
	IMAP_BY_SIZE,
	IMAP_BY_SUBJECT,
	IMAP_BY_TO,
	IMAP_BY_DISPLAYFROM,
	IMAP_BY_DISPLAYTO,
	IMAP_BY_RELEVANCY,
};

struct imap_order {
	struct {
		enum imap_criterion by;
		bool reverse;
	} v[IMAP_CRITERIA_MAX];
	size_t n;
	bool records; /* it needs more than the index's own numbers */
	bool relevancy;
};

struct imap_sorted {
	uint32_t uid;
	uint32_t seq;
	uint32_t size;
	uint8_t relevancy; /* 1 to 100, or 0; the caller's */
	int64_t internal;
	int64_t date;
	uint8_t *record; /* owned; what key borrows */
	struct imap_sortkey key;
	const struct imap_order *order;
};

/* "(" criteria ") ". -1 with a->error. */
int imap_order_parse(struct imap_args *, struct imap_order *);
/* What is to be compared of a message. The match has the folder, and no message; what is
 * read counts as its work. -1: no memory. */
int imap_sorted_load(struct imap *, const struct imap_order *, struct imap_match *,
    uint32_t uid, struct imap_sorted *);
void imap_sorted_clear(struct imap_sorted *);
/* For qsort(). */
int imap_sorted_compare(const void *, const void *);

#endif
