/* SPDX-License-Identifier: ISC */
/* What accounts and groups are set to; see account_commands.h. */
#include "authd/account_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "authd/account.h"
#include "authd/auth.h"
#include "authd/bulk_commands.h"
#include "authd/programs.h"
#include "authd/quota.h"
#include "authd/records.h"
#include "authd/rules.h"
#include "authd/user_commands.h"
#include "authd/watch.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/encoding.h"

#define VALUE_MAX 32768
#define POP3_FOLDERS_MAX 1000 /* octets; the session label holds them */

static const char no_group[] = "no such group (fifectl group add)";

/* ---- users ---- */

static void
show_limits(struct ctl *c, const struct user *u)
{
	struct group g;

	account_group(u, &g);
	for (int i = 0; i < LIMITS; i++) {
		enum limit_source source;
		uint64_t n = account_limit(u, &g, (enum limit)i, &source);
		char key[32], from[GROUP_NAME_MAX + 16];

		if (n == LIMIT_UNLIMITED)
			ctl_str(c, limit_word((enum limit)i), "unlimited");
		else
			ctl_u64(c, limit_word((enum limit)i), n);
		snprintf(key, sizeof(key), "%s-from", limit_word((enum limit)i));
		snprintf(from, sizeof(from), "group %s", g.name);
		ctl_str(c, key,
		    source == LIMIT_USER     ? "user"
		    : source == LIMIT_GROUP  ? from
		    : source == LIMIT_SYSTEM ? "fife.conf"
					     : "built-in");
	}
}

/* What the mailbox has said of itself; nothing before it was used for the first time. */
static void
show_use(struct ctl *c, const struct user *u)
{
	static const unsigned int levels[QUOTA_LEVELS] = { 0, QUOTA_FIRST, QUOTA_SECOND };
	unsigned int percent;
	struct quota_use use;

	if (quota_of(u, &use, &percent) == -1)
		return;
	ctl_u64(c, "used", use.octets);
	ctl_u64(c, "used-messages", use.messages);
	ctl_u64(c, "used-percent", percent);
	ctl_u64(c, "warned-percent", levels[use.warned]);
}

static void
show_rules(struct ctl *c, const struct user *u)
{
	char key[24], text[RULES_ARGUMENT_MAX + RULES_NEEDLE_MAX + 100];
	const char *at = u->rules;
	struct rule r;

	for (int n = 1; rules_next(&at, &r); n++) {
		snprintf(key, sizeof(key), "rule-%d", n);
		rule_print(&r, text, sizeof(text));
		ctl_str(c, key, text);
	}
}

void
user_show(struct ctl *c, int argc, char **argv)
{
	struct usage *usage = watch_usage();
	struct user u;
	struct group g;
	char text[sizeof(u.vacation)];

	if (user_arg(c, argv[0], &u) == -1)
		return;
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "address", u.address);
	ctl_str(c, "state", u.disabled ? "disabled" : "active");
	ctl_bool(c, "closed", u.closed);
	ctl_bool(c, "administrator", u.administrator);
	ctl_u64(c, "uid", u.uid);
	ctl_str(c, "mailbox", u.mailbox);
	ctl_str(c, "group", u.group);
	ctl_str(c, "forward", u.forward);
	ctl_bool(c, "forward-keep", u.forward_keep);
	rules_text(u.vacation, text, sizeof(text));
	ctl_str(c, "vacation", text);
	rules_text(u.vacation_subject, text, sizeof(text));
	ctl_str(c, "vacation-subject", text);
	show_rules(c, &u);
	ctl_str(c, "send-as", u.send_as);
	rules_text(u.pop3_folders, text, sizeof(text));
	ctl_str(c, "pop3-folders", text);
	account_group(&u, &g);
	if (g.send_as[0] != '\0')
		ctl_str(c, "send-as-of-group", g.send_as);
	ctl_str(c, "password",
	    u.password.scram_sha256[0] != '\0' ? "scram"
	    : u.password.crypt[0] != '\0'      ? "yescrypt"
					       : "none");
	ctl_time(c, "created", u.created);
	if (u.since != u.created)
		ctl_time(c, "address-since", u.since);
	ctl_u64(c, "sessions-now", logins_count_of(u.address));
	if (usage != NULL) {
		ctl_u64(c, "messages-this-hour",
		    usage_of(usage, u.address, USAGE_MESSAGES_HOUR, wall_s()));
		ctl_u64(c, "recipients-this-hour",
		    usage_of(usage, u.address, USAGE_RECIPIENTS_HOUR, wall_s()));
	}
	show_use(c, &u);
	ctl_str(c, "suspect", u.suspect);
	if (u.suspect[0] != '\0')
		ctl_time(c, "suspect-since", u.suspect_since);
	show_limits(c, &u);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static int
