/* SPDX-License-Identifier: ISC */
/* The mailbox processes that run; see cell.h. */
#include "mboxd/cell.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "mboxd/launcher.h"
#include "mboxd/shares.h"
#include "mboxd/urls.h"

#define EXIT_PATIENCE_MS 5000
#define BUCKETS 256 /* of names, and of ids */
#define TELL_MS 200 /* between two words of one mailbox to authd */

static struct event_base *base;
static const struct cells_conf *conf;
static TAILQ_HEAD(, cell) cells = TAILQ_HEAD_INITIALIZER(cells);
static LIST_HEAD(, cell) named[BUCKETS];
static LIST_HEAD(, cell) by_id[BUCKETS];
static size_t n_cells;
static uint64_t last_id;
static struct {
	int fd; /* -1: none */
	uint64_t size;
} scripts = { -1, 0 };

void
cells_begin(struct event_base *b, const struct cells_conf *c)
{
	base = b;
	conf = c;
}

size_t
cells_count(void)
{
	return n_cells;
}

int
cells_at(size_t i, struct cell_facts *f)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		if (i-- == 0) {
			f->mailbox = c->facts.mailbox;
			f->pid = c->pid;
			f->uid = c->facts.uid;
			f->sessions_given = c->sessions_given;
			return 1;
		}
	return 0;
}

static uint32_t
bucket_of(const char *mailbox)
{
	uint32_t h = 2166136261u;

	for (; *mailbox != '\0'; mailbox++)
		h = (h ^ (unsigned char)*mailbox) * 16777619u;
	return h % BUCKETS;
}

struct cell *
cell_find(const char *mailbox)
{
	struct cell *c;

	LIST_FOREACH (c, &named[bucket_of(mailbox)], named)
		if (strcmp(c->facts.mailbox, mailbox) == 0)
			return c;
	return NULL;
}

void
cell_kill(struct cell *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	else
		c->to_kill = 1;
}

void
cell_leave(struct cell *c)
{
	struct msg_none none;

	if (c->leaving)
		return;
	c->leaving = 1;
	c->leaving_since = now_ms();
	if (c->ch == NULL ||
	    channel_send(c->ch, MSG_MBOXD_MAILBOX_EXIT, 0, &none, -1) == -1)
		cell_kill(c);
}

/* Now and then: one that was taken over does not drown authd. */
static void
tell_used(struct cell *c, uint64_t now)
{
	struct channel *authd = daemon_peer(ROLE_AUTHD);

	if (!c->untold || authd == NULL || now - c->told_ms < TELL_MS ||
	    channel_queued(authd) > UNREAD_MAX)
		return;
	if (channel_send(authd, MSG_MBOXD_AUTHD_USED, 0, &c->used, -1) == 0) {
		c->untold = 0;
		c->told_ms = now;
	}
}

void
cells_new_authd(void)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		c->untold = c->has_used;
}

int
cell_go_on(int fd, const uint8_t *state, size_t len, void *arg)
{
	struct msg_mbox_rest m = { .state = state, .state_len = len };
	struct cell *c = arg;

	if (c->ch == NULL || len == 0) {
		close(fd);
		return -1;
	}
	if (channel_send(c->ch, MSG_MBOXD_MAILBOX_GO_ON, 0, &m, fd) == -1)
		return -1;
	c->sessions_given++;
	return 0;
}

