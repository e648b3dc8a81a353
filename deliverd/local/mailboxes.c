/* SPDX-License-Identifier: ISC */
/*
 * Sessions with mailbox processes; see mailboxes.h.
 *
 *	WANTED -> OPENING -> LIVE -> (freed)
 *
 * A session without a place waits in WANTED. Everything that changes a session's state
 * or tells an asker happens in on_pump(), in on_tick() or in an answer, never below a
 * call of an asker. A session that failed leaves the table first, so that what is
 * delivered next makes a new one.
 *
 * The token of an opening is random and the mailbox's name is compared when the socket
 * comes: a socket that was meant for the process before us is not taken for ours.
 */
#include "deliverd/local/mailboxes.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"

#define BUCKETS 256
#define OPEN_TIMEOUT_MS 30000
#define DELIVER_TIMEOUT_MS 300000
#define IDLE_MS 20000
#define TICK_MS 1000
#define PRESS_MS 50 /* an opening that takes longer wants room */

struct session;

struct parcel {
	TAILQ_ENTRY(parcel) entry; /* waiting or in flight */
	struct session *session;
	mailboxes_fill fill;
	mailboxes_outlet outlet;
	mailboxes_done done;     /* NULL: cancelled */
	mailboxes_answer answer; /* of a script's parcel */
	struct msg_script *script;
	int fd; /* with it */
	void *arg;
	uint64_t ask;
	int in_flight;
	int moved; /* its first session was lost before its turn came */
};
TAILQ_HEAD(parcel_list, parcel);

enum session_state {
	WANTED,
	OPENING,
	LIVE
};

struct session {
	LIST_ENTRY(session) chain;
	TAILQ_ENTRY(session) entry; /* of all, the longest idle first */
	TAILQ_ENTRY(session) ready;
	int is_ready;
	enum session_state state;
	uint64_t since; /* ms, of the state; of the last delivery when live */
	uint64_t token;
	uint64_t authd; /* serial of the channel that was asked, and the question */
	uint64_t ask;
	struct channel *ch;
	struct parcel_list waiting;
	struct parcel_list flying;
	size_t n_waiting;
	size_t n_flying;
	char mailbox[512];
};
TAILQ_HEAD(session_list, session);

static struct event_base *base;
static uint32_t instance;
static mailboxes_peer peer;
static struct event *ev_pump, *ev_tick, *ev_press;
static LIST_HEAD(, session) buckets[BUCKETS];
static struct session_list sessions = TAILQ_HEAD_INITIALIZER(sessions);
static struct session_list ready = TAILQ_HEAD_INITIALIZER(ready);
static size_t n_placed;  /* OPENING or LIVE */
static size_t n_opening; /* of these */
static size_t n_wanted;  /* WANTED, with or without a try */
static size_t sessions_max = MAILBOXES_SESSIONS_MAX;
static uint64_t n_opened, n_lost;
static uint32_t idle_ms = IDLE_MS, open_ms = OPEN_TIMEOUT_MS;

static size_t
bucket_of(const char *mailbox)
{
	uint32_t h = 2166136261u;

	for (; *mailbox != '\0'; mailbox++)
		h = (h ^ (unsigned char)*mailbox) * 16777619u;
	return h % BUCKETS;
}

static struct session *
session_find(const char *mailbox)
{
	struct session *s;

	LIST_FOREACH (s, &buckets[bucket_of(mailbox)], chain)
		if (strcmp(s->mailbox, mailbox) == 0)
			return s;
	return NULL;
}

static void
arm_tick(void)
{
	struct timeval tv = { TICK_MS / 1000, (TICK_MS % 1000) * 1000 };

	if (idle_ms < TICK_MS)
		tv = (struct timeval){ 0, 10 * 1000 };
	if (!TAILQ_EMPTY(&sessions) && !event_pending(ev_tick, EV_TIMEOUT, NULL))
		event_add(ev_tick, &tv);
}

