/* SPDX-License-Identifier: ISC */
/*
 * The daemon around the sessions of imapd and pop3d: configuration, listeners,
 * certificates. Both are collected while messages of a round come, and put in place of
 * the old ones at its end; sessions live on.
 */
#include <sys/queue.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/conn.h"
#include "common/front/front_int.h"
#include "common/log.h"
#include "common/tls.h"
#include "common/tls_status.h"

#define LISTENERS_MAX 64
#define STOP_MS 300 /* for the last words to clients */

struct listener {
	LIST_ENTRY(listener) entry;
	struct msg_listener conf;
	struct acceptor *acceptor;
	int fd; /* until it is put to work */
};
LIST_HEAD(listeners, listener);

struct front front;
static struct listeners active = LIST_HEAD_INITIALIZER(active);
static struct listeners coming = LIST_HEAD_INITIALIZER(coming);
static size_t n_coming;
static struct tls_certs *coming_certs;
static struct msg_conf_front coming_conf;
static struct event *stop_timer;

static void
listeners_free(struct listeners *list)
{
	struct listener *l;

	while ((l = LIST_FIRST(list)) != NULL) {
		LIST_REMOVE(l, entry);
		acceptor_free(l->acceptor);
		if (l->fd != -1)
			close(l->fd);
		free(l);
	}
}

static void
round_begin(void)
{
	listeners_free(&coming);
	n_coming = 0;
	tls_certs_free(coming_certs);
	coming_certs = tls_certs_new();
}

static void
add_listener(struct msg *m)
{
	struct listener *l;

	if (m->p.listener.kind != front.proto->kind || n_coming == LISTENERS_MAX ||
	    (l = calloc(1, sizeof(*l))) == NULL) {
		log_warnx("listener %s is not for %s, or one too many",
		    m->p.listener.name, front.proto->name);
		return;
	}
	l->conf = m->p.listener;
	l->fd = msg_take_fd(m);
	LIST_INSERT_HEAD(&coming, l, entry);
	n_coming++;
}

static void
front_conf(struct msg *m)
{
	switch (m->type) {
	case MSG_FIFED_ANY_CONF:
		round_begin();
		break;
	case MSG_FIFED_FRONT_CONF:
		coming_conf = m->p.conf_front;
		break;
	case MSG_FIFED_ANY_LISTENER:
		add_listener(m);
		break;
	case MSG_FIFED_FRONT_CERT:
		if (coming_certs != NULL)
			tls_certs_add(coming_certs, msg_take_fd(m), m->p.tls_cert.key,
			    m->p.tls_cert.names, m->p.tls_cert.is_default);
		break;
	default:
		break;
	}
}

static void
accepted(int fd, const struct sockaddr *sa, socklen_t len, void *arg)
{
	front_session_new(fd, sa, arg);
}

static void
round_end(void)
{
	struct listener *l, *next;

	front.conf = coming_conf;
	tls_certs_free(front.certs);
	front.certs = coming_certs;
	coming_certs = NULL;
	listeners_free(&active);
	for (l = LIST_FIRST(&coming); l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		LIST_REMOVE(l, entry);
		l->acceptor = acceptor_new(daemon_base(), l->fd, accepted, &l->conf);
		l->fd = -1;
		if (l->acceptor == NULL)
			log_warnx("listener %s: no memory", l->conf.name);
		LIST_INSERT_HEAD(&active, l, entry);
	}
	n_coming = 0;
}

static int
front_open(void)
{
	compat_wipe_freed();
	if (tls_init() == -1)
		return -1;
	if ((front.limit = limit_new()) == NULL) {
		log_warnx("no memory");
		return -1;
	}
	return 0;
}

static int
front_start(void)
{
	round_end();
	return 0;
}

static void
front_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_MBOXD_FRONT_SESSION)
		front_session_opened(m);
	else if (m->type == MSG_AUTHD_FRONT_LOGIN_ENDED)
		front_session_login_ended(m->p.login_id.login);
	else
		channel_break(ch, "unexpected message");
}

static void
front_peer_lost(struct channel *ch)
{
	if (channel_role(ch) == ROLE_MBOXD)
		front_sessions_unavailable();
}

static void
stop_now(int fd, short what, void *arg)
{
	daemon_stopped();
}

static void
front_stop(void)
{
	static const struct timeval tv = { 0, STOP_MS * 1000 };

	listeners_free(&active);
	front_sessions_stop();
	stop_timer = event_new(daemon_base(), -1, 0, stop_now, NULL);
	if (stop_timer == NULL || event_add(stop_timer, &tv) == -1)
		daemon_stopped();
}

static void
cmd_status(struct ctl *c, int argc, char **argv)
{
	struct front_counts n = front_counts();
	const char *degraded = NULL;

	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "connections", n.connections);
	ctl_u64(c, "logged-in", n.logged_in);
	ctl_u64(c, "logins", n.logins);
	ctl_u64(c, "login-failures", n.failed);
	ctl_u64(c, "connections-refused", n.refused);
	if (daemon_peer(ROLE_AUTHD) == NULL)
		degraded = "authd is away: nobody can log in";
	else if (daemon_peer(ROLE_MBOXD) == NULL)
		degraded = "mboxd is away: mailboxes cannot be opened";
	tls_certs_status(c, front.certs, degraded);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ NULL, 0, 0, NULL },
};

int
front_run(const struct front_protocol *proto)
{
	static struct daemon d;

	front.proto = proto;
	d = (struct daemon){
		.role = proto->role,
		.conf = front_conf,
		.open = front_open,
		.start = front_start,
		.reload = round_end,
		.peer_message = front_message,
		.peer_lost = front_peer_lost,
		.stop = front_stop,
		.commands = commands,
	};
	return daemon_run(&d);
}
