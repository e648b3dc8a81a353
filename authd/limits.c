/* SPDX-License-Identifier: ISC */
/* Limits of accounts; see limits.h. */
#include "authd/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"

/* For sending: far above what a person sends, and below what a thief wants to. */
static const struct {
	const char *word;
	uint64_t built_in;
	uint64_t max;
	int is_size;
} rows[LIMITS] = {
	[LIMIT_MESSAGES_HOUR] = { "messages-hour", 1000, UINT32_MAX, 0 },
	[LIMIT_MESSAGES_DAY] = { "messages-day", 5000, UINT32_MAX, 0 },
	[LIMIT_RECIPIENTS_HOUR] = { "recipients-hour", 5000, UINT32_MAX, 0 },
	[LIMIT_RECIPIENTS_DAY] = { "recipients-day", 20000, UINT32_MAX, 0 },
	[LIMIT_RECIPIENTS_MESSAGE] = { "recipients-message", 128, UINT32_MAX, 0 },
	[LIMIT_MESSAGE_SIZE] = { "message-size", LIMIT_UNLIMITED, INT64_MAX, 1 },
	[LIMIT_QUOTA] = { "quota", LIMIT_UNLIMITED, INT64_MAX, 1 },
	[LIMIT_QUOTA_MESSAGES] = { "quota-messages", LIMIT_UNLIMITED, UINT32_MAX, 0 },
	[LIMIT_SESSIONS] = { "sessions", 100, UINT32_MAX, 0 },
};

const char *
limit_word(enum limit l)
{
	return rows[l].word;
}

enum limit
limit_find(const char *word)
{
	int i;

	for (i = 0; i < LIMITS && strcmp(rows[i].word, word) != 0; i++)
		;
	return (enum limit)i;
}

static int
parse_number(const char *text, int is_size, uint64_t max, uint64_t *out)
{
	char digits[24];
	uint64_t unit = 1;
	size_t len = strlen(text);
	const char *bad;
	long long n;

	if (len == 0 || strlcpy(digits, text, sizeof(digits)) >= sizeof(digits))
		return -1;
	if (is_size)
		switch (digits[len - 1] | 0x20) {
		case 'k':
			unit = 1ull << 10;
			break;
		case 'm':
			unit = 1ull << 20;
			break;
		case 'g':
			unit = 1ull << 30;
			break;
		case 't':
			unit = 1ull << 40;
			break;
		}
	if (unit != 1)
		digits[len - 1] = '\0';
	n = strtonum(digits, 0, (long long)(max / unit), &bad);
	if (bad != NULL)
		return -1;
	*out = (uint64_t)n * unit;
	return 0;
}

const char *
limit_parse(enum limit l, const char *text, uint64_t *value)
{
	if (strcmp(text, "default") == 0)
		*value = LIMIT_INHERITED;
	else if (strcmp(text, "unlimited") == 0)
		*value = LIMIT_UNLIMITED;
	else if (parse_number(text, rows[l].is_size, rows[l].max, value) == -1)
		return rows[l].is_size ? "expected a size such as 500m, default or "
					 "unlimited"
				       : "expected a number, default or unlimited";
	return NULL;
}

void
limit_format(uint64_t value, char buf[LIMIT_TEXT_MAX])
{
	if (value == LIMIT_UNLIMITED)
		strlcpy(buf, "unlimited", LIMIT_TEXT_MAX);
	else
		snprintf(buf, LIMIT_TEXT_MAX, "%llu", (unsigned long long)value);
}

uint64_t
limit_of(enum limit l, const struct limits *user, const struct limits *group,
    const struct limits *system, enum limit_source *source)
{
	const struct limits *said[] = { NULL, system, group, user };
	int i = LIMIT_USER;

	while (
	    i > LIMIT_BUILT_IN && (said[i] == NULL || said[i]->v[l] == LIMIT_INHERITED))
		i--;
	if (source != NULL)
		*source = (enum limit_source)i;
	return i == LIMIT_BUILT_IN ? rows[l].built_in : said[i]->v[l];
}
