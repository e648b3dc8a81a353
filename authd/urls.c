/* SPDX-License-Identifier: ISC */
/* Parts of mailboxes by URL; see urls.h. */
#include "authd/urls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authd/account.h"
#include "authd/auth.h"
#include "authd/records.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/imap/imap_urlauth.h"

#define ASKED_MAX 256
#define TIMEOUT_MS 20000

struct ask {
	uint64_t channel;
	uint64_t id;
	enum msg_type answer;
};

static size_t n_asked;

static void
answer(struct channel *ch, enum msg_type type, uint64_t id, enum answer_status status)
{
	struct msg_url_is r = { .status = (uint8_t)status,
		.no_owner = status == MSG_UNKNOWN };

	channel_send(ch, type, id, &r, -1);
}

static void
on_fetched(struct msg *m, void *arg)
{
	struct msg_url_is r = { .status = MSG_TEMP };
	struct ask *a = arg;
	struct channel *ch = channel_find(a->channel);
	int fd = -1;

	if (m != NULL) {
		r = m->p.url_is;
		r.no_owner = 0;
		fd = msg_take_fd(m);
		if (r.status == MSG_OK && fd == -1)
			r.status = MSG_TEMP;
	}
	if (ch != NULL)
		channel_send(ch, a->answer, a->id, &r, fd);
	else if (fd != -1)
		close(fd);
	n_asked--;
	free(a);
}

/* MSG_OK: the answer will come. */
static enum answer_status
fetch(struct channel *ch, struct msg *m, enum msg_type type, const char *asker,
    bool submits)
{
	const char *url = m->p.url_ask.url;
	struct channel *mboxd = daemon_peer(ROLE_MBOXD);
	struct msg_url_fetch q = { .submits = submits };
	char key[ADDRESS_MAX + 1];
	struct imap_urlauth u;
	enum dir_status st;
	struct user owner;
	struct ask *a;

	if (imap_urlauth_parse(url, strlen(url), &u) == -1 || u.mechanism == NULL)
		return MSG_DENIED;
	if (login_key(u.owner, auth.default_domain, key, sizeof(key)) == -1)
		return MSG_UNKNOWN;
	if ((st = directory_user_get(auth.directory, key, &owner)) == DIR_NONE)
		return MSG_UNKNOWN;
	if (st == DIR_OK && (owner.disabled || owner.closed))
		return MSG_DENIED;
	if (st != DIR_OK || mboxd == NULL || n_asked >= ASKED_MAX ||
	    (a = calloc(1, sizeof(*a))) == NULL)
		return MSG_TEMP;
	q.uid = owner.uid;
	q.quota = account_quota(&owner, LIMIT_QUOTA);
	q.quota_messages = account_quota(&owner, LIMIT_QUOTA_MESSAGES);
	q.quota_hard = (uint8_t)auth.quota_hard;
	q.items = submits ? 0 : m->p.url_ask.items;
	strlcpy(q.mailbox, owner.mailbox, sizeof(q.mailbox));
	strlcpy(q.address, owner.address, sizeof(q.address));
	strlcpy(q.asker, asker, sizeof(q.asker));
	strlcpy(q.url, url, sizeof(q.url));
	a->channel = channel_serial(ch);
	a->id = m->id;
	a->answer = type;
	if (channel_ask(
		mboxd, MSG_AUTHD_MBOXD_FETCH, &q, -1, TIMEOUT_MS, on_fetched, a) == 0) {
		free(a);
		return MSG_TEMP;
	}
	n_asked++;
	return MSG_OK;
}

void
urls_message(struct channel *ch, struct msg *m)
{
	enum answer_status st = MSG_DENIED;
	enum msg_type type;

	if (m->type == MSG_SMTPD_AUTHD_URL) {
		/* Nobody but who is logged in there, and by our own record. */
		const struct login *l = login_find(m->p.url_ask.login);

		type = MSG_AUTHD_SMTPD_URL_IS;
		if (l != NULL && l->channel == channel_serial(ch) &&
		    l->service == SERVICE_SMTP)
			st = fetch(ch, m, type, l->address, true);
	} else {
		struct user asker;

		type = MSG_AUTHD_MBOXD_URL_IS;
		if (auth_user_of_mailbox(m->p.url_ask.mailbox, &asker) == 0 &&
		    !asker.disabled && !asker.closed)
			st = fetch(ch, m, type, asker.address, false);
	}
	if (st != MSG_OK)
		answer(ch, type, m->id, st);
}
