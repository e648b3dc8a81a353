/* SPDX-License-Identifier: ISC */
/* Commands of fifectl(8) about domains, aliases and routes, and the text form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/access_commands.h"
#include "authd/account_commands.h"
#include "authd/apppass_commands.h"
#include "authd/auth.h"
#include "authd/cert_commands.h"
#include "authd/records.h"
#include "authd/text.h"
#include "authd/user_commands.h"
#include "authd/watch.h"
#include "authd/worker.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/routeurl.h"

#define VALUE_MAX 32768

static void
done_with(struct ctl *c, enum dir_status st, const char *subject)
{
	if (st == DIR_OK)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", subject,
		    dir_status_text(st));
}

/* ---- domain ---- */

static int
domain_arg(struct ctl *c, const char *word, char *domain, size_t cap)
{
	if (address_domain_ascii(word, domain, cap) == -1 || domain[0] == '[' ||
	    strchr(domain, '.') == NULL) {
		ctl_done(c, CTL_USAGE, "%s: not a domain name", word);
		return -1;
	}
	return 0;
}

static void
domain_add(struct ctl *c, int argc, char **argv)
{
	char domain[256];

	if (domain_arg(c, argv[0], domain, sizeof(domain)) == -1)
		return;
	done_with(c, directory_domain_add(auth.directory, domain), argv[0]);
	auth_changed(domain);
}

static void
domain_del(struct ctl *c, int argc, char **argv)
{
	char domain[256];

	if (domain_arg(c, argv[0], domain, sizeof(domain)) == -1)
		return;
	done_with(c, directory_domain_del(auth.directory, domain), argv[0]);
	auth_changed(domain);
}

/* domain set DOMAIN language=zh: in what the senders there are told about their mail. */
static void
domain_set(struct ctl *c, int argc, char **argv)
{
	char domain[256];

	(void)argc;
	if (domain_arg(c, argv[0], domain, sizeof(domain)) == -1)
		return;
	if (directory_is_setting(argv[1]) == 0) {
		ctl_done(
		    c, CTL_USAGE, "%s: expected language=en or language=zh", argv[1]);
		return;
	}
	done_with(c, directory_domain_set(auth.directory, domain, argv[1]), argv[0]);
	auth_changed(domain);
}

/* A listing walks the table; show() makes a row of each entry. */
static void
list(struct ctl *c, enum dir_table table, const char *only_domain,
    void (*show)(struct ctl *, const char *, const char *))
{
	char key[512] = "", *value = malloc(VALUE_MAX);
	enum dir_status st = DIR_FULL;

	while (value != NULL && (st = directory_next(auth.directory, table, key,
				     sizeof(key), value, VALUE_MAX)) == DIR_OK) {
		const char *at = strrchr(key, '@');

		if (only_domain == NULL ||
		    (at != NULL && strcmp(at + 1, only_domain) == 0))
			show(c, key, value);
	}
	free(value);
	done_with(c, st == DIR_NONE ? DIR_OK : st, "list");
}

static void
domain_row(struct ctl *c, const char *key, const char *value)
{
	ctl_row(c, CTL_TABLE);
	ctl_str(c, "domain", key);
	ctl_str(c, "settings", value);
	ctl_row_end(c);
}

static void
domain_list(struct ctl *c, int argc, char **argv)
{
	list(c, DIR_DOMAINS, NULL, domain_row);
}

/* ---- user list ---- */

static void
user_row(struct ctl *c, const char *key, const char *value)
{
	struct user u;

	if (user_decode(key, value, &u) == -1)
		return;
	ctl_row(c, CTL_TABLE);
	ctl_str(c, "address", key);
	ctl_u64(c, "uid", u.uid);
	ctl_str(c, "state",
	    u.disabled             ? "disabled"
	    : u.suspect[0] != '\0' ? "suspect"
				   : "active");
	ctl_str(c, "group", u.group);
	ctl_row_end(c);
}

