/* SPDX-License-Identifier: ISC */
/* The record of a member of a list; see lists.h. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/lists.h"
#include "common/compat/compat.h"

#define DAY 86400
#define HARD 2
#define SOFT 1

static const struct {
	uint8_t role;
	char letter;
} letters[] = {
	{ LIST_IS_MEMBER, 'm' },
	{ LIST_IS_OWNER, 'o' },
	{ LIST_IS_POSTER, 'p' },
};

int
member_encode(const struct member *m, char *buf, size_t cap)
{
	char roles[8], why[3 * MEMBER_WHY_MAX + 1];
	size_t n = 0;
	int len;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (m->roles & letters[i].role)
			roles[n++] = letters[i].letter;
	roles[n] = '\0';
	if (listconf_escape(m->why, why, sizeof(why)) == -1)
		return -1;
	len = snprintf(buf, cap,
	    "roles=%s since=%lld suspended=%lld score=%u first=%lld last=%lld%s%s", roles,
	    (long long)m->since, (long long)m->suspended, m->score,
	    (long long)m->first_day, (long long)m->last_day,
	    why[0] != '\0' ? " why=" : "", why);
	return len < 0 || (size_t)len >= cap ? -1 : 0;
}

static int
set_roles(struct member *m, const char *value)
{
	m->roles = 0;
	for (; *value != '\0'; value++) {
		size_t i = 0;

		while (i < 3 && letters[i].letter != *value)
			i++;
		if (i == 3)
			return -1;
		m->roles |= letters[i].role;
	}
	return 0;
}

static int
set_word(struct member *m, char *word)
{
	char *value = strchr(word, '=');
	const char *bad;
	long long n;

	if (value == NULL)
		return -1;
	*value++ = '\0';
	if (strcmp(word, "roles") == 0)
		return set_roles(m, value);
	if (strcmp(word, "why") == 0)
		return listconf_unescape(value) == -1 ||
			       strlcpy(m->why, value, sizeof(m->why)) >= sizeof(m->why)
			   ? -1
			   : 0;
	n = strtonum(value, 0, INT64_MAX, &bad);
	if (bad != NULL)
		return -1;
	if (strcmp(word, "since") == 0)
		m->since = n;
	else if (strcmp(word, "suspended") == 0)
		m->suspended = n;
	else if (strcmp(word, "score") == 0)
		m->score = n > 1000000 ? 1000000 : (uint32_t)n;
	else if (strcmp(word, "first") == 0)
		m->first_day = n;
	else if (strcmp(word, "last") == 0)
		m->last_day = n;
	else
		return -1;
	return 0;
}

int
member_decode(const char *text, struct member *m)
{
	char copy[MEMBER_TEXT_MAX + 1], *p = copy, *word;

	memset(m, 0, sizeof(*m));
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return -1;
	while ((word = strsep(&p, " ")) != NULL)
		if (*word != '\0' && set_word(m, word) == -1)
			return -1;
	return 0;
}

int
member_bounce(
    struct member *m, const struct listconf *l, int hard, const char *why, int64_t now)
{
	int64_t day = now / DAY;

	if (m->score > 0 &&
	    (day - m->last_day > (int64_t)l->bounce_window_d || day < m->first_day))
		m->score = 0;
	if (m->score == 0)
		m->first_day = day;
	if (m->score == 0 || day != m->last_day)
		m->score += hard ? HARD : SOFT;
	else if (hard && m->score % HARD != 0)
		m->score++; /* the soft one of that day was a hard one */
	m->last_day = day;
	strlcpy(m->why, why, sizeof(m->why));
	for (char *p = m->why; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (m->suspended != 0 || m->score < l->bounce_limit * HARD)
		return 0;
	m->suspended = now;
	return 1;
}

void
member_resume(struct member *m)
{
	m->suspended = 0;
	m->score = 0;
	m->first_day = m->last_day = 0;
	m->why[0] = '\0';
}