/* The session is looked at from the loop. */
static void
session_kick(struct session *s)
{
	if (!s->is_ready) {
		s->is_ready = 1;
		TAILQ_INSERT_TAIL(&ready, s, ready);
	}
	event_active(ev_pump, EV_TIMEOUT, 0);
}

/* A place became free: let one of those without try. */
static void
kick_wanted(void)
{
	struct session *s;

	if (n_wanted == 0)
		return;
	TAILQ_FOREACH (s, &sessions, entry)
		if (s->state == WANTED && !s->is_ready) {
			session_kick(s);
			return;
		}
}

static void
session_touch(struct session *s)
{
	s->since = now_ms();
	TAILQ_REMOVE(&sessions, s, entry);
	TAILQ_INSERT_TAIL(&sessions, s, entry);
}

static struct session *
session_new(const char *mailbox)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (strlcpy(s->mailbox, mailbox, sizeof(s->mailbox)) >= sizeof(s->mailbox)) {
		free(s);
		return NULL;
	}
	s->since = now_ms();
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->flying);
	LIST_INSERT_HEAD(&buckets[bucket_of(mailbox)], s, chain);
	TAILQ_INSERT_TAIL(&sessions, s, entry);
	n_wanted++;
	arm_tick();
	return s;
}

/* Out of every list; its parcels are still there. */
static void
session_detach(struct session *s)
{
	struct channel *authd;

	if (s->state == WANTED)
		n_wanted--;
	else
		n_placed--;
	n_opening -= s->state == OPENING;
	if (s->ask != 0 && (authd = channel_find(s->authd)) != NULL)
		channel_forget(authd, s->ask);
	LIST_REMOVE(s, chain);
	TAILQ_REMOVE(&sessions, s, entry);
	if (s->is_ready)
		TAILQ_REMOVE(&ready, s, ready);
	s->is_ready = 0;
	kick_wanted();
}

static void
parcel_add(struct session *s, struct parcel *p)
{
	p->session = s;
	p->in_flight = 0;
	TAILQ_INSERT_TAIL(&s->waiting, p, entry);
	s->n_waiting++;
	session_kick(s);
}

static void
parcel_remove(struct parcel *p)
{
	struct session *s = p->session;

	if (p->in_flight) {
		TAILQ_REMOVE(&s->flying, p, entry);
		s->n_flying--;
	} else {
		TAILQ_REMOVE(&s->waiting, p, entry);
		s->n_waiting--;
	}
}

/* Takes p, which is in no list any more. */
static void
parcel_end(struct parcel *p, const struct outcome *o)
{
	mailboxes_done done = p->done;
	void *arg = p->arg;

	if (p->fd != -1)
		close(p->fd);
	free(p->script);
	free(p);
	if (done != NULL)
		done(o, arg);
}

/* Ends the session and everything that waits on it. */
static void
session_fail(struct session *s, const struct outcome *o)
{
	struct parcel *p;

	log_debug("session on %s: %s", s->mailbox, o->text);
	session_detach(s);
	while ((p = TAILQ_FIRST(&s->flying)) != NULL ||
	       (p = TAILQ_FIRST(&s->waiting)) != NULL) {
		parcel_remove(p);
		parcel_end(p, o);
	}
	channel_free(s->ch);
	free(s);
}

/* ---- a live session ---- */

static void
on_lost(struct channel *ch, const char *why, void *arg)
{
	struct session *s = arg, *next = NULL;
	struct parcel *p;
	struct outcome o;

	/* Its questions have been answered with NULL, so nothing is in flight. */
	s->ch = NULL;
	n_lost++;
	outcome_set(&o, JOB_DEFERRED, "4.3.0", "the mailbox process went away");
	log_debug("session on %s lost: %s", s->mailbox, why);
	session_detach(s);
	while ((p = TAILQ_FIRST(&s->waiting)) != NULL) {
		parcel_remove(p);
		if (!p->moved &&
		    (next != NULL || (next = session_find(s->mailbox)) != NULL ||
			(next = session_new(s->mailbox)) != NULL)) {
			p->moved = 1;
			parcel_add(next, p);
		} else
			parcel_end(p, &o);
	}
	free(s);
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	/* A mailbox has only answers to give. */
}

