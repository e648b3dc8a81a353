/* SPDX-License-Identifier: ISC */
/*
 * mboxd: the launcher of mailbox processes. Root with the few capabilities that this
 * takes, in the mail root, without network; it opens no message and parses nothing but
 * catalogue messages. Acts on authd's word only; see mboxd(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/proto/charset.h"
#include "mailbox/store.h"
#include "mboxd/admin.h"
#include "mboxd/cells.h"
#include "mboxd/dirs.h"
#include "mboxd/launcher.h"
#include "mboxd/sleepers.h"
#include "mboxd/sync.h"
#include "mboxd/urls.h"

#define MAILBOX_UID_OFFSET 50

extern char **environ;
/* Of the round of configuration that is coming in. */
static int scripts_fd = -1;
static uint64_t scripts_size;
static struct msg_conf_mboxd conf = {
	.linger_s = 30, .sleep_s = 3, .processes_max = 200
};

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_MBOXD_CONF)
		conf = m->p.conf_mboxd;
	else if (m->type == MSG_FIFED_ANY_CONF && scripts_fd != -1) {
		close(scripts_fd);
		scripts_fd = -1;
	} else if (m->type == MSG_FIFED_MBOXD_SCRIPTS) {
		if (scripts_fd != -1)
			close(scripts_fd);
		scripts_fd = msg_take_fd(m);
		scripts_size = m->p.site_scripts.size;
	}
}

static struct cells_conf
cells_conf(void)
{
	const struct msg_conf *c = daemon_conf();
	struct cells_conf out = {
		.processes_max = conf.processes_max > 0 ? conf.processes_max : 1,
		.linger_s = conf.linger_s,
		.sleep_s = conf.sleep_s,
		.quota_default = conf.quota_default,
		.message_limit = conf.message_limit,
		.save_limit = conf.save_limit,
		.uid_first = c->uid_first + MAILBOX_UID_OFFSET,
		.uid_last = c->uid_last,
		.debug = c->debug,
	};

	strlcpy(out.other_users, conf.other_users, sizeof(out.other_users));
	return out;
}

static void
take_scripts(void)
{
	cells_scripts(scripts_fd, scripts_size);
	scripts_fd = -1;
}

static int
on_open(void)
{
	/* Mailbox processes inherit the tables: after their chroot none can be opened. */
	(void)charset_preload();
	store_prepare();
	sandbox_before_fork(ROLE_MAILBOX);
	return 0;
}

static int
on_start(void)
{
	struct cells_conf c = cells_conf();

	umask(077);
	/* Before there are threads and anything else that children need not have. */
	if (launcher_start(daemon_base()) == -1) {
		log_warn("launcher");
		return -1;
	}
	if (sync_start(daemon_base()) == -1)
		return -1;
	take_scripts();
	return cells_start(daemon_base(), &c);
}

static void
on_reload(void)
{
	struct cells_conf c = cells_conf();

	cells_configure(&c);
	take_scripts();
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	switch (m->type) {
	case MSG_AUTHD_MBOXD_OPEN:
	case MSG_AUTHD_MBOXD_CREATE:
	case MSG_AUTHD_MBOXD_RENAME:
	case MSG_AUTHD_MBOXD_REMOVE:
		cells_request(ch, m);
		break;
	case MSG_AUTHD_MBOXD_FETCH:
		urls_fetch(ch, m);
		break;
	case MSG_AUTHD_MBOXD_LIMITS:
		cells_limits(&m->p.mbox_limits);
		break;
	case MSG_AUTHD_MBOXD_KICK:
		cells_kick(m->p.mbox_dir.mailbox);
		break;
	case MSG_AUTHD_MBOXD_LOOK:
		cells_look(m->p.mbox_dir.mailbox, m->p.mbox_dir.uid);
		break;
	case MSG_QUEUED_MBOXD_SYNC:
		sync_ask(ch, m);
		break;
	default:
		break;
	}
}

