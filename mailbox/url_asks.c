/* SPDX-License-Identifier: ISC */
/* Questions about URLs, asked and answered; see url_asks.h. */
#include "mailbox/url_asks.h"

#include <sys/queue.h>

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/file.h"
#include "common/log.h"
#include "mailbox/imap_reply.h"
#include "mailbox/imap_url.h"
#include "mailbox/maildir.h"
#include "mailbox/session.h"
#include "mailbox/session_channel.h"
#include "mailbox/store.h"
#include "mailbox/urlauth.h"

#define ASK_MS 30000

/* ---- asking ---- */

static struct channel *mboxd;

struct ask {
	LIST_ENTRY(ask) entry;
	uint64_t id;
	void (*done)(const struct url_opened *, void *);
	void *arg;
};
static LIST_HEAD(, ask) asks = LIST_HEAD_INITIALIZER(asks);

void
url_asks_init(struct channel *ch)
{
	mboxd = ch;
}

/* It goes to the client, so it is looked at: the other process may say what it likes. */
static int
read_structure(struct url_opened *u, size_t len)
{
	if (len == 0)
		return 0;
	if (len > URL_STRUCTURE_MAX || (u->structure = malloc(len)) == NULL)
		return -1;
	u->structure_len = u->offset = len;
	return file_read_at(u->fd, u->structure, len, 0) == 0 &&
		       imap_reply_is_list(u->structure, len)
		   ? 0
		   : -1;
}

static void
on_answer(struct msg *m, void *arg)
{
	struct url_opened u = { .fd = -1 };
	struct ask *a = arg;

	LIST_REMOVE(a, entry);
	if (m != NULL && m->p.url_is.status == MSG_OK && (u.fd = msg_take_fd(m)) != -1) {
		u.size = m->p.url_is.size;
		u.nil = m->p.url_is.nil != 0;
		u.nul = m->p.url_is.nul != 0;
		if (read_structure(&u, m->p.url_is.structure) == -1 ||
		    u.size > INT32_MAX) {
			free(u.structure);
			close(u.fd);
			u = (struct url_opened){ .fd = -1 };
		}
	}
	a->done(&u, a->arg);
	free(a);
}

uint64_t
url_ask(const char *url, unsigned int items,
    void (*done)(const struct url_opened *, void *), void *arg)
{
	struct msg_url_ask q = { .login = 0, .items = (uint8_t)items };
	struct ask *a;

	if (mboxd == NULL || strlcpy(q.url, url, sizeof(q.url)) >= sizeof(q.url) ||
	    (a = calloc(1, sizeof(*a))) == NULL)
		return 0;
	a->done = done;
	a->arg = arg;
	a->id = channel_ask(mboxd, MSG_MAILBOX_MBOXD_URL, &q, -1, ASK_MS, on_answer, a);
	if (a->id == 0) {
		free(a);
		return 0;
	}
	LIST_INSERT_HEAD(&asks, a, entry);
	return a->id;
}

void
url_ask_forget(uint64_t id)
{
	struct ask *a;

	LIST_FOREACH (a, &asks, entry)
		if (a->id == id)
			break;
	if (a == NULL)
		return;
	channel_forget(mboxd, id);
	LIST_REMOVE(a, entry);
	free(a);
}

/* ---- answering ---- */

/* A read-only descriptor of structure and octets, which have no name any more; -1. */
static int
descriptor(struct store *s, const struct urlauth_part *part, size_t structure)
{
	char unique[128], name[160];
	int fd, out = -1;

	maildir_unique(unique, sizeof(unique));
	(void)snprintf(name, sizeof(name), "Maildir/tmp/fife.url.%s", unique);
	fd = openat(store_root(s), name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if ((structure == 0 || file_write_all(fd, evbuffer_pullup(part->structure, -1),
				   structure) == 0) &&
	    file_write_all(fd, part->octets.data, part->octets.len) == 0)
		out = openat(store_root(s), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	(void)unlinkat(store_root(s), name, 0);
	close(fd);
	return out;
}

static void
on_message(struct channel *ch, struct msg *m, void *arg)
{
	static const uint8_t statuses[] = { [URLAUTH_OK] = MSG_OK,
		[URLAUTH_BAD] = MSG_DENIED,
		[URLAUTH_ABSENT] = MSG_UNKNOWN,
		[URLAUTH_IO] = MSG_TEMP };
	const struct msg_url_fetch *q = &m->p.url_fetch;
	struct session_channel *s = arg;
	struct urlauth_asker who = { q->asker, q->submits };
	struct msg_url_is r = { .status = MSG_TEMP };
	struct urlauth_part part;
	enum urlauth_status st;
	int fd = -1;

	if (m->type != MSG_MBOXD_MAILBOX_FETCH) {
		channel_break(ch, "unexpected message");
		return;
	}
	st = urlauth_open(s->store, s->address, &who, q->url, strlen(q->url), q->items,
	    time(NULL), &part);
	r.status = statuses[st];
	if (st == URLAUTH_OK) {
		size_t n =
		    part.structure == NULL ? 0 : evbuffer_get_length(part.structure);

		if (part.octets.nil || q->items == IMAP_URL_STRUCTURE)
			part.octets.len = 0;
		r.size = part.octets.len;
		r.structure = (uint32_t)n;
		r.nil = part.octets.nil;
		r.nul = r.size > 0 && memchr(part.octets.data, '\0', r.size) != NULL;
		if (n > URL_STRUCTURE_MAX ||
		    (fd = descriptor(s->store, &part, n)) == -1) {
			log_warn("a part for the URL of %s", q->asker);
			r.status = MSG_TEMP;
		}
		urlauth_part_clear(&part);
	}
	log_fact(LOG_LOGIN, st == URLAUTH_OK ? LOGL_INFO : LOGL_WARN, "url-fetch",
	    KS("owner", s->address), KS("by", q->asker), KU("submit", q->submits),
	    KU("octets", r.size),
	    KS("text", st == URLAUTH_OK       ? "ok"
		       : st == URLAUTH_BAD    ? "not authorised"
		       : st == URLAUTH_ABSENT ? "no such part"
					      : "failed"));
	channel_send(ch, MSG_MAILBOX_MBOXD_FETCHED, m->id, &r, fd);
}

int
url_session_start(struct event_base *base, int fd, struct store *store,
    const struct msg_mbox_label *label, void (*ended)(void *), void *arg)
{
	return session_channel_new(sizeof(struct session_channel), base, fd, ROLE_MBOXD,
		   store, label, on_message, NULL, ended, arg) == NULL
		   ? -1
		   : 0;
}
