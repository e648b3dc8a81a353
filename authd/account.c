/* SPDX-License-Identifier: ISC */
/* Limits of accounts through their groups; see account.h. */
#include "authd/account.h"

#include <string.h>

#include "authd/auth.h"

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
