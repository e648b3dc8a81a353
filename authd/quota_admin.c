/* SPDX-License-Identifier: ISC */
/* Limits of mailboxes over IMAP; see quota_admin.h. */
#include "authd/quota_admin.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "authd/access.h"
#include "authd/account.h"
#include "authd/auth.h"
#include "authd/quota.h"
#include "authd/records.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

/* What one administrator may ask for: a process that was taken over neither keeps the
 * disk busy nor reads the whole list of users at once. */
#define CREDIT_MAX 600
#define CREDIT_PER_S 20
#define COST_LOOK 1
#define COST_SET 10
#define SPENDERS 32
#define REFUSAL_LOG_MS 1000

static struct spender {
	char address[ADDRESS_MAX + 1];
	uint64_t ms; /* when credit was counted */
	uint64_t credit;
} spenders[SPENDERS];

/* ---- who may ---- */

int
quota_admin_grants(const struct login *l, const struct user *u)
{
	/* An app password is for a program that reads mail. */
	return auth.quotaset && l->service == SERVICE_IMAP && u->administrator &&
	       u->closed && !u->disabled && u->suspect[0] == '\0' &&
	       strncmp(l->by, "app ", 4) != 0 &&
	       (strcmp(l->tls, "no") != 0 || access_is_loopback(l->client));
}

const struct login *
quota_admin_may(uint64_t id, const char *mailbox, uint64_t now, const char **why)
{
	const struct login *l = login_find(id);
	struct user u;

	if (!auth.quotaset)
		*why = "quotaset is off";
	else if (id == 0 || l == NULL)
		*why = "no such session";
	else if (directory_user_get(auth.directory, l->address, &u) != DIR_OK ||
		 strcmp(u.mailbox, mailbox) != 0)
		*why = "the session is another user's";
	else if (!l->quotaset)
		*why = "no session of an administrator";
	else if (!quota_admin_grants(l, &u))
		*why = "no administrator any more";
	else if (now - l->began_ms > QUOTA_ADMIN_LIFE_MS)
		*why = "the login is too old";
	else
		return l;
	return NULL;
}

/* ---- how much ---- */

static struct spender *
spender_of(const char *address, uint64_t now)
{
	struct spender *oldest = &spenders[0];

	for (size_t i = 0; i < SPENDERS; i++) {
		if (strcmp(spenders[i].address, address) == 0)
			return &spenders[i];
		if (spenders[i].ms < oldest->ms)
			oldest = &spenders[i];
	}
	strlcpy(oldest->address, address, sizeof(oldest->address));
	oldest->ms = now;
	oldest->credit = CREDIT_MAX;
	return oldest;
}

static int
spend(const char *address, uint64_t cost, uint64_t now)
{
	struct spender *s = spender_of(address, now);
	uint64_t earned = (now - s->ms) * CREDIT_PER_S / 1000;

	/* What is less than one is kept in ms. */
	if (s->credit + earned >= CREDIT_MAX) {
		s->credit = CREDIT_MAX;
		s->ms = now;
	} else {
		s->credit += earned;
		s->ms += earned * 1000 / CREDIT_PER_S;
	}
	if (s->credit < cost)
		return 0;
	s->credit -= cost;
	return 1;
}

/* ---- limits ---- */

static const char *
limit_text(uint64_t v, char buf[LIMIT_TEXT_MAX])
{
	if (v == LIMIT_INHERITED)
		return "default";
	limit_format(v, buf);
	return buf;
}

static void
log_set(const struct login *l, const struct user *old, const struct user *now)
{
	char buf[4][LIMIT_TEXT_MAX], since[32] = "";
	const uint64_t *was = old->limits.v, *is = now->limits.v;
	time_t t = (time_t)l->since;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_fact(LOG_LOGIN, LOGL_WARN, "quota-set", KS("user", now->address),
	    KS("by", l->address), KS("client", l->client), KS("login", since),
	    KS("method", l->method), KS("opened", l->by[0] != '\0' ? l->by : "password"),
	    KS("tls", l->tls), KS("quota", limit_text(is[LIMIT_QUOTA], buf[0])),
	    KS("was", limit_text(was[LIMIT_QUOTA], buf[1])),
	    KS("quota-messages", limit_text(is[LIMIT_QUOTA_MESSAGES], buf[2])),
	    KS("messages-was", limit_text(was[LIMIT_QUOTA_MESSAGES], buf[3])));
}

static enum answer_status
set(const struct login *l, struct user *u, const struct msg_quota_ask *q)
{
	struct user old = *u;

	if (q->octets > INT64_MAX || q->messages > UINT32_MAX)
		return MSG_PERM;
	u->limits.v[LIMIT_QUOTA] = q->octets;
	u->limits.v[LIMIT_QUOTA_MESSAGES] = q->messages;
	if (memcmp(&old.limits, &u->limits, sizeof(old.limits)) == 0)
		return MSG_OK;
	if (directory_user_put(auth.directory, u) != DIR_OK)
		return MSG_TEMP;
	log_set(l, &old, u);
	quota_changed(u);
	return MSG_OK;
}

static void
tell(const struct user *u, struct msg_quota_is *r)
{
	struct quota_use use;
	unsigned int percent;

	if (quota_of(u, &use, &percent) == 0) {
		r->octets = use.octets;
		r->messages = use.messages;
	}
	r->octets_max = account_quota(u, LIMIT_QUOTA);
	r->messages_max = account_quota(u, LIMIT_QUOTA_MESSAGES);
}

/* Honest processes do not ask for what they may not: it is worth a line, not a flood. */
static void
log_refused(const struct msg_quota_ask *q, const char *why, uint64_t now)
{
	static uint64_t last, n;

	n++;
	if (last != 0 && now - last < REFUSAL_LOG_MS)
		return;
	log_fact(LOG_LOGIN, LOGL_WARN, "quota-refused", KS("mailbox", q->mailbox),
	    KS("user", q->address), KU("set", q->set), KS("text", why), KU("times", n));
	last = now;
	n = 0;
}

static enum answer_status
answer(const struct msg_quota_ask *q, struct msg_quota_is *r)
{
	uint64_t now = now_ms();
	const char *why = "";
	const struct login *l = quota_admin_may(q->login, q->mailbox, now, &why);
	char key[ADDRESS_MAX + 1];
	enum answer_status st;
	enum dir_status found;
	struct user u;

	if (l == NULL) {
		log_refused(q, why, now);
		return MSG_DENIED;
	}
	if (!spend(l->address, q->set ? COST_SET : COST_LOOK, now))
		return MSG_FULL;
	if (login_key(q->address, auth.default_domain, key, sizeof(key)) == -1)
		return MSG_UNKNOWN;
	found = directory_user_get(auth.directory, key, &u);
	if (found != DIR_OK)
		return found == DIR_NONE ? MSG_UNKNOWN : MSG_TEMP;
	st = q->set ? set(l, &u, q) : MSG_OK;
	if (st == MSG_OK)
		tell(&u, r);
	explicit_bzero(&u, sizeof(u));
	return st;
}

void
quota_admin_message(struct channel *ch, struct msg *m)
{
	struct msg_quota_is r = { .status = MSG_TEMP };

	r.status = (uint8_t)answer(&m->p.quota_ask, &r);
	channel_send(ch, MSG_AUTHD_MBOXD_QUOTA_IS, m->id, &r, -1);
}
