/* SPDX-License-Identifier: ISC */
/* authd: who is that. Answers about recipients, logins, routes; see authd(8). */
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "authd/access.h"
#include "authd/auth.h"
#include "authd/greylist.h"
#include "authd/logins.h"
#include "authd/personal.h"
#include "authd/verified.h"
#include "authd/worker.h"
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define OPEN_TIMEOUT_MS 20000
#define MAILBOX_UID_OFFSET 50
/* How much of greylisting a crash may forget. */
#define GREYLIST_SAVE_S 300

struct auth auth;
static struct msg_conf_authd conf = { .iterations = 100000, .workers = 2 };
static struct msg_conf_gate gate;
static struct greylist *greylist;
static struct event *ev_greylist;
static uint64_t rcpt_asked;
static struct sendlimit *sendlimit;

void
auth_changed(const char *domain)
{
	struct msg_domain d = { 0 };
	struct channel *ch = daemon_peer(ROLE_QUEUED);

	strlcpy(d.domain, domain, sizeof(d.domain));
	if (ch != NULL)
		channel_send(ch, MSG_AUTHD_QUEUED_CHANGED, 0, &d, -1);
}

int
auth_open_mailbox(struct channel *for_whom, enum mbox_purpose purpose, uint64_t token,
    const char *address, const char *mailbox, uint32_t uid, uint64_t quota,
    const char *client, channel_answer_cb cb, void *arg)
{
	struct channel *mboxd = daemon_peer(ROLE_MBOXD);
	struct msg_mbox_open o = { .token = token, .uid = uid, .quota = quota };

	if (mboxd == NULL)
		return -1;
	o.role = (uint8_t)channel_role(for_whom);
	o.instance = channel_instance(for_whom);
	o.purpose = (uint8_t)purpose;
	strlcpy(o.address, address, sizeof(o.address));
	strlcpy(o.mailbox, mailbox, sizeof(o.mailbox));
	strlcpy(o.client, client, sizeof(o.client));
	return channel_ask(
		   mboxd, MSG_AUTHD_MBOXD_OPEN, &o, -1, OPEN_TIMEOUT_MS, cb, arg) == 0
		   ? -1
		   : 0;
}

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_AUTHD_CONF)
		conf = m->p.conf_authd;
	else if (m->type == MSG_FIFED_GATE_CONF)
		gate = m->p.conf_gate;
}

static void
on_greylist_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)greylist_save(greylist);
}

/* Once it is asked for; it stays when it is turned off, for it may come back. */
static void
greylist_begin(void)
{
	struct timeval tv = { .tv_sec = GREYLIST_SAVE_S };
	struct greylist_conf c = { .delay_s = gate.greylist_delay_s,
		.retry_s = gate.greylist_retry_s,
		.keep_s = gate.greylist_keep_s,
		.hosts = gate.greylist_hosts,
		.ipv4_prefix = gate.ipv4_prefix,
		.entries_max = gate.greylist_entries };

	if (greylist == NULL) {
		if (!gate.greylist)
			return;
		if ((greylist = greylist_new()) == NULL) {
			log_warnx("no memory for greylisting: nobody is");
			return;
		}
		greylist_set(greylist, &c);
		(void)greylist_load(greylist, "/greylist", wall_s());
		ev_greylist =
		    event_new(daemon_base(), -1, EV_PERSIST, on_greylist_timer, NULL);
		if (ev_greylist == NULL || event_add(ev_greylist, &tv) == -1)
			log_warnx("no timer: the greylist is saved at the end only");
		return;
	}
	greylist_set(greylist, &c);
}

static void
take_conf(void)
{
	auth.iterations = conf.iterations;
	auth.trust_loopback = conf.trust_loopback;
	strlcpy(auth.default_domain, conf.default_domain, sizeof(auth.default_domain));
	auth.resolver.directory = auth.directory;
	auth.resolver.hostname = daemon_conf()->hostname;
	auth.resolver.postmaster = daemon_conf()->postmaster;
	greylist_begin();
}

