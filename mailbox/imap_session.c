/* SPDX-License-Identifier: ISC */
/*
 * An IMAP session on its socket: the machine (imap.h) in the glue of session_conn.h, with
 * compression between them when the client wants it, and what looks for changes from
 * outside during IDLE: a watch on the folder's directories, and a timer.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/msg.h"
#include "mailbox/imap.h"
#include "mailbox/imap_deflate.h"
#include "mailbox/imap_sleep.h"
#include "mailbox/maildir.h"
#include "mailbox/session.h"
#include "mailbox/session_conn.h"
#include "mailbox/imap_rights.h"
#include "mailbox/shares.h"

#define POLL_S 10  /* changes from outside, while in IDLE, where nothing watches */
#define SOON_MS 30 /* several files come at once */
#define WATCHES_MAX 2000

struct session {
	LIST_ENTRY(session) entry;
	char owner[ADDRESS_MAX + 1];
	struct session_conn *sc;
	struct imap *imap;
	struct event *poll;
	/* with COMPRESS */
	struct imap_deflate *deflate;
	struct evbuffer *plain; /* input that was inflated and is not taken yet */
	struct evbuffer *out;   /* output as it goes to the socket */
	bool finished;          /* the end of our stream was sent */
	bool broken;            /* the client's stream makes no sense, or no memory */
	unsigned int watched;   /* imap_watched() when its folders were */
	bool not_all;           /* there was no room for all of them */
	uint64_t heard;         /* when the client was, or was told something; ms */
	struct store *(*open)(void);
	bool guest; /* another user's session */
};

/* Directories of folders in IDLE, for what other programs do there. */
static struct {
	int fd;
	size_t n;
	struct event *ev, *soon;
	struct event_base *base;
} watch = { .fd = -1 };

static LIST_HEAD(, session) all = LIST_HEAD_INITIALIZER(all);

static struct session_conns sessions = LIST_HEAD_INITIALIZER(sessions);

/* ---- changes from outside ---- */

static void
soon_cb(int fd, short what, void *arg)
{
	struct session *s;

	LIST_FOREACH (s, &all, entry) {
		imap_poll(s->imap, true);
		/* The list of folders may be another one. */
		if (s->watched != 0)
			session_conn_wake(s->sc);
	}
}

static void
watch_cb(int fd, short what, void *arg)
{
	static const struct timeval soon = { 0, SOON_MS * 1000 };

	compat_dirwatch_drain(fd);
	if (!evtimer_pending(watch.soon, NULL))
		event_add(watch.soon, &soon);
}

static void
watch_close(void)
{
	if (watch.ev != NULL)
		event_free(watch.ev);
	if (watch.soon != NULL)
		event_free(watch.soon);
	if (watch.fd != -1)
		close(watch.fd);
	watch.ev = watch.soon = NULL;
	watch.fd = -1;
	watch.n = 0;
}

static int
watch_open(void)
{
	if (watch.fd != -1)
		return 0;
	if ((watch.fd = compat_dirwatch_open()) == -1)
		return -1;
	watch.ev = event_new(watch.base, watch.fd, EV_READ | EV_PERSIST, watch_cb, NULL);
	watch.soon = event_new(watch.base, -1, 0, soon_cb, NULL);
	if (watch.ev != NULL && watch.soon != NULL && event_add(watch.ev, NULL) == 0)
		return 0;
	watch_close();
	return -1;
}

static void
watch_folder(const char *name, void *arg)
{
	static const char *const subs[] = { "/new", "/cur" };
	char dir[MAILDIR_NAME_MAX + 1], path[MAILDIR_NAME_MAX + 32];
	struct session *s = arg;

	if (name[0] == '\0') {
		if (watch.n < WATCHES_MAX &&
		    compat_dirwatch_add(watch.fd, "Maildir") == 0)
			watch.n++;
		return;
	}
	if (maildir_folder_dir(name, dir, sizeof(dir)) == -1)
		return;
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "Maildir/%s%s", dir, subs[i]);
		if (watch.n < WATCHES_MAX && compat_dirwatch_add(watch.fd, path) == 0)
			watch.n++;
		else
			s->not_all = true;
	}
}

/* For IDLE and NOTIFY; what cannot be watched is looked at by the timer. */
static void
watch_folders(struct session *s)
{
	unsigned int now = imap_watched(s->imap);

	if (now == s->watched)
		return;
	s->watched = now;
	s->not_all = false;
	if (now == 0)
		return;
	/* Rather than to know who still needs which: begin anew. */
	if (watch.n >= WATCHES_MAX) {
		struct session *other;

		watch_close();
		LIST_FOREACH (other, &all, entry)
			if (other != s && other->watched != 0 && !other->not_all)
				other->watched = 0;
	}
	if (watch_open() == -1)
		s->not_all = true;
	else
		imap_watch_each(s->imap, watch_folder, s);
}

