/* SPDX-License-Identifier: ISC */
/* Mailbox processes and the requests on them; see cells.h. */
#include "mboxd/cells.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "mboxd/dirs.h"
#include "mboxd/launcher.h"
#include "mboxd/shares.h"

/* Each sweep compares the waiting with each other. */
#define REQUESTS_MAX 1024
/* A process that lets this much lie unread has stopped, or was taken over to make us
 * run out of descriptors. */
#define UNREAD_MAX 65536
#define REQUEST_PATIENCE_MS 15000
#define EXIT_PATIENCE_MS 5000
#define SWEEP_MS 500
#define YIELD_MORE 16
#define BUCKETS 256 /* of names */
#define TELL_MS 200 /* between two words of one mailbox to authd */

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
};

struct cell {
	TAILQ_ENTRY(cell) entry; /* least recently used first */
	LIST_ENTRY(cell) named;
	char mailbox[512];
	uint32_t uid;
	uint64_t id;
	pid_t pid; /* 0: it is being forked */
	int to_kill;
	struct channel *ch; /* NULL once broken */
	int leaving;        /* was told to exit */
	uint64_t leaving_since;
	uint64_t sessions_given;
	struct msg_mbox_used_by used; /* as it says */
	int has_used;
	int untold; /* authd does not know it yet */
	uint64_t told_ms;
};

/* A child that empties a discarded directory. */
struct cleaner {
	TAILQ_ENTRY(cleaner) entry;
	pid_t pid;
	char trash[64];
};

static struct event_base *base;
static struct cells_conf conf;
static TAILQ_HEAD(cell_list, cell) cells = TAILQ_HEAD_INITIALIZER(cells);
static TAILQ_HEAD(, request) requests = TAILQ_HEAD_INITIALIZER(requests);
static TAILQ_HEAD(, cleaner) cleaners = TAILQ_HEAD_INITIALIZER(cleaners);
static LIST_HEAD(, cell) named[BUCKETS];
static size_t n_cells, n_requests;
static uint64_t last_id; /* of a cell */
static struct event *ev_child, *ev_sweep;
static void (*stop_done)(void);
static int sweeping;
static int room_asked; /* in this sweep */
static struct {
	int fd; /* -1: none */
	uint64_t size;
} scripts = { -1, 0 };

static void sweep(void);

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
			f->mailbox = c->mailbox;
			f->pid = c->pid;
			f->uid = c->uid;
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

static struct cell *
cell_find(const char *mailbox)
{
	struct cell *c;

	LIST_FOREACH (c, &named[bucket_of(mailbox)], named)
		if (strcmp(c->mailbox, mailbox) == 0)
			return c;
	return NULL;
}

/* Perhaps only when it has begun. */
static void
cell_kill(struct cell *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	else
		c->to_kill = 1;
}

static void
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

