/* SPDX-License-Identifier: ISC */
/* Notices; see notice.h. */
#include "queued/notice.h"

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/date.h"
#include "common/proto/rfc2047.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/submit.h"

/* authd may have been taken over: it does not fill the queue. */
#define NOTICES_MAX 20
#define NOTICES_PERIOD_S 3600

/* The same for what users get: a warning each, now and then. */
#define USER_NOTICES_MAX 2000

static void
on_durable(int error, void *arg)
{
	if (error != 0)
		log_warnx("a notice cannot be queued: %s", strerror(error));
}

/* One line, and nothing that could begin another. */
static int
is_plain(const char *s, int lines)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' && !(lines && strchr("\r\n\t", *s) != NULL))
			return 0;
	return 1;
}

static int
take_turn(int to_user, int64_t now)
{
	static int64_t since;
	static unsigned int n[2];

	if (now - since >= NOTICES_PERIOD_S || now < since) {
		since = now;
		n[0] = n[1] = 0;
	}
	return n[to_user]++ < (to_user ? USER_NOTICES_MAX : NOTICES_MAX);
}

void
notice_send(const struct msg_notice *n)
{
	const struct msg_conf *c = daemon_conf();
	struct submit_rcpt rcpt;
	char to[340], qid[QID_SIZE], date[DATE_MAX] = "", text[6000], subject[1200];
	int64_t now = queue_now();
	struct submit s = { .sender = "",
		.rcpts = &rcpt,
		.nrcpt = 1,
		.client = "notice",
		.content = text,
		.hostname = c->hostname,
		.domain = c->hostname };
	int len;

	if (n->recipient[0] != '\0')
		strlcpy(to, n->recipient, sizeof(to));
	else if (c->postmaster[0] != '\0')
		strlcpy(to, c->postmaster, sizeof(to));
	else
		snprintf(to, sizeof(to), "postmaster@%s", c->hostname);
	rcpt = (struct submit_rcpt){ to, strlen(to) };
	if (!is_plain(n->subject, 0) || !is_plain(n->text, 1) || !is_plain(to, 0) ||
	    !take_turn(n->recipient[0] != '\0', now) ||
	    rfc2047_encode(n->subject, strlen(n->subject), 9, subject, sizeof(subject)) ==
		-1 ||
	    (s.id = spool_id(queued.spool)) == 0) {
		log_warnx("no notice to %s: %s", to, n->subject);
		return;
	}
	qid_format(s.id, qid);
	(void)date_format(now, date_local_zone(now), date, sizeof(date));
	len = snprintf(text, sizeof(text),
	    "From: fife on %s <postmaster@%s>\r\n"
	    "To: %s\r\n"
	    "Subject: %s\r\n"
	    "Date: %s\r\n"
	    "Message-ID: <%s.notice@%s>\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n"
	    "\r\n%s",
	    c->hostname, c->hostname, to, subject, date, qid, c->hostname, n->text);
	if (len < 0 || (size_t)len >= sizeof(text))
		return;
	s.len = (size_t)len;
	if (submit_message(queued.spool, &s, now, on_durable, NULL) == -1)
		log_warn("no notice to %s: %s", to, n->subject);
}

void
notice_refused(const char *login_address, const char *client)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_refused m = { 0 };

	if (ch == NULL || login_address[0] == '\0')
		return;
	strlcpy(m.address, login_address, sizeof(m.address));
	strlcpy(m.client, client, sizeof(m.client));
	(void)channel_send(ch, MSG_QUEUED_AUTHD_REFUSED, 0, &m, -1);
}
