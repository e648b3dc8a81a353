/* SPDX-License-Identifier: ISC */
/*
 * Connections on libevent; see conn.h. Not bufferevents: their TLS kind cannot
 * switch from plain to TLS and be sure that nothing of the plain buffer lives on,
 * and keeps buffers for each idle connection.
 *
 *	CONNECTING -> PLAIN -> SWITCHING -> HANDSHAKE -> TLS
 *	                 \________________________________/ -> LINGER
 *	any -> FAILED
 *
 * Invariant: callbacks of the owner are called from the loop's events only, never
 * from inside a call of the owner's; memory is released when no frame of this
 * file is on the stack, so the owner may free it from its callback.
 */
#include "common/conn.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>

#include "common/compat/compat.h"
#include "common/conn_int.h"
#include "common/daemon.h"

/* After our end has been sent the peer gets this long to take it and close. */
#define LINGER_MS 2000
#define LINGER_OCTETS (1024u * 1024)
#define PARTING_OCTETS 1024
#ifndef MSG_MORE
#define MSG_MORE 0
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* One for all: what has been read moves on at once, and an idle connection
 * holds no memory for its next input. */
static uint8_t chunk[65536];

static void on_read(evutil_socket_t, short, void *);
static void on_write(evutil_socket_t, short, void *);
static void on_timer(evutil_socket_t, short, void *);
static void on_again(evutil_socket_t, short, void *);
static void on_drain(struct evbuffer *, const struct evbuffer_cb_info *, void *);

static struct conn *
conn_alloc(struct event_base *base, int fd, size_t input_max, conn_cb cb, void *arg)
{
	static int sigpipe_ignored;
	struct conn *c;

	if (!sigpipe_ignored) {
		signal(SIGPIPE, SIG_IGN);
		sigpipe_ignored = 1;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		if (fd != -1)
			close(fd);
		return NULL;
	}
	c->base = base;
	c->fd = fd;
	c->input_max = input_max;
	c->cb = cb;
	c->arg = arg;
	if (fd != -1)
		evutil_make_socket_nonblocking(fd);
	c->in = evbuffer_new();
	c->out = evbuffer_new();
	c->ev_read = event_new(base, fd, EV_READ | EV_PERSIST, on_read, c);
	c->ev_write = event_new(base, fd, EV_WRITE, on_write, c);
	c->ev_timer = event_new(base, -1, 0, on_timer, c);
	if (c->in == NULL || c->out == NULL || c->ev_read == NULL ||
	    c->ev_write == NULL || c->ev_timer == NULL ||
	    evbuffer_add_cb(c->in, on_drain, c) == NULL) {
		conn_free(c);
		return NULL;
	}
	return c;
}

struct conn *
conn_new(struct event_base *base, int fd, size_t input_max, conn_cb cb, void *arg)
{
	struct conn *c = conn_alloc(base, fd, input_max, cb, arg);

	if (c != NULL) {
		c->state = CONN_S_PLAIN;
		conn_update_read(c);
	}
	return c;
}

static int
connect_start(int fd, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *source, socklen_t source_len)
{
	int on = 1;

	if (fd == -1)
		return -1;
	/* Output is gathered here. Fails on a Unix socket, which is fine. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (source != NULL) {
#ifdef IP_BIND_ADDRESS_NO_PORT
		/* Choose the port with the destination known: many more of them. */
		(void)setsockopt(
		    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
#endif
		if (bind(fd, source, source_len) == -1)
			return -1;
	}
	if (connect(fd, to, to_len) == -1 && errno != EINPROGRESS)
		return -1;
	return 0;
}