static void
on_delivered(struct msg *m, void *arg)
{
	struct parcel *p = arg;
	struct session *s = p->session;
	struct outcome o;

	if (m != NULL && m->type == MSG_MAILBOX_LDELIVER_OUTLET && p->script == NULL) {
		if (p->done != NULL)
			p->outlet(m, p->arg);
		return;
	}
	if (m != NULL && m->type == MSG_MAILBOX_LDELIVER_SCRIPT_ROW &&
	    p->script != NULL) {
		if (p->done != NULL)
			p->answer(m, p->arg);
		return;
	}
	parcel_remove(p);
	session_touch(s);
	if (m == NULL) {
		outcome_set(
		    &o, JOB_DEFERRED, "4.3.0", "the mailbox process did not answer");
		channel_break(s->ch, "no answer in time"); /* no matter if lost already */
	} else if (m->type == MSG_MAILBOX_LDELIVER_SCRIPT_DONE && p->script != NULL) {
		outcome_set(&o, JOB_DELIVERED, "2.0.0", "done");
		if (p->done != NULL)
			p->answer(m, p->arg);
	} else if (m->type == MSG_MAILBOX_LDELIVER_DELIVERED && p->script == NULL)
		outcome_from_mailbox(&o, &m->p.delivered);
	else
		outcome_set(
		    &o, JOB_DEFERRED, "4.3.0", "the mailbox process answered wrongly");
	if (s->n_waiting > 0)
		session_kick(s);
	else if (s->n_flying == 0)
		kick_wanted();
	parcel_end(p, &o);
}

static void
session_send(struct session *s)
{
	while (s->n_flying < MAILBOXES_IN_FLIGHT_MAX && s->n_waiting > 0) {
		struct parcel *p = TAILQ_FIRST(&s->waiting);
		struct msg_deliver d;
		struct outcome o;
		int fd;

		memset(&d, 0, sizeof(d));
		parcel_remove(p);
		if (p->script != NULL) {
			p->ask = channel_ask(s->ch, MSG_LDELIVER_MAILBOX_SCRIPT,
			    p->script, p->fd, DELIVER_TIMEOUT_MS, on_delivered, p);
			p->fd = -1;
			fd = 0; /* it went along */
		} else if ((fd = p->fill(&d, p->arg)) != -1)
			p->ask = channel_ask(s->ch, MSG_LDELIVER_MAILBOX_DELIVER, &d, fd,
			    DELIVER_TIMEOUT_MS, on_delivered, p);
		if (fd != -1 && p->ask != 0) {
			p->in_flight = 1;
			TAILQ_INSERT_TAIL(&s->flying, p, entry);
			s->n_flying++;
			continue;
		}
		outcome_set(&o, JOB_DEFERRED, "4.3.0",
		    fd == -1 ? "the message cannot be passed on now"
			     : "the mailbox process cannot be asked now");
		parcel_end(p, &o);
	}
}

/* ---- opening ---- */

static void
on_opening(struct msg *m, void *arg)
{
	struct session *s = arg;
	struct outcome o;

	s->ask = 0;
	if (s->state == LIVE) /* the socket was here first */
		return;
	if (m == NULL)
		outcome_set(&o, JOB_DEFERRED, "4.3.5",
		    "the directory of users does not answer now");
	else if (m->p.status.status == MSG_OK)
		return; /* the socket comes from mboxd */
	else
		outcome_set(&o, JOB_DEFERRED, "4.3.0", "%s",
		    m->p.status.text[0] != '\0' ? m->p.status.text
						: "the mailbox cannot be opened now");
	session_fail(s, &o);
}

/* Up to n of those without work, the longest idle first. */
static size_t
drop_idle(size_t n)
{
	struct session *s, *next;
	size_t dropped = 0;

	for (s = TAILQ_FIRST(&sessions); s != NULL && dropped < n; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->state != LIVE || s->n_flying > 0 || s->n_waiting > 0)
			continue;
		session_detach(s);
		channel_free(s->ch);
		free(s);
		dropped++;
	}
	return dropped;
}

