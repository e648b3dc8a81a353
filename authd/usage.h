/* SPDX-License-Identifier: ISC */
#ifndef FIFE_USAGE_H
#define FIFE_USAGE_H

/*
 * What each account has sent: messages and recipients in an hour and in a day, from the
 * first of them on, for its limits; and what speaks for a thief: a volume far above its
 * own history, many refused recipients, many networks at once. Bounded, with the clock
 * as an argument. usage_load() and usage_save() keep it across restarts; no other I/O.
 */

#include <stddef.h>
#include <stdint.h>

enum usage_count {
	USAGE_MESSAGES_HOUR,
	USAGE_MESSAGES_DAY,
	USAGE_RECIPIENTS_HOUR,
	USAGE_RECIPIENTS_DAY,
	USAGE_COUNTS
};

#define USAGE_UNLIMITED UINT64_MAX
#define USAGE_ACCOUNTS_MAX 65536
#define USAGE_NETWORKS_MAX 32
#define USAGE_DAYS 14 /* of history */

struct usage;

struct usage *usage_new(void); /* NULL: no memory */
void usage_free(struct usage *);
/*
 * One recipient more; new_message: the first of a message. USAGE_COUNTS: counted. Else
 * the limit that is reached, nothing is counted then; *first says that it is news.
 */
enum usage_count usage_take(struct usage *, const char *account, int new_message,
    const uint64_t limits[USAGE_COUNTS], int64_t now_s, int *first);
uint32_t usage_of(struct usage *, const char *account, enum usage_count, int64_t now_s);

/* When an account looks stolen. 0: that one is not looked at. */
struct usage_watch {
	uint32_t window_s;
	uint32_t volume; /* recipients within the window that may always be */
	uint32_t
	    volume_factor; /* and beyond that: so many times the most of USAGE_DAYS */
	uint32_t refused;
	uint32_t networks; /* IPv4 /16, IPv6 /32 */
};

enum usage_alarm {
	USAGE_QUIET,
	USAGE_VOLUME,
	USAGE_REFUSED,
	USAGE_NETWORKS
};

/* A recipient that was sent to, for the volume; one that was refused; a client. */
void usage_sent(struct usage *, const char *account, uint32_t window_s, int64_t now_s);
void usage_refused(struct usage *, const char *account, uint32_t window_s, int64_t now_s);
void usage_network(
    struct usage *, const char *account, const char *client, int64_t now_s);
/* *value: how many; *usual: the most before, for USAGE_VOLUME. */
enum usage_alarm usage_alarm(struct usage *, const char *account,
    const struct usage_watch *, int64_t now_s, uint32_t *value, uint32_t *usual);
/* All is well with it: what was seen in the present window does not count. */
void usage_forgive(struct usage *, const char *account);

/* ---- on the disk: one text an account ---- */

#define USAGE_TEXT_MAX 2048
/* The text of an entry that has changed (or of any) and its name; NULL behind the last.
 * *iter begins as NULL; the table must not change meanwhile. */
const char *usage_next(
    struct usage *, const void **iter, int changed_only, char text[USAGE_TEXT_MAX]);
/* 0; 1: too old to matter; -1: malformed. */
int usage_restore(struct usage *, const char *account, const char *text, int64_t now_s);
void usage_unchanged(struct usage *);
int usage_is_changed(const struct usage *);
size_t usage_accounts(const struct usage *);

/* usage_file.c: 0 or -1 (logged; the table lives on without the file). */
int usage_load(struct usage *, const char *path, int64_t now_s);
int usage_save(struct usage *);
void usage_close(void);

#endif
