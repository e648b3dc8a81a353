/* SPDX-License-Identifier: ISC */
#ifndef FIFE_QUEUED_FREEZE_H
#define FIFE_QUEUED_FREEZE_H

/*
 * Standing freeze rules: whom the queue does not deliver for, or to, until when,
 * why, and who said so. Pure; the spool keeps the encoded table (spool_set_rules()).
 */

#include <stddef.h>
#include <stdint.h>

#define FREEZE_RULES_MAX 100
#define FREEZE_TEXT_MAX 320 /* of each string */
#define FREEZE_OCTETS_MAX (100U * 1024)

struct freeze_rule {
	uint32_t num; /* never used twice */
	int64_t created;
	int64_t until; /* wall seconds; 0: until it is deleted */
	/* Patterns, "" for any: an address, a domain, @domain, <>, or with * and ?.
	 * either: the sender or the recipient. */
	char *from, *to, *either;
	char *reason, *owner;
};

struct freeze {
	struct freeze_rule *rules;
	size_t n;
	uint32_t last; /* number used */
};

void freeze_clear(struct freeze *);
/* 0, or -1: malformed or no memory, and the table is empty. */
int freeze_decode(struct freeze *, const uint8_t *, size_t);
/* malloc'd; NULL without memory. */
uint8_t *freeze_encode(const struct freeze *, size_t *len);
/* Everything is copied; num is chosen here. NULL: too many, too long, or no memory. */
struct freeze_rule *freeze_add(struct freeze *, const struct freeze_rule *);
/* 0, or -1: there is none. */
int freeze_del(struct freeze *, uint32_t num);
/* Those that are over go; how many. */
size_t freeze_expire(struct freeze *, int64_t now);
/* The rule that keeps this recipient back now, NULL: none. */
const struct freeze_rule *freeze_match(
    const struct freeze *, const char *sender, const char *rcpt, int64_t now);
/* Why, and by whom, for people. */
void freeze_describe(const struct freeze_rule *, char *buf, size_t cap);

#endif
