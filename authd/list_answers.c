/* SPDX-License-Identifier: ISC */
/* What deliverd-local, listd and queued hear of lists; see lists.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/auth.h"
#include "authd/lists.h"
#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

/* How many periods of 30 days a token is good for beyond the present one. */
#define BACK_BOUNCE 1
#define BACK_UNSUBSCRIBE 6
#define BACK_CONFIRM 1

/* ---- deliverd-local ---- */

struct members {
	struct channel *ch;
	uint64_t id;
	char buf[12000];
	size_t len;
	uint32_t n;
	int failed;
};

static void
members_flush(struct members *w)
{
	struct msg_list_members m = { (const uint8_t *)w->buf, w->len };

	if (w->len > 0 &&
	    channel_send(w->ch, MSG_AUTHD_LDELIVER_MEMBERS, w->id, &m, -1) == -1)
		w->failed = 1;
	w->len = 0;
}

/* The printed form: with quotes where it needs them. */
static void
print_key(const char *key, char out[ADDRESS_MAX + 1])
{
	const char *at = strrchr(key, '@');
	struct address a;

	if (at == NULL || (size_t)(at - key) >= sizeof(a.local) ||
	    strlcpy(a.domain, at + 1, sizeof(a.domain)) >= sizeof(a.domain)) {
		strlcpy(out, key, ADDRESS_MAX + 1);
		return;
	}
	memcpy(a.local, key, (size_t)(at - key));
	a.local[at - key] = '\0';
	if (address_format(&a, out, ADDRESS_MAX + 1) == -1)
		strlcpy(out, key, ADDRESS_MAX + 1);
}

static int
add_member(const char *member, const char *text, void *arg)
{
	struct members *w = arg;
	char printed[ADDRESS_MAX + 1];
	struct member m;
	size_t n;

	if (member_decode(text, &m) == -1 || !(m.roles & LIST_IS_MEMBER) ||
	    m.suspended != 0)
		return 0;
	print_key(member, printed);
	n = strlen(printed);
	if (w->len + n + 1 > sizeof(w->buf))
		members_flush(w);
	memcpy(w->buf + w->len, printed, n);
	w->buf[w->len + n] = '\n';
	w->len += n + 1;
	w->n++;
	return w->failed;
}

void
lists_answer_members(struct channel *ch, const struct msg *m)
{
	static struct members w; /* one thread */
	struct msg_resolved done = { .status = MSG_OK };
	enum dir_status st;

	w.ch = ch;
	w.id = m->id;
	w.len = 0;
	w.n = 0;
	w.failed = 0;
	st = directory_list_get(auth.directory, m->p.address.address, NULL, 0);
	if (st == DIR_OK)
		st = directory_members_walk(
		    auth.directory, m->p.address.address, "", add_member, &w);
	members_flush(&w);
	if (st == DIR_NONE)
		done.status = MSG_UNKNOWN;
	else if (st != DIR_OK || w.failed)
		done.status = MSG_TEMP;
	done.count = w.n;
	channel_send(ch, MSG_AUTHD_LDELIVER_MEMBERS_ALL, m->id, &done, -1);
}

/* ---- listd ---- */

static int
key_of(const char *address, char key[ADDRESS_MAX + 1])
{
	struct address a;

	return address_parse(address, strlen(address), &a) == -1 ||
		       address_fold_key(&a, key, ADDRESS_MAX + 1) == -1
		   ? -1
		   : 0;
}

/* A post of another list of ours whose member this list is: its reverse-path proves it.
 */
static int
is_upper(const char *list, const char *sender)
{
	char key[ADDRESS_MAX + 1], upper[ADDRESS_MAX + 1], part[ADDRESS_MAX + 1];
	char member[ADDRESS_MAX + 1], token[LISTPOST_TOKEN_LEN + 1];
	struct member m;

	return key_of(sender, key) == 0 &&
	       lists_find(auth.directory, key, upper, part) == DIR_OK &&
	       strncmp(part, "bounces+", 8) == 0 &&
	       listpost_tag(part + 8, member, sizeof(member), token) == 0 &&
	       strcmp(member, list) == 0 &&
	       listpost_check(auth.secret, wall_s(), BACK_BOUNCE, upper, LISTPOST_BOUNCE,
		   member, token) &&
	       lists_member_get(auth.directory, upper, member, &m) == DIR_OK &&
	       (m.roles & LIST_IS_MEMBER);
}

