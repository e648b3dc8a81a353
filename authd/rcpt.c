/* SPDX-License-Identifier: ISC */
/* The answer at RCPT; see rcpt.h. */
#include "authd/rcpt.h"

#include <stdio.h>
#include <string.h>

#include "authd/access.h"
#include "authd/account.h"
#include "authd/auth.h"
#include "authd/owner.h"
#include "authd/personal.h"
#include "authd/quota.h"
#include "authd/records.h"
#include "authd/rules.h"
#include "authd/watch.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

static void
greylist_rcpt(
    struct greylist *greylist, const struct msg_rcpt_check *q, struct msg_rcpt_class *r)
{
	uint32_t wait;

	wait = greylist_check(greylist, q->client, q->sender, q->address, wall_s());
	if (wait == 0)
		return;
	r->rclass = RCLASS_GREY;
	snprintf(r->text, sizeof(r->text),
	    "Not seen before, so greylisted: try again in %u second%s", wait,
	    wait == 1 ? "" : "s");
}

/* A stranger of the access lists; 1: refused. An allowed one is not greylisted. */
static int
access_rcpt(struct msg_rcpt_check *q, struct msg_rcpt_class *r)
{
	char subject[ACCESS_KEY_MAX];
	enum access_kind kind =
	    access_client(auth.directory, q->client, wall_s(), subject, sizeof(subject));

	/* A ban is about logins: others behind that address may send mail. */
	if (kind == ACCESS_NONE || kind == ACCESS_BAN)
		kind = access_sender(auth.directory, q->sender, subject, sizeof(subject));
	if (kind == ACCESS_ALLOW) {
		q->greylist = 0;
		r->allowed = RCPT_ALLOWED;
	}
	if (kind != ACCESS_DENY)
		return 0;
	r->rclass = RCLASS_DENIED;
	snprintf(
	    r->text, sizeof(r->text), "Mail from %.200s is not accepted here", subject);
	return 1;
}

/* What the recipient's own list says. It comes after the denials of the system and before
 * what that allows. postmaster and abuse hear everybody (RFC 5321, 4.5.1; RFC 2142). */
static void
personal_rcpt(struct msg_rcpt_check *q, struct msg_rcpt_class *r)
{
	static char text[PERSONAL_TEXT_MAX + 1];
	char user[ADDRESS_MAX + 1], subject[ACCESS_KEY_MAX];
	size_t local = strcspn(q->address, "@");
	enum dir_status st;

	if (!directory_has_personal(auth.directory) ||
	    (local == 10 && strncasecmp(q->address, "postmaster", 10) == 0) ||
	    (local == 5 && strncasecmp(q->address, "abuse", 5) == 0) ||
	    resolve_user(&auth.resolver, q->address, user, sizeof(user)) != RESOLVE_OK)
		return;
	st = directory_personal_get(auth.directory, user, text, sizeof(text));
	if (st != DIR_OK) {
		if (st != DIR_NONE)
			r->rclass = RCLASS_TEMP;
		return;
	}
	/* Who has logged in is known by that, not by where from. */
	switch (personal_match(
	    text, q->login == 0 ? q->client : "", q->sender, subject, sizeof(subject))) {
	case ACCESS_ALLOW:
		q->greylist = 0;
		if (r->allowed == 0)
			r->allowed = RCPT_ALLOWED_HERE;
		r->filing = RCPT_NEVER_JUNK;
		break;
	case ACCESS_DENY:
		r->rclass = RCLASS_BLOCKED;
		snprintf(r->text, sizeof(r->text),
		    "%.120s does not take mail from %.110s", q->address, subject);
		break;
	case ACCESS_JUNK:
		r->filing = RCPT_TO_JUNK;
		break;
	case ACCESS_NONE:
	case ACCESS_BAN:
		break;
	}
}

/* Is the mailbox full to which it leads alone? One that only sends on is never. */
static void
full_rcpt(const struct msg_rcpt_check *q, struct msg_rcpt_class *r)
{
	char key[ADDRESS_MAX + 1];
	struct user u;

	if (resolve_user(&auth.resolver, q->address, key, sizeof(key)) != RESOLVE_OK ||
	    directory_user_get(auth.directory, key, &u) != DIR_OK ||
	    rules_keep_nothing(&u))
		return;
	switch (quota_check(&u, q->size)) {
	case QUOTA_ROOM:
		break;
	case QUOTA_FULL:
		r->rclass = auth.quota_hard ? RCLASS_FULL_HARD : RCLASS_FULL;
		break;
	case QUOTA_NEVER:
		r->rclass = RCLASS_FULL_HARD;
		break;
	}
}

/* The login behind a recipient, into *u; 1: refused. Its word is our record, not smtpd's.
 */
