/* SPDX-License-Identifier: ISC */
/* Settings of many accounts; see bulk_commands.h. */
#include "authd/bulk_commands.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/account_commands.h"
#include "authd/auth.h"
#include "authd/quota.h"
#include "authd/rules.h"
#include "common/compat/compat.h"
#include "common/log.h"

#define TOLD_MAX 1000 /* further mailbox processes know it with their next session */

struct bulk {
	const char *word;
	char domain[256]; /* of @DOMAIN */
	char **settings;  /* KEY, NUL, VALUE */
	int n;
	const char *bad; /* whom it does not fit, and why */
	char whom[ADDRESS_MAX + 1];
};

int
bulk_is_pattern(const char *word)
{
	return word[0] == '@' || strncmp(word, "group:", 6) == 0 ||
	       strpbrk(word, "*?") != NULL;
}

static int
is_meant(const struct bulk *b, const struct user *u)
{
	const char *at = strrchr(u->address, '@');

	if (b->domain[0] != '\0')
		return at != NULL && strcmp(at + 1, b->domain) == 0;
	if (strncmp(b->word, "group:", 6) == 0)
		return strcmp(u->group, b->word + 6) == 0;
	return fnmatch(b->word, u->address, FNM_NOESCAPE) == 0;
}

static int
change(struct user *u, void *arg)
{
	char script[RULES_SCRIPT_MAX + 1];
	struct bulk *b = arg;

	if (!is_meant(b, u))
		return 0;
	for (int i = 0; i < b->n && b->bad == NULL; i++) {
		const char *key = b->settings[i], *value = key + strlen(key) + 1;

		/* It is known to be there; no question to the directory now. */
		if (strcmp(key, "group") == 0)
			strlcpy(u->group, value, sizeof(u->group));
		else
			b->bad = account_set(u, key, value);
	}
	if (b->bad == NULL && rules_script(u, script) == -1)
		b->bad = "forward, answer and rules are too long together";
	if (b->bad == NULL)
		return 1;
	strlcpy(b->whom, u->address, sizeof(b->whom));
	return -1;
}

/* All of it is looked at on an account that is none, before anything changes. */
static const char *
check(struct bulk *b, int *which)
{
	struct user *u = calloc(1, sizeof(*u));
	const char *bad = u == NULL ? "no memory" : NULL;

	for (int i = 0; i < b->n && bad == NULL; i++) {
		char *value = strchr(b->settings[i], '=');

		*which = i;
		if (value == NULL) {
			bad = "expected KEY=VALUE";
			break;
		}
		*value++ = '\0';
		if (strcmp(b->settings[i], "scram") == 0 ||
		    strcmp(b->settings[i], "suspect") == 0 ||
		    strcmp(b->settings[i], "administrator") == 0 ||
		    strcmp(b->settings[i], "closed") == 0 ||
		    strcmp(b->settings[i], "disabled") == 0)
			bad = "expected a setting that can be changed for many at once";
		else
			bad = account_set(u, b->settings[i], value);
	}
	free(u);
	return bad;
}

/* Who may be warned, or need not be any more; and their processes are told. */
static void
review(const struct bulk *b)
{
	char key[512] = "", *value = malloc(DIRECTORY_VALUE_MAX);
	unsigned int n = 0;
	struct user u;

	while (value != NULL && directory_next(auth.directory, DIR_USERS, key,
				    sizeof(key), value, DIRECTORY_VALUE_MAX) == DIR_OK)
		if (user_decode(key, value, &u) == 0 && is_meant(b, &u)) {
			if (n++ < TOLD_MAX)
				quota_changed(&u);
			else
				quota_review(&u);
		}
	freezero(value, value == NULL ? 0 : DIRECTORY_VALUE_MAX);
}

void
bulk_group_changed(const char *name)
{
	char word[sizeof("group:") + GROUP_NAME_MAX];
	struct bulk b = { .word = word };

	(void)snprintf(word, sizeof(word), "group:%s", name);
	review(&b);
}

void
bulk_user_set(struct ctl *c, int argc, char **argv)
{
	struct bulk b = { .word = argv[0], .settings = argv + 1, .n = argc - 1 };
	enum dir_status st;
	const char *bad;
	size_t changed;
	int which = 0;

	if (argv[0][0] == '@' &&
	    address_domain_ascii(argv[0] + 1, b.domain, sizeof(b.domain)) == -1) {
		ctl_done(c, CTL_USAGE, "%s: not a domain name", argv[0]);
		return;
	}
	if ((bad = check(&b, &which)) != NULL) {
		ctl_done(c, CTL_USAGE, "%s: %s", b.settings[which], bad);
		return;
	}
	st = directory_users_change(auth.directory, change, &b, &changed);
	if (st == DIR_BAD) {
		ctl_done(c, CTL_REFUSED, "%s: %s; nothing was changed", b.whom,
		    b.bad != NULL ? b.bad : "does not fit");
		return;
	}
	if (st != DIR_OK) {
		ctl_done(c, CTL_TEMPFAIL, "%s", dir_status_text(st));
		return;
	}
	log_fact(LOG_LOGIN, LOGL_INFO, "users-changed", KS("which", b.word),
	    KU("changed", changed));
	review(&b);
	if (changed == 0) {
		ctl_done(c, CTL_REFUSED, "%s: no such user", b.word);
		return;
	}
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "changed", changed);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}
