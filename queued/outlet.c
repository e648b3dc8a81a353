/*
 * Messages that Sieve scripts send (vacation, notify, redirect of an edited message):
 * deliverd-local hands them over before the result of the recipient, and they enter the
 * queue in the same group of records as that result. So an interrupted delivery sends
 * them once.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "common/msg.h"
#include "common/proto/date.h"
#include "queued/job.h"
#include "queued/post.h"
#include "queued/qid.h"

#define OUTLETS_MAX 64 /* of a job */
#define OUTLET_SIZE_MAX (250 * 1024)

static void
outlet_clear(struct job_outlet *o)
{
	post_free(o);
	free(o->address);
	free(o->text);
	free(o->list);
}

/* The whole text, or what is wrong. */
static const char *
read_text(struct job_outlet *o, int fd)
{
	if ((o->text = malloc(o->len)) == NULL)
		return "no memory";
	if (file_read_at(fd, o->text, o->len, 0) == -1)
		return "it is shorter than was said, or cannot be read";
	return memchr(o->text, '\0', o->len) != NULL ? "it has a NUL" : NULL;
}

static const char *
take(struct job *j, const struct msg_job_outlet *p, int fd, void (*done)(struct job *))
{
	struct job_outlet *v, *o;
	const char *bad;

	if (p->size == 0 || (p->size > OUTLET_SIZE_MAX && p->kind != OUTLET_POST))
		return "it is empty or too large";
	if (j->noutlets == OUTLETS_MAX)
		return "there are too many with one delivery";
	if ((v = reallocarray(j->outlets, j->noutlets + 1, sizeof(*v))) == NULL)
		return "no memory";
	j->outlets = v;
	o = &v[j->noutlets];
	memset(o, 0, sizeof(*o));
	o->num = p->rcpt;
	o->kind = p->kind;
	o->len = (size_t)p->size;
	if ((o->address = strdup(p->address)) == NULL)
		bad = "no memory";
	else if (p->kind != OUTLET_POST)
		bad = read_text(o, fd);
	else if ((o->list = strdup(p->list)) == NULL)
		bad = "no memory";
	else
		bad = post_take(j, o, p->size, fd, done) == -1
			  ? "the post cannot be written, or is none"
			  : NULL;
	if (bad != NULL)
		outlet_clear(o);
	else
		j->noutlets++;
	return bad;
}

int
outlet_take(
    struct job *j, const struct msg_job_outlet *p, int fd, void (*done)(struct job *))
{
	struct job_rcpt *r = job_rcpt_find(j, p->rcpt);
	const char *bad;
	char qid[QID_SIZE];

	if (r == NULL || fd == -1 || p->address[0] == '\0' || p->kind < OUTLET_REDIRECT ||
	    p->kind > OUTLET_POST)
		return -1;
	if ((bad = take(j, p, fd, done)) == NULL)
		return 0;
	/* It is a mailbox's or a list's fault, or the disk's: other deliveries go on. */
	qid_format(j->msg, qid);
	if (!r->no_outlet)
		log_warnx(
		    "%s: a message to %s that goes with it: %s", qid, p->address, bad);
	r->no_outlet = 1;
	return 0;
}

void
outlet_refuse(struct job *j)
{
	for (uint32_t i = 0; i < j->noutlets; i++) {
		struct job_rcpt *r = job_rcpt_find(j, j->outlets[i].num);

		if (r != NULL && post_failed(&j->outlets[i]))
			r->no_outlet = 1;
	}
	for (uint32_t i = 0; i < j->nrcpt; i++)
		if (j->rcpts[i].no_outlet && (j->rcpts[i].status == JOB_DELIVERED ||
						 j->rcpts[i].status == JOB_FAILED))
			job_result(&j->rcpts[i], JOB_DEFERRED, "4.3.0", "", "",
			    "a message that goes with the delivery cannot be taken");
}

void
outlet_free(struct job *j)
{
	for (uint32_t i = 0; i < j->noutlets; i++)
		outlet_clear(&j->outlets[i]);
	free(j->outlets);
	j->outlets = NULL;
	j->noutlets = 0;
}

char *
outlet_text(const struct job_outlet *o, uint64_t id, int64_t now, size_t *len)
{
	char head[600], date[DATE_MAX], qid[QID_SIZE], *text;
	size_t n, extra = 0, k;

	qid_format(id, qid);
	if (date_format(now, date_local_zone(now), date, sizeof(date)) == -1)
		date[0] = '\0';
	n = (size_t)snprintf(head, sizeof(head),
	    "Received: by %s (fife, sieve)\r\n\tid %s;\r\n\t%s\r\n",
	    daemon_conf()->hostname, qid, date);
	for (size_t i = 0; i < o->len; i++)
		extra += o->text[i] == '\n' || o->text[i] == '\r';
	if (n >= sizeof(head) || (text = malloc(n + o->len + extra + 2)) == NULL)
		return NULL;
	memcpy(text, head, n);
	k = n;
	for (size_t i = 0; i < o->len; i++) {
		char c = o->text[i];

		if (c == '\n' && i > 0 && o->text[i - 1] == '\r')
			continue;
		if (c == '\n' || c == '\r') {
			text[k++] = '\r';
			text[k++] = '\n';
		} else
			text[k++] = c;
	}
	if (text[k - 1] != '\n') {
		text[k++] = '\r';
		text[k++] = '\n';
	}
	*len = k;
	return text;
}
