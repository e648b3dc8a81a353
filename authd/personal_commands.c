/* SPDX-License-Identifier: ISC */
/* fifectl access ... --user; see personal_commands.h. */
#include "authd/personal_commands.h"

#include <stdlib.h>
#include <string.h>

#include "authd/auth.h"
#include "authd/personal.h"
#include "authd/user_commands.h"
#include "common/compat/compat.h"
#include "common/log.h"

int
personal_user_word(struct ctl *c, int *argc, char **argv, char **user)
{
	int n = 0;

	*user = NULL;
	for (int i = 0; i < *argc; i++) {
		if (strncmp(argv[i], "--user=", 7) == 0)
			*user = argv[i] + 7;
		else if (strcmp(argv[i], "--user") != 0)
			argv[n++] = argv[i];
		else if (i + 1 < *argc)
			*user = argv[++i];
		else {
			ctl_done(c, CTL_USAGE, "--user: expected the address of a user");
			return -1;
		}
	}
	*argc = n;
	return 0;
}

/* A user's text into *text (free()d by the caller); -1 after ctl_done(). */
static int
get(struct ctl *c, const char *word, struct user *u, char **text)
{
	enum dir_status st;

	if (user_arg(c, word, u) == -1)
		return -1;
	if ((*text = malloc(PERSONAL_TEXT_MAX + 1)) == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return -1;
	}
	st = directory_personal_get(
	    auth.directory, u->address, *text, PERSONAL_TEXT_MAX + 1);
	if (st == DIR_NONE)
		(*text)[0] = '\0';
	else if (st != DIR_OK) {
		ctl_done(c, CTL_TEMPFAIL, "%s: %s", u->address, dir_status_text(st));
		free(*text);
		return -1;
	}
	return 0;
}

void
personal_cmd_list(struct ctl *c, const char *user, enum access_kind only)
{
	char subject[ACCESS_KEY_MAX], reason[PERSONAL_REASON_MAX + 1], *text;
	enum access_kind kind;
	struct user u;
	const char *p;

	if (get(c, user, &u, &text) == -1)
		return;
	p = text;
	while (personal_next(
		   &p, &kind, subject, sizeof(subject), reason, sizeof(reason)) == 0) {
		if (only != ACCESS_NONE && kind != only)
			continue;
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "kind", access_word(kind));
		ctl_str(c, "subject", subject);
		ctl_str(c, "reason", reason);
		ctl_row_end(c);
	}
	free(text);
	ctl_done(c, CTL_OK, NULL);
}

static void
changed(struct ctl *c, const struct user *u, enum dir_status st, const char *text,
    const char *what, enum access_kind kind, const char *subject)
{
	if (st == DIR_OK)
		st = directory_personal_put(auth.directory, u->address, text);
	if (st == DIR_OK) {
		log_fact(LOG_LOGIN, LOGL_INFO, what, KS("kind", access_word(kind)),
		    KS("subject", subject), KS("user", u->address));
		ctl_done(c, CTL_OK, NULL);
	} else if (st == DIR_FULL)
		ctl_done(c, CTL_REFUSED, "%s: the list is full: at most %d entries",
		    u->address, PERSONAL_ENTRIES_MAX);
	else if (st == DIR_BAD)
		ctl_done(c, CTL_USAGE, "the reason is too long: at most %d characters",
		    PERSONAL_REASON_MAX);
	else
		ctl_done(c, st == DIR_NONE ? CTL_REFUSED : CTL_TEMPFAIL, "%s: %s",
		    subject, dir_status_text(st));
}

void
personal_cmd_add(struct ctl *c, const char *user, enum access_kind kind,
    const char *subject, const char *reason)
{
	struct user u;
	char *text;

	if (get(c, user, &u, &text) == -1)
		return;
	changed(c, &u, personal_put(text, kind, subject, reason), text, "access-added",
	    kind, subject);
	free(text);
}

void
personal_cmd_del(
    struct ctl *c, const char *user, enum access_kind kind, const char *subject)
{
	struct user u;
	char *text;

	if (get(c, user, &u, &text) == -1)
		return;
	changed(c, &u, personal_del(text, kind, subject), text, "access-removed", kind,
	    subject);
	free(text);
}