struct conn *
conn_connect(struct event_base *base, const struct sockaddr *to, socklen_t to_len,
    const struct sockaddr *source, socklen_t source_len, size_t input_max, conn_cb cb,
    void *arg)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int failed = connect_start(fd, to, to_len, source, source_len) == -1 ? errno : 0;
	struct conn *c = conn_alloc(base, fd, input_max, cb, arg);

	if (c == NULL)
		return NULL;
	c->state = CONN_S_CONNECTING;
	if (failed) {
		/* Told from the loop like every other failure. */
		strlcpy(c->error, strerror(failed), sizeof(c->error));
		event_active(c->ev_write, EV_WRITE, 0);
	} else
		event_add(c->ev_write, NULL);
	return c;
}

static void
release(struct conn *c)
{
	struct event *events[] = { c->ev_read, c->ev_write, c->ev_timer, c->ev_again };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	if (c->in != NULL)
		evbuffer_free(c->in);
	if (c->out != NULL)
		evbuffer_free(c->out);
	if (c->plain != NULL)
		evbuffer_free(c->plain);
	if (c->fd != -1)
		close(c->fd);
	free(c);
}

static void
events_off(struct conn *c)
{
	if (c->ev_read != NULL)
		event_del(c->ev_read);
	if (c->ev_write != NULL)
		event_del(c->ev_write);
	if (c->ev_timer != NULL)
		event_del(c->ev_timer);
	if (c->ev_again != NULL)
		event_del(c->ev_again);
	c->reading = 0;
}

void
conn_free(struct conn *c)
{
	if (c == NULL || c->freed)
		return;
	c->freed = 1;
	c->cb = NULL;
	events_off(c);
	if (c->busy == 0)
		release(c);
}

int
conn_detach(struct conn *c)
{
	int fd = c->fd;

	if (c->state != CONN_S_PLAIN || c->freed || c->closing || c->eof ||
	    c->busy != 0 || evbuffer_get_length(c->in) > 0 || conn_unsent(c) > 0)
		return -1;
	events_off(c);
	c->fd = -1;
	conn_free(c);
	return fd;
}

static void
enter(struct conn *c)
{
	c->busy++;
}

static void
leave(struct conn *c)
{
	if (--c->busy == 0 && c->freed)
		release(c);
}

/* The caller looks at c->freed afterwards. */
static void
tell(struct conn *c, enum conn_event what)
{
	if (c->cb != NULL)
		c->cb(c, what, c->arg);
}

static void
fail(struct conn *c)
{
	c->state = CONN_S_FAILED;
	events_off(c);
	if (c->closing)
		conn_free(c);
	else
		tell(c, CONN_ERROR);
}

static void
fail_errno(struct conn *c)
{
	strlcpy(c->error, strerror(errno), sizeof(c->error));
	fail(c);
}

/* What the SSL holds makes no socket readable. Not event_active(): the others have their
 * turn first. */
static void
read_pending(struct conn *c)
{
	static const struct timeval now;

	if (c->state != CONN_S_TLS || !SSL_has_pending(c->ssl))
		return;
	if (c->ev_again == NULL)
		c->ev_again = event_new(c->base, -1, 0, on_again, c);
	if (c->ev_again == NULL || event_add(c->ev_again, &now) == -1)
		event_active(c->ev_read, EV_READ, 0);
}

/* A handshake reads whatever the owner thinks; closing reads to throw away. */
void
conn_update_read(struct conn *c)
{
	int want;

	switch (c->state) {
	case CONN_S_PLAIN:
	case CONN_S_TLS:
		want = c->closing || c->write_wants_read || (!c->paused && !c->full);
		break;
	case CONN_S_HANDSHAKE:
	case CONN_S_LINGER:
		want = 1;
		break;
	case CONN_S_SWITCHING: /* nothing is to be sent before: the next turn reads */
		want = evbuffer_get_length(c->plain) == 0;
		break;
	default:
		want = 0;
	}
	if (c->eof || c->freed)
		want = 0;
	if (!want && c->reading) {
		event_del(c->ev_read);
		if (c->ev_again != NULL)
			event_del(c->ev_again);
		c->reading = 0;
	} else if (want && !c->reading && event_add(c->ev_read, NULL) == 0) {
		c->reading = 1;
		read_pending(c);
	}
}

