/* SPDX-License-Identifier: ISC */
/* Requests on mailboxes, and when they can be done; see cells.h. */
#include "mboxd/cells.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "mboxd/cell.h"
#include "mboxd/cleaner.h"
#include "mboxd/dirs.h"
#include "mboxd/shares.h"
#include "mboxd/sleepers.h"

/* Each sweep compares the waiting with each other. */
#define REQUESTS_MAX 1024
#define REQUEST_PATIENCE_MS 15000
#define SWEEP_MS 500
#define YIELD_MORE 16 /* processes are asked to go than wait for a place */

struct request {
	TAILQ_ENTRY(request) entry;
	enum msg_type type;
	uint64_t channel; /* authd's */
	uint64_t id;
	uint64_t deadline;
	struct msg_mbox_open open; /* of AUTHD_MBOXD_OPEN */
	struct msg_mbox_dir dir;   /* of the others */
	cells_given given;         /* or NULL: asked by authd */
	char guest[1024];          /* of MBOX_SHARED */
	void *given_arg;
	int wake; /* for sessions that rest; asked by nobody */
};

static struct event_base *base;
static struct cells_conf conf;
static TAILQ_HEAD(, request) requests = TAILQ_HEAD_INITIALIZER(requests);
static size_t n_requests;
static struct event *ev_child, *ev_sweep;
static void (*stop_done)(void);
static int sweeping;
static int room_asked; /* in this sweep */
static void sweep(void);

void
cells_process_ended(void)
{
	sweep();
}

/* ---- requests ---- */

static const char *
request_mailbox(const struct request *r)
{
	return r->type == MSG_AUTHD_MBOXD_OPEN ? r->open.mailbox : r->dir.mailbox;
}

static void
request_done(struct request *r, enum answer_status status, const char *text)
{
	struct channel *ch = channel_find(r->channel);
	struct msg_status s = { .status = (uint8_t)status };

	strlcpy(s.text, text == NULL ? "" : text, sizeof(s.text));
	if (r->given != NULL) {
		if (status != MSG_OK)
			r->given(-1, s.text, r->given_arg);
	} else if (ch != NULL)
		channel_send(ch,
		    r->type == MSG_AUTHD_MBOXD_OPEN ? MSG_MBOXD_AUTHD_OPENED
						    : MSG_MBOXD_AUTHD_DONE,
		    r->id, &s, -1);
	/* Their clients come again. */
	if (r->wake && status != MSG_OK)
		sleepers_drop(r->open.mailbox);
	if (status != MSG_OK)
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-refused",
		    KS("mailbox", request_mailbox(r)), KS("reason", text));
	TAILQ_REMOVE(&requests, r, entry);
	n_requests--;
	free(r);
}

/* 1: answered and freed; 0: has to wait. */
static int
do_open(struct request *r)
{
	const struct msg_mbox_open *o = &r->open;
	struct channel *asker = daemon_peer_instance((enum role)o->role, o->instance);
	struct msg_mbox_label label = { .token = o->token, .purpose = o->purpose };
	struct msg_mbox_session session = { .token = o->token, .status = MSG_OK };
	struct cell *c = cell_find(o->mailbox);
	const char *bad;
	int pair[2];

	if (c != NULL && c->leaving)
		return 0;
	if (asker == NULL && r->given == NULL && !r->wake) {
		request_done(r, MSG_TEMP, "who asked is gone");
		return 1;
	}
	if (c != NULL && c->facts.uid != o->uid) {
		request_done(r, MSG_TEMP, "the mailbox belongs to another uid");
		return 1;
	}
	if (c != NULL && c->ch != NULL && channel_queued(c->ch) > UNREAD_MAX) {
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-stuck",
		    KS("mailbox", c->facts.mailbox));
		c->leaving = 1;
		c->leaving_since = now_ms();
		cell_kill(c);
		return 0;
	}
	if (c == NULL) {
		if ((bad = mailbox_dir_check(o->mailbox, o->uid)) != NULL) {
			request_done(r, MSG_TEMP, bad);
			return 1;
		}
		if (cells_count() >= conf.processes_max) {
			if (!room_asked)
				cells_yield(YIELD_MORE + (int)n_requests);
			room_asked = 1;
			return 0;
		}
		if ((c = cell_new(o)) == NULL) {
			request_done(
			    r, MSG_TEMP, "the mailbox process cannot be started");
			return 1;
		}
	}
	/* Before anything else: what comes next may be news for them. */
	sleepers_give(o->mailbox, cell_go_on, c);
	if (r->wake) {
		request_done(r, MSG_OK, "");
		return 1;
	}
	if (r->given == NULL) /* mboxd does not know it when root asks */
		cell_quota(c, o);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		request_done(r, MSG_TEMP, strerror(errno));
		return 1;
	}
	strlcpy(label.address, o->address, sizeof(label.address));
	strlcpy(label.client, o->client, sizeof(label.client));
	strlcpy(label.pop3_folders, o->pop3_folders, sizeof(label.pop3_folders));
	strlcpy(label.guest, r->guest, sizeof(label.guest));
	label.quota = o->quota; /* authd knows the default too */
	label.quota_messages = o->quota_messages;
	label.quota_hard = o->quota_hard;
	label.quotaset = o->quotaset;
	label.message_limit = conf.message_limit;
	label.save_limit = conf.save_limit;
	strlcpy(session.mailbox, o->mailbox, sizeof(session.mailbox));
	if (c->ch == NULL ||
	    channel_send(c->ch, MSG_MBOXD_MAILBOX_SESSION, 0, &label, pair[0]) == -1) {
		close(pair[1]);
		request_done(r, MSG_TEMP, "the mailbox process does not answer");
		return 1;
	}
	c->sessions_given++;
	cell_used(c);
	if (r->given != NULL) {
		r->given(pair[1], NULL, r->given_arg);
		request_done(r, MSG_OK, "");
		return 1;
	}
	if (channel_send(asker, MSG_MBOXD_FRONT_SESSION, 0, &session, pair[1]) == -1)
		request_done(r, MSG_TEMP, "who asked does not listen");
	else
		request_done(r, MSG_OK, "");
	return 1;
}