/*
 * What an author is to the list, as far as the message may claim it. From can be written
 * by anybody; only a login, which authd let send as that reverse-path, shows whose
 * message it is. Without one the rights of owners and posters do not count, nor does
 * membership of an address that could have logged in here.
 */
static uint8_t
standing_of(uint8_t roles, const char *author, const struct msg_list_ask *q)
{
	char key[ADDRESS_MAX + 1];
	uint8_t standing = roles;

	if (q->login[0] != '\0' &&
	    ((key_of(q->sender, key) == 0 && strcmp(key, author) == 0) ||
		(key_of(q->login, key) == 0 && strcmp(key, author) == 0)))
		return roles;
	standing &= (uint8_t) ~(LIST_IS_OWNER | LIST_IS_POSTER);
	if (resolve_domain_is_local(&auth.resolver, strrchr(author, '@') + 1))
		standing &= (uint8_t)~LIST_IS_MEMBER;
	return standing == roles ? roles : standing | LIST_IS_UNPROVED;
}

void
lists_answer_ask(struct channel *ch, const struct msg *msg)
{
	const struct msg_list_ask *q = &msg->p.list_ask;
	struct msg_list_is a = { .status = MSG_TEMP };
	char key[ADDRESS_MAX + 1];
	struct member m;
	enum dir_status st =
	    directory_list_get(auth.directory, q->list, a.settings, sizeof(a.settings));

	if (st == DIR_OK && q->author[0] != '\0' && key_of(q->author, key) == 0) {
		st = lists_member_get(auth.directory, q->list, key, &m);
		if (st == DIR_OK)
			a.standing = standing_of(m.roles, key, q);
		else if (st == DIR_NONE)
			st = DIR_OK;
	}
	if (st == DIR_OK && is_upper(q->list, q->sender))
		a.standing |= LIST_IS_UPPER;
	if (st == DIR_OK) {
		a.status = MSG_OK;
		print_key(q->list, a.address);
	} else if (st == DIR_NONE)
		a.status = MSG_UNKNOWN;
	channel_send(ch, MSG_AUTHD_LISTD_IS, msg->id, &a, -1);
}

static void
say_member(const char *event, const char *list, const char *member, const char *why)
{
	log_fact(LOG_DELIVERY, LOGL_INFO, event, KS("list", list), KS("member", member),
	    KS("why", why));
}

/* Ask for a confirmation: its address has the token. */
static void
act_ask(const struct msg_list_act *q, const struct listconf *l, struct msg_list_acted *a)
{
	int join = q->verb == LIST_ACT_JOIN;
	char key[ADDRESS_MAX + 1], token[LISTPOST_TOKEN_LEN + 1];
	struct listpost p = { 0 };
	struct member m;
	enum dir_status st;

	if (key_of(q->address, key) == -1 || strcmp(key, q->list) == 0) {
		a->status = MSG_PERM;
		strlcpy(
		    a->text, "This is no address that can be a member.", sizeof(a->text));
		return;
	}
	st = lists_member_get(auth.directory, q->list, key, &m);
	if (st != DIR_OK && st != DIR_NONE)
		return;
	a->status = MSG_DENIED;
	print_key(key, a->address);
	if (join && st == DIR_OK && (m.roles & LIST_IS_MEMBER) && m.suspended == 0) {
		strlcpy(a->text, "This address is a member already.", sizeof(a->text));
		return;
	}
	if (!join && (st == DIR_NONE || !(m.roles & LIST_IS_MEMBER))) {
		strlcpy(a->text, "This address is not a member.", sizeof(a->text));
		return;
	}
	if (join && l->join == LIST_JOIN_CLOSED) {
		strlcpy(a->text, "The owners of this list enter its members themselves.",
		    sizeof(a->text));
		return;
	}
	p.period = (uint8_t)(wall_s() / LISTPOST_PERIOD_S % LISTPOST_PERIODS);
	listpost_key(auth.secret, q->list, wall_s() / LISTPOST_PERIOD_S, p.key);
	listpost_token(&p, join ? LISTPOST_JOIN : LISTPOST_LEAVE, key, token);
	explicit_bzero(&p, sizeof(p));
	if (listpost_address(
		q->list, "confirm", key, token, a->confirm, sizeof(a->confirm)) == -1) {
		strlcpy(a->text, "This address is too long: ask the owners.",
		    sizeof(a->text));
		return;
	}
	a->status = MSG_OK;
}

