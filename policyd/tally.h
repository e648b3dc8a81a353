/* SPDX-License-Identifier: ISC */
#ifndef FIFE_POLICYD_TALLY_H
#define FIFE_POLICYD_TALLY_H

/*
 * How TLS went, counted for the reports of RFC 8460: by domain and UTC day, in these
 * by the policy that was applied, in these by kind of failure and the hosts it was
 * between. In memory only (tally_file.h keeps it), and bounded: what is beyond a bound
 * is counted in the sums of its policy, without details, or not at all.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLIES_MAX 20000
#define TALLY_POLICIES_MAX 16 /* of a domain and day */
#define TALLY_DETAILS_MAX 64  /* of a policy */
#define TALLY_OCTETS_MAX (64u << 20)
#define TALLY_STRINGS_MAX 8191
#define TALLY_REASON_MAX 255

struct tally_detail {
	struct tally_detail *next;
	uint8_t result; /* enum tlsrpt_result */
	uint64_t count;
	const char *sending_ip, *mx, *ip, *helo, *reason; /* within text */
	size_t len;
	char text[];
};

struct tally_policy {
	struct tally_policy *next;
	struct tally *tally;
	uint32_t number; /* in the file of the day, 0: in none yet */
	uint8_t type;    /* enum tlsrpt_policy */
	const char *domain;
	const char *strings; /* of the report, ';' between them */
	const char *mx;      /* patterns of MTA-STS, blanks between them */
	uint64_t success, failure;
	struct tally_detail *details;
	unsigned int n_details;
	size_t len;
	char text[];
};

/* A domain's day, or part of one: closed when it is being reported. */
struct tally {
	LIST_ENTRY(tally) entry; /* of its bucket */
	TAILQ_ENTRY(tally) all;
	int32_t day;       /* since 1970 */
	int64_t since, to; /* wall seconds; to: 0 while it is open */
	struct tally_policy *policies;
	unsigned int n_policies;
	/* Of reporter.c: */
	int64_t first_try, next_try;
	unsigned int tries;
	bool busy;
	void *order; /* who waits for it */
	char domain[];
};

/* Of one session, or several alike. Strings are printable ASCII; see tally_clean(). */
struct tally_event {
	const char *domain;
	uint8_t policy, result;
	const char *policy_domain, *strings, *sts_mx;
	const char *sending_ip, *mx, *ip, *helo, *reason;
	uint64_t count;
};

/*
 * Counts it. *new_tally, *new_policy: it is the first there. NULL: there is no room, or
 * no memory.
 */
struct tally_policy *tally_count(int32_t day, int64_t now, const struct tally_event *,
    bool *new_tally, bool *new_policy);
/* The open one, made when there is none; the last steps of tally_count() by themselves,
 * for what is read from a file. */
struct tally *tally_get(int32_t day, const char *domain, int64_t since, bool *made);
struct tally_policy *tally_policy_get(
    struct tally *, const struct tally_event *, bool *made);
void tally_policy_count(struct tally_policy *, const struct tally_event *);
/* From now on what is counted for the domain goes to another one. */
void tally_close(struct tally *, int64_t to);
void tally_free(struct tally *);

struct tally *tally_first(void);
struct tally *tally_next(struct tally *);
/* The open one or NULL. */
struct tally *tally_find(int32_t day, const char *domain);
size_t tally_total(void);
size_t tally_octets(void);

/* src with nothing but printable ASCII in it (no tab, no ';'), cut to fit. */
void tally_clean(const char *src, char *out, size_t cap);

#endif
