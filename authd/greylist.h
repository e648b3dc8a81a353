/* SPDX-License-Identifier: ISC */
#ifndef FIFE_GREYLIST_H
#define FIFE_GREYLIST_H

/*
 * Greylisting: a client's network with a sender and a recipient that are new together
 * wait once. Kept here and not in smtpd, whose processes would each have
 * their own half of the truth. What is kept are digests, no addresses. The table is
 * bounded: attempts have one half of it and what has passed the other, so a
 * flood of attempts does not push out the good ones.
 */

#include <stddef.h>
#include <stdint.h>

#define GREYLIST_DIGEST 16

struct greylist;

struct greylist_conf {
	uint32_t delay_s;
	uint32_t retry_s;
	uint32_t keep_s;
	uint32_t hosts;       /* 0: networks are never trusted as such */
	uint32_t ipv4_prefix; /* bits */
	uint32_t entries_max;
};

enum greylist_kind {
	GREYLIST_ATTEMPT = 'a',
	GREYLIST_PASSED = 'p',
	GREYLIST_NETWORK = 'n'
};

struct greylist_entry {
	uint8_t digest[GREYLIST_DIGEST];
	enum greylist_kind kind;
	int64_t first; /* wall seconds */
	int64_t last;
	uint32_t count; /* GREYLIST_NETWORK: what has passed of it */
};

struct greylist *greylist_new(void);
void greylist_free(struct greylist *);
/* A smaller table forgets at once. */
void greylist_set(struct greylist *, const struct greylist_conf *);
/* client: an address in text. 0: welcome; otherwise seconds still to wait. */
uint32_t greylist_check(struct greylist *, const char *client, const char *sender,
    const char *rcpt, int64_t now);
size_t greylist_count(const struct greylist *);

/* For greylist_file.c. The walk goes on from *iter, NULL at first; NULL at the end. */
const struct greylist_entry *greylist_next(
    const struct greylist *, const void **iter, int changed_only);
/* 0, or -1: it is too old, or there is no room. Unchanged afterwards. */
int greylist_restore(struct greylist *, const struct greylist_entry *, int64_t now);
/* Has been saved. */
void greylist_unchanged(struct greylist *);
int greylist_is_changed(const struct greylist *);
/* Entries forgotten since the last save of all. */
size_t greylist_forgotten(const struct greylist *);
void greylist_all_saved(struct greylist *);

/* greylist_file.c: the table in lmdb, path being its file. 0, or -1 (logged). */
int greylist_load(struct greylist *, const char *path, int64_t now);
/* Nothing is done when nothing has changed. */
int greylist_save(struct greylist *);
void greylist_close(void);

#endif