/* Write from the loop, all that one turn said together. */
void
conn_kick_write(struct conn *c)
{
	if (c->freed || c->state == CONN_S_CONNECTING || c->state == CONN_S_FAILED)
		return;
	if (event_pending(c->ev_write, EV_WRITE, NULL))
		return;
	/* From inside on_write() go round by the kernel: a fast reader must not
	 * hold the loop. */
	if (c->writing)
		event_add(c->ev_write, NULL);
	else
		event_active(c->ev_write, EV_WRITE, 0);
}

static void
on_drain(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (c->full && info->n_deleted > 0 && evbuffer_get_length(in) < c->input_max) {
		c->full = 0;
		conn_update_read(c);
	}
}

static enum conn_io
plain_read(struct conn *c, size_t cap, size_t *got)
{
	ssize_t n = c->marks ? conn_mark_read(c, chunk, cap) : read(c->fd, chunk, cap);

	*got = 0;
	if (n == 0)
		return CONN_IO_EOF;
	if (n == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return CONN_IO_WAIT;
		strlcpy(c->error, strerror(errno), sizeof(c->error));
		return CONN_IO_ERROR;
	}
	if (c->marked) /* the octet that the mark came with is no input */
		n--;
	if (!c->closing && evbuffer_add(c->in, chunk, (size_t)n) == -1) {
		strlcpy(c->error, "out of memory", sizeof(c->error));
		return CONN_IO_ERROR;
	}
	*got = (size_t)n;
	return CONN_IO_DONE;
}

static void
linger_read(struct conn *c)
{
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	if (n > 0 && (c->discarded += (size_t)n) < LINGER_OCTETS)
		return;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	conn_free(c);
}

static void
handshake(struct conn *c)
{
	switch (conn_tls_handshake(c)) {
	case CONN_IO_DONE:
		c->state = CONN_S_TLS;
		/* With what came behind the last flight. */
		if (c->reading)
			read_pending(c);
		conn_update_read(c);
		if (evbuffer_get_length(c->out) > 0 || c->closing)
			conn_kick_write(c);
		tell(c, CONN_TLS_READY);
		if (evbuffer_get_length(c->out) == 0)
			conn_tls_uncork(c);
		break;
	case CONN_IO_WAIT:
		conn_update_read(c);
		break;
	default:
		fail(c);
	}
}

/* Take in what is there and tell. The order is: input, then the end. */
static void
input(struct conn *c)
{
	enum conn_io io;
	size_t got, cap = sizeof(chunk);

	if (!c->closing) {
		size_t len = evbuffer_get_length(c->in);

		if (c->input_max - len < cap)
			cap = len < c->input_max ? c->input_max - len : 0;
		if (cap == 0) {
			c->full = 1;
			conn_update_read(c);
			return;
		}
	}
	io = c->state == CONN_S_TLS ? conn_tls_read(c, chunk, cap, &got)
				    : plain_read(c, cap, &got);
	if (io == CONN_IO_EOF)
		c->eof = 1;
	if (!c->closing && evbuffer_get_length(c->in) >= c->input_max)
		c->full = 1;
	conn_update_read(c);
	if (got > 0)
		tell(c, CONN_INPUT);
	if (c->freed || c->state == CONN_S_FAILED)
		return;
	if (c->marked) {
		c->marked = c->marks = 0;
		tell(c, CONN_MARK);
	} else if (io == CONN_IO_EOF)
		tell(c, CONN_EOF);
	else if (io == CONN_IO_ERROR)
		fail(c);
}

static void
readable(struct conn *c)
{
	enter(c);
	if (c->write_wants_read) {
		c->write_wants_read = 0;
		conn_kick_write(c);
		conn_update_read(c);
	}
	switch (c->state) {
	case CONN_S_PLAIN:
	case CONN_S_TLS:
		if (c->reading)
			input(c);
		break;
	case CONN_S_HANDSHAKE:
		handshake(c);
		break;
	case CONN_S_LINGER:
		linger_read(c);
		break;
	default:
		break;
	}
	leave(c);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	readable(arg);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	readable(arg);
}