static int
tag_holds(const struct msg_list_act *q, enum listpost_purpose purpose, int back,
    char member[ADDRESS_MAX + 1])
{
	char token[LISTPOST_TOKEN_LEN + 1];

	return listpost_tag(q->token, member, ADDRESS_MAX + 1, token) == 0 &&
	       listpost_check(
		   auth.secret, wall_s(), back, q->list, purpose, member, token);
}

/* Twice is as good as once: a delivery may be repeated. */
static void
act_confirm(
    const struct msg_list_act *q, const struct listconf *l, struct msg_list_acted *a)
{
	char key[ADDRESS_MAX + 1];
	enum dir_status st;
	int join = tag_holds(q, LISTPOST_JOIN, BACK_CONFIRM, key);

	if (!join && !tag_holds(q, LISTPOST_LEAVE, BACK_CONFIRM, key)) {
		a->status = MSG_DENIED;
		strlcpy(a->text, "This confirmation is not valid, or too old.",
		    sizeof(a->text));
		return;
	}
	print_key(key, a->address);
	if (join && l->join == LIST_JOIN_CLOSED) {
		a->status = MSG_DENIED;
		strlcpy(a->text, "The owners of this list enter its members themselves.",
		    sizeof(a->text));
		return;
	}
	if (join) {
		struct member m;

		st = lists_member_get(auth.directory, q->list, key, &m);
		if (st == DIR_OK && m.suspended != 0) {
			member_resume(&m);
			st = lists_member_put(auth.directory, q->list, key, &m);
		}
		if (st == DIR_OK || st == DIR_NONE)
			st = lists_role_add(
			    auth.directory, q->list, key, LIST_IS_MEMBER, wall_s());
	} else
		st = lists_role_del(auth.directory, q->list, key, LIST_IS_MEMBER);
	if (st != DIR_OK && st != DIR_EXISTS && st != DIR_NONE)
		return;
	if (st == DIR_OK)
		say_member(join ? "list-joined" : "list-left", q->list, key, "confirmed");
	a->status = MSG_OK;
	strlcpy(a->text,
	    join ? "This address is a member now."
		 : "This address is no member any more.",
	    sizeof(a->text));
}

static enum answer_status
unsubscribe(const char *list, const char *member)
{
	enum dir_status st = lists_role_del(auth.directory, list, member, LIST_IS_MEMBER);

	if (st == DIR_OK)
		say_member("list-left", list, member, "unsubscribed");
	return st == DIR_OK || st == DIR_NONE ? MSG_OK : MSG_TEMP;
}

static void
act_unsubscribe(const struct msg_list_act *q, struct msg_list_acted *a)
{
	char key[ADDRESS_MAX + 1];

	if (!tag_holds(q, LISTPOST_UNSUBSCRIBE, BACK_UNSUBSCRIBE, key)) {
		a->status = MSG_DENIED;
		strlcpy(a->text, "This token is not valid, or too old.", sizeof(a->text));
		return;
	}
	print_key(key, a->address);
	a->status = (uint8_t)unsubscribe(q->list, key);
	strlcpy(a->text, "This address is no member any more.", sizeof(a->text));
}

