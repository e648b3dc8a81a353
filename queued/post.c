/*
 * Posts of mailing lists, see post.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "queued/post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/proto/date.h"
#include "common/proto/listpost.h"
#include "common/crc32c.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/submit.h"
#include "queued/sys.h"

#define SLICE (64 * 1024)
#define ADDRESS_TEXT 340

struct post {
	TAILQ_ENTRY(post) entry; /* of those that have an id */
	struct job *job;         /* NULL: it has gone while the file is being synced */
	void (*done)(struct job *);
	uint64_t id; /* of its file; 0: it is in memory */
	int wr, rd;
	int syncing, failed, kept, eightbit;
	uint32_t crc;
	uint8_t *text; /* in memory */
	uint64_t len, cap;
	char sender[ADDRESS_TEXT];
	char prefix[600];
};

static TAILQ_HEAD(, post) posts = TAILQ_HEAD_INITIALIZER(posts);

static void
free_now(struct post *p)
{
	if (p->id != 0) {
		TAILQ_REMOVE(&posts, p, entry);
		if (!p->kept && queued.spool != NULL)
			spool_body_unlink(queued.spool, p->id);
	}
	if (p->wr != -1)
		close(p->wr);
	if (p->rd != -1)
		close(p->rd);
	free(p->text);
	free(p);
}

void
post_free(struct job_outlet *o)
{
	struct post *p = o->post;

	o->post = NULL;
	if (p == NULL)
		return;
	/* The syncer has its descriptor. */
	if (p->syncing)
		p->job = NULL;
	else
		free_now(p);
}

/* What was in memory becomes the beginning of a file. */
static int
spill(struct post *p)
{
	if ((p->id = spool_id(queued.spool)) == 0)
		return -1;
	TAILQ_INSERT_TAIL(&posts, p, entry);
	if (spool_body_create(queued.spool, p->id, &p->wr, &p->rd) == -1)
		return -1;
	if (sys_pwrite(p->wr, p->text, (size_t)p->len, 0) == -1)
		return -1;
	free(p->text);
	p->text = NULL;
	return 0;
}

static int
append(struct post *p, const uint8_t *data, size_t len)
{
	p->crc = crc32c(p->crc, data, len);
	for (size_t i = 0; i < len && !p->eightbit; i++)
		p->eightbit = data[i] > 127;
	if (p->id == 0 && p->len + len > SPOOL_INLINE_MAX && spill(p) == -1)
		return -1;
	if (p->id != 0) {
		if (sys_pwrite(p->wr, data, len, (off_t)p->len) == -1)
			return -1;
	} else {
		if (p->len + len > p->cap) {
			uint64_t cap = p->cap == 0 ? SLICE : p->cap;
			uint8_t *t;

			while (cap < p->len + len)
				cap *= 2;
			if ((t = realloc(p->text, (size_t)cap)) == NULL)
				return -1;
			p->text = t;
			p->cap = cap;
		}
		memcpy(p->text + p->len, data, len);
	}
	p->len += len;
	return 0;
}

/* Line ends become CRLF: it comes out of a process that has read a stranger's message. */
static int
copy(struct post *p, uint64_t size, int fd)
{
	static uint8_t in[SLICE], out[2 * SLICE];
	uint64_t at = 0;
	uint8_t last = 0;

	while (at < size) {
		size_t want = size - at < sizeof(in) ? (size_t)(size - at) : sizeof(in);
		ssize_t n = pread(fd, in, want, (off_t)at);
		size_t k = 0;

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0 || memchr(in, '\0', (size_t)n) != NULL)
			return -1;
		at += (uint64_t)n;
		for (ssize_t i = 0; i < n; i++) {
			if (in[i] == '\n' && last == '\r') {
				last = '\n';
				continue;
			}
			last = in[i];
			if (last == '\r' || last == '\n') {
				out[k++] = '\r';
				out[k++] = '\n';
			} else
				out[k++] = last;
		}
		if (append(p, out, k) == -1)
			return -1;
	}
	return last == '\n' || last == '\r' ? 0 : append(p, (const uint8_t *)"\r\n", 2);
}

static void
on_synced(int error, void *arg)
{
	struct post *p = arg;

	p->syncing = 0;
	p->failed = error != 0;
	if (p->job == NULL)
		free_now(p);
	else
		p->done(p->job);
}

int
post_take(struct job *j, struct job_outlet *o, uint64_t size, int fd,
    void (*done)(struct job *))
{
	struct listpost lp;
	struct post *p;

	if (listpost_parse(o->list, &lp) == -1 || size == 0 ||
	    (queued.conf.message_size_max != 0 &&
		size > queued.conf.message_size_max + 64 * 1024) ||
	    (p = calloc(1, sizeof(*p))) == NULL)
		return -1;
	p->wr = p->rd = -1;
	p->job = j;
	p->done = done;
	o->post = p;
	if (listpost_plain(lp.list, "bounces", p->sender, sizeof(p->sender)) == -1 ||
	    copy(p, size, fd) == -1)
		goto fail;
	if (p->id == 0)
		return 0;
	close(p->wr);
	p->wr = -1;
	if (spool_body_sync(queued.spool, p->id, p->rd, on_synced, p) == -1)
		goto fail;
	p->syncing = 1;
	return 0;
fail:
	post_free(o);
	return -1;
}

