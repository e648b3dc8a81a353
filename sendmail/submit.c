/* SPDX-License-Identifier: ISC */
/* A small SMTP client for the local socket; see submit.h. */
#include "sendmail/submit.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/compat/compat.h"

#define REPLY_S 600
/* Recipients of one transaction; smtpd says when it wants fewer. */
#define BATCH 1000

struct link {
	int fd;
	char in[4096];
	size_t in_len;
	char out[65536];
	size_t out_len;
	int verbose;
};

int
submit_connect(const struct host *h)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { REPLY_S, 0 };
	char path[1100];
	int fd, saved;

	snprintf(path, sizeof(path), "%s/public/submit", h->state);
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return fd;
}

static int
flush(struct link *l)
{
	size_t off = 0;

	while (off < l->out_len) {
		ssize_t n = send(l->fd, l->out + off, l->out_len - off, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		off += (size_t)n;
	}
	l->out_len = 0;
	return 0;
}

static int
put(struct link *l, const char *s, size_t len)
{
	while (len > 0) {
		size_t n = sizeof(l->out) - l->out_len;

		if (n == 0) {
			if (flush(l) == -1)
				return -1;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(l->out + l->out_len, s, n);
		l->out_len += n;
		s += n;
		len -= n;
	}
	return 0;
}

static int
line(struct link *l, char *buf, size_t cap)
{
	for (;;) {
		char *end = memmem(l->in, l->in_len, "\r\n", 2);
		ssize_t n;

		if (end != NULL) {
			size_t len = (size_t)(end - l->in);

			snprintf(buf, cap, "%.*s", (int)len, l->in);
			l->in_len -= len + 2;
			memmove(l->in, end + 2, l->in_len);
			return 0;
		}
		if (l->in_len == sizeof(l->in))
			return -1;
		n = recv(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		l->in_len += (size_t)n;
	}
}

/* The code of the next reply and its last line, or -1: the line is dead. */
static int
reply(struct link *l, char *text, size_t cap)
{
	char buf[1024];

	do {
		if (line(l, buf, sizeof(buf)) == -1)
			return -1;
		if (l->verbose)
			fprintf(stderr, "<<< %s\n", buf);
		if (strlen(buf) < 3 || buf[0] < '2' || buf[0] > '5')
			return -1;
	} while (buf[3] == '-');
	if (text != NULL)
		strlcpy(text, buf, cap);
	return (buf[0] - '0') * 100 + (buf[1] - '0') * 10 + (buf[2] - '0');
}

static int __attribute__((format(printf, 4, 5)))
command(struct link *l, char *text, size_t cap, const char *fmt, ...)
{
	char buf[1200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf) - 2, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf) - 2)
		return -1;
	if (l->verbose)
		fprintf(stderr, ">>> %s\n", buf);
	memcpy(buf + n, "\r\n", 2);
	if (put(l, buf, (size_t)n + 2) == -1 || flush(l) == -1)
		return -1;
	return reply(l, text, cap);
}

/* LF becomes CR LF, dots are doubled, the end is added. */
static int
content(struct link *l, const struct message *m)
{
	size_t pos = 0;

	while (pos < m->len) {
		const char *s = m->text + pos, *end = memchr(s, '\n', m->len - pos);
		size_t n = end == NULL ? m->len - pos : (size_t)(end - s);

		if (*s == '.' && put(l, ".", 1) == -1)
			return -1;
		if (put(l, s, n) == -1 || put(l, "\r\n", 2) == -1)
			return -1;
		pos += n + 1;
	}
	return put(l, ".\r\n", 3) == -1 ? -1 : flush(l);
}

static int
needs_smtputf8(const struct submit *s, const struct message *m)
{
	const char *p;

	for (p = s->sender; *p != '\0'; p++)
		if ((unsigned char)*p > 127)
			return 1;
	for (size_t i = 0; i < m->nrcpts; i++)
		for (p = m->rcpts[i]; *p != '\0'; p++)
			if ((unsigned char)*p > 127)
				return 1;
	return 0;
}

static void
set_all(
    struct submit *s, const struct message *m, enum rcpt_state from, enum rcpt_state to)
{
	for (size_t i = 0; i < m->nrcpts; i++)
		if (s->rcpt_state[i] == from)
			s->rcpt_state[i] = (uint8_t)to;
}

/* One transaction for pending recipients; -1 when the line is dead. */
static int
transaction(struct link *l, struct submit *s, const struct message *m)
{
	size_t given = 0;
	int code = command(l, s->text, sizeof(s->text), "MAIL FROM:<%s>%s%s", s->sender,
	    m->eight_bit ? " BODY=8BITMIME" : "",
	    needs_smtputf8(s, m) ? " SMTPUTF8" : "");

	if (code == -1)
		return -1;
	if (code >= 300) {
		set_all(s, m, RCPT_PENDING, code >= 500 ? RCPT_REFUSED : RCPT_LATER);
		return 0;
	}
	for (size_t i = 0; i < m->nrcpts && given < BATCH; i++) {
		char text[sizeof(s->text)];

		if (s->rcpt_state[i] != RCPT_PENDING)
			continue;
		code = command(l, text, sizeof(text), "RCPT TO:<%s>", m->rcpts[i]);
		if (code == -1)
			return -1;
		if (code < 300) {
			s->rcpt_state[i] = RCPT_GIVEN;
			given++;
		} else if (code >= 500) {
			s->rcpt_state[i] = RCPT_REFUSED;
			strlcpy(s->text, text, sizeof(s->text));
			fprintf(stderr, "sendmail: %s: %s\n", m->rcpts[i], text);
		} else if (code == 452 && given > 0)
			break; /* enough for one transaction */
		else
			s->rcpt_state[i] = RCPT_LATER;
	}
	if (given == 0)
		return command(l, NULL, 0, "RSET") == -1 ? -1 : 0;
	if ((code = command(l, s->text, sizeof(s->text), "DATA")) == 354) {
		if (content(l, m) == -1)
			return -1;
		code = reply(l, s->text, sizeof(s->text));
	}
	if (code == -1)
		return -1;
	if (code >= 500)
		fprintf(stderr, "sendmail: %s\n", s->text);
	set_all(s, m, RCPT_GIVEN,
	    code < 300    ? RCPT_DONE
	    : code >= 500 ? RCPT_REFUSED
			  : RCPT_LATER);
	return 0;
}

static int
pending(const struct submit *s, const struct message *m, enum rcpt_state what)
{
	for (size_t i = 0; i < m->nrcpts; i++)
		if (s->rcpt_state[i] == what)
			return 1;
	return 0;
}

enum submit_result
submit_message(const struct host *h, struct submit *s, const struct message *m)
{
	static struct link l;
	int alive;

	memset(&l, 0, sizeof(l));
	l.verbose = s->verbose;
	if ((l.fd = submit_connect(h)) == -1) {
		set_all(s, m, RCPT_PENDING, RCPT_LATER);
		return SUBMIT_TEMP;
	}
	alive = reply(&l, s->text, sizeof(s->text)) == 220 &&
		command(&l, s->text, sizeof(s->text), "EHLO localhost") == 250;
	while (alive && pending(s, m, RCPT_PENDING))
		alive = transaction(&l, s, m) == 0;
	if (alive)
		(void)command(&l, NULL, 0, "QUIT");
	close(l.fd);
	/* No word on a message that was given: it has to be sent again. */
	set_all(s, m, RCPT_GIVEN, RCPT_LATER);
	set_all(s, m, RCPT_PENDING, RCPT_LATER);
	if (pending(s, m, RCPT_LATER))
		return SUBMIT_TEMP;
	return pending(s, m, RCPT_REFUSED) ? SUBMIT_REFUSED : SUBMIT_OK;
}

static int
copy(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));
	size_t off = 0;

	if (n == -1)
		return errno == EINTR || errno == EAGAIN ? 1 : -1;
	while (off < (size_t)n) {
		ssize_t w = write(to, buf + off, (size_t)n - off);

		if (w == -1 && errno != EINTR)
			return -1;
		if (w > 0)
			off += (size_t)w;
	}
	return n > 0;
}

int
submit_relay(const struct host *h)
{
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
	int fd = submit_connect(h);

	if (fd == -1) {
		printf("421 4.3.0 The mail system is not running\r\n");
		return EX_TEMPFAIL;
	}
	signal(SIGPIPE, SIG_IGN);
	p[1].fd = fd;
	for (;;) {
		if (poll(p, 2, REPLY_S * 1000) <= 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (p[1].revents != 0 && copy(fd, STDOUT_FILENO) != 1)
			break;
		if (p[0].revents != 0 && copy(STDIN_FILENO, fd) != 1) {
			/* What is on its way is still answered. */
			(void)shutdown(fd, SHUT_WR);
			p[0].fd = -1;
		}
	}
	close(fd);
	return EX_OK;
}
