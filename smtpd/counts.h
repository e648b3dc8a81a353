/* SPDX-License-Identifier: ISC */
#ifndef FIFE_SMTPD_COUNTS_H
#define FIFE_SMTPD_COUNTS_H

/*
 * The pages of common/counts.h as smtpd uses them: what is set here is seen by all
 * processes of smtpd, and what they have set is seen here. Without pages (a system that
 * lacks them, a test) there is one of our own.
 */

#include <stddef.h>
#include <stdint.h>

#define COUNTS_PAGES_MAX 16
#define COUNTS_KEY 9 /* family and network */

enum counts_kind {
	COUNTS_CLIENT = 1,  /* live: connections of an address */
	COUNTS_NETWORK,     /* live: connections of a wider network */
	COUNTS_CONNECTIONS, /* rates */
	COUNTS_MESSAGES,
	COUNTS_ERRORS
};

/* The page of an instance; mine: to write. Takes the descriptor; one that is no page, or
 * is there already, is passed over. */
void counts_attach(uint32_t instance, int mine, int fd, const uint64_t secret[2]);
uint64_t counts_tag(enum counts_kind, const uint8_t key[COUNTS_KEY]);

/* Connections now: what the others have, and what is ours (0 takes it away). */
uint64_t counts_live_others(uint64_t tag);
void counts_live_set(uint64_t tag, uint64_t n);
uint64_t counts_total_others(void);
void counts_total_set(uint64_t n);

/* The latest time that anybody has set and that is not beyond max, or 0. */
uint64_t counts_latest(uint64_t tag, uint64_t max);
/* In place of ours for it, or of the earliest in its bucket. */
void counts_latest_set(uint64_t tag, uint64_t t);

#endif
