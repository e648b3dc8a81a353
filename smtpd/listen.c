/* SPDX-License-Identifier: ISC */
/* Accepting; see listen.h. */
#include "smtpd/listen.h"

#include <sys/socket.h>

#include <stdlib.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/hostlist.h"
#include "smtpd/gatekeeper.h"
#include "smtpd/limit.h"
#include "smtpd/proxied.h"
#include "smtpd/session_internal.h"

#define LISTENERS_MAX 64
/* Connections of sendmail(8), which share one key. */
#define LOCAL_MAX 200

struct listener {
	struct session_listener l;
	int fd; /* until it is started */
	struct acceptor *acceptor;
};

static struct listener *active[LISTENERS_MAX], *staged[LISTENERS_MAX];
static size_t n_active, n_staged;

static void
discard(struct listener **list, size_t *n)
{
	for (size_t i = 0; i < *n; i++) {
		acceptor_free(list[i]->acceptor);
		if (list[i]->fd != -1)
			close(list[i]->fd);
		free(list[i]);
	}
	*n = 0;
}

void
listen_begin(void)
{
	discard(staged, &n_staged);
}

void
listen_add(const struct msg_listener *m, int fd)
{
	struct listener *l;

	if (fd == -1)
		return;
	if (n_staged == LISTENERS_MAX || (l = calloc(1, sizeof(*l))) == NULL) {
		log_warnx("listener %s: too many", m->name);
		close(fd);
		return;
	}
	l->fd = fd;
	l->l.kind = (enum listener_kind)m->kind;
	l->l.tls = (enum listener_tls)m->tls;
	l->l.auth_without_tls = m->auth_without_tls;
	l->l.client_certificates = m->client_certificates;
	strlcpy(l->l.proxy_from, m->proxy_from, sizeof(l->l.proxy_from));
	l->l.no_mail = m->no_mail;
	strlcpy(l->l.priority_from, m->priority_from, sizeof(l->l.priority_from));
	strlcpy(l->l.etrn_from, m->etrn_from, sizeof(l->l.etrn_from));
	strlcpy(l->l.xclient_from, m->xclient_from, sizeof(l->l.xclient_from));
	staged[n_staged++] = l;
}

static void
turn_away(
    int fd, const struct session_listener *l, enum smtp_reply reply, const char *reason)
{
	char buf[SMTP_REPLY_MAX], address[64];
	struct conn *c;
	size_t n;

	smtpd_stats.refused_connections++;
	/* Behind implicit TLS nobody could read it. */
	if (l->tls == LISTENER_TLS_IMPLICIT) {
		close(fd);
		return;
	}
	if ((c = conn_new(daemon_base(), fd, 1, NULL, NULL)) == NULL)
		return;
	conn_peer(c, address, sizeof(address), NULL);
	log_fact(LOG_SMTP, LOGL_INFO, "connection-refused", KS("client", address),
	    KU("code", smtp_reply_code(reply)), KS("reason", reason));
	n = smtp_reply_put(buf, 0, sizeof(buf), reply, smtpd_in_conf()->hostname);
	(void)conn_write(c, buf, n);
	conn_close(c, 1000);
}

static void
take(int fd, const struct session_listener *l, const struct sockaddr *sa)
{
	const struct msg_conf_smtpd *c = smtpd_conf();
	struct limits limits = { c->connections_max, c->connections_per_address,
		c->connections_per_network };

	/* Strangers do not keep cron's mail out, nor the other way round. */
	if (l->kind == LISTENER_LOCAL) {
		limits = (struct limits){ UINT32_MAX, LOCAL_MAX, 0 };
	} else if (c->trust_loopback && limit_is_loopback(sa))
		limits.per_client = limits.per_network = 0;
	if (l->no_mail)
		turn_away(fd, l, SMTP_REPLY_NO_MAIL, "this listener takes no mail");
	else if (gatekeeper_admit(sa, l->kind) == -1)
		turn_away(
		    fd, l, SMTP_REPLY_TOO_OFTEN, "too many connections in a short time");
	else if (limit_take(sa, &limits) == -1)
		turn_away(fd, l, SMTP_REPLY_TOO_MANY_CONNECTIONS, "too many connections");
	else
		session_new(fd, l, sa, 1);
}

static void
on_accept(int fd, const struct sockaddr *sa, socklen_t len, void *arg)
{
	const struct listener *l = arg;

	/* Whose connection it is decides on everything. */
	if (hostlist_has(l->l.proxy_from, sa))
		proxied_wait(fd, &l->l, sa, take);
	else
		take(fd, &l->l, sa);
}

int
listen_start(void)
{
	discard(active, &n_active);
	for (size_t i = 0; i < n_staged; i++) {
		struct listener *l = staged[i];

		l->acceptor = acceptor_new(daemon_base(), l->fd, on_accept, l);
		l->fd = -1; /* taken in any case */
		active[n_active++] = l;
		if (l->acceptor == NULL) {
			log_warnx("no memory for a listener");
			n_staged = 0;
			return -1;
		}
	}
	n_staged = 0;
	return 0;
}

void
listen_stop(void)
{
	discard(active, &n_active);
	proxied_stop();
}

size_t
listen_count(void)
{
	return n_active;
}