static void
on_peer_new(struct channel *ch)
{
	if (channel_role(ch) == ROLE_LOGD)
		cells_new_log();
	else if (channel_role(ch) == ROLE_AUTHD)
		cells_new_authd();
}

static void
on_stop(void)
{
	cells_stop(daemon_stopped);
}

static void
cmd_status(struct ctl *ctl, int argc, char **argv)
{
	ctl_row(ctl, CTL_FACTS);
	ctl_u64(ctl, "mailboxes-open", cells_count());
	ctl_u64(ctl, "mailboxes-max", conf.processes_max);
	ctl_u64(ctl, "sessions-asleep", sleepers_sessions());
	ctl_row_end(ctl);
	ctl_done(ctl, CTL_OK, NULL);
}

static void
cell_row(struct ctl *ctl, const struct cell_facts *f, size_t resting, enum ctl_form form)
{
	ctl_row(ctl, form);
	ctl_str(ctl, "mailbox", f->mailbox);
	ctl_u64(ctl, "uid", f->uid);
	ctl_str(ctl, "state", f->pid != 0 ? "open" : "asleep");
	ctl_u64(ctl, "pid", (uint64_t)f->pid);
	ctl_u64(ctl, "sessions-given", f->sessions_given);
	ctl_u64(ctl, "sessions-asleep", resting);
	ctl_row_end(ctl);
}

static void
cmd_list(struct ctl *ctl, int argc, char **argv)
{
	struct cell_facts f;
	const struct sleeper_cell *cell;
	size_t resting;

	for (size_t i = 0; cells_at(i, &f); i++)
		cell_row(ctl, &f, 0, CTL_TABLE);
	for (size_t i = 0; sleepers_at(i, &cell, &resting); i++) {
		f = (struct cell_facts){ .mailbox = cell->mailbox, .uid = cell->uid };
		cell_row(ctl, &f, resting, CTL_TABLE);
	}
	ctl_done(ctl, CTL_OK, NULL);
}

static void
cmd_show(struct ctl *ctl, int argc, char **argv)
{
	char name[512];
	struct cell_facts f;
	const struct sleeper_cell *cell;
	size_t resting = 0;
	uint32_t uid;

	if (admin_find(argv[0], name, sizeof(name), &uid) == -1) {
		ctl_done(ctl, CTL_REFUSED, "%s: there is no such mailbox", argv[0]);
		return;
	}
	for (size_t i = 0; cells_at(i, &f); i++)
		if (strcmp(f.mailbox, name) == 0) {
			cell_row(ctl, &f, 0, CTL_FACTS);
			ctl_done(ctl, CTL_OK, NULL);
			return;
		}
	memset(&f, 0, sizeof(f));
	f.mailbox = name;
	f.uid = uid;
	for (size_t i = 0, n; sleepers_at(i, &cell, &n); i++)
		if (strcmp(cell->mailbox, name) == 0)
			resting = n;
	cell_row(ctl, &f, resting, CTL_FACTS);
	ctl_done(ctl, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "status", 0, 0, cmd_status },
	{ "mailbox list", 0, 0, cmd_list },
	{ "mailbox show", 1, 1, cmd_show },
	{ "mailbox purge", 1, -1, admin_purge },
	{ "mailbox acl", 1, 5, admin_acl },
	{ "mailbox reindex", 1, 1, admin_reindex },
	{ "mailbox export", 1, -1, admin_export },
	{ "mailbox import", 1, -1, admin_import },
	{ NULL, 0, 0, NULL },
};

static const struct daemon mboxd = {
	.role = ROLE_MBOXD,
	.conf = on_conf,
	.open = on_open,
	.start = on_start,
	.reload = on_reload,
	.peer_new = on_peer_new,
	.peer_message = on_peer_message,
	.stop = on_stop,
	.commands = commands,
};

int
main(int argc, char **argv)
{
	setproctitle_init(argc, argv, environ);
	return daemon_run(&mboxd);
}