parse_yes(const char *text, int *out)
{
	if (strcmp(text, "yes") == 0 || strcmp(text, "on") == 0 || strcmp(text, "1") == 0)
		*out = 1;
	else if (strcmp(text, "no") == 0 || strcmp(text, "off") == 0 ||
		 strcmp(text, "0") == 0)
		*out = 0;
	else
		return -1;
	return 0;
}

static const char *
set_forward(struct user *u, const char *value)
{
	char copy[sizeof(u->forward)], key[ADDRESS_MAX + 1], *list = copy, *word;
	int n = 0;

	if (strlcpy(copy, value, sizeof(copy)) >= sizeof(copy))
		return "too many addresses";
	u->forward[0] = '\0';
	while ((word = strsep(&list, ", ")) != NULL) {
		struct address a;

		if (*word == '\0')
			continue;
		if (*word == '|') {
			const char *bad = programs_check(word, 1);

			if (bad != NULL)
				return bad;
			strlcpy(key, word, sizeof(key));
		} else if (address_parse(word, strlen(word), &a) == -1 ||
			   address_fold_key(&a, key, sizeof(key)) == -1)
			return "expected addresses and |COMMANDs separated by commas";
		if (n++ >= RULES_FORWARDS_MAX)
			return "too many addresses: make a list or an alias";
		if (u->forward[0] != '\0')
			strlcat(u->forward, ",", sizeof(u->forward));
		if (strlcat(u->forward, key, sizeof(u->forward)) >= sizeof(u->forward))
			return "too many addresses";
	}
	return NULL;
}

/* Addresses, and @domain for all of a domain. */
static const char *
set_send_as(char *out, size_t cap, const char *value)
{
	char copy[1024], key[ADDRESS_MAX + 2], *list = copy, *word;

	if (strlcpy(copy, value, sizeof(copy)) >= sizeof(copy))
		return "too many addresses";
	out[0] = '\0';
	while ((word = strsep(&list, ", ")) != NULL) {
		struct address a;

		if (*word == '\0')
			continue;
		key[0] = '@';
		if (word[0] == '@'
			? address_domain_ascii(word + 1, key + 1, sizeof(key) - 1) == -1
			: address_parse(word, strlen(word), &a) == -1 ||
			      address_fold_key(&a, key, sizeof(key)) == -1)
			return "expected addresses or @domains separated by commas";
		if (out[0] != '\0')
			strlcat(out, ",", cap);
		if (strlcat(out, key, cap) >= cap)
			return "too many addresses";
	}
	return NULL;
}

/* Names of folders, or * for all, separated by commas; the mailbox process looks at
 * what they are. */
static const char *
set_pop3_folders(struct user *u, const char *value)
{
	const char *bad;

	if (strcmp(value, "all") == 0)
		value = "*";
	else if (strcasecmp(value, "inbox") == 0)
		value = "";
	if (strlen(value) > POP3_FOLDERS_MAX)
		return "the text is too long";
	if (strchr(value, '\n') != NULL)
		return "expected names of folders separated by commas";
	if ((bad = rules_encode_text(u->pop3_folders, sizeof(u->pop3_folders), value)) !=
	    NULL)
		u->pop3_folders[0] = '\0';
	return bad;
}

static const char *
set_group(struct user *u, const char *value)
{
	struct group g;

	if (value[0] != '\0' && directory_group_get(auth.directory, value, &g) != DIR_OK)
		return no_group;
	strlcpy(u->group, value, sizeof(u->group));
	return NULL;
}

static const char *
set_suspect(struct user *u, const char *value)
{
	int yes;

	if (parse_yes(value, &yes) == -1)
		return "expected yes or no";
	if (!yes)
		watch_forgive(u);
	else if (u->suspect[0] == '\0') {
		strlcpy(u->suspect, "an administrator says so", sizeof(u->suspect));
		u->suspect_since = wall_s();
		watch_look_again();
	}
	return NULL;
}

