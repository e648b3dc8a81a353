/* SPDX-License-Identifier: ISC */
/* Users: see user_commands.h. */
#include "authd/user_commands.h"

#include <stdlib.h>
#include <string.h>

#include "authd/auth.h"
#include "authd/grants.h"
#include "authd/logins.h"
#include "authd/quota.h"
#include "authd/watch.h"
#include "authd/worker.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define MBOXD_TIMEOUT_MS 60000

/* A command that waits for a worker or for mboxd; it goes on without fifectl. */
struct pending {
	struct ctl *ctl; /* NULL once fifectl is gone */
	struct user user;
	char new_key[ADDRESS_MAX + 1];
	int is_new;
};

int
address_key(struct ctl *c, const char *word, char *key, size_t cap)
{
	struct address a;
	char whole[ADDRESS_MAX + 1];

	/* A name alone is of the host's domain, as for sendmail(8) and logins. */
	if (strchr(word, '@') == NULL && auth.default_domain[0] != '\0')
		snprintf(whole, sizeof(whole), "%s@%s", word, auth.default_domain);
	else if (strlcpy(whole, word, sizeof(whole)) >= sizeof(whole))
		whole[0] = '\0';
	if (address_parse(whole, strlen(whole), &a) == -1 ||
	    address_fold_key(&a, key, cap) == -1) {
		ctl_done(c, CTL_USAGE, "%s: not an address (user@domain)", word);
		return -1;
	}
	return 0;
}

static void
on_gone(struct ctl *c, void *arg)
{
	struct pending *p = arg;

	p->ctl = NULL;
}

static struct pending *
pending_new(struct ctl *c)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return NULL;
	}
	p->ctl = c;
	ctl_on_gone(c, on_gone, p);
	return p;
}

static void
pending_done(struct pending *p, int status, const char *subject, const char *text)
{
	if (p->ctl != NULL) {
		if (status == CTL_OK)
			ctl_done(p->ctl, CTL_OK, NULL);
		else
			ctl_done(p->ctl, status, "%s: %s", subject, text);
	}
	freezero(p, sizeof(*p));
}

static int
ask_mboxd(struct pending *p, enum msg_type type, const char *mailbox,
    const char *new_mailbox, channel_answer_cb cb)
{
	struct channel *ch = daemon_peer(ROLE_MBOXD);
	struct msg_mbox_dir d = { .uid = p->user.uid };

	strlcpy(d.mailbox, mailbox, sizeof(d.mailbox));
	strlcpy(d.new_mailbox, new_mailbox, sizeof(d.new_mailbox));
	if (ch == NULL || channel_ask(ch, type, &d, -1, MBOXD_TIMEOUT_MS, cb, p) == 0)
		return -1;
	return 0;
}

static const char *
mboxd_text(struct msg *m)
{
	return m == NULL ? "mboxd does not answer" : m->p.status.text;
}

/* ---- add, passwd ---- */

static void
on_created(struct msg *m, void *arg)
{
	struct pending *p = arg;

	if (m != NULL && m->p.status.status == MSG_OK) {
		log_fact(LOG_LOGIN, LOGL_INFO, "user-added", KS("user", p->user.address));
		auth_changed("");
		pending_done(p, CTL_OK, "", "");
		return;
	}
	(void)directory_user_del(auth.directory, p->user.address);
	pending_done(p, CTL_TEMPFAIL, p->user.address, mboxd_text(m));
}

