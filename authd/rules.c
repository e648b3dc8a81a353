/* SPDX-License-Identifier: ISC */
/* Settings of a user as Sieve (RFC 5228, RFC 5230); see rules.h. */
#include "authd/rules.h"

#include <stdio.h>
#include <string.h>

/* A quoted string of Sieve. -1: no room. */
static int
put_string(char *out, size_t cap, size_t *n, const char *s)
{
	if (*n + 2 >= cap)
		return -1;
	out[(*n)++] = '"';
	for (; *s != '\0'; s++) {
		char c = *s;

		if (*n + 4 >= cap)
			return -1;
		if (c == '\\' && s[1] == 'n') {
			out[(*n)++] = '\r';
			out[(*n)++] = '\n';
			s++;
			continue;
		}
		if (c == '\\' && (s[1] == 's' || s[1] == 'b')) {
			c = s[1] == 's' ? ' ' : '\\';
			s++;
		}
		if (c == '"' || c == '\\')
			out[(*n)++] = '\\';
		out[(*n)++] = c;
	}
	out[(*n)++] = '"';
	out[*n] = '\0';
	return 0;
}

size_t
rules_script(const struct user *u, char out[RULES_SCRIPT_MAX + 1])
{
	static const char head[] = "require \"vacation\";\r\nvacation ";
	size_t cap = RULES_SCRIPT_MAX + 1, n = sizeof(head) - 1;

	out[0] = '\0';
	if (u->vacation[0] == '\0')
		return 0;
	memcpy(out, head, sizeof(head));
	if (u->vacation_subject[0] != '\0') {
		n += (size_t)snprintf(out + n, cap - n, ":subject ");
		if (put_string(out, cap, &n, u->vacation_subject) == -1)
			goto fail;
		out[n++] = ' ';
	}
	if (put_string(out, cap, &n, u->vacation) == -1 || n + 4 >= cap)
		goto fail;
	n += (size_t)snprintf(out + n, cap - n, ";\r\n");
	return n;
fail:
	out[0] = '\0';
	return 0;
}

void
rules_text(const char *s, char *out, size_t cap)
{
	size_t n = 0;

	for (; *s != '\0' && n + 1 < cap; s++) {
		out[n] = *s;
		if (*s == '\\' && (s[1] == 's' || s[1] == 'b'))
			out[n] = *++s == 's' ? ' ' : '\\';
		n++;
	}
	out[n] = '\0';
}