static int
on_open(void)
{
	const struct msg_conf *c = daemon_conf();
	char empty[1100];
	char *slash;

	/* The workers' root is the empty directory beside ours. */
	strlcpy(empty, c->root, sizeof(empty));
	if ((slash = strrchr(empty, '/')) == NULL)
		return -1;
	strlcpy(slash, "/empty", sizeof(empty) - (size_t)(slash - empty));
	if (workers_fork(conf.workers, empty, c->uid_first + ROLE_AUTHD_WORKER,
		c->uid_first + ROLE_AUTHD_WORKER) == -1)
		return -1;
	/* Not before: its secret is none of the workers' business. */
	return verified_init();
}

/* Two authds on one directory would undo each other's work. */
static int
lock_directory(void)
{
	int fd = open("/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (int i = 0; fd != -1 && i < 50; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0; /* held, and the descriptor with it, to the end */
		usleep(100 * 1000);
	}
	log_warn("another process holds the directory's lock");
	return -1;
}

static int
on_start(void)
{
	const struct msg_conf *c = daemon_conf();

	if (lock_directory() == -1)
		return -1;
	auth.directory =
	    directory_open("/directory", c->uid_first + MAILBOX_UID_OFFSET, c->uid_last);
	/* No secret has been read yet; lmdb's large empty lists stay untouched. */
	compat_wipe_freed();
	if (auth.directory == NULL ||
	    directory_secret(auth.directory, auth.secret) != DIR_OK ||
	    access_open(auth.directory, wall_s()) != DIR_OK)
		return -1;
	take_conf();
	return workers_start(daemon_base());
}

static void
on_reload(void)
{
	take_conf();
	auth_changed("");
}

