/* SPDX-License-Identifier: ISC */
/*
 * logd: the only writer of log files. Every process of the suite sends its lines
 * here; logd puts the time, the process and the day's file to them and answers
 * fifectl's «log» and «why». It must never hold anybody up.
 */
#include <sys/queue.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "logd/files.h"
#include "logd/index.h"
#include "logd/line.h"
#include "logd/search.h"
#include "logd/syslog.h"

#define MAILBOXES_MAX 4096
#define MAILBOX_LINES_PER_MINUTE 3000
#define SKEW_PAST_US (3600ll * 1000000) /* lines kept while we were away */
#define SKEW_FUTURE_US (1ll * 1000000)

/* A mailbox process: many users, so none may fill the day of all. */
struct mailbox {
	LIST_ENTRY(mailbox) entry;
	struct channel *ch;
	char name[600];
	int64_t minute;
	uint32_t lines;
	uint64_t lost;
};

static LIST_HEAD(, mailbox) mailboxes = LIST_HEAD_INITIALIZER(mailboxes);
static size_t n_mailboxes;
static uint64_t lost_sender; /* told by the senders */
static uint64_t lost_rate;
static int to_syslog;
static uint64_t day_octets_max = 1ull << 30;

/*
 * Who talks to strangers may be taken over, and fill the day to hide what comes
 * next: so each kind of process has half of a day's bound at most.
 */
static struct {
	int64_t day;
	uint64_t octets[LOG_KIND_MAX];
} share[ROLE_MAX + 1];

static void
line(enum log_kind kind, enum log_level level, int64_t time_us, const char *name,
    uint32_t pid, const char *text)
{
	int64_t now = wall_us();

	if (kind >= LOG_KIND_MAX)
		kind = LOG_HOST;
	/* A sender's clock is ours; what is far off was made up. */
	if (time_us < now - SKEW_PAST_US || time_us > now + SKEW_FUTURE_US)
		time_us = now;
	files_line(kind, time_us, name, pid, text);
	if (to_syslog && level <= LOGL_INFO)
		syslog_line(level, time_us, name, pid, text);
}

static int
within_share(enum role role, enum log_kind kind, const char *text)
{
	int64_t day = wall_us() / 1000000 / 86400;

	if (role > ROLE_MAX)
		role = ROLE_NONE;
	if (kind >= LOG_KIND_MAX)
		kind = LOG_HOST;
	if (share[role].day != day) {
		memset(&share[role], 0, sizeof(share[role]));
		share[role].day = day;
	}
	/* The stamp, the name and the process besides. */
	if (share[role].octets[kind] > day_octets_max / 2) {
		lost_rate++;
		return 0;
	}
	share[role].octets[kind] += strlen(text) + 60;
	return 1;
}

static void
own_line(enum log_kind kind, enum log_level level, int64_t time_us, const char *text)
{
	line(kind, level, time_us, role_name(ROLE_LOGD), (uint32_t)getpid(), text);
}

static void
dropped_line(const char *name, uint64_t count)
{
	char text[64];

	lost_sender += count;
	snprintf(text, sizeof(text), "log-dropped count=%" PRIu64, count);
	line(LOG_HOST, LOGL_WARN, wall_us(), name, 0, text);
}

static void
mailbox_message(struct channel *ch, struct msg *m, void *arg)
{
	struct mailbox *mb = arg;
	const struct msg_log_line *l = &m->p.log_line;
	int64_t minute = (int64_t)(now_ms() / 60000);

	if (m->type != MSG_ANY_LOGD_LINE && m->type != MSG_ANY_LOGD_DROPPED)
		return;
	if (minute != mb->minute) {
		mb->minute = minute;
		mb->lines = 0;
		if (mb->lost != 0)
			dropped_line(mb->name, mb->lost);
		mb->lost = 0;
	}
	if (mb->lines++ >= MAILBOX_LINES_PER_MINUTE) {
		mb->lost++;
		lost_rate++;
		return;
	}
	/* Each makes a line as well. */
	if (m->type == MSG_ANY_LOGD_DROPPED) {
		dropped_line(mb->name, m->p.log_dropped.count);
		return;
	}
	if (within_share(ROLE_MAILBOX, (enum log_kind)l->kind, l->text))
		line((enum log_kind)l->kind, (enum log_level)l->level, l->time_us,
		    mb->name, l->pid, l->text);
}

static void
mailbox_lost(struct channel *ch, const char *why, void *arg)
{
	struct mailbox *mb = arg;

	LIST_REMOVE(mb, entry);
	n_mailboxes--;
	free(mb);
}

/* A name that keeps the form of a line whatever the mailbox is called. */
static void
mailbox_name(char *buf, size_t cap, const char *mailbox)
{
	size_t n = strlcpy(buf, "mailbox:", cap);

	for (; *mailbox != '\0' && n + 1 < cap; mailbox++)
		buf[n++] =
		    (unsigned char)*mailbox <= ' ' || *mailbox == '[' || *mailbox == 0x7f
			? '_'
			: *mailbox;
	buf[n] = '\0';
}

