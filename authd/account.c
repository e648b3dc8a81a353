/* SPDX-License-Identifier: ISC */
/* Limits of accounts through their groups; see account.h. */
#include "authd/account.h"

#include <stdio.h>
#include <string.h>

#include "authd/auth.h"
#include "common/compat/compat.h"

void
account_group(const struct user *u, struct group *g)
{
	if (u->group[0] == '\0' ||
	    directory_group_get(auth.directory, u->group, g) != DIR_OK)
		memset(g, 0, sizeof(*g));
}

uint64_t
account_limit(
    const struct user *u, const struct group *g, enum limit l, enum limit_source *source)
{
	return limit_of(l, &u->limits, &g->limits, &auth.limits, source);
}

uint64_t
account_quota(const struct user *u, enum limit l)
{
	struct group g;
	uint64_t n;

	account_group(u, &g);
	n = account_limit(u, &g, l, NULL);
	return n == LIMIT_UNLIMITED ? 0 : n;
}

int
auth_user_of_mailbox(const char *mailbox, struct user *u)
{
	char key[ADDRESS_MAX + 1], path[512];
	const char *slash = strchr(mailbox, '/');
	size_t n = 0;

	/* The path is an escaped key: undo, look up, compare. */
	if (slash == NULL)
		return -1;
	for (const char *p = slash + 1; *p != '\0'; p++) {
		char c = *p;

		if (c == '%') {
			unsigned int byte;

			if (sscanf(p + 1, "%2x", &byte) != 1 || byte == 0 ||
			    p[1] == '\0' || p[2] == '\0')
				return -1;
			c = (char)byte;
			p += 2;
		}
		if (n + 1 >= sizeof(key))
			return -1;
		key[n++] = c;
	}
	key[n] = '\0';
	if (strlcat(key, "@", sizeof(key)) >= sizeof(key) ||
	    strlen(key) + (size_t)(slash - mailbox) >= sizeof(key))
		return -1;
	n = strlen(key);
	memcpy(key + n, mailbox, (size_t)(slash - mailbox));
	key[n + (size_t)(slash - mailbox)] = '\0';
	if (mailbox_path(key, path, sizeof(path)) == -1 || strcmp(path, mailbox) != 0)
		return -1;
	return directory_user_get(auth.directory, key, u) == DIR_OK ? 0 : -1;
}