static void
arm_press(void)
{
	struct timeval tv = { 0, PRESS_MS * 1000 };

	if (n_opening > 0 && !event_pending(ev_press, EV_TIMEOUT, NULL))
		event_add(ev_press, &tv);
}

static void
on_press(evutil_socket_t fd, short what, void *arg)
{
	struct session *s;
	uint64_t now = now_ms();
	size_t late = 0;

	TAILQ_FOREACH (s, &sessions, entry)
		late += s->state == OPENING && now - s->since >= PRESS_MS;
	(void)drop_idle(late);
	arm_press();
}

/* Room for one more, or 0: every session has work. */
static int
make_place(void)
{
	return n_placed < sessions_max || drop_idle(1) == 1;
}

static void
session_open(struct session *s)
{
	struct channel *authd = peer(ROLE_AUTHD);
	struct msg_open_request q = { 0 };
	struct outcome o;

	if (s->n_waiting == 0) { /* all cancelled */
		session_detach(s);
		free(s);
		return;
	}
	if (authd == NULL || peer(ROLE_MBOXD) == NULL) {
		outcome_set(&o, JOB_DEFERRED, "4.3.5", "the %s not there now",
		    authd == NULL ? "directory of users is" : "mailboxes are");
		session_fail(s, &o);
		return;
	}
	if (!make_place())
		return;
	arc4random_buf(&s->token, sizeof(s->token));
	q.token = s->token;
	strlcpy(q.mailbox, s->mailbox, sizeof(q.mailbox));
	s->authd = channel_serial(authd);
	s->ask =
	    channel_ask(authd, MSG_LDELIVER_AUTHD_OPEN, &q, -1, open_ms, on_opening, s);
	if (s->ask == 0) {
		outcome_set(&o, JOB_DEFERRED, "4.3.5",
		    "the directory of users cannot be asked now");
		session_fail(s, &o);
		return;
	}
	n_wanted--;
	n_placed++;
	n_opening++;
	s->state = OPENING;
	s->since = now_ms();
	arm_press();
}

void
mailboxes_session(struct msg *m)
{
	const struct msg_mbox_session *ms = &m->p.mbox_session;
	struct session *s = session_find(ms->mailbox);
	struct outcome o;

	/* A descriptor that nobody takes is closed by the channel. */
	if (s == NULL || s->state != OPENING || s->token != ms->token)
		return;
	if (ms->status != MSG_OK || m->fd == -1) {
		outcome_set(&o, JOB_DEFERRED, "4.3.0", "%s",
		    ms->text[0] != '\0' ? ms->text : "the mailbox cannot be opened now");
		session_fail(s, &o);
		return;
	}
	s->ch = channel_new(base, msg_take_fd(m), ROLE_DELIVERD_LOCAL, instance,
	    ROLE_MAILBOX, on_message, on_lost, s);
	if (s->ch == NULL) {
		outcome_set(&o, JOB_DEFERRED, "4.3.0", "no memory for a session");
		session_fail(s, &o);
		return;
	}
	s->state = LIVE;
	n_opening--;
	n_opened++;
	session_touch(s);
	session_kick(s);
	log_debug("session on %s", s->mailbox);
}

/* ---- the loop ---- */

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&ready)) != NULL) {
		TAILQ_REMOVE(&ready, s, ready);
		s->is_ready = 0;
		if (s->state == LIVE)
			session_send(s);
		else if (s->state == WANTED)
			session_open(s);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct session *s;
	uint64_t now = now_ms();
	struct outcome o;
	int again = 1;

	/* A failing session tells askers, who may change the list: look anew. */
	while (again) {
		again = 0;
		TAILQ_FOREACH (s, &sessions, entry) {
			uint64_t age = now > s->since ? now - s->since : 0;

			if (s->state == LIVE) {
				if (s->n_flying > 0 || s->n_waiting > 0 || age < idle_ms)
					continue;
				outcome_set(&o, JOB_DEFERRED, "4.3.0", "idle");
			} else if (age < (s->state == WANTED ? 4 : 1) * (uint64_t)open_ms)
				continue;
			else
				outcome_set(&o, JOB_DEFERRED, "4.3.0", "%s",
				    s->state == WANTED
					? "too many mailboxes are delivered to now"
					: "the mailbox did not open in time");
			session_fail(s, &o);
			again = 1;
			break;
		}
	}
	arm_tick();
}