static void
on_made(int result, const struct password *made, void *arg)
{
	struct pending *p = arg;
	struct user now;
	enum dir_status st;

	if (result != 0) {
		pending_done(
		    p, CTL_REFUSED, p->user.address, "this password cannot be used");
		return;
	}
	p->user.password = *made;
	if (!p->is_new) {
		/* Only the password: the rest may have changed meanwhile. */
		if ((st = directory_user_get(auth.directory, p->user.address, &now)) ==
		    DIR_OK) {
			now.password = *made;
			watch_forgive(&now);
			st = directory_user_put(auth.directory, &now);
		}
		if (st == DIR_OK) {
			logins_forget(p->user.address, NULL);
			log_fact(LOG_LOGIN, LOGL_INFO, "password-changed",
			    KS("user", p->user.address));
		}
		pending_done(p, st == DIR_OK ? CTL_OK : CTL_REFUSED, p->user.address,
		    dir_status_text(st));
		return;
	}
	p->user.created = p->user.since = wall_s();
	st = directory_user_add(auth.directory, &p->user);
	if (st == DIR_NONE) {
		pending_done(p, CTL_REFUSED, p->user.address,
		    "no such domain here (fifectl domain add)");
		return;
	}
	if (st != DIR_OK) {
		pending_done(p, st == DIR_IO ? CTL_TEMPFAIL : CTL_REFUSED,
		    p->user.address, dir_status_text(st));
		return;
	}
	if (ask_mboxd(p, MSG_AUTHD_MBOXD_CREATE, p->user.mailbox, "", on_created) == -1)
		on_created(NULL, p);
}

static void
set_password(struct pending *p, int scram)
{
	const char *secret = ctl_secret(p->ctl);

	if (secret == NULL || secret[0] == '\0' || strlen(secret) > PASSWORD_MAX) {
		pending_done(p, CTL_USAGE, p->user.address,
		    "expected a password of 1 to 512 octets on standard input");
		return;
	}
	if (worker_make(secret, scram, auth.iterations, on_made, p) == -1)
		pending_done(p, CTL_TEMPFAIL, p->user.address, "too busy, try again");
}

void
user_add(struct ctl *c, int argc, char **argv)
{
	struct pending *p;
	struct user u;
	char key[ADDRESS_MAX + 1];

	if (address_key(c, argv[0], key, sizeof(key)) == -1)
		return;
	if (argc == 2 && strcmp(argv[1], "scram=off") != 0) {
		ctl_done(c, CTL_USAGE, "%s: expected scram=off or nothing", argv[1]);
		return;
	}
	if (directory_user_get(auth.directory, key, &u) == DIR_OK) {
		ctl_done(c, CTL_REFUSED, "%s: exists already", key);
		return;
	}
	if ((p = pending_new(c)) == NULL)
		return;
	p->is_new = 1;
	strlcpy(p->user.address, key, sizeof(p->user.address));
	set_password(p, argc == 1);
}

int
user_arg(struct ctl *c, const char *word, struct user *u)
{
	char key[ADDRESS_MAX + 1];
	enum dir_status st;

	if (address_key(c, word, key, sizeof(key)) == -1)
		return -1;
	if ((st = directory_user_get(auth.directory, key, u)) != DIR_OK) {
		ctl_done(c, st == DIR_NONE ? CTL_REFUSED : CTL_TEMPFAIL, "%s: %s", key,
		    st == DIR_NONE ? "no such user" : dir_status_text(st));
		return -1;
	}
	return 0;
}

void
user_passwd(struct ctl *c, int argc, char **argv)
{
	struct pending *p;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1 || (p = pending_new(c)) == NULL)
		return;
	p->user = u;
	set_password(p, u.password.crypt[0] == '\0');
}

/* ---- del ---- */

static void
on_removed(struct msg *m, void *arg)
{
	struct pending *p = arg;
	struct user now;
	enum dir_status st;

	if (m == NULL || m->p.status.status != MSG_OK) {
		pending_done(p, CTL_TEMPFAIL, p->user.address, mboxd_text(m));
		return;
	}
	/* Not a new account of that name, made since by somebody else's command. */
	if (directory_user_get(auth.directory, p->user.address, &now) == DIR_OK &&
	    now.uid != p->user.uid)
		st = DIR_NONE;
	else
		st = directory_user_del(auth.directory, p->user.address);
	quota_removed(p->user.mailbox);
	grants_forget(p->user.address);
	watch_look_again();
	log_fact(LOG_LOGIN, LOGL_INFO, "user-deleted", KS("user", p->user.address));
	auth_changed("");
	pending_done(
	    p, st == DIR_OK ? CTL_OK : CTL_REFUSED, p->user.address, dir_status_text(st));
}