const char *
account_set(struct user *u, const char *key, const char *value)
{
	enum limit l = limit_find(key);

	if (l != LIMITS)
		return limit_parse(l, value, &u->limits.v[l]);
	if (strcmp(key, "disabled") == 0)
		return parse_yes(value, &u->disabled) == 0 ? NULL : "expected yes or no";
	if (strcmp(key, "closed") == 0)
		return parse_yes(value, &u->closed) == 0 ? NULL : "expected yes or no";
	if (strcmp(key, "administrator") == 0)
		return parse_yes(value, &u->administrator) == 0 ? NULL
								: "expected yes or no";
	if (strcmp(key, "forward") == 0)
		return set_forward(u, value);
	if (strcmp(key, "forward-keep") == 0)
		return parse_yes(value, &u->forward_keep) == 0 ? NULL
							       : "expected yes or no";
	if (strcmp(key, "vacation") == 0)
		return rules_encode_text(u->vacation, sizeof(u->vacation), value);
	if (strcmp(key, "vacation-subject") == 0)
		return rules_encode_text(
		    u->vacation_subject, sizeof(u->vacation_subject), value);
	if (strcmp(key, "send-as") == 0)
		return set_send_as(u->send_as, sizeof(u->send_as), value);
	if (strcmp(key, "pop3-folders") == 0)
		return set_pop3_folders(u, value);
	if (strcmp(key, "group") == 0)
		return set_group(u, value);
	if (strcmp(key, "suspect") == 0)
		return set_suspect(u, value);
	return "unknown key: expected disabled, closed, administrator, forward, "
	       "forward-keep, "
	       "vacation, "
	       "vacation-subject, scram, send-as, pop3-folders, "
	       "group, suspect or a limit (messages-hour, messages-day, "
	       "recipients-hour, recipients-day, recipients-message, message-size, "
	       "quota, quota-messages, sessions)";
}

/* All settings together become one script. */
static int
settings_fit(struct ctl *c, const struct user *u)
{
	char script[RULES_SCRIPT_MAX + 1];

	if (rules_script(u, script) != -1)
		return 1;
	ctl_done(c, CTL_REFUSED, "%s: forward, answer and rules are too long together",
	    u->address);
	return 0;
}

/* What an administrator's mailbox process reads might take it over, see quota_admin.h. */
static int
may_administer(struct ctl *c, const struct user *u)
{
	if (!u->administrator || u->closed)
		return 1;
	ctl_done(c, CTL_REFUSED,
	    "%s: an administrator's mailbox must be closed to others: closed=yes",
	    u->address);
	return 0;
}

void
user_set(struct ctl *c, int argc, char **argv)
{
	struct user u;
	enum dir_status st;
	int was_open, was_administrator, scram = -1;

	if (bulk_is_pattern(argv[0])) {
		bulk_user_set(c, argc, argv);
		return;
	}
	if (user_arg(c, argv[0], &u) == -1)
		return;
	was_open = !u.disabled && !u.closed;
	was_administrator = u.administrator;
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		const char *bad = "expected KEY=VALUE";

		if (value != NULL) {
			*value++ = '\0';
			if (strcmp(argv[i], "scram") == 0)
				bad = parse_yes(value, &scram) == 0
					  ? NULL
					  : "expected on or off";
			else
				bad = account_set(&u, argv[i], value);
		}
		if (bad != NULL) {
			ctl_done(c, bad == no_group ? CTL_REFUSED : CTL_USAGE, "%s: %s",
			    argv[i], bad);
			return;
		}
	}
	if (!settings_fit(c, &u) || !may_administer(c, &u))
		return;
	st = directory_user_put(auth.directory, &u);
	/* Others' sessions there, and its own elsewhere, end with the process. */
	if (st == DIR_OK && was_open && (u.disabled || u.closed)) {
		struct channel *ch = daemon_peer(ROLE_MBOXD);
		struct msg_mbox_dir d = { .uid = u.uid };

		logins_forget(u.address, NULL);
		strlcpy(d.mailbox, u.mailbox, sizeof(d.mailbox));
		if (ch != NULL)
			channel_send(ch, MSG_AUTHD_MBOXD_KICK, 0, &d, -1);
	}
	if (st == DIR_OK && u.administrator != was_administrator)
		log_fact(LOG_LOGIN, LOGL_INFO,
		    u.administrator ? "administrator-made" : "administrator-unmade",
		    KS("user", u.address));
	if (st == DIR_OK)
		quota_changed(&u);
	if (st != DIR_OK)
		ctl_done(c, CTL_TEMPFAIL, "%s: %s", u.address, dir_status_text(st));
	else if (scram == -1)
		ctl_done(c, CTL_OK, NULL);
	else /* Neither form can be made from the other, only from the password. */
		user_rehash(c, &u, scram);
}

