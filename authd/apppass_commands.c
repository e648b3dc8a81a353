/* SPDX-License-Identifier: ISC */
/* fifectl user apppass; see apppass.h. */
#include "authd/apppass_commands.h"

#include <stdio.h>
#include <string.h>

#include "authd/apppass.h"
#include "authd/auth.h"
#include "authd/logins.h"
#include "authd/user_commands.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

static const char *
words_of(enum dir_status st)
{
	return st == DIR_BAD
		   ? "expected a name of letters, digits, dot, hyphen and underscore"
	       : st == DIR_NONE ? "no app password of that name"
				: dir_status_text(st);
}

void
apppass_cmd_add(struct ctl *c, int argc, char **argv)
{
	char plain[APPPASS_LEN + 1];
	int service = argc == 3 ? apppass_service(argv[2]) : 0;
	enum dir_status st;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	if (service == -1) {
		ctl_done(
		    c, CTL_USAGE, "%s: expected smtp, imap, pop3, sieve or all", argv[2]);
		return;
	}
	if ((st = apppass_add(&u, argv[1], service, wall_s(), plain)) != DIR_OK ||
	    (st = directory_user_put(auth.directory, &u)) != DIR_OK) {
		ctl_done(c,
		    st == DIR_BAD  ? CTL_USAGE
		    : st == DIR_IO ? CTL_TEMPFAIL
				   : CTL_REFUSED,
		    "%s: %s", argv[1], words_of(st));
		return;
	}
	log_fact(LOG_LOGIN, LOGL_INFO, "app-password-added", KS("user", u.address),
	    KS("name", argv[1]), KS("service", apppass_service_word(service)));
	ctl_row(c, CTL_FACTS);
	ctl_str(c, "name", argv[1]);
	ctl_str(c, "service", apppass_service_word(service));
	ctl_str(c, "password", plain);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
	explicit_bzero(plain, sizeof(plain));
}

void
apppass_cmd_del(struct ctl *c, int argc, char **argv)
{
	char by[sizeof(((struct login *)NULL)->by)];
	enum dir_status st;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	if ((st = apppass_del(&u, argv[1])) != DIR_OK ||
	    (st = directory_user_put(auth.directory, &u)) != DIR_OK) {
		ctl_done(c, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED, "%s: %s", argv[1],
		    words_of(st));
		return;
	}
	snprintf(by, sizeof(by), "app %s", argv[1]);
	logins_forget(u.address, by);
	log_fact(LOG_LOGIN, LOGL_INFO, "app-password-removed", KS("user", u.address),
	    KS("name", argv[1]));
	ctl_done(c, CTL_OK, NULL);
}

void
apppass_cmd_list(struct ctl *c, int argc, char **argv)
{
	struct apppass a;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1)
		return;
	for (size_t i = 0; apppass_get(&u, i, &a); i++) {
		ctl_row(c, CTL_TABLE);
		ctl_str(c, "name", a.name);
		ctl_str(c, "service", apppass_service_word(a.service));
		ctl_time(c, "created", a.created);
		ctl_row_end(c);
	}
	ctl_done(c, CTL_OK, NULL);
}