/* In one segment with the end of the stream, which close(2) adds at once. */
static int
last_words(struct conn *c, struct evbuffer *buf)
{
	size_t len = evbuffer_get_length(buf);
	unsigned char *p;
	ssize_t n;

	if (len > PARTING_OCTETS || (p = evbuffer_pullup(buf, -1)) == NULL ||
	    (n = send(c->fd, p, len, MSG_MORE | MSG_NOSIGNAL)) == -1)
		return -1;
	evbuffer_drain(buf, (size_t)n);
	return (size_t)n == len ? 0 : -1;
}

/* DONE: buf is empty. */
static enum conn_io
plain_flush(struct conn *c, struct evbuffer *buf)
{
	if (evbuffer_get_length(buf) == 0)
		return CONN_IO_DONE;
	if (c->parting && last_words(c, buf) == 0)
		return CONN_IO_DONE;
	if (evbuffer_write(buf, c->fd) == -1 && errno != EAGAIN && errno != EINTR)
		return CONN_IO_ERROR;
	if (evbuffer_get_length(buf) == 0)
		return CONN_IO_DONE;
	event_add(c->ev_write, NULL);
	return CONN_IO_WAIT;
}

/*
 * The peer has closed on us: what it said before (a 421 perhaps) is still in
 * the socket and worth more to the owner than EPIPE.
 */
static void
plain_write_failed(struct conn *c)
{
	char why[sizeof(c->error)];
	size_t got = 0, len = evbuffer_get_length(c->in);

	strlcpy(why, strerror(errno), sizeof(why));
	if (!c->eof && !c->closing && len < c->input_max)
		plain_read(c,
		    c->input_max - len < sizeof(chunk) ? c->input_max - len
						       : sizeof(chunk),
		    &got);
	if (got > 0)
		tell(c, CONN_INPUT);
	if (c->freed || c->state == CONN_S_FAILED)
		return;
	strlcpy(c->error, why, sizeof(c->error));
	fail(c);
}

static void
timer_at(struct conn *c, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	event_add(c->ev_timer, &tv);
}

/*
 * All output of a closing connection is in the kernel. A close(2) now would
 * answer what the peer still sends by a reset, which can destroy the last reply on
 * its way: so only our half is closed, and the rest read until the peer's end.
 */
static void
finish(struct conn *c)
{
	uint64_t now = now_ms();
	uint64_t left = c->close_at > now ? c->close_at - now : 0;

	if (c->state == CONN_S_TLS && conn_tls_shutdown(c) == CONN_IO_WAIT)
		return;
	if (c->eof || (c->parting && c->state == CONN_S_PLAIN) ||
	    shutdown(c->fd, SHUT_WR) == -1) {
		conn_free(c);
		return;
	}
	c->state = CONN_S_LINGER;
	timer_at(c, left < LINGER_MS ? left : LINGER_MS);
	conn_update_read(c);
}

static void
output_done(struct conn *c, int was_unsent)
{
	if (c->closing)
		finish(c);
	else if (was_unsent)
		tell(c, CONN_LOW_WATER);
}

static void
connected(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (c->error[0] != '\0') {
		fail(c);
		return;
	}
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err != 0) {
		errno = err;
		fail_errno(c);
		return;
	}
	c->state = CONN_S_PLAIN;
	conn_update_read(c);
	if (evbuffer_get_length(c->out) > 0)
		conn_kick_write(c);
	tell(c, CONN_CONNECTED);
}