static void
user_list(struct ctl *c, int argc, char **argv)
{
	char domain[256];

	if (argc == 1 && domain_arg(c, argv[0], domain, sizeof(domain)) == -1)
		return;
	if (argc == 1 && !resolve_domain_is_local(&auth.resolver, domain)) {
		ctl_done(c, CTL_REFUSED, "%s: no such domain here", domain);
		return;
	}
	list(c, DIR_USERS, argc == 1 ? domain : NULL, user_row);
}

/* ---- alias ---- */

/* "@domain" is the catch-all of a domain; else an address. */
static int
alias_key(struct ctl *c, const char *word, char *key, size_t cap)
{
	const char *at;

	if (word[0] == '@') {
		char domain[256];

		if (domain_arg(c, word + 1, domain, sizeof(domain)) == -1)
			return -1;
		snprintf(key, cap, "@%s", domain);
	} else if (address_key(c, word, key, cap) == -1)
		return -1;
	at = strrchr(key, '@');
	if (!resolve_domain_is_local(&auth.resolver, at + 1)) {
		ctl_done(c, CTL_REFUSED, "%s: no such domain here: fifectl domain add %s",
		    at + 1, at + 1);
		return -1;
	}
	return 0;
}

static int
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)) != NULL; p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return 1;
	return 0;
}

static void
alias_add(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 2], target[ADDRESS_MAX + 1];
	char *targets = calloc(1, DIRECTORY_TARGETS_MAX + 1);
	enum dir_status st = DIR_FULL;

	if (targets == NULL || alias_key(c, argv[0], key, sizeof(key)) == -1) {
		if (targets == NULL)
			ctl_done(c, CTL_TEMPFAIL, "no memory");
		free(targets);
		return;
	}
	st = directory_alias_get(auth.directory, key, targets, DIRECTORY_TARGETS_MAX + 1);
	if (st != DIR_OK)
		targets[0] = '\0';
	for (int i = 1; i < argc; i++) {
		if (address_key(c, argv[i], target, sizeof(target)) == -1) {
			free(targets);
			return;
		}
		if (has_word(targets, target))
			continue;
		if (targets[0] != '\0')
			strlcat(targets, " ", DIRECTORY_TARGETS_MAX + 1);
		if (strlcat(targets, target, DIRECTORY_TARGETS_MAX + 1) >
		    DIRECTORY_TARGETS_MAX) {
			free(targets);
			ctl_done(
			    c, CTL_REFUSED, "%s: too many targets, use a list", argv[0]);
			return;
		}
	}
	st = directory_alias_put(auth.directory, key, targets);
	free(targets);
	done_with(c, st, argv[0]);
}

static void
alias_del(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 2];

	if (alias_key(c, argv[0], key, sizeof(key)) == 0)
		done_with(c, directory_alias_del(auth.directory, key), argv[0]);
}

static void
alias_row(struct ctl *c, const char *key, const char *value)
{
	ctl_row(c, CTL_TABLE);
	ctl_str(c, "alias", key);
	ctl_str(c, "targets", value);
	ctl_row_end(c);
}

static void
alias_list(struct ctl *c, int argc, char **argv)
{
	list(c, DIR_ALIASES, NULL, alias_row);
}

/* ---- route ---- */

static int
route_key(struct ctl *c, const char *word, char *key, size_t cap)
{
	char domain[256];

	if (strcmp(word, "*") == 0 || strcmp(word, "default") == 0) {
		strlcpy(key, "*", cap);
		return 0;
	}
	if (address_domain_ascii(
		word[0] == '.' ? word + 1 : word, domain, sizeof(domain)) == -1) {
		ctl_done(c, CTL_USAGE, "%s: not a domain name", word);
		return -1;
	}
	snprintf(key, cap, "%s%s", word[0] == '.' ? "." : "", domain);
	return 0;
}

static void
route_add(struct ctl *c, int argc, char **argv)
{
	char key[300];
	struct routeurl url;
	const char *why;

	if (route_key(c, argv[0], key, sizeof(key)) == -1)
		return;
	if (routeurl_parse(argv[1], &url, &why) == -1 || strlen(argv[1]) > 511) {
		ctl_done(c, CTL_USAGE, "%s: %s", argv[1], why);
		return;
	}
	done_with(c, directory_route_put(auth.directory, key, argv[1]), argv[0]);
	auth_changed("");
}