static void
give_log(struct cell *c)
{
	struct channel *logd = daemon_peer(ROLE_LOGD);
	struct msg_mbox_log m = { .uid = c->facts.uid };
	struct msg_none none;
	int pair[2];

	if (logd == NULL || c->ch == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return;
	strlcpy(m.mailbox, c->facts.mailbox, sizeof(m.mailbox));
	channel_send(logd, MSG_MBOXD_LOGD_CHANNEL, 0, &m, pair[0]);
	channel_send(c->ch, MSG_MBOXD_MAILBOX_LOG, 0, &none, pair[1]);
}

static int
is_question(enum msg_type type)
{
	return type == MSG_MAILBOX_MBOXD_URL || type == MSG_MAILBOX_MBOXD_QUOTA ||
	       type == MSG_MAILBOX_MBOXD_SHARES || type == MSG_MAILBOX_MBOXD_SHARE ||
	       type == MSG_MAILBOX_MBOXD_GRANTS;
}

static void
cell_message(struct channel *ch, struct msg *m, void *arg)
{
	struct cell *c = arg;

	if (is_question(m->type) && channel_queued(ch) > DEAF_MAX)
		return;
	/* Most never have anything to say. Once, however often it asks. */
	if (m->type == MSG_MAILBOX_MBOXD_LOG) {
		if (!c->logs)
			give_log(c);
		c->logs = 1;
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_URL) {
		urls_ask(ch, c->facts.mailbox, m);
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_QUOTA) {
		quotas_ask(ch, c->facts.mailbox, &c->quotas, m);
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_SHARES || m->type == MSG_MAILBOX_MBOXD_SHARE ||
	    m->type == MSG_MAILBOX_MBOXD_GRANTS) {
		shares_message(ch, c->facts.mailbox, m);
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_REST) {
		if (!c->closed && sleepers_take(&c->facts, m) == -1 && m->fd != -1)
			(void)cell_go_on(msg_take_fd(m), m->p.mbox_rest.state,
			    m->p.mbox_rest.state_len, c);
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_USED) {
		strlcpy(c->used.mailbox, c->facts.mailbox, sizeof(c->used.mailbox));
		c->used.octets = m->p.mbox_used.octets;
		c->used.messages = m->p.mbox_used.messages;
		c->has_used = c->untold = 1;
		tell_used(c, now_ms());
		return;
	}

	if (m->type != MSG_MAILBOX_MBOXD_IDLE || c->leaving)
		return;
	/* It may go if no session is on its way to it, which what rests would miss. */
	if (m->p.mbox_idle.sessions_taken == c->sessions_given)
		cell_leave(c);
	else
		sleepers_give(c->facts.mailbox, cell_go_on, c);
}

static void
cell_lost(struct channel *ch, const char *why, void *arg)
{
	struct cell *c = arg;

	c->ch = NULL;
	/* Without its channel it is of no use, and may be taken over. */
	if (!c->leaving && strcmp(why, "closed") != 0)
		cell_kill(c);
	c->leaving = 1;
	c->leaving_since = now_ms();
}

void
cells_new_log(void)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		if (c->logs && !c->leaving)
			give_log(c);
}

static void
give_scripts(struct cell *c)
{
	struct msg_site_scripts m = { .size = scripts.size };
	int fd = -1;

	if (c->ch == NULL ||
	    (scripts.fd != -1 && (fd = fcntl(scripts.fd, F_DUPFD_CLOEXEC, 0)) == -1))
		return;
	channel_send(c->ch, MSG_MBOXD_MAILBOX_SCRIPTS, 0, &m, fd);
}

void
cells_scripts(int fd, uint64_t size)
{
	struct cell *c;

	if (fd == -1 && scripts.fd == -1)
		return;
	if (scripts.fd != -1)
		close(scripts.fd);
	scripts.fd = fd;
	scripts.size = size;
	TAILQ_FOREACH (c, &cells, entry)
		if (!c->leaving)
			give_scripts(c);
}

void
cell_quota(struct cell *c, const struct msg_mbox_open *o)
{
	c->facts.quota = o->quota;
	c->facts.quota_messages = o->quota_messages;
	c->facts.quota_hard = o->quota_hard;
}

void
cell_limits(struct cell *c, const struct msg_mbox_limits *m)
{
	c->facts.quota = m->quota;
	c->facts.quota_messages = m->quota_messages;
	c->facts.quota_hard = m->quota_hard;
	/* One that reads nothing is dealt with at its next session. */
	if (!c->leaving && c->ch != NULL && channel_queued(c->ch) <= UNREAD_MAX)
		(void)channel_send(c->ch, MSG_MBOXD_MAILBOX_LIMITS, 0, m, -1);
}