static void
cell_message(struct channel *ch, struct msg *m, void *arg)
{
	struct cell *c = arg;

	if (m->type == MSG_MAILBOX_MBOXD_SHARES || m->type == MSG_MAILBOX_MBOXD_SHARE ||
	    m->type == MSG_MAILBOX_MBOXD_GRANTS) {
		shares_message(ch, c->mailbox, m);
		return;
	}
	if (m->type == MSG_MAILBOX_MBOXD_USED) {
		strlcpy(c->used.mailbox, c->mailbox, sizeof(c->used.mailbox));
		c->used.octets = m->p.mbox_used.octets;
		c->used.messages = m->p.mbox_used.messages;
		c->has_used = c->untold = 1;
		tell_used(c, now_ms());
		return;
	}

	/* It may go if no session is on its way to it. */
	if (m->type == MSG_MAILBOX_MBOXD_IDLE &&
	    m->p.mbox_idle.sessions_taken == c->sessions_given)
		cell_leave(c);
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

static void
give_log(struct cell *c)
{
	struct channel *logd = daemon_peer(ROLE_LOGD);
	struct msg_mbox_log m = { .uid = c->uid };
	struct msg_none none;
	int pair[2];

	if (logd == NULL || c->ch == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return;
	strlcpy(m.mailbox, c->mailbox, sizeof(m.mailbox));
	channel_send(logd, MSG_MBOXD_LOGD_CHANNEL, 0, &m, pair[0]);
	channel_send(c->ch, MSG_MBOXD_MAILBOX_LOG, 0, &none, pair[1]);
}

void
cells_new_log(void)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		if (!c->leaving)
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

static struct cell *
cell_new(const struct msg_mbox_open *o)
{
	struct cell *c = calloc(1, sizeof(*c));
	struct launch l;
	int pair[2];

	if (c == NULL)
		return NULL;
	strlcpy(c->mailbox, o->mailbox, sizeof(c->mailbox));
	c->uid = o->uid;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		goto fail;
	c->id = ++last_id;
	l = (struct launch){ .id = c->id,
		.quota = o->quota,
		.quota_messages = o->quota_messages,
		.quota_hard = o->quota_hard,
		.uid = o->uid,
		.linger_s = conf.linger_s,
		.debug = conf.debug };
	strlcpy(l.mailbox, o->mailbox, sizeof(l.mailbox));
	strlcpy(l.hostname, daemon_conf()->hostname, sizeof(l.hostname));
	strlcpy(l.other_users, conf.other_users, sizeof(l.other_users));
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
	LIST_INSERT_HEAD(&named[bucket_of(c->mailbox)], c, named);
	n_cells++;
	give_log(c);
	if (scripts.fd != -1)
		give_scripts(c);
	return c;
fail:
	log_warn("mailbox process for %s", o->mailbox);
	free(c);
	return NULL;
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
	if (status != MSG_OK)
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-refused",
		    KS("mailbox", request_mailbox(r)), KS("reason", text));
	TAILQ_REMOVE(&requests, r, entry);
	n_requests--;
	free(r);
}

/* Too many processes: ask those that have been quiet longest to go if they idle, some
 * more than wait for a place. */
static void
make_room(void)
{
	struct msg_none none;
	struct cell *c;
	int asked = 0;

	if (room_asked)
		return;
	room_asked = 1;
	TAILQ_FOREACH (c, &cells, entry)
		if (!c->leaving && c->ch != NULL && channel_queued(c->ch) == 0 &&
		    asked++ < YIELD_MORE + (int)n_requests)
			channel_send(c->ch, MSG_MBOXD_MAILBOX_YIELD, 0, &none, -1);
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
	if (asker == NULL && r->given == NULL) {
		request_done(r, MSG_TEMP, "who asked is gone");
		return 1;
	}
	if (c != NULL && c->uid != o->uid) {
		request_done(r, MSG_TEMP, "the mailbox belongs to another uid");
		return 1;
	}
	if (c != NULL && c->ch != NULL && channel_queued(c->ch) > UNREAD_MAX) {
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-stuck", KS("mailbox", c->mailbox));
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
		if (n_cells >= conf.processes_max) {
			make_room();
			return 0;
		}
		if ((c = cell_new(o)) == NULL) {
			request_done(
			    r, MSG_TEMP, "the mailbox process cannot be started");
			return 1;
		}
	}
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
	strlcpy(session.mailbox, o->mailbox, sizeof(session.mailbox));
	if (c->ch == NULL ||
	    channel_send(c->ch, MSG_MBOXD_MAILBOX_SESSION, 0, &label, pair[0]) == -1) {
		close(pair[1]);
		request_done(r, MSG_TEMP, "the mailbox process does not answer");
		return 1;
	}
	c->sessions_given++;
	TAILQ_REMOVE(&cells, c, entry);
	TAILQ_INSERT_TAIL(&cells, c, entry);
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

static void
clean(const char *trash, uint32_t uid)
{
	struct cleaner *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return; /* the next start finds it */
	strlcpy(k->trash, trash, sizeof(k->trash));
	if ((k->pid = fork()) == 0) {
		compat_closefrom(3);
		setproctitle("-mboxd: removing %s", trash);
		if (setgroups(0, NULL) == -1 || setresgid(uid, uid, uid) == -1 ||
		    setresuid(uid, uid, uid) == -1)
			_exit(1);
		trash_empty(trash);
		_exit(0);
	}
	if (k->pid == -1) {
		free(k);
		return;
	}
	TAILQ_INSERT_TAIL(&cleaners, k, entry);
}

static int
do_dir(struct request *r)
{
	struct msg_mbox_dir *d = &r->dir;
	struct cell *c = cell_find(d->mailbox);
	const char *bad = "";
	char trash[64];

	if (r->type != MSG_AUTHD_MBOXD_CREATE && c != NULL) {
		cell_leave(c);
		return 0;
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
			clean(trash, d->uid);
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
	struct cell *c;

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
	TAILQ_FOREACH (c, &cells, entry) {
		tell_used(c, now);
		if (c->leaving && now - c->leaving_since > EXIT_PATIENCE_MS) {
			cell_kill(c);
			c->leaving_since = now;
		}
	}
	sweeping = 0;
	if (stop_done != NULL && n_cells == 0)
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

	if (c != NULL)
		cell_leave(c);
}

/* ---- ends ---- */

static void
cleaner_ended(pid_t pid)
{
	struct cleaner *k;
	char trash[64];
	uint32_t uid;

	TAILQ_FOREACH (k, &cleaners, entry)
		if (k->pid == pid) {
			/* What could not be removed is tried again at the next start. */
			if (rmdir(k->trash) == 0 && TAILQ_FIRST(&cleaners) == k &&
			    TAILQ_NEXT(k, entry) == NULL && stop_done == NULL &&
			    trash_next(trash, sizeof(trash), &uid))
				clean(trash, uid);
			TAILQ_REMOVE(&cleaners, k, entry);
			free(k);
			return;
		}
}

static struct cell *
cell_by_id(uint64_t id)
{
	struct cell *c;

	TAILQ_FOREACH (c, &cells, entry)
		if (c->id == id)
			return c;
	return NULL;
}

static void
cell_free(struct cell *c)
{
	TAILQ_REMOVE(&cells, c, entry);
	LIST_REMOVE(c, named);
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
		log_warnx("mailbox process for %s cannot be forked", c->mailbox);
		cell_free(c);
		sweep();
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
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-died", KS("mailbox", c->mailbox),
		    KU("signal", WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		log_fact(LOG_HOST, LOGL_WARN, "mailbox-died", KS("mailbox", c->mailbox),
		    KU("status", WEXITSTATUS(status)));
	c->told_ms = 0;
	tell_used(c, now_ms());
	cell_free(c);
	sweep();
}

/* Cleaners, and the launcher with mboxd's end. */
static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		cleaner_ended(pid);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, SWEEP_MS * 1000 };

	sweep();
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
	char trash[64];
	uint32_t uid;

	base = b;
	conf = *c;
	ev_child = event_new(base, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child, NULL);
	ev_sweep = event_new(base, -1, 0, on_sweep, NULL);
	if (ev_child == NULL || ev_sweep == NULL || event_add(ev_child, NULL) == -1 ||
	    event_add(ev_sweep, &tv) == -1)
		return -1;
	/* What an earlier life did not finish to remove: one is enough to go on with. */
	if (trash_next(trash, sizeof(trash), &uid))
		clean(trash, uid);
	return 0;
}

void
cells_stop(void (*done)(void))
{
	struct cell *c;

	stop_done = done;
	TAILQ_FOREACH (c, &cells, entry)
		cell_leave(c);
	sweep();
}