static void
greylist_rcpt(const struct msg_rcpt_check *q, struct msg_rcpt_class *r)
{
	uint32_t wait;

	if (greylist == NULL)
		return;
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

/* The login behind a recipient, into *u; 1: refused. Its word is our record, not smtpd's.
 */
static int
login_rcpt(struct channel *ch, const struct msg_rcpt_check *q, struct user *u,
    struct msg_rcpt_class *r)
{
	const char *address = logins_address_of(ch, q->login);

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
	if (q->sender[0] == '\0')
		return 0;
	switch (resolve_may_send_as(&auth.resolver, u->address, u->send_as, q->sender)) {
	case RESOLVE_OK:
		return 0;
	case RESOLVE_TEMP:
		return 1;
	default:
		r->rclass = RCLASS_DENIED;
		snprintf(r->text, sizeof(r->text), "%.110s may not send as %.110s",
		    u->address, q->sender);
		return 1;
	}
}

/* One recipient more of a login; 1: too many. */
static int
limit_rcpt(const struct msg_rcpt_check *q, const struct user *u, struct msg_rcpt_class *r)
{
	uint32_t limits[SEND_LIMITS];
	enum send_limit reached;
	int first;

	if (sendlimit == NULL && (sendlimit = sendlimit_new()) == NULL)
		return 0;
	for (int i = 0; i < SEND_LIMITS; i++)
		limits[i] = u->send_limits[i] != 0 ? u->send_limits[i]
			    : auth.trust_loopback && access_is_loopback(q->client)
				? SEND_UNLIMITED
				: sendlimit_default((enum send_limit)i);
	reached = sendlimit_take(
	    sendlimit, u->address, q->rcpts == 0, limits, wall_s(), &first);
	if (reached == SEND_LIMITS)
		return 0;
	if (first)
		log_fact(LOG_LOGIN, LOGL_WARN, "sending-limit", KS("user", u->address),
		    KS("client", q->client), KS("limit", sendlimit_word(reached)),
		    KU("value", limits[reached]));
	r->rclass = RCLASS_LIMIT;
	snprintf(r->text, sizeof(r->text),
	    "%.100s has reached its limit of %u %s, try again later", u->address,
	    limits[reached],
	    reached == SEND_MESSAGES_HOUR     ? "messages an hour"
	    : reached == SEND_MESSAGES_DAY    ? "messages a day"
	    : reached == SEND_RECIPIENTS_HOUR ? "recipients an hour"
					      : "recipients a day");
	return 1;
}

static void
answer_rcpt(struct channel *ch, struct msg *m)
{
	struct msg_rcpt_class r = { 0 };
	struct user u;

	rcpt_asked++;
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
	if (r.rclass == RCLASS_LOCAL)
		personal_rcpt(&m->p.rcpt_check, &r);
	if (m->p.rcpt_check.login != 0 &&
	    (r.rclass == RCLASS_LOCAL || r.rclass == RCLASS_REMOTE))
		(void)limit_rcpt(&m->p.rcpt_check, &u, &r);
	if (r.rclass == RCLASS_LOCAL && m->p.rcpt_check.greylist)
		greylist_rcpt(&m->p.rcpt_check, &r);
	channel_send(ch, MSG_AUTHD_SMTPD_RCPT_CLASS, m->id, &r, -1);
}

static void
answer_route(struct channel *ch, struct msg *m)
{
	struct msg_route r = { 0 };
	char domain[256], matched[256];
	enum dir_status st;

	if (address_domain_ascii(m->p.domain.domain, domain, sizeof(domain)) == -1)
		strlcpy(domain, m->p.domain.domain, sizeof(domain));
	if (domain[0] == '\0' || strcmp(domain, auth.resolver.hostname) == 0 ||
	    (st = directory_domain_get(auth.directory, domain)) == DIR_OK)
		r.rclass = RCLASS_LOCAL;
	else if (st != DIR_NONE)
		r.rclass = RCLASS_TEMP;
	else {
		st = directory_route_find(auth.directory, domain, r.url, sizeof(r.url),
		    matched, sizeof(matched));
		r.rclass = st == DIR_OK || st == DIR_NONE ? RCLASS_REMOTE : RCLASS_TEMP;
		if (st != DIR_OK)
			r.url[0] = '\0';
	}
	channel_send(ch, MSG_AUTHD_QUEUED_ROUTE_IS, m->id, &r, -1);
}

static void
answer_resolve(struct channel *ch, struct msg *m)
{
	static const char *const texts[] = { "", "relaying denied", "no such user",
		"this mailbox is disabled",
		"mail loop: the aliases lead only to each other",
		"an alias leads to too many addresses",
		"the directory cannot be read now" };
	struct msg_resolved done = { 0 };
	struct target *targets;
	size_t n;
	enum resolve_status st =
	    resolve_targets(&auth.resolver, m->p.address.address, &targets, &n);

	for (size_t i = 0; i < n; i++) {
		struct msg_target t = { .kind = (uint8_t)targets[i].kind };

		strlcpy(t.address, targets[i].address, sizeof(t.address));
		strlcpy(t.mailbox, targets[i].mailbox, sizeof(t.mailbox));
		if (channel_send(ch, MSG_AUTHD_LDELIVER_TARGET, m->id, &t, -1) == -1)
			st = RESOLVE_TEMP;
	}
	free(targets);
	done.count = (uint32_t)n;
	done.status = st == RESOLVE_OK         ? MSG_OK
		      : st == RESOLVE_TEMP     ? MSG_TEMP
		      : st == RESOLVE_UNKNOWN  ? MSG_UNKNOWN
		      : st == RESOLVE_DISABLED ? MSG_DENIED
					       : MSG_PERM;
	strlcpy(done.text, texts[st], sizeof(done.text));
	channel_send(ch, MSG_AUTHD_LDELIVER_RESOLVED, m->id, &done, -1);
}

/* deliverd-local wants a session on a mailbox that we resolved. */
struct opening {
	uint64_t channel;
	uint64_t request;
};

static void
on_opened(struct msg *m, void *arg)
{
	struct opening *o = arg;
	struct channel *ch = channel_find(o->channel);
	struct msg_status s = { .status = MSG_TEMP };

	if (m != NULL)
		s = m->p.status;
	if (ch != NULL)
		channel_send(ch, MSG_AUTHD_LDELIVER_OPENING, o->request, &s, -1);
	free(o);
}

static int
user_of_mailbox(const char *mailbox, struct user *u)
{
	char key[ADDRESS_MAX + 1], path[512];
	const char *slash = strchr(mailbox, '/');
	size_t n = 0;

	/* The path is an escaped key: undo, look up, compare. */
	if (slash == NULL)
		return -1;
	for (const char *p = slash + 1; *p != '\0'; p++) {
		char c = *p;

		if (c == '%') {
			unsigned int byte;

			if (sscanf(p + 1, "%2x", &byte) != 1 || byte == 0 ||
			    p[1] == '\0' || p[2] == '\0')
				return -1;
			c = (char)byte;
			p += 2;
		}
		if (n + 1 >= sizeof(key))
			return -1;
		key[n++] = c;
	}
	key[n] = '\0';
	if (strlcat(key, "@", sizeof(key)) >= sizeof(key) ||
	    strlen(key) + (size_t)(slash - mailbox) >= sizeof(key))
		return -1;
	n = strlen(key);
	memcpy(key + n, mailbox, (size_t)(slash - mailbox));
	key[n + (size_t)(slash - mailbox)] = '\0';
	if (mailbox_path(key, path, sizeof(path)) == -1 || strcmp(path, mailbox) != 0)
		return -1;
	return directory_user_get(auth.directory, key, u) == DIR_OK ? 0 : -1;
}

static void
answer_open(struct channel *ch, struct msg *m)
{
	struct msg_status s = { .status = MSG_TEMP };
	struct opening *o;
	struct user u;

	if (user_of_mailbox(m->p.open_request.mailbox, &u) == -1) {
		s.status = MSG_UNKNOWN;
		channel_send(ch, MSG_AUTHD_LDELIVER_OPENING, m->id, &s, -1);
		return;
	}
	/* Since RESOLVE it may have been disabled: a later try hears that. */
	if (!u.disabled && (o = malloc(sizeof(*o))) != NULL) {
		o->channel = channel_serial(ch);
		o->request = m->id;
		if (auth_open_mailbox(ch, MBOX_DELIVER, m->p.open_request.token,
			u.address, u.mailbox, u.uid, u.quota, "", on_opened, o) == 0)
			return;
		free(o);
	}
	channel_send(ch, MSG_AUTHD_LDELIVER_OPENING, m->id, &s, -1);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_SMTPD_AUTHD_RCPT:
		answer_rcpt(ch, m);
		break;
	case MSG_FRONT_AUTHD_SASL:
		logins_sasl(ch, m);
		break;
	case MSG_FRONT_AUTHD_SASL_ABORT:
		logins_abort(ch, m->p.session_id.session);
		break;
	case MSG_FRONT_AUTHD_LOGOUT:
		logins_logout(ch, m->p.login_id.login);
		break;
	case MSG_QUEUED_AUTHD_ROUTE:
		answer_route(ch, m);
		break;
	case MSG_LDELIVER_AUTHD_RESOLVE:
		answer_resolve(ch, m);
		break;
	case MSG_LDELIVER_AUTHD_OPEN:
		answer_open(ch, m);
		break;
	default:
		break;
	}
}

static void
on_peer_lost(struct channel *ch)
{
	logins_channel_lost(ch);
}

static void
on_stop(void)
{
	directory_close(auth.directory);
	auth.directory = NULL;
	if (greylist != NULL)
		(void)greylist_save(greylist);
	greylist_close();
	daemon_stopped();
}

static const struct daemon authd = {
	.role = ROLE_AUTHD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.peer_lost = on_peer_lost,
	.stop = on_stop,
	.commands = auth_commands,
};

int
main(void)
{
	return daemon_run(&authd);
}