static void
output(struct conn *c)
{
	int was_unsent = evbuffer_get_length(c->out) > 0;

	switch (c->state) {
	case CONN_S_CONNECTING:
		connected(c);
		return;
	case CONN_S_PLAIN:
		switch (plain_flush(c, c->out)) {
		case CONN_IO_DONE:
			output_done(c, was_unsent);
			break;
		case CONN_IO_ERROR:
			plain_write_failed(c);
			break;
		default:
			break;
		}
		return;
	case CONN_S_SWITCHING:
		switch (plain_flush(c, c->plain)) {
		case CONN_IO_DONE:
			if (c->closing && !was_unsent) {
				c->state = CONN_S_PLAIN;
				finish(c);
				break;
			}
			c->state = CONN_S_HANDSHAKE;
			handshake(c);
			break;
		case CONN_IO_ERROR:
			fail_errno(c);
			break;
		default:
			break;
		}
		return;
	case CONN_S_HANDSHAKE:
		if (c->closing && !was_unsent)
			conn_free(c);
		else
			handshake(c);
		return;
	case CONN_S_TLS:
		if (c->read_wants_write) {
			c->read_wants_write = 0;
			input(c);
			if (c->freed || c->state != CONN_S_TLS)
				return;
		}
		switch (conn_tls_flush(c)) {
		case CONN_IO_DONE:
			conn_tls_uncork(c);
			output_done(c, was_unsent);
			break;
		case CONN_IO_WAIT:
			break;
		default:
			fail(c);
		}
		return;
	default:
		return;
	}
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	enter(c);
	c->writing = 1;
	output(c);
	c->writing = 0;
	leave(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	enter(c);
	if (c->closing)
		conn_free(c);
	else
		tell(c, CONN_TIMEOUT);
	leave(c);
}

void
conn_close(struct conn *c, uint32_t timeout_ms)
{
	if (c == NULL || c->freed)
		return;
	c->cb = NULL;
	if (c->state == CONN_S_FAILED || c->state == CONN_S_CONNECTING) {
		conn_free(c);
		return;
	}
	c->closing = 1;
	c->close_at = now_ms() + timeout_ms;
	timer_at(c, timeout_ms);
	evbuffer_drain(c->in, evbuffer_get_length(c->in));
	conn_update_read(c);
	conn_kick_write(c);
}

void
conn_part(struct conn *c, uint32_t timeout_ms)
{
	if (c == NULL || c->freed)
		return;
	if (c->state == CONN_S_PLAIN && evbuffer_get_length(c->in) == 0)
		c->parting = 1;
	conn_close(c, timeout_ms);
}

struct evbuffer *
conn_input(struct conn *c)
{
	return c->in;
}

int
conn_write(struct conn *c, const void *data, size_t len)
{
	if (evbuffer_add(c->out, data, len) == -1)
		return -1;
	conn_kick_write(c);
	return 0;
}

int
conn_write_buffer(struct conn *c, struct evbuffer *buf)
{
	if (evbuffer_add_buffer(c->out, buf) == -1)
		return -1;
	conn_kick_write(c);
	return 0;
}

size_t
conn_unsent(const struct conn *c)
{
	return evbuffer_get_length(c->out) +
	       (c->plain == NULL ? 0 : evbuffer_get_length(c->plain));
}

void
conn_pause(struct conn *c)
{
	c->paused = 1;
	conn_update_read(c);
}

void
conn_resume(struct conn *c)
{
	c->paused = 0;
	conn_update_read(c);
}

int
conn_local_address(const struct conn *c, struct sockaddr_storage *ss)
{
	socklen_t len = sizeof(*ss);

	return getsockname(c->fd, (struct sockaddr *)ss, &len);
}

void
conn_deadline(struct conn *c, uint32_t timeout_ms)
{
	if (c->freed || c->closing || c->state == CONN_S_FAILED)
		return;
	if (timeout_ms == 0)
		event_del(c->ev_timer);
	else
		timer_at(c, timeout_ms);
}

const char *
conn_error(const struct conn *c)
{
	return c->error;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

void
conn_set_callback(struct conn *c, conn_cb cb, void *arg)
{
	if (c->closing || c->freed)
		return;
	c->cb = cb;
	c->arg = arg;
}