static int
login_may_send(
    const char *address, const char *sender, struct user *u, struct msg_rcpt_class *r)
{
	struct group g;

	/* We were started anew, or the account has changed: a new login will do. */
	r->rclass = RCLASS_TEMP;
	if (address == NULL || directory_user_get(auth.directory, address, u) != DIR_OK)
		return 1;
	if (u->disabled) {
		r->rclass = RCLASS_DENIED;
		strlcpy(r->text, "This account is disabled", sizeof(r->text));
		return 1;
	}
	/* A null path is for notices that programs send, and always right. */
	if (sender[0] == '\0')
		return 0;
	switch (resolve_may_send_as(&auth.resolver, u->address, u->send_as, sender)) {
	case RESOLVE_OK:
		return 0;
	case RESOLVE_TEMP:
		return 1;
	default:
		account_group(u, &g);
		if (g.send_as[0] != '\0' &&
		    resolve_may_send_as(&auth.resolver, u->address, g.send_as, sender) ==
			RESOLVE_OK)
			return 0;
		r->rclass = RCLASS_DENIED;
		snprintf(r->text, sizeof(r->text), "%.110s may not send as %.110s",
		    u->address, sender);
		return 1;
	}
}

static int
login_rcpt(struct channel *ch, const struct msg_rcpt_check *q, struct user *u,
    struct msg_rcpt_class *r)
{
	return login_may_send(logins_address_of(ch, q->login), q->sender, u, r);
}

/* What an account that looks stolen may still do; 1: nothing more for now. */
static int
suspect_rcpt(
    const struct user *u, uint64_t limits[USAGE_COUNTS], struct msg_rcpt_class *r)
{
	if (u->suspect[0] == '\0')
		return 0;
	switch (auth.watch.action) {
	case WATCH_HOLD:
		r->hold = 1;
		snprintf(r->text, sizeof(r->text), "%.90s looks stolen: %.140s",
		    u->address, u->suspect);
		return 0;
	case WATCH_THROTTLE:
		if (limits[USAGE_RECIPIENTS_HOUR] > auth.watch.throttled)
			limits[USAGE_RECIPIENTS_HOUR] = auth.watch.throttled;
		return 1;
	default:
		return 0;
	}
}

/* One recipient more of a login, if it is not too many. */
static void
limit_rcpt(const struct msg_rcpt_check *q, const struct user *u, struct msg_rcpt_class *r)
{
	static const char *const words[] = { "messages an hour", "messages a day",
		"recipients an hour", "recipients a day" };
	int trusted = auth.trust_loopback && access_is_loopback(q->client), first;
	uint64_t limits[USAGE_COUNTS], most;
	struct usage *usage = watch_usage();
	enum usage_count reached;
	enum limit_source source;
	struct group g;
	int throttled;

	account_group(u, &g);
	if (q->rcpts >= account_limit(u, &g, LIMIT_RECIPIENTS_MESSAGE, NULL)) {
		r->rclass = RCLASS_MANY;
		return;
	}
	most = account_limit(u, &g, LIMIT_MESSAGE_SIZE, NULL);
	if (q->size > most) {
		r->rclass = RCLASS_SIZE;
		snprintf(r->text, sizeof(r->text),
		    "%.100s may send messages of at most %llu octets", u->address,
		    (unsigned long long)most);
		return;
	}
	if (usage == NULL)
		return;
	for (int i = 0; i < USAGE_COUNTS; i++) {
		limits[i] = account_limit(u, &g, (enum limit)i, &source);
		if (trusted && source < LIMIT_GROUP)
			limits[i] = USAGE_UNLIMITED;
	}
	throttled = suspect_rcpt(u, limits, r);
	reached = usage_take(usage, u->address, q->rcpts == 0, limits, wall_s(), &first);
	if (reached == USAGE_COUNTS) {
		watch_sent(u->address, q->client);
		return;
	}
	if (first)
		log_fact(LOG_LOGIN, LOGL_WARN, "sending-limit", KS("user", u->address),
		    KS("client", q->client), KS("limit", limit_word((enum limit)reached)),
		    KU("value", limits[reached]));
	r->rclass = RCLASS_LIMIT;
	r->hold = 0;
	if (throttled && reached == USAGE_RECIPIENTS_HOUR)
		snprintf(r->text, sizeof(r->text),
		    "%.90s looks as if somebody else used it, and is throttled: ask your "
		    "postmaster",
		    u->address);
	else
		snprintf(r->text, sizeof(r->text),
		    "%.100s has reached its limit of %llu %s, try again later",
		    u->address, (unsigned long long)limits[reached], words[reached]);
}

/* The administrator says where mail for that address goes; its MX is of no matter. */
static int
has_route(const char *address)
{
	const char *at = strrchr(address, '@');
	char domain[256], url[512], matched[256];

	return at != NULL && address_domain_ascii(at + 1, domain, sizeof(domain)) != -1 &&
	       directory_route_find(auth.directory, domain, "", url, sizeof(url), matched,
		   sizeof(matched)) == DIR_OK;
}