/* Inflated input to the machine, as far as it takes it. */
static void
feed_plain(struct session *s)
{
	struct evbuffer_iovec v;
	uint64_t began = now_ms();
	size_t took;

	while (imap_idle(s->imap) && evbuffer_peek(s->plain, -1, NULL, &v, 1) >= 1 &&
	       v.iov_len > 0) {
		took = imap_input(s->imap, v.iov_base, v.iov_len);
		evbuffer_drain(s->plain, took);
		if (took == 0 || now_ms() - began >= SESSION_TURN_MS)
			break;
	}
}

/* From here on all is compressed, but not the answer that says so. */
static void
start_compression(struct session *s)
{
	s->deflate = imap_deflate_new();
	s->plain = evbuffer_new();
	s->out = evbuffer_new();
	if (s->deflate == NULL || s->plain == NULL || s->out == NULL) {
		log_warnx("no memory to compress an IMAP session");
		s->broken = true;
		return;
	}
	evbuffer_add_buffer(s->out, imap_output(s->imap));
}

static size_t
input(void *m, const uint8_t *p, size_t n)
{
	struct session *s = m;
	size_t took;
	long used;

	s->heard = now_ms();
	if (s->deflate == NULL) {
		took = imap_input(s->imap, p, n);
		if (imap_take_compress(s->imap))
			start_compression(s);
		return took;
	}
	/* What was inflated before comes first; it is bounded so. */
	feed_plain(s);
	if (evbuffer_get_length(s->plain) > 0)
		return 0;
	if ((used = imap_deflate_in(s->deflate, p, n, s->plain)) == -1) {
		imap_bye(s->imap, "The compressed stream is damaged");
		s->broken = true;
		return n;
	}
	feed_plain(s);
	return (size_t)used;
}

static int
run(void *m, size_t unsent)
{
	struct session *s = m;
	int more = imap_run(s->imap, unsent);

	if (evbuffer_get_length(imap_output(s->imap)) > 0)
		s->heard = now_ms();
	watch_folders(s);

	if (s->deflate == NULL || s->broken || unsent >= IMAP_HIGH_WATER ||
	    !imap_idle(s->imap))
		return more;
	feed_plain(s);
	if (evbuffer_get_length(s->plain) == 0 && imap_deflate_pending(s->deflate)) {
		if (imap_deflate_in(s->deflate, NULL, 0, s->plain) == -1)
			s->broken = true;
		feed_plain(s);
	}
	return more || (imap_idle(s->imap) && !s->broken &&
			   (evbuffer_get_length(s->plain) > 0 ||
			       imap_deflate_pending(s->deflate)));
}

static int
idle(void *m)
{
	return imap_idle(((struct session *)m)->imap);
}

static struct evbuffer *
output(void *m)
{
	struct session *s = m;

	if (s->deflate == NULL || s->out == NULL)
		return imap_output(s->imap);
	if (imap_deflate_out(s->deflate, imap_output(s->imap), s->out) == -1)
		s->broken = true;
	/* Its stream ends with the last answer, and then there is none (RFC 8437, 4.1).
	 */
	if (imap_unauthenticated(s->imap) && !s->finished) {
		s->finished = true;
		if (imap_deflate_end(s->deflate, s->out) == -1)
			s->broken = true;
	}
	return s->out;
}

static int
has_ended(void *m)
{
	struct session *s = m;

	return s->broken || imap_ended(s->imap);
}

static int
hands_back(void *m)
{
	struct session *s = m;

	return !s->broken && imap_unauthenticated(s->imap);
}

static void
session_free(void *m)
{
	struct session *s = m;

	if (s->sc != NULL)
		LIST_REMOVE(s, entry);
	if (LIST_EMPTY(&all))
		watch_close();
	imap_free(s->imap);
	imap_deflate_free(s->deflate);
	if (s->plain != NULL)
		evbuffer_free(s->plain);
	if (s->out != NULL)
		evbuffer_free(s->out);
	if (s->poll != NULL)
		event_free(s->poll);
	free(s);
}

static const struct session_machine machine = {
	.input = input,
	.run = run,
	.idle = idle,
	.output = output,
	.ended = has_ended,
	.free = session_free,
	.hands_back = hands_back,
	.high_water = IMAP_HIGH_WATER,
};

static void
poll_cb(int fd, short what, void *arg)
{
	struct session *s = arg;

	imap_poll(s->imap, s->not_all);
	session_conn_forward(s->sc);
}

static void
wake(void *arg)
{
	session_conn_wake(((struct session *)arg)->sc);
}

static struct store *
open_store(void *arg)
{
	struct session *s = arg;
	struct store *store = s->open();

	return store != NULL && shares_attach(s->imap, store, s->guest) == 0 ? store
									     : NULL;
}

/* Whose session it is. -1: it cannot be. */
static int
introduce(struct session *s, const struct msg_mbox_label *label)
{
	bool guest = label->purpose == MBOX_SHARED;
	char prefix[IMAP_GUEST_PREFIX_MAX + 1];

	struct imap_offer offer = { .quotaset = !guest && label->quotaset != 0 };

	imap_set_login(s->imap, guest ? 0 : label->token);
	session_limits(&offer.message_limit, &offer.save_limit);
	imap_set_offer(s->imap, &offer);
	(void)strlcpy(s->owner, label->address, sizeof(s->owner));
	imap_set_owner(s->imap, s->owner);
	if (guest && (shares_prefix_of(s->owner, prefix, sizeof(prefix)) == -1 ||
			 imap_set_guest(s->imap, prefix, label->guest) == -1))
		return -1;
	s->guest = guest;
	return 0;
}

