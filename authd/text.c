/* SPDX-License-Identifier: ISC */
/* dump and load of the directory; see text.h. */
#include "authd/text.h"

#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/access.h"
#include "authd/auth.h"
#include "authd/cert_commands.h"
#include "authd/domain.h"
#include "authd/external.h"
#include "authd/list_commands.h"
#include "authd/personal.h"
#include "authd/watch.h"
#include "authd/rules.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/route.h"

#define VALUE_MAX 32768
#define LOAD_MAX (64 * 1024 * 1024)
#define LOAD_SLICE_MS 20
#define LINE_WORDS_MAX 1024

static void
limits_text(const struct limits *l, char *buf, size_t cap)
{
	buf[0] = '\0';
	for (int i = 0; i < LIMITS; i++) {
		size_t len = strlen(buf);
		char value[LIMIT_TEXT_MAX];

		if (l->v[i] == LIMIT_INHERITED)
			continue;
		limit_format(l->v[i], value);
		snprintf(
		    buf + len, cap - len, " %s=%s", limit_word((enum limit)i), value);
	}
}

static void
dump_group(struct ctl *c, const char *key, const char *value)
{
	char limits[LIMITS * 48];
	struct group g;

	if (group_decode(key, value, &g) == -1)
		return;
	limits_text(&g.limits, limits, sizeof(limits));
	ctl_text(
	    c, "group %s%s%s%s", key, g.send_as[0] ? " send-as=" : "", g.send_as, limits);
}

static void
dump_user(struct ctl *c, const char *key, const char *value, int secrets)
{
	char limits[LIMITS * 48] = "";
	struct user u;

	if (user_decode(key, value, &u) == -1)
		return;
	limits_text(&u.limits, limits, sizeof(limits));
	ctl_text(c,
	    "user %s uid=%u disabled=%d forward=%s forward-keep=%d "
	    "created=%lld since=%lld%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s",
	    key, u.uid, u.disabled, u.forward, u.forward_keep, (long long)u.created,
	    (long long)u.since, u.closed ? " closed=1" : "",
	    u.administrator ? " administrator=1" : "", u.group[0] ? " group=" : "",
	    u.group, secrets && u.password.scram_sha256[0] ? " scram-sha-256=" : "",
	    secrets ? u.password.scram_sha256 : "",
	    secrets && u.password.scram_sha1[0] ? " scram-sha-1=" : "",
	    secrets ? u.password.scram_sha1 : "",
	    secrets && u.password.crypt[0] ? " crypt=" : "",
	    secrets ? u.password.crypt : "", u.send_as[0] ? " send-as=" : "", u.send_as,
	    u.vacation[0] ? " vacation=" : "", u.vacation,
	    u.vacation_subject[0] ? " vacation-subject=" : "", u.vacation_subject,
	    u.pop3_folders[0] ? " pop3-folders=" : "", u.pop3_folders,
	    u.rules[0] ? " rules=" : "", u.rules, limits,
	    secrets && u.apppass[0] ? " app-passwords=" : "", secrets ? u.apppass : "");
}

static void
dump_personal(struct ctl *c, const char *user, const char *text)
{
	char subject[ACCESS_KEY_MAX], reason[PERSONAL_REASON_MAX + 1];
	enum access_kind kind;

	while (personal_next(
		   &text, &kind, subject, sizeof(subject), reason, sizeof(reason)) == 0)
		ctl_text(c, "personal %s %s %s%s%s", user, access_word(kind), subject,
		    reason[0] != '\0' ? " " : "", reason);
}

/* A dump on its way: as much as fifectl takes, then the others' turn. */
struct dump {
	int secrets;
	int table;
	char key[512];
	char value[VALUE_MAX];
};

static void
dump_gone(struct ctl *c, void *arg)
{
	freezero(arg, sizeof(struct dump));
}