void
user_del(struct ctl *c, int argc, char **argv)
{
	struct pending *p;
	struct user u;

	if (user_arg(c, argv[0], &u) == -1 || (p = pending_new(c)) == NULL)
		return;
	p->user = u;
	/* Disabled first: nothing new gets in while the mailbox goes. */
	u.disabled = 1;
	(void)directory_user_put(auth.directory, &u);
	logins_forget(u.address, NULL);
	if (ask_mboxd(p, MSG_AUTHD_MBOXD_REMOVE, u.mailbox, "", on_removed) == -1)
		on_removed(NULL, p);
}

void
user_rehash(struct ctl *c, const struct user *u, int scram)
{
	struct pending *p = pending_new(c);

	if (p == NULL)
		return;
	p->user = *u;
	set_password(p, scram);
}

/* ---- rename ---- */

static void
on_renamed(struct msg *m, void *arg)
{
	struct pending *p = arg;
	enum dir_status st;
	char path[512];

	if (m == NULL || m->p.status.status != MSG_OK) {
		pending_done(p, CTL_TEMPFAIL, p->user.address, mboxd_text(m));
		return;
	}
	st = directory_user_rename(auth.directory, p->user.address, p->new_key);
	if (st != DIR_OK) {
		/* The directory says no after all: put the mailbox back. */
		struct channel *ch = daemon_peer(ROLE_MBOXD);
		struct msg_mbox_dir d = { .uid = p->user.uid };

		if (mailbox_path(p->new_key, path, sizeof(path)) == 0 && ch != NULL) {
			strlcpy(d.mailbox, path, sizeof(d.mailbox));
			strlcpy(d.new_mailbox, p->user.mailbox, sizeof(d.new_mailbox));
			channel_send(ch, MSG_AUTHD_MBOXD_RENAME, 0, &d, -1);
		}
		pending_done(p, CTL_REFUSED, p->new_key, dir_status_text(st));
		return;
	}
	logins_forget(p->user.address, NULL);
	grants_rename(p->user.address, p->new_key);
	if (mailbox_path(p->new_key, path, sizeof(path)) == 0)
		quota_renamed(p->user.mailbox, path);
	watch_look_again();
	log_fact(LOG_LOGIN, LOGL_INFO, "user-renamed", KS("user", p->user.address),
	    KS("to", p->new_key));
	auth_changed("");
	pending_done(p, CTL_OK, "", "");
}

void
user_rename(struct ctl *c, int argc, char **argv)
{
	char key[ADDRESS_MAX + 1], path[512];
	struct pending *p;
	struct user u, other;

	if (user_arg(c, argv[0], &u) == -1 ||
	    address_key(c, argv[1], key, sizeof(key)) == -1)
		return;
	if (directory_user_get(auth.directory, key, &other) == DIR_OK) {
		ctl_done(c, CTL_REFUSED, "%s: exists already", key);
		return;
	}
	if (!resolve_domain_is_local(&auth.resolver, strrchr(key, '@') + 1)) {
		ctl_done(c, CTL_REFUSED, "%s: no such domain here", key);
		return;
	}
	if (mailbox_path(key, path, sizeof(path)) == -1) {
		ctl_done(c, CTL_USAGE, "%s: cannot be a mailbox", key);
		return;
	}
	if ((p = pending_new(c)) == NULL)
		return;
	p->user = u;
	strlcpy(p->new_key, key, sizeof(p->new_key));
	if (ask_mboxd(p, MSG_AUTHD_MBOXD_RENAME, u.mailbox, path, on_renamed) == -1)
		on_renamed(NULL, p);
}