/* Of a client that has logged in, or of one that was put away. */
static int
begin(struct event_base *base, int fd, struct store *(*open)(void),
    const struct msg_mbox_label *label, const uint8_t *octets, size_t len,
    void (*ended)(void *), void *arg)
{
	static const struct timeval poll_every = { POLL_S, 0 };
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return -1;
	}
	s->heard = now_ms();
	s->open = open;
	if ((s->imap = imap_new(NULL, wake, s)) != NULL)
		imap_set_opener(s->imap, open_store, s);
	s->poll = event_new(base, -1, EV_PERSIST, poll_cb, s);
	if (s->imap == NULL || introduce(s, label) == -1 || s->poll == NULL ||
	    event_add(s->poll, &poll_every) == -1)
		close(fd);
	else
		s->sc = session_conn_start(base, fd, &sessions, &machine, s, ended, arg);
	if (s->sc == NULL) {
		log_warnx("no memory for an IMAP session");
		session_free(s);
		return -1;
	}
	watch.base = base;
	LIST_INSERT_HEAD(&all, s, entry);
	if (octets == NULL)
		return 0;
	if (imap_wake(s->imap, octets, len) == -1)
		imap_bye(s->imap, "The mailbox is another one now");
	session_conn_wake(s->sc);
	return 0;
}

int
imap_session_start(struct event_base *base, int fd, struct store *(*open)(void),
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	return begin(base, fd, open, label, NULL, 0, ended, arg);
}

/* Before the session's octets stand those of its owner's address, and a NUL. */
int
imap_session_wake(struct event_base *base, int fd, struct store *(*open)(void),
    const uint8_t *octets, size_t len, void (*ended)(void *), void *arg)
{
	struct msg_mbox_label label = { .purpose = MBOX_IMAP };
	const uint8_t *end = len == 0 ? NULL : memchr(octets, '\0', len);

	if (end == NULL || (size_t)(end - octets) >= sizeof(label.address)) {
		close(fd);
		return -1;
	}
	memcpy(label.address, octets, (size_t)(end - octets));
	return begin(base, fd, open, &label, end + 1, len - (size_t)(end + 1 - octets),
	    ended, arg);
}

/* ---- rest ---- */

/* May all of them wait elsewhere? */
static int
can_rest(size_t n, uint64_t ms)
{
	uint64_t now = now_ms();
	struct session *s;

	if (watch.soon != NULL && evtimer_pending(watch.soon, NULL))
		return 0;
	LIST_FOREACH (s, &all, entry) {
		if (n-- == 0 || now - s->heard < ms || s->deflate != NULL || s->broken ||
		    s->not_all || !session_conn_quiet(s->sc))
			return 0;
		/* What nothing watches is looked at by the timer. */
		if (imap_watched(s->imap) != 0 && (watch.fd == -1 || s->watched == 0))
			return 0;
	}
	return n == 0;
}

static int
put_away(struct session *s, struct evbuffer *out)
{
	evbuffer_add(out, s->owner, strlen(s->owner) + 1);
	return imap_sleep(s->imap, out);
}

int
imap_sessions_rest(
    size_t n, uint64_t ms, void (*away)(int fd, const uint8_t *octets, size_t len))
{
	struct evbuffer *b;
	struct session *s, *next;
	int watch_fd = -1;

	if (n == 0 || !can_rest(n, ms) || (b = evbuffer_new()) == NULL)
		return -1;
	/* From here on the watch tells of what comes; what has come is told now. */
	if (watch.fd != -1)
		compat_dirwatch_drain(watch.fd);
	LIST_FOREACH (s, &all, entry)
		imap_poll(s->imap, true);
	LIST_FOREACH (s, &all, entry) {
		evbuffer_drain(b, evbuffer_get_length(b));
		if (!session_conn_quiet(s->sc) || put_away(s, b) == -1) {
			evbuffer_free(b);
			return -1;
		}
	}
	/* It would be closed with the last session. */
	if (watch.fd != -1)
		watch_fd = fcntl(watch.fd, F_DUPFD_CLOEXEC, 3);
	for (s = LIST_FIRST(&all); s != NULL; s = next) {
		int fd;

		next = LIST_NEXT(s, entry);

		evbuffer_drain(b, evbuffer_get_length(b));
		if (put_away(s, b) == -1 || (fd = session_conn_detach(s->sc)) == -1)
			continue;
		away(fd, evbuffer_pullup(b, -1), evbuffer_get_length(b));
	}
	evbuffer_free(b);
	away(watch_fd, NULL, 0);
	return 0;
}

void
imap_sessions_stop(void)
{
	while (!LIST_EMPTY(&sessions)) {
		struct session_conn *sc = LIST_FIRST(&sessions);
		struct session *s = session_conn_machine(sc);

		imap_bye(s->imap, "Server is stopping");
		session_conn_finish(sc);
	}
}
