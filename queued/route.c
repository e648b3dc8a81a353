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
#include "queued/deliver.h"
#include "queued/internal.h"
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
	} else if (m->p.route.url[0] == '\0')
		snprintf(key, sizeof(key), "mx:%s", q->name);
	else
		strlcpy(key, m->p.route.url, sizeof(key));
	if (sched_set_route(queued.sched, q->dest, class, key) == -1)
		sched_no_route(queued.sched, q->dest, queue_now() + RETRY_S);
out:
	free(q);
	deliver_wake();
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
		struct msg_domain p = { "" };
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