/* ---- simple rules ---- */

static void
rules_stored(struct ctl *c, const struct user *u)
{
	enum dir_status st = directory_user_put(auth.directory, u);

	if (st == DIR_OK)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, CTL_TEMPFAIL, "%s: %s", u->address, dir_status_text(st));
}

/* ADDRESS FIELD contains TEXT ACTION [ARGUMENT] */
void
user_rule_add(struct ctl *c, int argc, char **argv)
{
	const char *bad;
	struct user u;
	struct rule r;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	if ((bad = rule_parse(&r, argc - 1, argv + 1)) != NULL)
		ctl_done(c, CTL_USAGE, "%s", bad);
	else if (rules_add(&u, &r) == -1)
		ctl_done(c, CTL_REFUSED,
		    "%s: too many rules, a script would do (sieve put)", u.address);
	else if (settings_fit(c, &u))
		rules_stored(c, &u);
}

void
user_rule_del(struct ctl *c, int argc, char **argv)
{
	const char *bad;
	struct user u;
	long long n;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	n = strtonum(argv[1], 1, RULES_MAX, &bad);
	if (bad != NULL)
		ctl_done(c, CTL_USAGE, "%s: expected the number of a rule", argv[1]);
	else if (rules_delete(&u, (size_t)n) == -1)
		ctl_done(c, CTL_REFUSED, "%s: there is no rule %s", u.address, argv[1]);
	else
		rules_stored(c, &u);
}

void
user_rule_list(struct ctl *c, int argc, char **argv)
{
	char text[RULES_ARGUMENT_MAX + RULES_NEEDLE_MAX + 100];
	const char *at;
	struct user u;
	struct rule r;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	at = u.rules;
	for (uint64_t n = 1; rules_next(&at, &r); n++) {
		rule_print(&r, text, sizeof(text));
		ctl_row(c, CTL_TABLE);
		ctl_u64(c, "rule", n);
		ctl_str(c, "does", text);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

void
user_sessions(struct ctl *c, int argc, char **argv)
{
	static const char *const services[] = { "?", "smtp", "imap", "pop3" };
	const struct login *l = NULL;
	struct user u;

	if (argc == 1 && user_arg(c, argv[0], &u) == -1)
		return;
	while ((l = logins_next(l)) != NULL) {
		if (argc == 1 && strcmp(l->address, u.address) != 0)
			continue;
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "user", l->address);
		ctl_str(c, "service", services[l->service < 4 ? l->service : 0]);
		ctl_str(c, "client", l->client);
		ctl_str(c, "method", l->method);
		ctl_str(c, "by", l->by[0] != '\0' ? l->by : "password");
		ctl_str(c, "tls", l->tls);
		ctl_bool(c, "quotaset", l->quotaset);
		ctl_time(c, "since", l->since);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}

void
user_kick(struct ctl *c, int argc, char **argv)
{
	struct user u;
	size_t n;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	n = logins_forget(u.address, NULL);
	log_fact(LOG_LOGIN, LOGL_INFO, "user-kicked", KS("user", u.address),
	    KU("sessions", n));
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "sessions-ended", n);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

/* ---- groups ---- */

static int
group_arg(struct ctl *c, const char *word, struct group *g)
{
	enum dir_status st = directory_group_get(auth.directory, word, g);

	if (st == DIR_OK)
		return 0;
	ctl_done(c, st == DIR_NONE ? CTL_REFUSED : CTL_TEMPFAIL, "%s: %s", word,
	    st == DIR_NONE ? "no such group" : dir_status_text(st));
	return -1;
}

/* KEY=VALUE…; 0, or -1 after ctl_done(). */
static int
group_settings(struct ctl *c, struct group *g, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		const char *bad = "expected KEY=VALUE";
		enum limit l;

		if (value != NULL) {
			*value++ = '\0';
			if ((l = limit_find(argv[i])) != LIMITS)
				bad = limit_parse(l, value, &g->limits.v[l]);
			else if (strcmp(argv[i], "send-as") == 0)
				bad = set_send_as(g->send_as, sizeof(g->send_as), value);
			else
				bad = "unknown key: expected send-as or a limit, see "
				      "fifectl(8)";
		}
		if (bad != NULL) {
			ctl_done(c, CTL_USAGE, "%s: %s", argv[i], bad);
			return -1;
		}
	}
	return 0;
}

static void
group_store(struct ctl *c, const struct group *g, int is_new)
{
	enum dir_status st = directory_group_put(auth.directory, g, is_new);

	if (st == DIR_OK) {
		log_fact(LOG_LOGIN, LOGL_INFO, is_new ? "group-added" : "group-changed",
		    KS("group", g->name));
		if (!is_new)
			bulk_group_changed(g->name);
		ctl_done(c, CTL_OK, NULL);
	} else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", g->name,
		    dir_status_text(st));
}

