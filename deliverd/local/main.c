/* SPDX-License-Identifier: ISC */
/*
 * deliverd-local: mail for our own users goes from the queue into mailboxes. It has
 * no network and opens no file: content comes as descriptors from queued, and the
 * only way to a mailbox is a session that authd ordered and mboxd passed on. What
 * became true is logged by queued; here are only debug lines.
 */
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "deliverd/local/jobs.h"
#include "deliverd/local/mailboxes.h"
#include "deliverd/local/sieve_control.h"

static int
on_start(void)
{
	jobs_init(daemon_base(), daemon_peer);
	sieve_control_init(daemon_peer);
	return mailboxes_init(daemon_base(), daemon_conf()->instance, daemon_peer);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_MBOXD_FRONT_SESSION)
		mailboxes_session(m);
	else
		jobs_message(ch, m);
}

static void
on_peer_lost(struct channel *ch)
{
	if (channel_role(ch) == ROLE_QUEUED)
		jobs_channel_lost(ch);
}

static void
cmd_status(struct ctl *c, int argc, char **argv)
{
	struct jobs_stats j;
	struct mailboxes_stats m;

	jobs_get_stats(&j);
	mailboxes_get_stats(&m);
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "jobs", j.jobs);
	ctl_u64(c, "recipients", j.running);
	ctl_u64(c, "sessions", m.sessions);
	ctl_u64(c, "sessions-idle", m.idle);
	ctl_u64(c, "waiting", m.waiting);
	ctl_u64(c, "in-flight", m.in_flight);
	ctl_u64(c, "delivered", j.delivered);
	ctl_u64(c, "deferred", j.deferred);
	ctl_u64(c, "failed", j.failed);
	ctl_u64(c, "forwarded", j.expanded);
	ctl_u64(c, "refused-jobs", j.refused);
	ctl_u64(c, "sessions-opened", m.opened);
	ctl_u64(c, "sessions-lost", m.lost);
	if (daemon_peer(ROLE_AUTHD) == NULL)
		ctl_str(c, "degraded", "no mail is delivered here while authd is away");
	else if (daemon_peer(ROLE_MBOXD) == NULL)
		ctl_str(c, "degraded", "no mail is delivered here while mboxd is away");
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ "sieve list", 1, 1, sieve_control_list },
	{ "sieve get", 2, 2, sieve_control_get },
	{ "sieve put", 2, 2, sieve_control_put },
	{ "sieve check", 1, 1, sieve_control_check },
	{ "sieve del", 2, 2, sieve_control_del },
	{ "sieve rename", 3, 3, sieve_control_rename },
	{ "sieve activate", 1, 2, sieve_control_activate },
	{ NULL, 0, 0, NULL },
};

static const struct daemon deliverd_local = {
	.role = ROLE_DELIVERD_LOCAL,
	.start = on_start,
	.peer_message = on_peer_message,
	.peer_lost = on_peer_lost,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&deliverd_local);
}