static void
route_del(struct ctl *c, int argc, char **argv)
{
	char key[300];

	if (route_key(c, argv[0], key, sizeof(key)) == -1)
		return;
	done_with(c, directory_route_del(auth.directory, key), argv[0]);
	auth_changed("");
}

static void
route_row(struct ctl *c, const char *key, const char *value)
{
	ctl_row(c, CTL_TABLE);
	ctl_str(c, "domain", key);
	ctl_str(c, "route", value);
	ctl_row_end(c);
}

static void
route_list(struct ctl *c, int argc, char **argv)
{
	list(c, DIR_ROUTES, NULL, route_row);
}

static void
route_explain(struct ctl *c, int argc, char **argv)
{
	const char *at = strrchr(argv[0], '@');
	char domain[256], url[512] = "", matched[256] = "";
	enum dir_status st;

	if (domain_arg(c, at != NULL ? at + 1 : argv[0], domain, sizeof(domain)) == -1)
		return;
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "domain", domain);
	if (resolve_domain_is_local(&auth.resolver, domain))
		ctl_str(c, "route", "local: a domain of this host");
	else {
		st = directory_route_find(
		    auth.directory, domain, url, sizeof(url), matched, sizeof(matched));
		ctl_str(c, "route", st == DIR_OK ? url : "MX records of the domain");
		if (st == DIR_OK)
			ctl_str(c, "because", matched);
	}
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

/* ---- the rest ---- */

static void
status(struct ctl *c, int argc, char **argv)
{
	char text[600];
	const char *degraded = watch_degraded(text, sizeof(text));

	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "logins", logins_count());
	ctl_u64(c, "logins-waiting", workers_waiting());
	if (degraded != NULL)
		ctl_str(c, "degraded", degraded);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

const struct ctl_command auth_commands[] = {
	{ "domain add", 1, 1, domain_add },
	{ "domain del", 1, 1, domain_del },
	{ "domain set", 2, 2, domain_set },
	{ "domain list", 0, 0, domain_list },
	{ "user add", 1, 2, user_add },
	{ "user del", 1, 1, user_del },
	{ "user list", 0, 1, user_list },
	{ "user show", 1, 1, user_show },
	{ "user set", 2, -1, user_set },
	{ "user passwd", 1, 1, user_passwd },
	{ "user rename", 2, 2, user_rename },
	{ "user apppass add", 2, 3, apppass_cmd_add },
	{ "user apppass del", 2, 2, apppass_cmd_del },
	{ "user apppass list", 1, 1, apppass_cmd_list },
	{ "user cert add", 2, 3, cert_cmd_add },
	{ "user cert del", 2, 2, cert_cmd_del },
	{ "user cert list", 1, 1, cert_cmd_list },
	{ "user sessions", 0, 1, user_sessions },
	{ "user kick", 1, 1, user_kick },
	{ "group add", 1, -1, group_add },
	{ "group del", 1, 1, group_del },
	{ "group list", 0, 0, group_list },
	{ "group set", 2, -1, group_set },
	{ "group show", 1, 1, group_show },
	{ "alias add", 2, -1, alias_add },
	{ "alias del", 1, 1, alias_del },
	{ "alias list", 0, 0, alias_list },
	{ "route add", 2, 2, route_add },
	{ "route del", 1, 1, route_del },
	{ "route list", 0, 0, route_list },
	{ "route explain", 1, 1, route_explain },
	{ "access list", 0, 2, access_list },
	{ "access allow add", 1, -1, access_allow_add },
	{ "access allow del", 1, 3, access_allow_del },
	{ "access allow list", 0, 2, access_allow_list },
	{ "access deny add", 1, -1, access_deny_add },
	{ "access deny del", 1, 3, access_deny_del },
	{ "access deny list", 0, 2, access_deny_list },
	{ "access junk add", 1, -1, access_junk_add },
	{ "access junk del", 1, 3, access_junk_del },
	{ "access junk list", 0, 2, access_junk_list },
	{ "access ban del", 1, 1, access_ban_del },
	{ "access ban list", 0, 0, access_ban_list },
	{ "dump", 0, 1, text_dump },
	{ "load", 0, 0, text_load },
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};
