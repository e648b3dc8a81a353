/* SPDX-License-Identifier: ISC */
/* Continuous ownership of an address; see owner.h. */
#include "authd/owner.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

static int
is_role(const char *address)
{
	static const char *const roles[] = { "abuse", "ftp", "hostmaster", "info",
		"marketing", "news", "noc", "postmaster", "sales", "security", "support",
		"usenet", "uucp", "webmaster", "www" };
	size_t len = strcspn(address, "@+");

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strlen(roles[i]) == len && strncasecmp(address, roles[i], len) == 0)
			return 1;
	return 0;
}

enum rclass
owner_check(const struct resolver *r, const char *address, int64_t since)
{
	char key[ADDRESS_MAX + 1], domain[ADDRESS_DOMAIN_MAX + 2];
	struct address a;
	struct user u;
	enum dir_status st;
	char *at, *plus;

	if (is_role(address))
		return RCLASS_LOCAL;
	if (address_parse(address, strlen(address), &a) == -1 ||
	    address_fold_key(&a, key, sizeof(key)) == -1)
		return RCLASS_NO_OWNER;
	st = directory_user_get(r->directory, key, &u);
	/* With a detail: the same owner. */
	if (st == DIR_NONE && (at = strrchr(key, '@')) != NULL &&
	    (plus = memchr(key, '+', (size_t)(at - key))) != NULL && plus != key) {
		strlcpy(domain, at, sizeof(domain));
		strlcpy(plus, domain, sizeof(key) - (size_t)(plus - key));
		st = directory_user_get(r->directory, key, &u);
	}
	if (st == DIR_NONE)
		return RCLASS_NO_OWNER;
	if (st != DIR_OK)
		return RCLASS_TEMP;
	if (u.since == 0)
		return RCLASS_NO_OWNER;
	return since >= u.since ? RCLASS_LOCAL : RCLASS_OTHER_OWNER;
}