static void
mailbox_add(struct msg *m)
{
	struct mailbox *mb;
	char raw[600];

	if (n_mailboxes >= MAILBOXES_MAX || (mb = calloc(1, sizeof(*mb))) == NULL) {
		log_warnx("no room for the log channel of %s", m->p.mbox_log.mailbox);
		return; /* the channel layer closes the descriptor */
	}
	mailbox_name(raw, sizeof(raw), m->p.mbox_log.mailbox);
	line_clean(mb->name, sizeof(mb->name), raw);
	mb->ch = channel_new(daemon_base(), msg_take_fd(m), ROLE_LOGD,
	    daemon_conf()->instance, ROLE_MAILBOX, mailbox_message, mailbox_lost, mb);
	if (mb->ch == NULL) {
		free(mb);
		return;
	}
	LIST_INSERT_HEAD(&mailboxes, mb, entry);
	n_mailboxes++;
}

static void
peer_message(struct channel *ch, struct msg *m)
{
	const struct msg_log_line *l = &m->p.log_line;
	const char *name = role_name(channel_role(ch));

	switch (m->type) {
	case MSG_ANY_LOGD_LINE:
		if (within_share(channel_role(ch), (enum log_kind)l->kind, l->text))
			line((enum log_kind)l->kind, (enum log_level)l->level, l->time_us,
			    name, l->pid, l->text);
		break;
	case MSG_ANY_LOGD_DROPPED:
		if (within_share(channel_role(ch), LOG_HOST, ""))
			dropped_line(name, m->p.log_dropped.count);
		break;
	case MSG_MBOXD_LOGD_CHANNEL:
		mailbox_add(m);
		break;
	default:
		break;
	}
}

static void
conf(struct msg *m)
{
	/* fifed's own lines may come on its channel too */
	if (m->type == MSG_ANY_LOGD_LINE) {
		const struct msg_log_line *l = &m->p.log_line;

		line((enum log_kind)l->kind, (enum log_level)l->level, l->time_us,
		    role_name(ROLE_FIFED), l->pid, l->text);
	} else if (m->type == MSG_ANY_LOGD_DROPPED)
		dropped_line(role_name(ROLE_FIFED), m->p.log_dropped.count);
	else if (m->type == MSG_FIFED_LOGD_CONF) {
		files_configure(m->p.conf_logd.keep_days, m->p.conf_logd.day_bytes_max);
		day_octets_max = m->p.conf_logd.day_bytes_max;
		to_syslog = m->p.conf_logd.syslog;
	}
}

static int
open_files(void)
{
	signal(SIGXFSZ, SIG_IGN);
	log_set_sink(own_line);
	log_set_stderr(0);
	syslog_open();
	return 0;
}

static int
start(void)
{
	if (files_start(daemon_base()) == -1 || index_start(daemon_base()) == -1)
		return -1;
	if (to_syslog && !syslog_ready())
		log_warnx("syslog: /dev/log did not answer; lines go to the files only");
	return 0;
}

static void
stop(void)
{
	files_flush();
	index_stop();
	daemon_stopped();
}

static void
status(struct ctl *c, int argc, char **argv)
{
	const struct files_stats *s = files_stats();
	char key[32];

	ctl_row(c, CTL_FACTS);
	ctl_u64(c, "lines", s->lines);
	ctl_u64(c, "lost-disk", s->lost_disk);
	ctl_u64(c, "lost-day-limit", s->lost_bound);
	ctl_u64(c, "lost-before-logd", lost_sender);
	ctl_u64(c, "lost-rate-limit", lost_rate);
	if (to_syslog)
		ctl_u64(c, "lost-syslog", syslog_lost());
	ctl_u64(c, "kinds-at-day-limit", (uint64_t)s->full);
	ctl_str(c, "disk", s->error == 0 ? "ok" : strerror(s->error));
	ctl_u64(c, "mailbox-processes", n_mailboxes);
	ctl_u64(c, "searches", search_running());
	for (size_t k = 0; files_kind(k) != NULL; k++) {
		snprintf(key, sizeof(key), "octets-today-%s", files_kind(k));
		ctl_u64(c, key, s->day_octets[k]);
	}
	ctl_row_end(c);
	ctl_done(c, CTL_OK, NULL);
}

static const struct ctl_command commands[] = {
	{ "log", 0, 16, search_log },
	{ "why", 1, 1, search_why },
	{ "status", 0, 0, status },
	{ NULL, 0, 0, NULL },
};

static const struct daemon logd_daemon = {
	.role = ROLE_LOGD,
	.conf = conf,
	.open = open_files,
	.start = start,
	.peer_message = peer_message,
	.stop = stop,
	.commands = commands,
};

int
main(int argc, char **argv)
{
	return daemon_run(&logd_daemon);
}