static void
dump_more(struct ctl *c, void *arg)
{
	/* In this order they can be loaded. */
	static const struct {
		enum dir_table table;
		const char *word;
	} tables[DIR_TABLES] = {
		{ DIR_DOMAINS, "domain" },
		{ DIR_GROUPS, "group" },
		{ DIR_USERS, "user" },
		{ DIR_CERTS, "certificate" },
		{ DIR_ALIASES, "alias" },
		{ DIR_LISTS, "list" },
		{ DIR_MEMBERS, "list-member" },
		{ DIR_ROUTES, "route" },
		{ DIR_ACCESS, "access" },
		{ DIR_PERSONAL, "personal" },
	};
	struct dump *d = arg;

	while (d->table < DIR_TABLES) {
		enum dir_table table = tables[d->table].table;
		enum dir_status st = directory_next(auth.directory, table, d->key,
		    sizeof(d->key), d->value, sizeof(d->value));

		if (st == DIR_NONE) {
			d->table++;
			d->key[0] = '\0';
			continue;
		}
		if (st != DIR_OK) {
			ctl_done(c, CTL_TEMPFAIL, "%s", dir_status_text(st));
			dump_gone(c, d);
			return;
		}
		if (table == DIR_USERS)
			dump_user(c, d->key, d->value, d->secrets);
		else if (table == DIR_PERSONAL)
			dump_personal(c, d->key, d->value);
		else if (table == DIR_GROUPS)
			dump_group(c, d->key, d->value);
		else if (table == DIR_LISTS)
			list_dump(c, d->key, d->value);
		else if (table == DIR_MEMBERS)
			list_dump_member(c, d->key, d->value);
		else if (table == DIR_ACCESS) {
			/* Bans end by themselves. */
			if (strncmp(d->key, "ban ", 4) != 0)
				ctl_text(c, "access %s", d->key);
		} else
			ctl_text(c, "%s %s%s%s", tables[d->table].word, d->key,
			    d->value[0] ? " " : "", d->value);
		if (ctl_full(c)) {
			ctl_on_room(c, dump_more, d);
			return;
		}
	}
	ctl_done(c, CTL_OK, NULL);
	dump_gone(c, d);
}

void
text_dump(struct ctl *c, int argc, char **argv)
{
	int secrets = argc == 1 && strcmp(argv[0], "--secrets") == 0;
	struct dump *d;

	if (argc == 1 && !secrets) {
		ctl_done(c, CTL_USAGE, "%s: expected --secrets or nothing", argv[0]);
		return;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return;
	}
	d->secrets = secrets;
	ctl_on_gone(c, dump_gone, d);
	dump_more(c, d);
}

/* ---- load ---- */

static const char *
load_user(char **words, int n)
{
	char text[VALUE_MAX], script[RULES_SCRIPT_MAX + 1];
	struct address a;
	struct user u, old;
	size_t len;
	enum dir_status st;
	char key[ADDRESS_MAX + 1];

	if (address_parse(words[0], strlen(words[0]), &a) == -1 ||
	    address_fold_key(&a, key, sizeof(key)) == -1)
		return "not an address";
	/* The words are the record's lines; what a dump without secrets lacks stays. */
	len = strlcpy(text, "mailbox=x/x\n", sizeof(text));
	for (int i = 1; i < n; i++) {
		len = strlcat(text, words[i], sizeof(text));
		len = strlcat(text, "\n", sizeof(text));
		if (len >= sizeof(text))
			return "line too long";
	}
	if (user_decode(key, text, &u) == -1)
		return "malformed values";
	if (rules_script(&u, script) == -1)
		return "forward, answer and rules are too long together";
	st = directory_user_get(auth.directory, key, &old);
	/* A list made by hand says nothing of it. */
	if (u.created == 0)
		u.created = st == DIR_OK ? old.created : wall_s();
	if (u.since == 0)
		u.since = st == DIR_OK ? old.since : u.created;
	if (st == DIR_OK) {
		if (u.password.scram_sha256[0] == '\0' && u.password.crypt[0] == '\0')
			u.password = old.password;
		if (u.apppass[0] == '\0')
			strlcpy(u.apppass, old.apppass, sizeof(u.apppass));
		strlcpy(u.suspect, old.suspect, sizeof(u.suspect));
		u.suspect_since = old.suspect_since;
		strlcpy(u.mailbox, old.mailbox, sizeof(u.mailbox));
		u.uid = old.uid;
		st = directory_user_put(auth.directory, &u);
	} else {
		struct channel *ch = daemon_peer(ROLE_MBOXD);
		struct msg_mbox_dir d = { 0 };

		if ((st = directory_user_add(auth.directory, &u)) == DIR_OK &&
		    ch != NULL) {
			d.uid = u.uid;
			strlcpy(d.mailbox, u.mailbox, sizeof(d.mailbox));
			channel_send(ch, MSG_AUTHD_MBOXD_CREATE, 0, &d, -1);
		}
	}
	return st == DIR_OK ? NULL : dir_status_text(st);
}

