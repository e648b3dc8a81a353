/*
 * Messages that Sieve scripts send (vacation, notify, redirect of an edited message):
 * deliverd-local hands them over before the result of the recipient, and they enter the
 * queue in the same group of records as that result. So an interrupted delivery sends
 * them once.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/daemon.h"
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

int
outlet_take(
    struct job *j, const struct msg_job_outlet *p, int fd, void (*done)(struct job *))
{
	struct job_outlet *v, *o;
	size_t n = 0;

	if (fd == -1 || p->size == 0 ||
	    (p->size > OUTLET_SIZE_MAX && p->kind != OUTLET_POST) ||
	    p->address[0] == '\0' || j->noutlets == OUTLETS_MAX ||
	    p->kind < OUTLET_REDIRECT || p->kind > OUTLET_POST)
		return -1;
	if ((v = reallocarray(j->outlets, j->noutlets + 1, sizeof(*v))) == NULL)
		return -1;
	j->outlets = v;
	o = &v[j->noutlets];
	memset(o, 0, sizeof(*o));
	o->num = p->rcpt;
	o->kind = p->kind;
	o->len = (size_t)p->size;
	o->address = strdup(p->address);
	if (p->kind == OUTLET_POST) {
		if (o->address == NULL || (o->list = strdup(p->list)) == NULL ||
		    post_take(j, o, p->size, fd, done) == -1) {
			outlet_clear(o);
			return -1;
		}
		j->noutlets++;
		return 0;
	}
	o->text = malloc(o->len);
	while (o->address != NULL && o->text != NULL && n < o->len) {
		ssize_t k = pread(fd, o->text + n, o->len - n, (off_t)n);

		if (k == -1 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	if (n < o->len || memchr(o->text, '\0', o->len) != NULL) {
		outlet_clear(o);
		return -1;
	}
	j->noutlets++;
	return 0;
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
