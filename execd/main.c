/* SPDX-License-Identifier: ISC */
/*
 * execd: starts programs of the site for local deliveries, those of fife.conf and no
 * others, as the owner of the mailbox or as the user that fife.conf names. Root with the
 * right to become another and to end what it has started, and no other; see execd(8).
 */
#include "common/compat/compat.h"
#include "common/daemon.h"
#include "execd/runs.h"

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_ANY_CONF)
		runs_conf_begin();
	else if (m->type == MSG_FIFED_ANY_COMMAND)
		runs_conf_add(&m->p.conf_command);
}

static int
on_start(void)
{
	runs_conf_end();
	return runs_start(daemon_base());
}

static void
on_reload(void)
{
	runs_conf_end();
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (m->type == MSG_LDELIVER_EXECD_RUN)
		runs_message(ch, m);
}

static void
on_stop(void)
{
	runs_stop(daemon_stopped);
}

static void
cmd_status(struct ctl *c, int argc, char **argv)
{
	struct runs_stats s;

	runs_get_stats(&s);
	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "commands", s.commands);
	ctl_u64(c, "running", s.running);
	ctl_u64(c, "waiting", s.waiting);
	ctl_u64(c, "delivered", s.delivered);
	ctl_u64(c, "deferred", s.deferred);
	ctl_u64(c, "failed", s.failed);
	ctl_u64(c, "timeouts", s.timeouts);
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static void
cmd_list(struct ctl *c, int argc, char **argv)
{
	runs_list(c);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ "command list", 0, 0, cmd_list },
	{ NULL, 0, 0, NULL },
};

static const struct daemon execd = {
	.role = ROLE_EXECD,
	.conf = on_conf,
	.start = on_start,
	.reload = on_reload,
	.peer_message = on_peer_message,
	.stop = on_stop,
	.commands = commands,
};

int
main(void)
{
	return daemon_run(&execd);
}
