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
#include "authd/domain.h"
#include "authd/list_commands.h"
#include "authd/programs.h"
#include "authd/records.h"
#include "authd/text.h"
#include "authd/user_commands.h"
#include "authd/watch.h"
#include "authd/worker.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/proto/route.h"

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

/* domain set DOMAIN KEY=VALUE... */
static void
domain_set(struct ctl *c, int argc, char **argv)
{
	char domain[256], text[DOMAIN_SETTINGS_MAX] = "";
	struct domain_settings s;
	const char *bad;
	enum dir_status st;

	if (domain_arg(c, argv[0], domain, sizeof(domain)) == -1)
		return;
	st = directory_domain_settings(auth.directory, domain, text, sizeof(text));
	if (st != DIR_OK) {
		done_with(c, st, argv[0]);
		return;
	}
	domain_settings_parse(text, &s);
	for (int i = 1; i < argc; i++)
		if ((bad = domain_settings_word(&s, argv[i])) != NULL) {
			ctl_done(c, CTL_USAGE, "%s: %s", argv[i], bad);
			return;
		}
	if (s.alias_of[0] != '\0' &&
	    (strcmp(s.alias_of, domain) == 0 ||
		!resolve_domain_is_local(&auth.resolver, s.alias_of))) {
		ctl_done(c, CTL_REFUSED, "%s: expected another domain of this host",
		    s.alias_of);
		return;
	}
	domain_settings_print(&s, text);
	done_with(c, directory_domain_set(auth.directory, domain, text), argv[0]);
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

/* An address, or |NAME of a command of fife.conf. */
static int
target_key(struct ctl *c, const char *word, char *key, size_t cap)
{
	const char *bad;

	if (word[0] != '|')
		return address_key(c, word, key, cap);
	if ((bad = programs_check(word, 0)) != NULL || strlcpy(key, word, cap) >= cap) {
		ctl_done(c, CTL_REFUSED, "%s: %s", word, bad);
		return -1;
	}
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
		if (target_key(c, argv[i], target, sizeof(target)) == -1) {
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

/*
 * DOMAIN, .DOMAIN (what is below it), * (the rest); or from:ADDRESS and from:@DOMAIN,
 * of the sender.
 */
static int
route_key(struct ctl *c, const char *word, char *key, size_t cap)
{
	char domain[256];
	struct address a;

	if (strcmp(word, "*") == 0 || strcmp(word, "default") == 0) {
		strlcpy(key, "*", cap);
		return 0;
	}
	if (strncmp(word, "from:@", 6) == 0) {
		if (address_domain_ascii(word + 6, domain, sizeof(domain)) == -1) {
			ctl_done(c, CTL_USAGE, "%s: not a domain name", word + 6);
			return -1;
		}
		snprintf(key, cap, "from:@%s", domain);
		return 0;
	}
	if (strncmp(word, "from:", 5) == 0) {
		strlcpy(key, "from:", cap);
		if (address_parse(word + 5, strlen(word + 5), &a) == -1 ||
		    address_fold_key(&a, key + 5, cap - 5) == -1) {
			ctl_done(c, CTL_USAGE, "%s: not an address", word + 5);
			return -1;
		}
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
	char key[ADDRESS_MAX + 8], text[ROUTE_MAX + 1] = "";
	struct route route;
	const char *why;
	size_t len = 0;

	if (route_key(c, argv[0], key, sizeof(key)) == -1)
		return;
	for (int i = 1; i < argc; i++) {
		if (i > 1)
			len = strlcat(text, " ", sizeof(text));
		/* A blank within a word would be two of them when it is read again. */
		if (strpbrk(argv[i], " \t\n\"\\") != NULL) {
			ctl_done(c, CTL_USAGE, "%s: no blanks or quotes in it", argv[i]);
			return;
		}
		len = strlcat(text, argv[i], sizeof(text));
	}
	if (len >= sizeof(text) || route_parse(text, &route, &why) == -1) {
		ctl_done(c, CTL_USAGE, "%s: %s", argv[1],
		    len >= sizeof(text) ? "the route is too long" : why);
		return;
	}
	if (resolve_domain_is_local(&auth.resolver, key))
		ctl_text(c,
		    "%s is a domain of this host: its mail stays here, and the route has "
		    "no effect",
		    key);
	done_with(c, directory_route_put(auth.directory, key, text), argv[0]);
	auth_changed("");
}

static void
route_del(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 8];

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

/* Where a value comes from: the route, or what holds without a word in it. */
static void
explain_value(struct ctl *c, const char *name, const char *value, bool of_route,
    const char *otherwise)
{
	char text[400];

	snprintf(
	    text, sizeof(text), "%.250s (%s)", value, of_route ? "the route" : otherwise);
	ctl_str(c, name, text);
}

static void
explain_number(struct ctl *c, const char *name, uint32_t n, const char *otherwise)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	explain_value(c, name, n != 0 ? text : otherwise, n != 0, "fife.conf");
}

static void
explain_route(struct ctl *c, const struct route *r)
{
	static const char *const schemes[] = { "", "STARTTLS", "STARTTLS",
		"TLS from the start", "LMTP" };
	bool strict = r->url.scheme == ROUTE_SMTPS || r->url.scheme == ROUTE_SMTP_TLS;
	char text[600], ip[64];

	if (!r->mx) {
		snprintf(text, sizeof(text), "%s port %u", r->url.host, r->url.port);
		explain_value(c, "host", text, true, "");
	} else
		explain_value(c, "host", "MX records of the domain", true, "");
	explain_value(c, "protocol", schemes[r->url.scheme], !r->mx, "by MX");
	if (r->tls != TLS_FLOOR_DEFAULT)
		explain_value(c, "tls", tls_floor_name(r->tls), true, "");
	else if (strict)
		explain_value(c, "tls", "verified", false, "the URL's scheme");
	else if (r->url.user[0] != '\0')
		explain_value(c, "tls", "verified", false, "it has a login");
	else if (r->mx)
		explain_value(c, "tls", "tls of delivery", false, "fife.conf");
	else
		explain_value(c, "tls", "opportunistic", false, "the URL's scheme");
	if (r->url.user[0] != '\0') {
		snprintf(text, sizeof(text), "%s with the secret %s%s%s", r->url.user,
		    r->url.secret, r->auth[0] != '\0' ? ", only by " : "", r->auth);
		explain_value(c, "login", text, true, "");
	}
	if (r->source4.family != 0)
		explain_value(
		    c, "source", dnsaddr_text(&r->source4, ip, sizeof(ip)), true, "");
	if (r->source6.family != 0)
		explain_value(
		    c, "source6", dnsaddr_text(&r->source6, ip, sizeof(ip)), true, "");
	explain_value(c, "helo", r->helo[0] != '\0' ? r->helo : "helo of delivery",
	    r->helo[0] != '\0', "fife.conf");
	explain_number(c, "concurrency", r->concurrency, "jobs-per-destination of queue");
	explain_number(c, "rate", r->rate, "no limit");
	explain_number(c, "messages", r->messages, "messages-max of delivery");
	if (r->fallback[0] != '\0') {
		snprintf(text, sizeof(text), "%s after %u tries", r->fallback, r->after);
		for (unsigned int i = 0; i < r->n_on; i++) {
			strlcat(text, i == 0 ? ", or at once on " : " ", sizeof(text));
			strlcat(text, r->on[i], sizeof(text));
		}
		explain_value(c, "fallback", text, true, "");
	}
}

static void
route_explain(struct ctl *c, int argc, char **argv)
{
	const char *at = strrchr(argv[0], '@'), *why;
	char domain[256], text[ROUTE_MAX + 1] = "", matched[ADDRESS_MAX + 8] = "";
	struct route r;
	enum dir_status st;

	if (domain_arg(c, at != NULL ? at + 1 : argv[0], domain, sizeof(domain)) == -1)
		return;
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "domain", domain);
	if (resolve_domain_is_local(&auth.resolver, domain))
		ctl_str(c, "route", "local: a domain of this host");
	else {
		st = directory_route_find(auth.directory, domain, argc > 1 ? argv[1] : "",
		    text, sizeof(text), matched, sizeof(matched));
		if (st != DIR_OK)
			strlcpy(text, "mx", sizeof(text));
		ctl_str(c, "route", st == DIR_OK ? text : "MX records of the domain");
		ctl_str(c, "because", st == DIR_OK ? matched : "no route fits");
		if (route_parse(text, &r, &why) == 0)
			explain_route(c, &r);
		else
			ctl_str(c, "broken", why);
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
	{ "domain set", 2, -1, domain_set },
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
	{ "user rule add", 5, 6, user_rule_add },
	{ "user rule del", 2, 2, user_rule_del },
	{ "user rule list", 1, 1, user_rule_list },
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
	{ "route add", 2, 20, route_add },
	{ "route del", 1, 1, route_del },
	{ "route list", 0, 0, route_list },
	{ "route explain", 1, 2, route_explain },
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
	{ "list add", 1, -1, list_cmd_add },
	{ "list del", 1, 1, list_cmd_del },
	{ "list list", 0, 1, list_cmd_list },
	{ "list show", 1, 1, list_cmd_show },
	{ "list set", 2, -1, list_cmd_set },
	{ "list member add", 2, -1, list_cmd_member_add },
	{ "list member del", 2, -1, list_cmd_member_del },
	{ "list member list", 1, 2, list_cmd_member_list },
	{ "list owner add", 2, -1, list_cmd_owner_add },
	{ "list owner del", 2, -1, list_cmd_owner_del },
	{ "list poster add", 2, -1, list_cmd_poster_add },
	{ "list poster del", 2, -1, list_cmd_poster_del },
	{ "list suspend", 2, -1, list_cmd_suspend },
	{ "list resume", 2, -1, list_cmd_resume },
	{ "list import", 1, 1, list_cmd_import },
	{ "list unsubscribe", 1, 2, list_cmd_unsubscribe },
	{ "dump", 0, 1, text_dump },
	{ "load", 0, 0, text_load },
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};
