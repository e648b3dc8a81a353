/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LIMITS_H
#define FIFE_LIMITS_H

/*
 * The limits of an account. What the account says wins over its group, the group over
 * fife.conf's limits { }, and that over what is built in.
 */

#include <stddef.h>
#include <stdint.h>

enum limit {
	/* What is sent by login; the order is that of enum usage_count. */
	LIMIT_MESSAGES_HOUR,
	LIMIT_MESSAGES_DAY,
	LIMIT_RECIPIENTS_HOUR,
	LIMIT_RECIPIENTS_DAY,
	LIMIT_RECIPIENTS_MESSAGE,
	LIMIT_MESSAGE_SIZE, /* octets */
	/* The mailbox. */
	LIMIT_QUOTA, /* octets */
	LIMIT_QUOTA_MESSAGES,
	/* Connections that are logged in at once. */
	LIMIT_SESSIONS,
	LIMITS
};

#define LIMIT_INHERITED 0
#define LIMIT_UNLIMITED UINT64_MAX
#define LIMIT_TEXT_MAX 24 /* room for limit_format() */

struct limits {
	uint64_t v[LIMITS]; /* LIMIT_INHERITED: says nothing */
};

enum limit_source {
	LIMIT_BUILT_IN,
	LIMIT_SYSTEM,
	LIMIT_GROUP,
	LIMIT_USER
};

/* The key of `user set`. */
const char *limit_word(enum limit);
enum limit limit_find(const char *word); /* LIMITS: unknown */
/* "default", "unlimited", a number, or a size such as 500m. NULL, or what was expected.
 */
const char *limit_parse(enum limit, const char *text, uint64_t *value);
/* What limit_parse() takes: a plain number, or a word. */
void limit_format(uint64_t value, char buf[LIMIT_TEXT_MAX]);
/* What holds. group may be NULL; source too. */
uint64_t limit_of(enum limit, const struct limits *user, const struct limits *group,
    const struct limits *system, enum limit_source *source);

#endif