static int
do_dir(struct request *r)
{
	struct msg_mbox_dir *d = &r->dir;
	struct cell *c = cell_find(d->mailbox);
	const char *bad = "";
	char trash[64];

	if (r->type != MSG_AUTHD_MBOXD_CREATE) {
		sleepers_drop(d->mailbox);
		if (c != NULL) {
			c->closed = 1;
			cell_leave(c);
			return 0;
		}
	}
	switch (r->type) {
	case MSG_AUTHD_MBOXD_CREATE:
		bad = mailbox_dir_create(d->mailbox, d->uid);
		break;
	case MSG_AUTHD_MBOXD_RENAME:
		bad = mailbox_dir_rename(d->mailbox, d->new_mailbox, d->uid);
		break;
	case MSG_AUTHD_MBOXD_REMOVE:
		bad = mailbox_dir_discard(d->mailbox, d->uid, trash, sizeof(trash));
		if (bad == NULL && trash[0] != '\0')
			cleaner_start(trash, d->uid);
		break;
	default:
		break;
	}
	request_done(r, bad == NULL ? MSG_OK : MSG_PERM, bad);
	return 1;
}

/* Is an earlier request for the same mailbox still waiting? */
static int
must_wait(const struct request *r)
{
	const struct request *e;

	TAILQ_FOREACH (e, &requests, entry) {
		if (e == r)
			return 0;
		if (strcmp(request_mailbox(e), request_mailbox(r)) == 0)
			return 1;
	}
	return 0;
}

/* Do all that can be done now. */
static void
sweep(void)
{
	struct request *r, *next;
	uint64_t now = now_ms();

	if (sweeping)
		return;
	sweeping = 1;
	room_asked = 0;
	for (r = TAILQ_FIRST(&requests); r != NULL; r = next) {
		int done = 0;

		next = TAILQ_NEXT(r, entry);
		if (!must_wait(r))
			done = r->type == MSG_AUTHD_MBOXD_OPEN ? do_open(r) : do_dir(r);
		if (!done && r->deadline <= now)
			request_done(r, MSG_TEMP,
			    "too many mailboxes are open, or this one does not close");
	}
	sweeping = 0;
	if (stop_done != NULL && cells_count() == 0)
		stop_done();
}

void
cells_request(struct channel *authd, struct msg *m)
{
	const char *mailbox, *bad = NULL;
	struct request *r = calloc(1, sizeof(*r));
	uint32_t uid;

	if (r == NULL)
		return; /* authd's deadline answers */
	r->type = m->type;
	r->channel = channel_serial(authd);
	r->id = m->id;
	r->deadline = now_ms() + REQUEST_PATIENCE_MS;
	if (m->type == MSG_AUTHD_MBOXD_OPEN)
		r->open = m->p.mbox_open;
	else
		r->dir = m->p.mbox_dir;
	TAILQ_INSERT_TAIL(&requests, r, entry);
	n_requests++;
	mailbox = request_mailbox(r);
	uid = m->type == MSG_AUTHD_MBOXD_OPEN ? r->open.uid : r->dir.uid;
	if (!mailbox_name_valid(mailbox) || (m->type == MSG_AUTHD_MBOXD_RENAME &&
						!mailbox_name_valid(r->dir.new_mailbox)))
		bad = "not a name of a mailbox";
	else if (uid < conf.uid_first || uid > conf.uid_last)
		bad = "uid outside of the range for mailboxes";
	else if (n_requests > REQUESTS_MAX || stop_done != NULL)
		bad = "too busy";
	if (bad != NULL) {
		request_done(r, MSG_TEMP, bad);
		return;
	}
	sweep();
}

int
cells_share(
    const struct msg_mbox_open *o, const char *guest, cells_given given, void *arg)
{
	struct request *r;

	if (!mailbox_name_valid(o->mailbox) || o->uid < conf.uid_first ||
	    o->uid > conf.uid_last || n_requests >= REQUESTS_MAX || stop_done != NULL ||
	    (r = calloc(1, sizeof(*r))) == NULL)
		return -1;
	r->type = MSG_AUTHD_MBOXD_OPEN;
	r->deadline = now_ms() + REQUEST_PATIENCE_MS;
	r->open = *o;
	strlcpy(r->guest, guest, sizeof(r->guest));
	r->given = given;
	r->given_arg = arg;
	TAILQ_INSERT_TAIL(&requests, r, entry);
	n_requests++;
	sweep();
	return 0;
}

