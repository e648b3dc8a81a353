/* SPDX-License-Identifier: ISC */
/*
 * smtpd: receives mail by SMTP, submission and LMTP. It touches nothing but the
 * sockets and descriptors that it is given: clients by fifed's listeners, the
 * directory by authd, content by descriptors of queued, verdicts by filterd.
 */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/tls_status.h"
#include "smtpd/counts.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/listen.h"
#include "smtpd/session_internal.h"

/* What is on its way when the host stops may end, but not for ever. */
#define STOP_MS 15000
#define LAST_WORDS_MS 200

static struct smtp_in_conf in_conf;
static struct msg_conf_smtpd conf, staged_conf;
static struct tls_certs *certs, *staged_certs;
static struct event *ev_stop;

const struct smtp_in_conf *
smtpd_in_conf(void)
{
	return &in_conf;
}

const struct msg_conf_smtpd *
smtpd_conf(void)
{
	return &conf;
}

struct ssl_ctx_st *
smtpd_tls(void)
{
	return certs == NULL ? NULL : tls_certs_context(certs);
}

static void
on_conf(struct msg *m)
{
	int fd;

	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		listen_begin();
		gatekeeper_conf_begin();
		tls_certs_free(staged_certs);
		staged_certs = NULL;
		break;
	case MSG_FIFED_SMTPD_CONF:
		staged_conf = m->p.conf_smtpd;
		break;
	case MSG_FIFED_GATE_CONF:
		gatekeeper_conf(&m->p.conf_gate);
		break;
	case MSG_FIFED_SMTPD_COUNTS:
		counts_attach(m->p.counts.instance,
		    m->p.counts.instance == daemon_conf()->instance, msg_take_fd(m),
		    (const uint64_t[2]){ m->p.counts.secret0, m->p.counts.secret1 });
		break;
	case MSG_FIFED_SMTPD_DNSLIST:
		gatekeeper_conf_list(&m->p.conf_dnslist);
		break;
	case MSG_FIFED_ANY_LISTENER:
		listen_add(&m->p.listener, msg_take_fd(m));
		break;
	case MSG_FIFED_FRONT_CERT:
		fd = msg_take_fd(m);
		if (staged_certs == NULL && (staged_certs = tls_certs_new()) == NULL) {
			log_warnx("no memory for certificates");
			close(fd);
			break;
		}
		(void)tls_certs_add(staged_certs, fd, m->p.tls_cert.key,
		    m->p.tls_cert.names, m->p.tls_cert.is_default);
		break;
	default:
		break;
	}
}

/* As MT-PRIORITY names it (RFC 6710, 9.2). */
static const char *
priority_policy(uint8_t setting)
{
	static const char *const names[] = {
		[MT_PRIORITY_ON] = "",
		[MT_PRIORITY_MIXER] = "MIXER",
		[MT_PRIORITY_STANAG4406] = "STANAG4406",
		[MT_PRIORITY_NSEP] = "NSEP",
	};

	return setting < sizeof(names) / sizeof(names[0]) ? names[setting] : NULL;
}

/* What was staged comes into force; sessions see it with their next command. */
static void
adopt(void)
{
	const struct msg_conf *host = daemon_conf();
	const char *at = strrchr(host->postmaster, '@');

	conf = staged_conf;
	gatekeeper_conf_adopt();
	strlcpy(in_conf.hostname, host->hostname, sizeof(in_conf.hostname));
	strlcpy(in_conf.banner, conf.banner, sizeof(in_conf.banner));
	strlcpy(in_conf.root, host->postmaster, sizeof(in_conf.root));
	strlcpy(in_conf.default_domain, at != NULL ? at + 1 : host->hostname,
	    sizeof(in_conf.default_domain));
	in_conf.size_max = conf.message_size_max;
	in_conf.rcpts_max = conf.recipients_max;
	in_conf.errors_max = conf.errors_max;
	in_conf.hops_max = conf.hops_max;
	in_conf.release_max_s = conf.release_max_s;
	in_conf.by_min_s = conf.by_min_s;
	in_conf.priority_policy = priority_policy(conf.mt_priority);
	in_conf.priority_login_max = (int8_t)conf.priority_login_max;
	/* Connections hold references of their own. */
	tls_certs_free(certs);
	certs = staged_certs;
	staged_certs = NULL;
}

static int
on_open(void)
{
	tzset(); /* reads a file */
	return tls_init();
}

static int
on_start(void)
{
	adopt();
	return listen_start();
}

static void
on_reload(void)
{
	adopt();
	(void)listen_start();
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	daemon_stopped();
}

static void
stop_in(uint32_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ev_stop == NULL)
		ev_stop = event_new(daemon_base(), -1, 0, on_stop_timer, NULL);
	if (ev_stop == NULL || event_add(ev_stop, &tv) == -1)
		daemon_stopped();
}

static void
on_all_gone(void)
{
	stop_in(LAST_WORDS_MS); /* the last replies leave */
}

static void
on_stop(void)
{
	listen_stop();
	stop_in(STOP_MS);
	session_stop_all(on_all_gone);
}

static void
status(struct ctl *c, int argc, char **argv)
{
	const char *degraded = NULL;

	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "sessions", smtpd_stats.sessions);
	ctl_u64(c, "listeners", listen_count());
	ctl_u64(c, "connections", smtpd_stats.connections);
	ctl_u64(c, "connections-refused", smtpd_stats.refused_connections);
	ctl_u64(c, "messages", smtpd_stats.messages);
	ctl_u64(c, "messages-rejected", smtpd_stats.rejected);
	ctl_u64(c, "messages-deferred", smtpd_stats.deferred);
	ctl_u64(c, "recipients-refused", smtpd_stats.refused_rcpts);
	ctl_u64(c, "gate-too-often", gatekeeper_stats.rates);
	ctl_u64(c, "gate-talked-early", gatekeeper_stats.early);
	ctl_u64(c, "gate-recipients-refused", gatekeeper_stats.refused);
	ctl_u64(c, "gate-junk", gatekeeper_stats.marked);
	ctl_u64(c, "login-failures", smtpd_stats.login_failures);
	if (daemon_peer(ROLE_QUEUED) == NULL)
		degraded = "queued is away: mail is answered with 451";
	else if (daemon_peer(ROLE_AUTHD) == NULL)
		degraded = "authd is away: recipients are answered with 451";
	else if (daemon_peer(ROLE_FILTERD) == NULL)
		degraded = "filterd is away: mail is answered with 451";
	tls_certs_status(c, certs, degraded);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_AUTHD_FRONT_LOGIN_ENDED)
		session_login_ended(channel_serial(ch), m->p.login_id.login);
	else
		txn_peer_message(ch, m);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};

static const struct daemon smtpd_daemon = {
	.role = ROLE_SMTPD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.stop = on_stop,
	.commands = commands,
};

int
main(int argc, char **argv)
{
	return daemon_run(&smtpd_daemon);
}
