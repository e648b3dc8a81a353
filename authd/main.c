/* SPDX-License-Identifier: ISC */
/* authd: who is that. Answers about recipients, logins, routes; see authd(8). */
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "authd/access.h"
#include "authd/account.h"
#include "authd/auth.h"
#include "authd/domain.h"
#include "authd/external.h"
#include "authd/grants.h"
#include "authd/greylist.h"
#include "authd/lists.h"
#include "authd/logins.h"
#include "authd/programs.h"
#include "authd/quota.h"
#include "authd/quota_admin.h"
#include "authd/rcpt.h"
#include "authd/records.h"
#include "authd/rules.h"
#include "authd/srs.h"
#include "authd/verified.h"
#include "authd/urls.h"
#include "authd/watch.h"
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
static struct msg_conf_limits limits_conf;
static struct msg_conf_watch watch_conf;
static X509_STORE *coming_ca;
static struct greylist *greylist;
static struct event *ev_greylist;

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
    const struct user *u, const char *client, channel_answer_cb cb, void *arg)
{
	struct channel *mboxd = daemon_peer(ROLE_MBOXD);
	const struct login *l = purpose == MBOX_IMAP ? login_find(token) : NULL;
	struct msg_mbox_open o = { .token = token,
		.uid = u->uid,
		.quota = account_quota(u, LIMIT_QUOTA),
		.quota_messages = account_quota(u, LIMIT_QUOTA_MESSAGES),
		.quota_hard = (uint8_t)auth.quota_hard };

	if (mboxd == NULL)
		return -1;
	o.role = (uint8_t)channel_role(for_whom);
	o.instance = channel_instance(for_whom);
	o.purpose = (uint8_t)purpose;
	o.quotaset = l != NULL && l->quotaset;
	strlcpy(o.address, u->address, sizeof(o.address));
	strlcpy(o.mailbox, u->mailbox, sizeof(o.mailbox));
	strlcpy(o.client, client, sizeof(o.client));
	if (purpose == MBOX_POP3)
		rules_text(u->pop3_folders, o.pop3_folders, sizeof(o.pop3_folders));
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
	else if (m->type == MSG_FIFED_AUTHD_LIMITS)
		limits_conf = m->p.conf_limits;
	else if (m->type == MSG_FIFED_AUTHD_WATCH)
		watch_conf = m->p.conf_watch;
	else if (m->type == MSG_FIFED_ANY_COMMAND)
		programs_conf_add(&m->p.conf_command);
	else if (m->type == MSG_FIFED_ANY_CONF) {
		programs_conf_begin();
		X509_STORE_free(coming_ca);
		coming_ca = NULL;
	} else if (m->type == MSG_FIFED_AUTHD_CLIENT_CA) {
		X509_STORE_free(coming_ca);
		coming_ca = external_authorities(msg_take_fd(m));
	}
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
	auth.pop3_delay_ms = (uint64_t)conf.pop3_login_delay_s * 1000;
	strlcpy(auth.default_domain, conf.default_domain, sizeof(auth.default_domain));
	auth.limits = (struct limits){ {
	    [LIMIT_MESSAGES_HOUR] = limits_conf.messages_hour,
	    [LIMIT_MESSAGES_DAY] = limits_conf.messages_day,
	    [LIMIT_RECIPIENTS_HOUR] = limits_conf.recipients_hour,
	    [LIMIT_RECIPIENTS_DAY] = limits_conf.recipients_day,
	    [LIMIT_RECIPIENTS_MESSAGE] = limits_conf.recipients_message,
	    [LIMIT_MESSAGE_SIZE] = limits_conf.message_size,
	    [LIMIT_QUOTA] = limits_conf.quota,
	    [LIMIT_QUOTA_MESSAGES] = limits_conf.quota_messages,
	    [LIMIT_SESSIONS] = limits_conf.sessions,
	} };
	auth.quota_hard = limits_conf.quota_hard;
	auth.quotaset = conf.quotaset;
	auth.watch = watch_conf;
	verified_set_life((uint64_t)conf.password_memory_s * 1000);
	X509_STORE_free(auth.client_ca);
	auth.client_ca = coming_ca;
	coming_ca = NULL;
	auth.resolver.directory = auth.directory;
	auth.resolver.hostname = daemon_conf()->hostname;
	auth.resolver.postmaster = daemon_conf()->postmaster;
	auth.resolver.secret = auth.secret;
	programs_conf_end();
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
	watch_open("/usage");
	grants_open("/grants");
	quota_open("/quota");
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

/* RFC 7208, 11.4 and D: of a sender elsewhere, an address here (SRS). */
static void
sender_of_forward(const char *sender, char *out, size_t cap)
{
	const char *at = strrchr(sender, '@');
	char domain[256];

	out[0] = '\0';
	if (at == NULL || (address_domain_ascii(at + 1, domain, sizeof(domain)) != -1 &&
			      (resolve_domain_is_local(&auth.resolver, domain) ||
				  strcmp(domain, auth.resolver.hostname) == 0)))
		return;
	/* What does not fit goes as it is. */
	if (srs_forward(
		auth.secret, wall_s(), sender, auth.resolver.hostname, out, cap) == -1)
		out[0] = '\0';
}

static void
answer_route(struct channel *ch, struct msg *m)
{
	struct msg_route r = { 0 };
	char domain[256], matched[ADDRESS_MAX + 8], settings[DOMAIN_SETTINGS_MAX] = "";
	struct domain_settings ds;
	enum dir_status st;

	if (address_domain_ascii(m->p.route_ask.domain, domain, sizeof(domain)) == -1)
		strlcpy(domain, m->p.route_ask.domain, sizeof(domain));
	st =
	    directory_domain_settings(auth.directory, domain, settings, sizeof(settings));
	domain_settings_parse(st == DIR_OK ? settings : "", &ds);
	strlcpy(r.language, ds.language, sizeof(r.language));
	if (domain[0] == '\0' || strcmp(domain, auth.resolver.hostname) == 0 ||
	    st == DIR_OK)
		r.rclass = RCLASS_LOCAL;
	else if (st != DIR_NONE)
		r.rclass = RCLASS_TEMP;
	else {
		st = directory_route_find(auth.directory, domain, m->p.route_ask.sender,
		    r.url, sizeof(r.url), matched, sizeof(matched));
		r.rclass = st == DIR_OK || st == DIR_NONE ? RCLASS_REMOTE : RCLASS_TEMP;
		if (st != DIR_OK)
			r.url[0] = '\0';
		if (m->p.route_ask.forward)
			sender_of_forward(m->p.route_ask.sender, r.srs, sizeof(r.srs));
		/* The sender may turn it: of no route, or of the default. */
		r.by_sender = (st == DIR_NONE || matched[0] == '*') &&
			      directory_route_by_sender(auth.directory);
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
		strlcpy(t.command, targets[i].command, sizeof(t.command));
		if (targets[i].rules != NULL)
			strlcpy(t.rules, targets[i].rules, sizeof(t.rules));
		if (channel_send(ch, MSG_AUTHD_LDELIVER_TARGET, m->id, &t, -1) == -1)
			st = RESOLVE_TEMP;
	}
	resolve_targets_free(targets, n);
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

static void
answer_open(struct channel *ch, struct msg *m)
{
	struct msg_status s = { .status = MSG_TEMP };
	struct opening *o;
	struct user u;

	if (auth_user_of_mailbox(m->p.open_request.mailbox, &u) == -1) {
		s.status = MSG_UNKNOWN;
		channel_send(ch, MSG_AUTHD_LDELIVER_OPENING, m->id, &s, -1);
		return;
	}
	/* Since RESOLVE it may have been disabled or closed: a later try hears that. */
	if (!u.disabled && !u.closed && (o = malloc(sizeof(*o))) != NULL) {
		o->channel = channel_serial(ch);
		o->request = m->id;
		if (auth_open_mailbox(ch, MBOX_DELIVER, m->p.open_request.token, &u, "",
			on_opened, o) == 0)
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
		rcpt_answer(ch, m, greylist);
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
	case MSG_QUEUED_AUTHD_REFUSED:
		watch_refused(m->p.refused.address, m->p.refused.client);
		break;
	case MSG_QUEUED_AUTHD_SENDER:
		rcpt_sender_answer(ch, m);
		break;
	case MSG_QUEUED_AUTHD_ROUTE:
		answer_route(ch, m);
		break;
	case MSG_LDELIVER_AUTHD_RESOLVE:
		answer_resolve(ch, m);
		break;
	case MSG_SMTPD_AUTHD_URL:
	case MSG_MBOXD_AUTHD_URL:
		urls_message(ch, m);
		break;
	case MSG_MBOXD_AUTHD_QUOTA:
		quota_admin_message(ch, m);
		break;
	case MSG_MBOXD_AUTHD_SHARES:
	case MSG_MBOXD_AUTHD_SHARE:
	case MSG_MBOXD_AUTHD_GRANTS:
		grants_message(ch, m);
		break;
	case MSG_EXECD_AUTHD_WHO:
		programs_answer(ch, m);
		break;
	case MSG_LDELIVER_AUTHD_MEMBERS:
		lists_answer_members(ch, m);
		break;
	case MSG_LISTD_AUTHD_ASK:
		lists_answer_ask(ch, m);
		break;
	case MSG_LISTD_AUTHD_ACT:
		lists_answer_act(ch, m);
		break;
	case MSG_QUEUED_AUTHD_BOUNCED:
		lists_bounced(&m->p.list_bounced);
		break;
	case MSG_LDELIVER_AUTHD_OPEN:
		answer_open(ch, m);
		break;
	case MSG_MBOXD_AUTHD_USED:
		quota_report(&m->p.mbox_used_by);
		break;
	default:
		break;
	}
}

static void
on_peer_new(struct channel *ch)
{
	if (channel_role(ch) == ROLE_QUEUED)
		watch_queued_there(ch);
}

static void
on_peer_lost(struct channel *ch)
{
	logins_channel_lost(ch);
}

static void
on_stop(void)
{
	watch_close();
	grants_close();
	quota_close();
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
	.peer_new = on_peer_new,
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