static struct parcel *
parcel_new(const char *mailbox, struct session **s)
{
	struct parcel *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	if ((*s = session_find(mailbox)) == NULL && (*s = session_new(mailbox)) == NULL) {
		free(p);
		return NULL;
	}
	p->fd = -1;
	return p;
}

struct parcel *
mailboxes_deliver(const char *mailbox, mailboxes_fill fill, mailboxes_outlet outlet,
    mailboxes_done done, void *arg)
{
	struct session *s;
	struct parcel *p = parcel_new(mailbox, &s);

	if (p == NULL)
		return NULL;
	p->fill = fill;
	p->outlet = outlet;
	p->done = done;
	p->arg = arg;
	parcel_add(s, p);
	return p;
}

struct parcel *
mailboxes_script(const char *mailbox, const struct msg_script *script, int fd,
    mailboxes_answer answer, mailboxes_done done, void *arg)
{
	struct msg_script *copy = malloc(sizeof(*copy));
	struct session *s;
	struct parcel *p = copy != NULL ? parcel_new(mailbox, &s) : NULL;

	if (p == NULL) {
		free(copy);
		if (fd != -1)
			close(fd);
		return NULL;
	}
	*copy = *script;
	p->script = copy;
	p->fd = fd;
	p->answer = answer;
	p->done = done;
	p->arg = arg;
	parcel_add(s, p);
	return p;
}

void
mailboxes_cancel(struct parcel *p)
{
	if (p->in_flight) {
		p->done = NULL;
		return;
	}
	parcel_remove(p);
	if (p->fd != -1)
		close(p->fd);
	free(p->script);
	free(p);
}

int
mailboxes_init(struct event_base *b, uint32_t inst, mailboxes_peer by_role)
{
	base = b;
	instance = inst;
	peer = by_role;
	ev_pump = event_new(b, -1, 0, on_pump, NULL);
	ev_tick = event_new(b, -1, 0, on_tick, NULL);
	ev_press = event_new(b, -1, 0, on_press, NULL);
	return ev_pump == NULL || ev_tick == NULL || ev_press == NULL ? -1 : 0;
}

void
mailboxes_clear(void)
{
	struct outcome o;
	struct session *s;
	struct parcel *p;

	outcome_set(&o, JOB_DEFERRED, "4.3.0", "stopping");
	while ((s = TAILQ_FIRST(&sessions)) != NULL) {
		TAILQ_FOREACH (p, &s->waiting, entry)
			p->done = NULL;
		TAILQ_FOREACH (p, &s->flying, entry)
			p->done = NULL;
		session_fail(s, &o);
	}
	event_free(ev_pump);
	event_free(ev_tick);
	event_free(ev_press);
	n_opened = n_lost = 0;
}

void
mailboxes_get_stats(struct mailboxes_stats *st)
{
	struct session *s;

	memset(st, 0, sizeof(*st));
	st->sessions = n_placed;
	st->opened = n_opened;
	st->lost = n_lost;
	TAILQ_FOREACH (s, &sessions, entry) {
		st->waiting += s->n_waiting;
		st->in_flight += s->n_flying;
		st->idle += s->state == LIVE && s->n_waiting == 0 && s->n_flying == 0;
	}
}

void
mailboxes_set_times(uint32_t idle, uint32_t open)
{
	idle_ms = idle;
	open_ms = open;
}

void
mailboxes_set_sessions_max(size_t max)
{
	sessions_max = max;
}