struct cell *
cell_new(const struct msg_mbox_open *o)
{
	struct cell *c = calloc(1, sizeof(*c));
	struct launch l;
	int pair[2];

	if (c == NULL)
		return NULL;
	strlcpy(c->facts.mailbox, o->mailbox, sizeof(c->facts.mailbox));
	c->facts.uid = o->uid;
	cell_quota(c, o);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		goto fail;
	c->id = ++last_id;
	l = (struct launch){ .id = c->id,
		.quota = o->quota,
		.quota_messages = o->quota_messages,
		.quota_hard = o->quota_hard,
		.message_limit = conf->message_limit,
		.save_limit = conf->save_limit,
		.uid = o->uid,
		.linger_s = conf->linger_s,
		.sleep_s = conf->sleep_s,
		.debug = conf->debug };
	strlcpy(l.mailbox, o->mailbox, sizeof(l.mailbox));
	strlcpy(l.hostname, daemon_conf()->hostname, sizeof(l.hostname));
	strlcpy(l.other_users, conf->other_users, sizeof(l.other_users));
	if (launcher_fork(&l, pair[1]) == -1) {
		close(pair[0]);
		goto fail;
	}
	c->ch = channel_new(
	    base, pair[0], ROLE_MBOXD, 0, ROLE_MAILBOX, cell_message, cell_lost, c);
	if (c->ch == NULL) {
		cell_kill(c);
		c->leaving = 1;
	}
	TAILQ_INSERT_TAIL(&cells, c, entry);
	LIST_INSERT_HEAD(&named[bucket_of(c->facts.mailbox)], c, named);
	LIST_INSERT_HEAD(&by_id[c->id % BUCKETS], c, by_id);
	n_cells++;
	if (scripts.fd != -1)
		give_scripts(c);
	return c;
fail:
	log_warn("mailbox process for %s", o->mailbox);
	free(c);
	return NULL;
}

void
cell_used(struct cell *c)
{
	TAILQ_REMOVE(&cells, c, entry);
	TAILQ_INSERT_TAIL(&cells, c, entry);
}

void
cells_yield(int n)
{
	struct msg_none none;
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		if (!c->leaving && c->ch != NULL && channel_queued(c->ch) == 0 && n-- > 0)
			channel_send(c->ch, MSG_MBOXD_MAILBOX_YIELD, 0, &none, -1);
}

void
cells_leave(void)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		cell_leave(c);
}

void
cells_tick(uint64_t now)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry) {
		tell_used(c, now);
		if (c->leaving && now - c->leaving_since > EXIT_PATIENCE_MS) {
			cell_kill(c);
			c->leaving_since = now;
		}
	}
}

/* ---- ends ---- */

static struct cell *
cell_by_id(uint64_t id)
{
	struct cell *c;

	LIST_FOREACH (c, &by_id[id % BUCKETS], by_id)
		if (c->id == id)
			return c;
	return NULL;
}

static void
cell_free(struct cell *c)
{
	TAILQ_REMOVE(&cells, c, entry);
	LIST_REMOVE(c, named);
	LIST_REMOVE(c, by_id);
	n_cells--;
	channel_free(c->ch);
	free(c);
}

void
launcher_started(uint64_t id, pid_t pid)
{
	struct cell *c = cell_by_id(id);

	if (c == NULL)
		return;
	if (pid <= 0) {
		log_warnx("mailbox process for %s cannot be forked", c->facts.mailbox);
		cell_free(c);
		cells_process_ended();
		return;
	}
	c->pid = pid;
	if (c->to_kill)
		cell_kill(c);
}

void
launcher_ended(uint64_t id, int status)
{
	struct cell *c = cell_by_id(id);

	if (c == NULL)
		return;
	if (WIFSIGNALED(status))
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-died",
		    KS("mailbox", c->facts.mailbox), KU("signal", WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-died",
		    KS("mailbox", c->facts.mailbox), KU("status", WEXITSTATUS(status)));
	c->told_ms = 0;
	tell_used(c, now_ms());
	cell_free(c);
	cells_process_ended();
}