/* What a header field asks of a recipient that was accepted before (RFC 7293, 5.2). */
static void
answer_owner(struct channel *ch, const struct msg *m)
{
	struct msg_rcpt_class r = { .rclass = RCLASS_LOCAL };

	if (resolve_class(&auth.resolver, m->p.rcpt_check.address) == RESOLVE_OK)
		r.rclass = (uint8_t)owner_check(
		    &auth.resolver, m->p.rcpt_check.address, m->p.rcpt_check.rrvs);
	channel_send(ch, MSG_AUTHD_SMTPD_RCPT_CLASS, m->id, &r, -1);
}

void
rcpt_answer(struct channel *ch, struct msg *m, struct greylist *greylist)
{
	struct msg_rcpt_class r = { 0 };
	struct user u;

	if (m->p.rcpt_check.rrvs_only) {
		answer_owner(ch, m);
		return;
	}
	if (m->p.rcpt_check.login == 0 ? access_rcpt(&m->p.rcpt_check, &r)
				       : login_rcpt(ch, &m->p.rcpt_check, &u, &r)) {
		channel_send(ch, MSG_AUTHD_SMTPD_RCPT_CLASS, m->id, &r, -1);
		return;
	}
	switch (resolve_class(&auth.resolver, m->p.rcpt_check.address)) {
	case RESOLVE_OK:
		r.rclass = RCLASS_LOCAL;
		break;
	case RESOLVE_REMOTE:
		r.rclass = RCLASS_REMOTE;
		r.routed = (uint8_t)has_route(m->p.rcpt_check.address);
		break;
	case RESOLVE_DISABLED:
		r.rclass = RCLASS_DISABLED;
		strlcpy(r.text, "this mailbox is disabled", sizeof(r.text));
		break;
	case RESOLVE_UNKNOWN:
	case RESOLVE_LOOP:
	case RESOLVE_TOO_MANY:
		r.rclass = RCLASS_UNKNOWN;
		break;
	case RESOLVE_TEMP:
		r.rclass = RCLASS_TEMP;
	}
	if (r.rclass == RCLASS_LOCAL && m->p.rcpt_check.rrvs_action != 0)
		r.rclass = (uint8_t)owner_check(
		    &auth.resolver, m->p.rcpt_check.address, m->p.rcpt_check.rrvs);
	if (r.rclass == RCLASS_LOCAL)
		personal_rcpt(&m->p.rcpt_check, &r);
	if (r.rclass == RCLASS_LOCAL)
		full_rcpt(&m->p.rcpt_check, &r);
	if (m->p.rcpt_check.login != 0 &&
	    (r.rclass == RCLASS_LOCAL || r.rclass == RCLASS_REMOTE))
		limit_rcpt(&m->p.rcpt_check, &u, &r);
	else if (m->p.rcpt_check.login != 0 && r.rclass == RCLASS_UNKNOWN)
		watch_refused(u.address, m->p.rcpt_check.client);
	if (r.rclass == RCLASS_LOCAL && m->p.rcpt_check.greylist && greylist != NULL)
		greylist_rcpt(greylist, &m->p.rcpt_check, &r);
	if (m->p.rcpt_check.login != 0 &&
	    (r.rclass == RCLASS_LOCAL || r.rclass == RCLASS_REMOTE))
		login_find(m->p.rcpt_check.login)->granted++;
	channel_send(ch, MSG_AUTHD_SMTPD_RCPT_CLASS, m->id, &r, -1);
}

/*
 * queued asks by the id of the login, whatever smtpd says: no login is invented, and no
 * recipient comes in that was not asked for here, where its rights and limits are.
 */
void
rcpt_sender_answer(struct channel *ch, struct msg *m)
{
	const struct msg_sender_check *q = &m->p.sender_check;
	struct msg_sender_is a = { .status = MSG_TEMP };
	struct login *l = login_find(q->login);
	struct msg_rcpt_class r = { 0 };
	struct user u;

	if (l == NULL)
		strlcpy(a.text, "There is no such login (any more)", sizeof(a.text));
	else if (login_may_send(l->address, q->sender, &u, &r)) {
		a.status = r.rclass == RCLASS_TEMP ? MSG_TEMP : MSG_DENIED;
		strlcpy(a.text, r.text, sizeof(a.text));
	} else if (q->rcpts > l->granted) {
		log_fact(LOG_LOGIN, LOGL_WARN, "not-granted", KS("user", l->address),
		    KU("rcpts", q->rcpts), KU("granted", l->granted));
		strlcpy(a.text, "Recipients that were not granted", sizeof(a.text));
	} else {
		l->granted -= q->rcpts;
		a.status = MSG_OK;
		strlcpy(a.address, l->address, sizeof(a.address));
		if (u.suspect[0] != '\0' && auth.watch.action == WATCH_HOLD) {
			a.hold = 1;
			snprintf(a.text, sizeof(a.text), "%.90s looks stolen: %.140s",
			    u.address, u.suspect);
		}
	}
	channel_send(ch, MSG_AUTHD_QUEUED_SENDER_IS, m->id, &a, -1);
}