/* USER KIND SUBJECT [REASON] */
static const char *
load_personal(char **words, int n)
{
	static char text[PERSONAL_TEXT_MAX + 1];
	char subject[ACCESS_KEY_MAX], key[ADDRESS_MAX + 1], reason[301] = "";
	enum access_kind kind = access_kind_of(words[1]);
	struct address a;
	struct user u;
	enum dir_status st;

	if (address_parse(words[0], strlen(words[0]), &a) == -1 ||
	    address_fold_key(&a, key, sizeof(key)) == -1 || kind == ACCESS_NONE ||
	    kind == ACCESS_BAN ||
	    access_subject(words[2], subject, sizeof(subject)) == -1)
		return "expected personal ADDRESS allow|deny|junk NETWORK|DOMAIN|ADDRESS";
	for (int i = 3; i < n; i++) {
		strlcat(reason, i == 3 ? "" : " ", sizeof(reason));
		strlcat(reason, words[i], sizeof(reason));
	}
	if ((st = directory_user_get(auth.directory, key, &u)) != DIR_OK)
		return dir_status_text(st);
	st = directory_personal_get(auth.directory, key, text, sizeof(text));
	if (st == DIR_NONE)
		text[0] = '\0';
	if ((st == DIR_OK || st == DIR_NONE) &&
	    (st = personal_put(text, kind, subject, reason)) == DIR_OK)
		st = directory_personal_put(auth.directory, key, text);
	return st == DIR_OK ? NULL : dir_status_text(st);
}

static const char *
load_group(char **words, int n)
{
	char text[VALUE_MAX];
	struct group g;
	enum dir_status st;

	text[0] = '\0';
	for (int i = 1; i < n; i++) {
		strlcat(text, words[i], sizeof(text));
		if (strlcat(text, "\n", sizeof(text)) >= sizeof(text))
			return "line too long";
	}
	if (group_decode(words[0], text, &g) == -1)
		return "malformed values";
	st = directory_group_put(auth.directory, &g, 0);
	return st == DIR_OK ? NULL : dir_status_text(st);
}

/* FINGERPRINT ADDRESS NAME CREATED */
static const char *
load_certificate(char **words)
{
	char fingerprint[FINGERPRINT_SIZE], value[CERT_VALUE_MAX + 1];
	char address[ADDRESS_MAX + 1], name[CERT_NAME_MAX + 1];
	enum dir_status st;
	int64_t created;
	struct user u;

	if ((size_t)snprintf(value, sizeof(value), "%s %s %s", words[1], words[2],
		words[3]) >= sizeof(value) ||
	    external_fingerprint_parse(words[0], fingerprint) == -1 ||
	    cert_value(value, address, sizeof(address), name, &created) == -1)
		return "expected certificate FINGERPRINT ADDRESS NAME CREATED";
	if (directory_user_get(auth.directory, address, &u) != DIR_OK)
		return "a certificate of no user here";
	st = directory_cert_put(auth.directory, fingerprint, value);
	return st == DIR_OK || st == DIR_EXISTS ? NULL : dir_status_text(st);
}

static const char *
load_line(char *line)
{
	char settings[DOMAIN_SETTINGS_MAX];
	struct domain_settings ds;
	char *words[LINE_WORDS_MAX], *word, domain[300], key[ADDRESS_MAX + 2];
	struct route route;
	struct address a;
	const char *why;
	enum dir_status st;
	int n = 0;

	if (line[0] == '#' || line[0] == '\0')
		return NULL;
	if (strncmp(line, "alias ", 6) == 0) {
		/* alias KEY TARGET…: the targets are stored as they stand */
		char *targets = strchr(line + 6, ' ');

		if (targets == NULL)
			return "expected alias ADDRESS TARGET…";
		*targets++ = '\0';
		if (line[6] == '@')
			strlcpy(key, line + 6, sizeof(key));
		else if (address_parse(line + 6, strlen(line + 6), &a) == -1 ||
			 address_fold_key(&a, key, sizeof(key)) == -1)
			return "not an address";
		st = directory_alias_put(auth.directory, key, targets);
		return st == DIR_OK ? NULL : dir_status_text(st);
	}
	if (strncmp(line, "route ", 6) == 0) {
		/* route KEY URL SETTINGS…: stored as they stand */
		char *value = strchr(line + 6, ' ');

		if (value == NULL)
			return "expected route DOMAIN URL";
		*value++ = '\0';
		if (route_parse(value, &route, &why) == -1)
			return why;
		st = directory_route_put(auth.directory, line + 6, value);
		return st == DIR_OK ? NULL : dir_status_text(st);
	}
	while ((word = strsep(&line, " ")) != NULL && n < LINE_WORDS_MAX)
		if (*word != '\0')
			words[n++] = word;
	if (n >= 2 && n <= 4 && strcmp(words[0], "domain") == 0) {
		if (address_domain_ascii(words[1], domain, sizeof(domain)) == -1)
			return "not a domain name";
		domain_settings_parse("", &ds);
		for (int i = 2; i < n; i++)
			if ((why = domain_settings_word(&ds, words[i])) != NULL)
				return why;
		domain_settings_print(&ds, settings);
		st = directory_domain_add(auth.directory, domain);
		if ((st == DIR_OK || st == DIR_EXISTS) && n > 2)
			st = directory_domain_set(auth.directory, domain, settings);
		return st == DIR_OK || st == DIR_EXISTS ? NULL : dir_status_text(st);
	}
	if (n == 3 && strcmp(words[0], "access") == 0) {
		enum access_kind kind = access_kind_of(words[1]);
		char subject[ACCESS_KEY_MAX];

		if ((kind != ACCESS_ALLOW && kind != ACCESS_DENY) ||
		    access_subject(words[2], subject, sizeof(subject)) == -1)
			return "expected access allow|deny NETWORK|DOMAIN|ADDRESS";
		st = access_put(auth.directory, kind, subject, 0, "");
		return st == DIR_OK ? NULL : dir_status_text(st);
	}
	if (n >= 2 && strcmp(words[0], "user") == 0)
		return load_user(words + 1, n - 1);
	if (n >= 4 && strcmp(words[0], "personal") == 0)
		return load_personal(words + 1, n - 1);
	if (n >= 2 && strcmp(words[0], "group") == 0)
		return load_group(words + 1, n - 1);
	if (n == 5 && strcmp(words[0], "certificate") == 0)
		return load_certificate(words + 1);
	if (n >= 2 && strcmp(words[0], "list") == 0)
		return list_load(words + 1, n - 1);
	if (n >= 3 && strcmp(words[0], "list-member") == 0)
		return list_load_member(words + 1, n - 1);
	return "expected domain, group, user, certificate, alias, list, list-member, "
	       "route, access or personal";
}