void
cells_admin(
    const char *mailbox, const char *address, uint32_t uid, cells_given given, void *arg)
{
	struct request *r = NULL;

	if (uid < conf.uid_first || uid > conf.uid_last) {
		given(-1, "its directory belongs to no mailbox", arg);
		return;
	}
	if (n_requests >= REQUESTS_MAX || stop_done != NULL ||
	    (r = calloc(1, sizeof(*r))) == NULL) {
		given(-1, "too busy", arg);
		return;
	}
	r->type = MSG_AUTHD_MBOXD_OPEN;
	r->deadline = now_ms() + REQUEST_PATIENCE_MS;
	r->open.purpose = MBOX_ADMIN;
	r->open.uid = uid;
	strlcpy(r->open.mailbox, mailbox, sizeof(r->open.mailbox));
	strlcpy(r->open.address, address, sizeof(r->open.address));
	r->given = given;
	r->given_arg = arg;
	TAILQ_INSERT_TAIL(&requests, r, entry);
	n_requests++;
	sweep();
}

/* Of sleepers.h. */
static int
cell_wanted(const struct sleeper_cell *cell)
{
	struct request *r;

	if (n_requests >= REQUESTS_MAX || stop_done != NULL ||
	    (r = calloc(1, sizeof(*r))) == NULL)
		return -1;
	r->type = MSG_AUTHD_MBOXD_OPEN;
	r->deadline = now_ms() + REQUEST_PATIENCE_MS;
	r->wake = 1;
	r->open.uid = cell->uid;
	r->open.quota = cell->quota;
	r->open.quota_messages = cell->quota_messages;
	r->open.quota_hard = cell->quota_hard;
	strlcpy(r->open.mailbox, cell->mailbox, sizeof(r->open.mailbox));
	TAILQ_INSERT_TAIL(&requests, r, entry);
	n_requests++;
	sweep();
	return 0;
}

void
cells_admin_forget(void *arg)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->given == NULL || r->given_arg != arg)
			continue;
		TAILQ_REMOVE(&requests, r, entry);
		n_requests--;
		free(r);
	}
}

static void
look_given(int fd, const char *why, void *arg)
{
	/* It opens its mailbox for the session and says what is there; no more is wanted.
	 */
	if (fd != -1)
		close(fd);
}

void
cells_look(const char *mailbox, uint32_t uid)
{
	if (mailbox_name_valid(mailbox))
		cells_admin(mailbox, "", uid, look_given, NULL);
}

void
cells_limits(const struct msg_mbox_limits *m)
{
	struct cell *c = cell_find(m->mailbox);
	struct request *r;

	/* What waits was sent before. */
	TAILQ_FOREACH (r, &requests, entry)
		if (r->type == MSG_AUTHD_MBOXD_OPEN &&
		    strcmp(r->open.mailbox, m->mailbox) == 0) {
			r->open.quota = m->quota;
			r->open.quota_messages = m->quota_messages;
			r->open.quota_hard = m->quota_hard;
		}
	sleepers_limits(m);
	if (c != NULL)
		cell_limits(c, m);
}

void
cells_kick(const char *mailbox)
{
	struct cell *c = cell_find(mailbox);
	struct request *r, *next;

	/* Who waits was let in before the account was closed. */
	for (r = TAILQ_FIRST(&requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->type == MSG_AUTHD_MBOXD_OPEN &&
		    strcmp(r->open.mailbox, mailbox) == 0)
			request_done(r, MSG_TEMP, "the mailbox is closed");
	}

	sleepers_drop(mailbox);
	if (c != NULL) {
		c->closed = 1;
		cell_leave(c);
	}
}

/* ---- ends ---- */

/* Cleaners, and the launcher with mboxd's end. */
static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		cleaner_ended(pid, stop_done == NULL);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, SWEEP_MS * 1000 };

	sleepers_retry();
	sweep();
	cells_tick(now_ms());
	event_add(ev_sweep, &tv);
}

void
cells_configure(const struct cells_conf *c)
{
	conf = *c;
}

int
cells_start(struct event_base *b, const struct cells_conf *c)
{
	struct timeval tv = { 0, SWEEP_MS * 1000 };

	base = b;
	conf = *c;
	cells_begin(b, &conf);
	sleepers_start(b, cell_wanted);
	ev_child = event_new(base, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child, NULL);
	ev_sweep = event_new(base, -1, 0, on_sweep, NULL);
	if (ev_child == NULL || ev_sweep == NULL || event_add(ev_child, NULL) == -1 ||
	    event_add(ev_sweep, &tv) == -1)
		return -1;
	cleaner_resume();
	return 0;
}

void
cells_stop(void (*done)(void))
{
	stop_done = done;
	cells_leave();
	sweep();
}
