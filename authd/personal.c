/* SPDX-License-Identifier: ISC */
/* A user's own access list; see personal.h. */
#include "authd/personal.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

int
personal_next(const char **text, enum access_kind *kind, char *subject, size_t cap,
    char *reason, size_t reason_cap)
{
	while (**text != '\0') {
		char word[8] = "";
		const char *line = *text;
		size_t len = strcspn(line, "\n"), first, second;

		*text = line + len + (line[len] == '\n');
		first = strcspn(line, " \n");
		if (first >= sizeof(word) || line[first] != ' ')
			continue;
		memcpy(word, line, first);
		word[first] = '\0';
		line += first + 1;
		len -= first + 1;
		second = strcspn(line, " \n");
		if ((*kind = access_kind_of(word)) == ACCESS_NONE ||
		    *kind == ACCESS_BAN || second == 0 || second >= cap)
			continue;
		memcpy(subject, line, second);
		subject[second] = '\0';
		line += second + (line[second] == ' ');
		len -= second + (len > second);
		if (len >= reason_cap)
			len = reason_cap - 1;
		memcpy(reason, line, len);
		reason[len] = '\0';
		return 0;
	}
	return -1;
}

/* The line of that subject, and its length with the newline; NULL: none. */
static char *
find(char *text, const char *subject, enum access_kind *kind, size_t *len)
{
	char other[ACCESS_KEY_MAX], reason[PERSONAL_REASON_MAX + 1];
	const char *p = text;

	for (;;) {
		if (personal_next(
			&p, kind, other, sizeof(other), reason, sizeof(reason)) == -1)
			return NULL;
		if (strcmp(other, subject) != 0)
			continue;
		/* p is behind the line. */
		*len = 1;
		while (p - *len > text && p[-(ptrdiff_t)*len - 1] != '\n')
			++*len;
		return text + (p - text) - *len;
	}
}

static size_t
count(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

enum dir_status
personal_put(char *text, enum access_kind kind, const char *subject, const char *reason)
{
	char line[ACCESS_KEY_MAX + PERSONAL_REASON_MAX + 16];
	size_t len = strlen(text), old_len = 0;
	enum access_kind had;
	char *old;
	int n;

	if (strlen(reason) > PERSONAL_REASON_MAX || strchr(reason, '\n') != NULL)
		return DIR_BAD;
	n = snprintf(line, sizeof(line), "%s %s%s%s\n", access_word(kind), subject,
	    reason[0] != '\0' ? " " : "", reason);
	if (n < 0 || (size_t)n >= sizeof(line))
		return DIR_BAD;
	old = find(text, subject, &had, &old_len);
	if ((old == NULL && count(text) >= PERSONAL_ENTRIES_MAX) ||
	    len - old_len + (size_t)n > PERSONAL_TEXT_MAX)
		return DIR_FULL;
	if (old != NULL)
		memmove(old, old + old_len, strlen(old + old_len) + 1);
	memcpy(text + len - old_len, line, (size_t)n + 1);
	return DIR_OK;
}

enum dir_status
personal_del(char *text, enum access_kind kind, const char *subject)
{
	enum access_kind had;
	size_t len;
	char *old = find(text, subject, &had, &len);

	if (old == NULL || had != kind)
		return DIR_NONE;
	memmove(old, old + len, strlen(old + len) + 1);
	return DIR_OK;
}

enum access_kind
personal_match(
    const char *text, const char *client, const char *sender, char *subject, size_t cap)
{
	char entry[ACCESS_KEY_MAX], reason[PERSONAL_REASON_MAX + 1], from[ACCESS_KEY_MAX];
	enum access_kind kind, best = ACCESS_NONE;
	int width = 0;

	subject[0] = '\0';
	if (*sender == '\0' || access_subject(sender, from, sizeof(from)) == -1 ||
	    strchr(from, '@') == NULL)
		from[0] = '\0';
	while (personal_next(
		   &text, &kind, entry, sizeof(entry), reason, sizeof(reason)) == 0) {
		int fits = access_fit(entry, client, from);

		if (fits > width) {
			width = fits;
			best = kind;
			strlcpy(subject, entry, cap);
		}
	}
	return best;
}
