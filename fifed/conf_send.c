/* SPDX-License-Identifier: ISC */
/*
 * The configuration on its way: each daemon gets its own part, as catalogue
 * messages, and certificates, keys and listeners as descriptors; never the file.
 */
#include "fifed/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/log.h"

static void
send_common(struct suite *s, struct child *c)
{
	const struct conf *conf = s->conf;
	struct msg_conf m = {
		.role = (uint8_t)c->role, .instance = c->instance, .instances = 1
	};

	strlcpy(m.hostname, conf->hostname, sizeof(m.hostname));
	strlcpy(m.postmaster, conf->postmaster, sizeof(m.postmaster));
	if (snprintf(m.root, sizeof(m.root), "%s/%s", s->state, role_root(c->role)) >=
	    (int)sizeof(m.root))
		fatalx("path of the state directory is too long");
	m.uid = m.gid = start_uid(conf, c->role);
	m.uid_first = conf->uid_first;
	m.uid_last = conf->uid_last;
	if (c->role == ROLE_SMTPD)
		m.instances = conf->smtpd_workers;
	m.debug = conf->debug;
	m.generation = s->generation;
	(void)channel_send(c->ch, MSG_FIFED_ANY_CONF, 0, &m, -1);
}

static void
send_listeners(struct suite *s, struct child *c, uint32_t kinds)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		int fd;

		if ((kinds & (1u << s->listeners[i].m.kind)) == 0)
			continue;
		if ((fd = fcntl(s->listeners[i].fd, F_DUPFD_CLOEXEC, 0)) == -1) {
			log_warn("listener for %s", c->name);
			continue;
		}
		(void)channel_send(
		    c->ch, MSG_FIFED_ANY_LISTENER, 0, &s->listeners[i].m, fd);
	}
}

/* Opened anew for each: a duplicate would share its offset. */
static void
send_certificates(struct suite *s, struct child *c)
{
	const struct conf *conf = s->conf;

	for (size_t i = 0; i < conf->n_tls; i++) {
		struct msg_tls_cert m = { .key = (uint32_t)i + 1,
			.is_default = conf->tls[i].is_default };
		int fd = conf_open_file(conf, conf->tls[i].certificate);

		strlcpy(m.names,
		    conf->tls[i].names[0] != '\0' ? conf->tls[i].names : conf->hostname,
		    sizeof(m.names));
		if (fd == -1)
			log_warn("%s", conf->tls[i].certificate);
		else
			(void)channel_send(c->ch, MSG_FIFED_FRONT_CERT, 0, &m, fd);
	}
}

static void
send_keys(struct suite *s, struct child *c)
{
	const struct conf *conf = s->conf;

	for (size_t i = 0; i < conf->n_tls; i++) {
		struct msg_key m = { .key = (uint32_t)i + 1 };
		int fd = conf_open_file(conf, conf->tls[i].key);

		if (fd == -1)
			log_warn("%s", conf->tls[i].key);
		else
			(void)channel_send(c->ch, MSG_FIFED_KEYD_KEY, 0, &m, fd);
	}
}

static void
send_resolver(const struct conf *conf, struct child *c)
{
	struct msg_conf_dnsd m = conf->resolver;

	if (m.anchor_file[0] != '\0' && conf_path(conf, conf->resolver.anchor_file,
					    m.anchor_file, sizeof(m.anchor_file)) == -1)
		log_warnx("path of anchors is too long");
	(void)channel_send(c->ch, MSG_FIFED_DNSD_CONF, 0, &m, -1);
	for (size_t i = 0; i < conf->n_servers; i++)
		(void)channel_send(
		    c->ch, MSG_FIFED_DNSD_SERVER, 0, &conf->servers[i], -1);
	for (size_t i = 0; i < conf->n_stubs; i++)
		(void)channel_send(c->ch, MSG_FIFED_DNSD_STUB, 0, &conf->stubs[i], -1);
}

