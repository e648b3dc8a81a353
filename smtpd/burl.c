/* SPDX-License-Identifier: ISC */
/*
 * What a URL of BURL leads to: authd is asked by the session's login record, and gives a
 * descriptor of the part. Its octets are fed to the machine in place of the client's.
 */
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "smtpd/session_internal.h"

#define URL_MS 30000
#define PIECE 65536

static void
on_url(struct msg *m, void *arg)
{
	struct msg_url_is r = { .status = MSG_TEMP };
	struct session *s = arg;
	int fd = -1;

	s->ask.id = 0;
	if (m != NULL) {
		r = m->p.url_is;
		fd = msg_take_fd(m);
		if (r.status == MSG_OK && fd == -1)
			r.status = MSG_TEMP;
	}
	burl_end(s);
	if (smtp_in_url_answer(s->in, (enum answer_status)r.status, r.no_owner, r.size) ==
		0 &&
	    r.size > 0) {
		s->url_fd = fd;
		s->url_size = r.size;
		s->url_at = 0;
	} else if (fd != -1)
		close(fd);
	log_fact(LOG_SMTP, LOGL_INFO, "burl", KS("login", s->login_address),
	    KS("client", s->client), KU("octets", r.size), KU("status", r.status));
	session_run(s);
}

void
burl_ask(struct session *s, const char *url)
{
	/* The login is known to the authd that gave it. */
	struct channel *ch = channel_find(s->login_channel);
	struct msg_url_ask q = { .login = s->login };

	if (ch != NULL && s->login != 0 &&
	    strlcpy(q.url, url, sizeof(q.url)) < sizeof(q.url)) {
		s->ask.channel = channel_serial(ch);
		s->ask.id =
		    channel_ask(ch, MSG_SMTPD_AUTHD_URL, &q, -1, URL_MS, on_url, s);
	}
	if (s->ask.id == 0)
		(void)smtp_in_url_answer(s->in, MSG_TEMP, 0, 0);
}

void
burl_end(struct session *s)
{
	if (s->url_fd != -1)
		close(s->url_fd);
	s->url_fd = -1;
}

int
burl_feed(struct session *s)
{
	static char buf[PIECE];
	uint64_t left = s->url_size - s->url_at;
	size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf), used;
	ssize_t got;

	if (left == 0 || !smtp_in_in_data(s->in)) {
		burl_end(s);
		return 1;
	}
	got = pread(s->url_fd, buf, n, (off_t)s->url_at);
	if (got <= 0) {
		/* Shorter than was said. The rest is refused at its end. */
		smtp_in_content_failed(s->in, MSG_TEMP);
		memset(buf, 'x', n);
		got = (ssize_t)n;
	}
	used = smtp_in_input(s->in, buf, (size_t)got);
	s->url_at += used;
	return used > 0;
}