int
post_waits(const struct job *j)
{
	for (uint32_t i = 0; i < j->noutlets; i++)
		if (j->outlets[i].post != NULL && j->outlets[i].post->syncing)
			return 1;
	return 0;
}

int
post_failed(const struct job_outlet *o)
{
	return o->post != NULL && o->post->failed;
}

int
post_make(struct job_outlet *out, int64_t now, uint64_t *id, struct spool_message *sm,
    uint8_t **list)
{
	struct rec_rcpt to = { 0 };
	struct bytes_out o = { 0 };
	struct post *p = out->post;
	char date[DATE_MAX], qid[QID_SIZE];

	if (p == NULL || p->failed || p->syncing ||
	    (*id = p->id != 0 ? p->id : spool_id(queued.spool)) == 0)
		return -1;
	qid_format(*id, qid);
	if (date_format(now, date_local_zone(now), date, sizeof(date)) == -1)
		date[0] = '\0';
	snprintf(p->prefix, sizeof(p->prefix),
	    "Received: by %s (fife, list)\r\n\tid %s;\r\n\t%s\r\n",
	    daemon_conf()->hostname, qid, date);
	to.state = RCPT_LIVE;
	to.next = now;
	to.notify = NOTIFY_FAILURE;
	to.has = REC_R_ADDRESS;
	to.address = out->address;
	to.orcpt = "";
	rec_rcpt_encode(&to, &o);
	if ((*list = malloc(o.len)) == NULL)
		return -1;
	o = (struct bytes_out){ .p = *list, .cap = o.len };
	rec_rcpt_encode(&to, &o);
	sm->fd = -1;
	sm->data = p->text;
	sm->rec.created = now;
	sm->rec.size = p->len;
	sm->rec.crc = p->crc;
	sm->rec.flags = p->id != 0 ? QM_FILE : 0;
	sm->rec.sender = p->sender;
	sm->rec.client = "list";
	sm->rec.body = p->eightbit ? BODY_8BITMIME : BODY_7BIT;
	sm->rec.prefix = (const uint8_t *)p->prefix;
	sm->rec.prefix_len = strlen(p->prefix);
	sm->rec.ext.list = out->list;
	sm->rec.nrcpt = 1;
	sm->rec.rcpts = (struct bytes_in){ .p = *list, .len = o.len };
	return 0;
}

void
post_kept(struct job_outlet *o)
{
	if (o->post != NULL)
		o->post->kept = 1;
}

uint64_t
post_oldest(void)
{
	uint64_t oldest = UINT64_MAX;
	const struct post *p;

	TAILQ_FOREACH (p, &posts, entry)
		if (!p->kept && p->id < oldest)
			oldest = p->id;
	return oldest;
}

void
post_bounced(
    const char *list, const char *member, const char *enhanced, const char *words)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_list_bounced m = { .hard = (uint8_t)listpost_is_hard(enhanced) };
	struct listpost lp;

	if (ch == NULL || listpost_parse(list, &lp) == -1)
		return; /* the next post will tell */
	strlcpy(m.list, lp.list, sizeof(m.list));
	strlcpy(m.member, member, sizeof(m.member));
	snprintf(m.text, sizeof(m.text), "%s %.200s", enhanced, words);
	(void)channel_send(ch, MSG_QUEUED_AUTHD_BOUNCED, 0, &m, -1);
}

/* ---- what listd orders ---- */

struct order {
	uint64_t serial;
	uint64_t id;
};

static void
answer_order(uint64_t serial, uint64_t id, int error)
{
	struct channel *ch = channel_find(serial);
	struct msg_status s = { .status = error == 0 ? MSG_OK : MSG_TEMP };

	if (error != 0)
		snprintf(
		    s.text, sizeof(s.text), "it cannot be queued: %s", strerror(error));
	if (ch != NULL)
		(void)channel_send(ch, MSG_QUEUED_LISTD_ORDERED, id, &s, -1);
}

static void
on_order(int error, void *arg)
{
	struct order *o = arg;

	answer_order(o->serial, o->id, error);
	free(o);
}

void
post_order(struct channel *ch, const struct msg *m)
{
	const struct msg_list_order *p = &m->p.list_order;
	struct order *o = malloc(sizeof(*o));
	struct submit_rcpt rcpt = { p->address, strlen(p->address) };
	char text[1600];
	struct address a;
	struct submit s = { .sender = "",
		.rcpts = &rcpt,
		.nrcpt = 1,
		.client = "list",
		.content = text,
		.hostname = daemon_conf()->hostname,
		.domain = daemon_conf()->hostname };
	int n = snprintf(text, sizeof(text),
	    "From: <postmaster@%s>\r\nTo: <%s>\r\nSubject: order of the postmaster\r\n"
	    "\r\n%s\r\n",
	    daemon_conf()->hostname, p->address, p->text);

	if (o == NULL || address_parse(p->address, rcpt.len, &a) == -1 || n < 0 ||
	    (size_t)n >= sizeof(text) || (s.id = spool_id(queued.spool)) == 0) {
		free(o);
		answer_order(channel_serial(ch), m->id, EINVAL);
		return;
	}
	*o = (struct order){ channel_serial(ch), m->id };
	s.len = (size_t)n;
	if (submit_message(queued.spool, &s, queue_now(), on_order, o) == -1) {
		int error = errno;

		free(o);
		answer_order(channel_serial(ch), m->id, error);
	}
}