static void
send_gate(const struct conf *conf, struct child *c)
{
	(void)channel_send(c->ch, MSG_FIFED_GATE_CONF, 0, &conf->gate, -1);
	for (size_t i = 0; i < conf->n_dnslists; i++)
		(void)channel_send(
		    c->ch, MSG_FIFED_SMTPD_DNSLIST, 0, &conf->dnslists[i], -1);
}

static void
send_delivery(const struct conf *conf, struct child *c)
{
	struct msg_conf_deliverd m = conf->delivery;

	if (m.ca_file[0] != '\0' &&
	    conf_path(conf, conf->delivery.ca_file, m.ca_file, sizeof(m.ca_file)) == -1)
		log_warnx("path of ca-file is too long");
	(void)channel_send(c->ch, MSG_FIFED_RDELIVER_CONF, 0, &m, -1);
}

static void
send_policy(const struct conf *conf, struct child *c)
{
	struct msg_conf_policyd m = conf->policy;

	m.tls_reports = conf->delivery.tls_reports;
	if (conf->delivery.ca_file[0] != '\0' &&
	    conf_path(conf, conf->delivery.ca_file, m.ca_file, sizeof(m.ca_file)) == -1)
		log_warnx("path of ca-file is too long");
	(void)channel_send(c->ch, MSG_FIFED_POLICYD_CONF, 0, &m, -1);
}

static void
send_scan(const struct conf *conf, struct child *c)
{
	struct msg_conf_scand m = conf->scan;

	/* Without signatures: the scanner rests. */
	if (!conf->filter.antivirus)
		m.signatures[0] = '\0';
	else if (conf_path(conf, conf->scan.signatures, m.signatures,
		     sizeof(m.signatures)) == -1)
		log_warnx("path of signatures is too long");
	(void)channel_send(c->ch, MSG_FIFED_SCAND_CONF, 0, &m, -1);
}

static void
send_filter(const struct conf *conf, struct child *c)
{
	(void)channel_send(c->ch, MSG_FIFED_FILTERD_CONF, 0, &conf->filter, -1);
	for (size_t i = 0; i < conf->n_rules; i++)
		(void)channel_send(
		    c->ch, MSG_FIFED_FILTERD_RULE, 0, &conf->rules[i].m, -1);
}

static void
send_directory(const struct conf *conf, struct child *c)
{
	struct msg_conf_authd m = conf->directory;
	struct msg_conf_limits limits;
	struct msg_none none;
	const char *dot;
	int fd;

	/* mail.example.org speaks for example.org, unless told otherwise. */
	if (m.default_domain[0] == '\0') {
		dot = strchr(conf->hostname, '.');
		strlcpy(m.default_domain,
		    dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1
								: conf->hostname,
		    sizeof(m.default_domain));
	}
	m.pop3_login_delay_s = conf->pop3.login_delay_s;
	(void)channel_send(c->ch, MSG_FIFED_AUTHD_CONF, 0, &m, -1);
	/* mailbox { quota } is an older place for the same. */
	limits = conf->limits;
	if (limits.quota == 0)
		limits.quota = conf->mailbox.quota_default;
	(void)channel_send(c->ch, MSG_FIFED_AUTHD_LIMITS, 0, &limits, -1);
	(void)channel_send(c->ch, MSG_FIFED_AUTHD_WATCH, 0, &conf->watch, -1);
	if (conf->client_ca[0] == '\0')
		return;
	memset(&none, 0, sizeof(none));
	if ((fd = conf_open_file(conf, conf->client_ca)) == -1)
		log_warn("%s", conf->client_ca);
	else
		(void)channel_send(c->ch, MSG_FIFED_AUTHD_CLIENT_CA, 0, &none, fd);
}

