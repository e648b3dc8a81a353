/* SPDX-License-Identifier: ISC */
/* deliverd-remote: brings mail to other hosts; see deliverd(8). */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/tls.h"
#include "deliverd/remote/remote.h"

#define STOP_MS 5000

struct msg_conf_deliverd remote_conf;
struct remote_stats remote_stats;
static struct msg_conf_deliverd next_conf; /* for the next START */
static struct ssl_ctx_st *tls;

const char *
remote_helo(void)
{
	return remote_conf.helo[0] != '\0' ? remote_conf.helo : daemon_conf()->hostname;
}

struct ssl_ctx_st *
remote_tls(void)
{
	return tls;
}

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_RDELIVER_CONF)
		next_conf = m->p.conf_deliverd;
}

static int
on_open(void)
{
	remote_conf = next_conf;
	if (tls_init() == -1)
		return -1;
	/* Mail goes out all the same where TLS is not required. */
	if ((tls = tls_client_context(remote_conf.ca_file)) == NULL)
		log_warnx("no TLS for outgoing mail");
	return 0;
}

static void
on_reload(void)
{
	if (strcmp(remote_conf.ca_file, next_conf.ca_file) != 0) {
		/* It cannot be read any more: fifed starts us anew. */
		log_info("starting anew to read the certificates of authorities");
		daemon_stopped();
		return;
	}
	/* Engines borrow the name. */
	session_quit_all_idle();
	remote_conf = next_conf;
	jobs_pump();
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	jobs_message(ch, m);
}

static void
on_peer_lost(struct channel *ch)
{
	if (channel_role(ch) == ROLE_QUEUED)
		jobs_channel_lost(ch);
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	daemon_stopped();
}

static void
on_stop(void)
{
	struct timeval tv = { STOP_MS / 1000, 0 };

	session_quit_all_idle();
	if (jobs_stop() ||
	    event_base_once(daemon_base(), -1, EV_TIMEOUT, on_patience, NULL, &tv) == -1)
		daemon_stopped();
}

static void
status(struct ctl *c, int argc, char **argv)
{
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "running", remote_stats.running);
	ctl_u64(c, "waiting", remote_stats.waiting);
	ctl_u64(c, "unanswered", remote_stats.patient);
	ctl_u64(c, "connections", remote_stats.sessions);
	ctl_u64(c, "idle", remote_stats.idle);
	ctl_u64(c, "jobs", remote_stats.jobs);
	ctl_u64(c, "delivered", remote_stats.delivered);
	ctl_u64(c, "deferred", remote_stats.deferred);
	ctl_u64(c, "failed", remote_stats.failed);
	ctl_u64(c, "connected", remote_stats.connections);
	ctl_u64(c, "not-connected", remote_stats.connect_failed);
	ctl_u64(c, "reused", remote_stats.reused);
	ctl_u64(c, "tls", remote_stats.tls);
	if (tls == NULL)
		ctl_str(c, "degraded", "no TLS for outgoing mail");
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};

static const struct daemon deliverd_remote = {
	.role = ROLE_DELIVERD_REMOTE,
	.conf = on_conf,
	.open = on_open,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.peer_lost = on_peer_lost,
	.stop = on_stop,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&deliverd_remote);
}