enum answer_status
lists_unsubscribe(
    const char *text, char list[ADDRESS_MAX + 1], char member[ADDRESS_MAX + 1])
{
	char token[LISTPOST_TOKEN_LEN + 1];

	if (listpost_uri_parse(text, list, member, token) == -1 ||
	    directory_list_get(auth.directory, list, NULL, 0) != DIR_OK ||
	    !listpost_check(auth.secret, wall_s(), BACK_UNSUBSCRIBE, list,
		LISTPOST_UNSUBSCRIBE, member, token))
		return MSG_UNKNOWN;
	return unsubscribe(list, member);
}

/* The owners hear of it: nobody else would. */
static void
tell_owners(const char *list, const char *member, const char *why)
{
	struct channel *ch = daemon_peer(ROLE_QUEUED);
	struct msg_notice n = { 0 };

	if (ch == NULL ||
	    listpost_plain(list, "owner", n.recipient, sizeof(n.recipient)) == -1)
		return;
	snprintf(n.subject, sizeof(n.subject), "%.110s of %.110s gets no more mail",
	    member, list);
	snprintf(n.text, sizeof(n.text),
	    "Too many posts of the list\r\n\r\n    %s\r\n\r\ncould not be delivered to "
	    "its "
	    "member\r\n\r\n    %s\r\n\r\nwho is suspended now. The last reason "
	    "was:\r\n\r\n"
	    "    %s\r\n\r\nWhen that is over, the member joins again by mail, or the "
	    "postmaster runs\r\n\r\n    fifectl list resume %s %s\r\n",
	    list, member, why, list, member);
	(void)channel_send(ch, MSG_AUTHD_QUEUED_NOTICE, 0, &n, -1);
}

static void
bounced(const char *list, const char *key, int hard, const char *why)
{
	struct listconf l;
	struct member m;
	int over;

	if (lists_get(auth.directory, list, &l) != DIR_OK ||
	    lists_member_get(auth.directory, list, key, &m) != DIR_OK ||
	    !(m.roles & LIST_IS_MEMBER))
		return;
	over = member_bounce(&m, &l, hard, why, wall_s());
	if (lists_member_put(auth.directory, list, key, &m) != DIR_OK)
		return;
	log_fact(LOG_DELIVERY, over ? LOGL_WARN : LOGL_INFO,
	    over ? "list-suspended" : "list-bounced", KS("list", list), KS("member", key),
	    KS("kind", hard ? "hard" : "soft"), KS("why", why), KU("score", m.score));
	if (over)
		tell_owners(list, key, m.why);
}

void
lists_bounced(const struct msg_list_bounced *b)
{
	char key[ADDRESS_MAX + 1];

	if (key_of(b->member, key) == 0)
		bounced(b->list, key, b->hard, b->text);
}

void
lists_answer_act(struct channel *ch, const struct msg *msg)
{
	const struct msg_list_act *q = &msg->p.list_act;
	struct msg_list_acted a = { .status = MSG_TEMP };
	char key[ADDRESS_MAX + 1];
	struct listconf l;
	enum dir_status st = lists_get(auth.directory, q->list, &l);

	if (st == DIR_NONE)
		a.status = MSG_UNKNOWN;
	else if (st == DIR_OK)
		switch (q->verb) {
		case LIST_ACT_JOIN:
		case LIST_ACT_LEAVE:
			act_ask(q, &l, &a);
			break;
		case LIST_ACT_CONFIRM:
			act_confirm(q, &l, &a);
			break;
		case LIST_ACT_UNSUBSCRIBE:
			act_unsubscribe(q, &a);
			break;
		case LIST_ACT_BOUNCE:
			a.status = MSG_DENIED;
			if (!tag_holds(q, LISTPOST_BOUNCE, BACK_BOUNCE, key))
				break;
			a.status = MSG_OK;
			bounced(q->list, key, q->hard, q->text);
			break;
		default:
			a.status = MSG_PERM;
		}
	channel_send(ch, MSG_AUTHD_LISTD_ACTED, msg->id, &a, -1);
}