void
group_add(struct ctl *c, int argc, char **argv)
{
	struct group g = { 0 };

	if (!group_name_valid(argv[0])) {
		ctl_done(c, CTL_USAGE,
		    "%s: expected a name of small letters, digits, dot, hyphen and "
		    "underscore",
		    argv[0]);
		return;
	}
	strlcpy(g.name, argv[0], sizeof(g.name));
	if (group_settings(c, &g, argc - 1, argv + 1) == 0)
		group_store(c, &g, 1);
}

void
group_set(struct ctl *c, int argc, char **argv)
{
	struct group g;

	if (group_arg(c, argv[0], &g) == 0 &&
	    group_settings(c, &g, argc - 1, argv + 1) == 0)
		group_store(c, &g, 0);
}

void
group_del(struct ctl *c, int argc, char **argv)
{
	enum dir_status st = directory_group_del(auth.directory, argv[0]);

	if (st == DIR_OK) {
		log_fact(LOG_LOGIN, LOGL_INFO, "group-deleted", KS("group", argv[0]));
		ctl_done(c, CTL_OK, NULL);
	} else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", argv[0],
		    st == DIR_BUSY ? "somebody is in it still" : dir_status_text(st));
}

static size_t
members(const char *name)
{
	char key[512] = "", *value = malloc(VALUE_MAX);
	struct user u;
	size_t n = 0;

	while (value != NULL && directory_next(auth.directory, DIR_USERS, key,
				    sizeof(key), value, VALUE_MAX) == DIR_OK)
		n += user_decode(key, value, &u) == 0 && strcmp(u.group, name) == 0;
	freezero(value, value == NULL ? 0 : VALUE_MAX);
	return n;
}

void
group_show(struct ctl *c, int argc, char **argv)
{
	struct group g;

	if (group_arg(c, argv[0], &g) == -1)
		return;
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "group", g.name);
	ctl_u64(c, "members", members(g.name));
	ctl_str(c, "send-as", g.send_as);
	for (int i = 0; i < LIMITS; i++) {
		char value[LIMIT_TEXT_MAX];

		if (g.limits.v[i] == LIMIT_INHERITED)
			continue;
		limit_format(g.limits.v[i], value);
		ctl_str(c, limit_word((enum limit)i), value);
	}
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

void
group_list(struct ctl *c, int argc, char **argv)
{
	char key[512] = "", *value = malloc(VALUE_MAX);
	enum dir_status st = DIR_FULL;
	struct group g;

	while (value != NULL && (st = directory_next(auth.directory, DIR_GROUPS, key,
				     sizeof(key), value, VALUE_MAX)) == DIR_OK) {
		char text[512] = "";

		if (group_decode(key, value, &g) == -1)
			continue;
		for (int i = 0; i < LIMITS; i++) {
			char n[LIMIT_TEXT_MAX];

			if (g.limits.v[i] == LIMIT_INHERITED)
				continue;
			limit_format(g.limits.v[i], n);
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
			    "%s%s=%s", text[0] != '\0' ? " " : "",
			    limit_word((enum limit)i), n);
		}
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "group", key);
		ctl_str(c, "limits", text);
		ctl_row_end(c);
	}
	free(value);
	if (st == DIR_NONE)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, CTL_TEMPFAIL, "%s", dir_status_text(st));
}
