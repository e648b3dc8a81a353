/*
 * Tries what waits for a domain at once, see etrn.h: one walk through the queue in small
 * steps, whatever its size.
 *
 * SPDX-License-Identifier: ISC
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/log.h"
#include "queued/deliver.h"
#include "queued/etrn.h"
#include "queued/internal.h"

#define WALKS_MAX 16
#define STEP 500

static struct walk {
	char domain[256]; /* "": free */
	struct event *ev;
	uint64_t next_id;
	uint64_t count;
} walks[WALKS_MAX];

static int
is_for(const struct qmsg *m, const char *domain)
{
	const struct index *ix = spool_index(queued.spool);

	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpt[i].state == RCPT_LIVE &&
		    strcasecmp(index_dest_name(ix, m->rcpt[i].dest), domain) == 0)
			return 1;
	return 0;
}

static void
walk_end(struct walk *w)
{
	if (w->ev != NULL)
		event_free(w->ev);
	w->ev = NULL;
	w->domain[0] = '\0';
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct timeval now = { 0, 0 };
	struct walk *w = arg;
	struct qmsg *m;

	(void)fd;
	(void)what;
	for (int n = 0; n < STEP; n++) {
		m = index_next(spool_index(queued.spool), w->next_id);
		if (m == NULL) {
			log_fact(LOG_DELIVERY, LOGL_INFO, "etrn", KS("domain", w->domain),
			    KU("messages", w->count));
			walk_end(w);
			return;
		}
		w->next_id = m->id + 1;
		if (!(m->flags & (QM_DEAD | QM_PENDING | QM_HELD)) &&
		    is_for(m, w->domain)) {
			deliver_hurry(m);
			w->count++;
		}
	}
	event_add(w->ev, &now);
}

static int
walk_start(const char *domain)
{
	struct walk *w = NULL;

	if (queued.stopping)
		return MSG_TEMP;
	for (int i = 0; i < WALKS_MAX; i++) {
		/* It is on its way to them; those behind it are new. */
		if (strcasecmp(walks[i].domain, domain) == 0)
			return MSG_OK;
		if (walks[i].domain[0] == '\0')
			w = &walks[i];
	}
	if (w == NULL || (w->ev = event_new(daemon_base(), -1, 0, on_step, w)) == NULL)
		return MSG_TEMP;
	strlcpy(w->domain, domain, sizeof(w->domain));
	w->next_id = w->count = 0;
	event_active(w->ev, EV_TIMEOUT, 0);
	return MSG_OK;
}

void
etrn_message(struct channel *ch, struct msg *m)
{
	struct msg_status r = { .status = MSG_PERM };

	if (m->p.domain.domain[0] != '\0')
		r.status = (uint8_t)walk_start(m->p.domain.domain);
	channel_send(ch, MSG_QUEUED_SMTPD_ETRN_IS, m->id, &r, -1);
}

void
etrn_stop(void)
{
	for (int i = 0; i < WALKS_MAX; i++)
		walk_end(&walks[i]);
}
