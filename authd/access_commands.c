/* SPDX-License-Identifier: ISC */
/* fifectl access: lists and bans; see access.h and personal.h. */
#include "authd/access_commands.h"

#include <string.h>

#include "authd/access.h"
#include "authd/auth.h"
#include "authd/logins.h"
#include "authd/personal_commands.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

/* All, or those of one kind. */
static void
list(struct ctl *c, enum access_kind only, int argc, char **argv)
{
	char key[512] = "", value[512], reason[301], *user;
	enum dir_status st;
	int64_t until;

	if (personal_user_word(c, &argc, argv, &user) == -1)
		return;
	if (argc > 0) {
		ctl_done(c, CTL_USAGE, "%s: expected --user or nothing", argv[0]);
		return;
	}
	if (user != NULL) {
		personal_cmd_list(c, user, only);
		return;
	}
	while ((st = directory_next(auth.directory, DIR_ACCESS, key, sizeof(key), value,
		    sizeof(value))) == DIR_OK) {
		char *subject = strchr(key, ' ');
		enum access_kind kind;

		if (subject == NULL ||
		    access_value(value, &until, reason, sizeof(reason)) == -1)
			continue;
		*subject = '\0';
		kind = access_kind_of(key);
		*subject++ = ' ';
		if ((only != ACCESS_NONE && kind != only) ||
		    (until != 0 && until <= wall_s()))
			continue;
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "kind", access_word(kind));
		ctl_str(c, "subject", subject);
		ctl_time(c, "until", until);
		ctl_str(c, "reason", reason);
		ctl_row_end(c);
	}
	if (st == DIR_NONE)
		ctl_done(c, CTL_OK, NULL);
	else
		ctl_done(c, CTL_TEMPFAIL, "%s", dir_status_text(st));
}

static int
subject_arg(struct ctl *c, const char *word, char *subject, size_t cap)
{
	if (access_subject(word, subject, cap) == 0)
		return 0;
	ctl_done(c, CTL_USAGE,
	    "%s: expected an IP address, a network such as 192.0.2.0/24, a domain or an "
	    "address",
	    word);
	return -1;
}

static void
add(struct ctl *c, enum access_kind kind, int argc, char **argv)
{
	char subject[ACCESS_KEY_MAX], reason[301] = "", *user;
	enum dir_status st;

	if (personal_user_word(c, &argc, argv, &user) == -1)
		return;
	if (argc < 1) {
		ctl_done(c, CTL_USAGE,
		    "expected an IP address, a network, a domain or "
		    "an address");
		return;
	}
	if (subject_arg(c, argv[0], subject, sizeof(subject)) == -1)
		return;
	for (int i = 1; i < argc; i++) {
		strlcat(reason, i == 1 ? "" : " ", sizeof(reason));
		strlcat(reason, argv[i], sizeof(reason));
	}
	if (user != NULL) {
		personal_cmd_add(c, user, kind, subject, reason);
		return;
	}
	if (kind == ACCESS_JUNK) {
		ctl_done(c, CTL_USAGE, "junk is for lists of users: expected --user");
		return;
	}
	if ((st = access_put(auth.directory, kind, subject, 0, reason)) != DIR_OK) {
		ctl_done(c, st == DIR_BAD ? CTL_USAGE : CTL_TEMPFAIL, "%s: %s", argv[0],
		    dir_status_text(st));
		return;
	}
	log_fact(LOG_LOGIN, LOGL_INFO, "access-added", KS("kind", access_word(kind)),
	    KS("subject", subject), KS("reason", reason));
	ctl_done(c, CTL_OK, NULL);
}

static void
del(struct ctl *c, enum access_kind kind, int argc, char **argv)
{
	char subject[ACCESS_KEY_MAX], network[ACCESS_KEY_MAX], *user;
	enum dir_status st;

	if (personal_user_word(c, &argc, argv, &user) == -1)
		return;
	if (argc != 1) {
		ctl_done(c, CTL_USAGE, "expected one subject");
		return;
	}
	if (subject_arg(c, argv[0], subject, sizeof(subject)) == -1)
		return;
	if (user != NULL) {
		personal_cmd_del(c, user, kind, subject);
		return;
	}
	st = access_del(auth.directory, kind, subject);
	/* Who names an IPv6 address means the ban that its network has. */
	if (kind == ACCESS_BAN && st == DIR_NONE &&
	    access_network(subject, network, sizeof(network)) == 0)
		st = access_del(auth.directory, kind, network);
	if (kind == ACCESS_BAN)
		logins_forgive(subject);
	if (st == DIR_OK) {
		log_fact(LOG_LOGIN, LOGL_INFO, "access-removed",
		    KS("kind", access_word(kind)), KS("subject", subject));
		ctl_done(c, CTL_OK, NULL);
	} else
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", argv[0],
		    dir_status_text(st));
}

void
access_list(struct ctl *c, int argc, char **argv)
{
	list(c, ACCESS_NONE, argc, argv);
}

void
access_allow_list(struct ctl *c, int argc, char **argv)
{
	list(c, ACCESS_ALLOW, argc, argv);
}

void
access_deny_list(struct ctl *c, int argc, char **argv)
{
	list(c, ACCESS_DENY, argc, argv);
}

void
access_ban_list(struct ctl *c, int argc, char **argv)
{
	list(c, ACCESS_BAN, 0, argv);
}

void
access_allow_add(struct ctl *c, int argc, char **argv)
{
	add(c, ACCESS_ALLOW, argc, argv);
}

void
access_deny_add(struct ctl *c, int argc, char **argv)
{
	add(c, ACCESS_DENY, argc, argv);
}

void
access_allow_del(struct ctl *c, int argc, char **argv)
{
	del(c, ACCESS_ALLOW, argc, argv);
}

void
access_deny_del(struct ctl *c, int argc, char **argv)
{
	del(c, ACCESS_DENY, argc, argv);
}

void
access_ban_del(struct ctl *c, int argc, char **argv)
{
	del(c, ACCESS_BAN, argc, argv);
}

void
access_junk_list(struct ctl *c, int argc, char **argv)
{
	list(c, ACCESS_JUNK, argc, argv);
}

void
access_junk_add(struct ctl *c, int argc, char **argv)
{
	add(c, ACCESS_JUNK, argc, argv);
}

void
access_junk_del(struct ctl *c, int argc, char **argv)
{
	del(c, ACCESS_JUNK, argc, argv);
}