static void
send_scripts(struct suite *s, struct child *c)
{
	struct msg_site_scripts m = { .size = s->site.size };
	int fd;

	if (s->site.fd == -1)
		return;
	if ((fd = fcntl(s->site.fd, F_DUPFD_CLOEXEC, 0)) == -1)
		log_warn("scripts of the site");
	else
		(void)channel_send(c->ch, MSG_FIFED_MBOXD_SCRIPTS, 0, &m, fd);
}

/* authd needs just names and users. */
static void
send_commands(const struct conf *conf, struct child *c)
{
	char err[1400];

	for (size_t i = 0; i < conf->n_commands; i++) {
		struct conf_command k = conf->commands[i];

		if (conf_command_user(conf, &k, err, sizeof(err)) == -1)
			log_warnx("%s", err);
		else
			(void)channel_send(c->ch, MSG_FIFED_ANY_COMMAND, 0, &k.m, -1);
	}
}

void
conf_send(struct suite *s, struct child *c)
{
	const struct conf *conf = s->conf;
	struct msg_none none;
	int fd;

	memset(&none, 0, sizeof(none));
	send_common(s, c);
	switch (c->role) {
	case ROLE_LOGD:
		(void)channel_send(c->ch, MSG_FIFED_LOGD_CONF, 0, &conf->log, -1);
		break;
	case ROLE_AUTHD:
		send_directory(conf, c);
		(void)channel_send(c->ch, MSG_FIFED_GATE_CONF, 0, &conf->gate, -1);
		send_commands(conf, c);
		break;
	case ROLE_EXECD:
		send_commands(conf, c);
		break;
	case ROLE_KEYD:
		send_keys(s, c);
		break;
	case ROLE_DNSD:
		send_resolver(conf, c);
		break;
	case ROLE_SMTPD:
		(void)channel_send(c->ch, MSG_FIFED_SMTPD_CONF, 0, &conf->smtp, -1);
		send_gate(conf, c);
		counts_send(c);
		send_certificates(s, c);
		send_listeners(s, c,
		    1u << LISTENER_SMTP | 1u << LISTENER_SUBMISSION |
			1u << LISTENER_LOCAL | 1u << LISTENER_LMTP);
		break;
	case ROLE_QUEUED:
		(void)channel_send(c->ch, MSG_FIFED_QUEUED_CONF, 0, &conf->queue, -1);
		for (size_t i = 0; i < conf->n_classes; i++)
			(void)channel_send(
			    c->ch, MSG_FIFED_QUEUED_CLASS, 0, &conf->classes[i].m, -1);
		break;
	case ROLE_DELIVERD_REMOTE:
		send_delivery(conf, c);
		break;
	case ROLE_POLICYD:
		send_policy(conf, c);
		break;
	case ROLE_FILTERD:
		send_filter(conf, c);
		break;
	case ROLE_SCAND:
		send_scan(conf, c);
		break;
	case ROLE_IMAPD:
	case ROLE_POP3D:
	case ROLE_SIEVED:
		(void)channel_send(c->ch, MSG_FIFED_FRONT_CONF, 0,
		    c->role == ROLE_IMAPD   ? &conf->imap
		    : c->role == ROLE_POP3D ? &conf->pop3
					    : &conf->managesieve,
		    -1);
		send_certificates(s, c);
		send_listeners(s, c,
		    1u << (c->role == ROLE_IMAPD   ? LISTENER_IMAP
			   : c->role == ROLE_POP3D ? LISTENER_POP3
						   : LISTENER_SIEVE));
		break;
	case ROLE_MBOXD:
		(void)channel_send(c->ch, MSG_FIFED_MBOXD_CONF, 0, &conf->mailbox, -1);
		send_scripts(s, c);
		break;
	default:
		break;
	}
	if ((fd = fcntl(c->ctl_fd, F_DUPFD_CLOEXEC, 0)) == -1)
		log_warn("control socket of %s", c->name);
	else
		(void)channel_send(c->ch, MSG_FIFED_ANY_CTL, 0, &none, fd);
}