/*
 * The whole file, or NULL. Only a regular one (fifectl makes a memory file of its
 * standard input): reading a pipe would make everybody wait for its writer.
 */
static char *
read_all(int fd, size_t *len)
{
	struct stat st;
	char *buf;
	size_t size;

	*len = 0;
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    st.st_size > LOAD_MAX || (buf = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	size = (size_t)st.st_size;
	while (*len < size) {
		ssize_t n = pread(fd, buf + *len, size - *len, (off_t)*len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			freezero(buf, size + 1);
			return NULL;
		}
		if (n == 0)
			break; /* it has become shorter */
		*len += (size_t)n;
	}
	buf[*len] = '\0';
	return buf;
}

/* A load on its way. Each line is on the disk before the next, which takes a while:
 * those who ask about recipients and logins have their turn in between. */
struct load {
	struct ctl *ctl;
	struct event *ev;
	char *text;
	size_t len;
	char *rest;
	int number;
};

static void
load_free(struct load *l)
{
	if (l->ev != NULL)
		event_free(l->ev);
	freezero(l->text, l->len + 1); /* perhaps with hashes */
	free(l);
}

static void
load_gone(struct ctl *c, void *arg)
{
	load_free(arg);
	auth_changed("");
}

static void
load_more(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, 1000 };
	uint64_t end = now_ms() + LOAD_SLICE_MS;
	struct load *l = arg;
	const char *bad = NULL;
	char *line;

	while (bad == NULL && (line = strsep(&l->rest, "\n")) != NULL) {
		l->number++;
		bad = load_line(line);
		if (bad == NULL && l->rest != NULL && now_ms() >= end &&
		    event_add(l->ev, &soon) == 0)
			return;
	}
	auth_changed("");
	watch_look_again();
	if (bad != NULL)
		ctl_done(l->ctl, CTL_REFUSED,
		    "line %d: %s; the lines before it are loaded", l->number, bad);
	else
		ctl_done(l->ctl, CTL_OK, NULL);
	load_free(l);
}

void
text_load(struct ctl *c, int argc, char **argv)
{
	struct load *l = calloc(1, sizeof(*l));
	int fd = ctl_take_fd(c);

	if (fd == -1)
		ctl_done(c, CTL_USAGE, "expected the text on standard input");
	else if (l == NULL ||
		 (l->ev = event_new(daemon_base(), -1, 0, load_more, l)) == NULL)
		ctl_done(c, CTL_TEMPFAIL, "no memory");
	else if ((l->text = read_all(fd, &l->len)) == NULL ||
		 memchr(l->text, '\0', l->len) != NULL)
		ctl_done(
		    c, CTL_REFUSED, "the input cannot be read as text of at most 64 MB");
	else {
		close(fd);
		l->ctl = c;
		l->rest = l->text;
		ctl_on_gone(c, load_gone, l);
		load_more(-1, 0, l);
		return;
	}
	if (fd != -1)
		close(fd);
	if (l != NULL)
		load_free(l);
}
