/*
 * Where a destination goes: authd knows. Answers stay in the schedule until authd
 * says that something has changed.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "common/proto/route.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/job.h"
#include "queued/language.h"

#define ASKING_MAX 64
#define TIMEOUT_MS 10000
#define RETRY_S 5

static uint32_t asking;

/* The slot may have got another name before the answer comes. */
struct question {
	uint32_t dest;
	char name[256];
};

static void
on_route(struct msg *m, void *arg)
{
	struct question *q = arg;
	struct index *ix = spool_index(queued.spool);
	char key[600];
	struct route route;
	const char *why;
	enum sched_class class = SCHED_REMOTE;

	asking--;
	if (strcmp(index_dest_name(ix, q->dest), q->name) != 0) {
		sched_no_route(queued.sched, q->dest, 0);
		goto out;
	}
	if (m == NULL || m->p.route.rclass == RCLASS_TEMP) {
		sched_no_route(queued.sched, q->dest, queue_now() + RETRY_S);
		goto out;
	}
	if (m->p.route.rclass != RCLASS_REMOTE) {
		/* Ours, or something about it that deliverd-local finds out for each
		 * recipient. */
		class = SCHED_LOCAL;
		strlcpy(key, "local", sizeof(key));
	} else if (m->p.route.url[0] == '\0' || strncmp(m->p.route.url, "mx", 2) == 0)
		/* Each domain by itself, whatever the settings are. */
		snprintf(key, sizeof(key), "mx:%s%s", q->name,
		    m->p.route.url[0] != '\0' ? m->p.route.url + 2 : "");
	else
		strlcpy(key, m->p.route.url, sizeof(key));
	if (sched_set_route(queued.sched, q->dest, class, key) == -1)
		sched_no_route(queued.sched, q->dest, queue_now() + RETRY_S);
	else {
		if (class == SCHED_REMOTE && m->p.route.url[0] != '\0' &&
		    route_parse(m->p.route.url, &route, &why) == 0)
			sched_set_group(
			    queued.sched, q->dest, route.concurrency, route.rate);
		sched_set_by_sender(queued.sched, q->dest, m->p.route.by_sender);
	}
out:
	free(q);
	deliver_wake();
}

/* ---- routes by sender ---- */

struct sender_question {
	uint32_t item;
};

static void
on_sender_route(struct msg *m, void *arg)
{
	struct sender_question *q = arg;
	struct channel *ch = daemon_peer(ROLE_DELIVERD_REMOTE);
	uint32_t item = q->item, none = 0;
	char *route = NULL, *sender = NULL;
	struct qmsg *qm =
	    index_find(spool_index(queued.spool), sched_id(queued.sched, item));
	int64_t now = queue_now();

	free(q);
	if (m != NULL && m->p.route.rclass == RCLASS_REMOTE)
		route = strdup(m->p.route.url[0] != '\0' ? m->p.route.url : "mx");
	if (route != NULL && m->p.route.srs[0] != '\0' &&
	    (sender = strdup(m->p.route.srs)) == NULL) {
		free(route);
		route = NULL;
	}
	/* Without an answer, a domain that has become ours, no deliverd: again soon. */
	if (route == NULL || ch == NULL || spool_held(queued.spool)) {
		free(route);
		free(sender);
		sched_job_end(queued.sched, item, SCHED_NOTHING, now);
		if (qm == NULL)
			sched_remove(queued.sched, item, &none);
		else
			sched_requeue(queued.sched, item, now + 5, now);
		return;
	}
	job_start(item, 0, route, sender);
}

int
route_ask_sender(uint32_t item)
{
	struct qmsg *m =
	    index_find(spool_index(queued.spool), sched_id(queued.sched, item));
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct sender_question *q = NULL;
	struct msg_route_ask p = { "" };
	struct spool_view v;
	uint64_t ask = 0;

	memset(&v, 0, sizeof(v));
	if (ch == NULL || m == NULL || spool_view(queued.spool, m, &v) == -1 ||
	    (q = calloc(1, sizeof(*q))) == NULL)
		goto out;
	q->item = item;
	strlcpy(p.domain,
	    index_dest_name(spool_index(queued.spool), sched_dest(queued.sched, item)),
	    sizeof(p.domain));
	strlcpy(p.sender, v.rec.sender, sizeof(p.sender));
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpt[i].dest == sched_dest(queued.sched, item) &&
		    m->rcpt[i].notify & NOTIFY_FORWARDED)
			p.forward = 1;
	ask = channel_ask(
	    ch, MSG_QUEUED_AUTHD_ROUTE, &p, -1, TIMEOUT_MS, on_sender_route, q);
out:
	if (ask == 0)
		free(q);
	spool_view_clear(&v);
	return ask != 0 ? 0 : -1;
}

void
route_start(void)
{
	asking = 0;
}

void
route_pump(void)
{
	struct index *ix = spool_index(queued.spool);

	while (asking < ASKING_MAX) {
		struct channel *ch = daemon_peer(ROLE_AUTHD);
		struct msg_route_ask p = { "" };
		struct question *q;
		uint32_t dest;

		if (ch == NULL)
			return;
		dest = sched_need_route(queued.sched, queue_now());
		if (dest == UINT32_MAX)
			return;
		q = calloc(1, sizeof(*q));
		if (q == NULL) {
			sched_no_route(queued.sched, dest, queue_now() + RETRY_S);
			return;
		}
		q->dest = dest;
		strlcpy(q->name, index_dest_name(ix, dest), sizeof(q->name));
		/* <postmaster> has no domain: the host's. */
		strlcpy(p.domain, q->name[0] != '\0' ? q->name : daemon_conf()->hostname,
		    sizeof(p.domain));
		if (channel_ask(ch, MSG_QUEUED_AUTHD_ROUTE, &p, -1, TIMEOUT_MS, on_route,
			q) == 0) {
			free(q);
			sched_no_route(queued.sched, dest, queue_now() + RETRY_S);
			return;
		}
		asking++;
	}
}

void
route_changed(const char *domain)
{
	struct index *ix = spool_index(queued.spool);

	language_forget();
	if (domain[0] == '\0')
		sched_forget_route(queued.sched, UINT32_MAX);
	else {
		for (uint32_t i = 0; i < ix->ndests; i++) {
			if (strcasecmp(index_dest_name(ix, i), domain) == 0)
				sched_forget_route(queued.sched, i);
		}
	}
	deliver_wake();
}

/* authd was away: what changed meanwhile was not told. */
void
route_peer_lost(void)
{
	language_forget();
	if (queued.sched != NULL)
		sched_forget_route(queued.sched, UINT32_MAX);
}
