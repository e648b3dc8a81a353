/* SPDX-License-Identifier: ISC */
/*
 * The end, in order: first nobody new comes in, then nothing goes out, then the
 * mailboxes and what they need, then the queue, then the logs. Each part has
 * a time, after which it is killed: nothing accepted can be lost by that.
 */
#include "fifed/internal.h"

#include <event2/event.h>
#include <string.h>

#include "common/log.h"

#define R(r) ROLE_BIT(ROLE_##r)

static const struct {
	uint32_t roles;
	int wait_s;
} phases[STOP_PHASES] = {
	{ R(SMTPD) | R(IMAPD) | R(POP3D) | R(SIEVED), 5 },
	{ R(DELIVERD_REMOTE) | R(DELIVERD_LOCAL), 5 },
	{ R(MBOXD) | R(AUTHD) | R(FILTERD) | R(SCAND) | R(DNSD) | R(POLICYD) | R(KEYD) |
		R(EXECD) | R(LISTD),
	    5 },
	{ R(QUEUED), 10 },
	{ R(LOGD), 3 },
};

static void
on_gone(struct ctl *ctl, void *arg)
{
	struct suite *s = arg;

	if (s->stop_ctl == ctl)
		s->stop_ctl = NULL;
}

static int
in_phase(const struct suite *s, const struct child *c)
{
	return c->pid != 0 && (phases[s->stop_phase].roles & ROLE_BIT(c->role)) != 0;
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct suite *s = arg;

	for (size_t i = 0; i < s->n_children; i++)
		if (in_phase(s, &s->children[i])) {
			log_warnx("%s does not stop: killed", s->children[i].name);
			child_kill(&s->children[i]);
		}
}

static void
begin_phase(struct suite *s)
{
	struct timeval tv = { phases[s->stop_phase].wait_s, 0 };
	struct msg_none none;

	memset(&none, 0, sizeof(none));
	for (size_t i = 0; i < s->n_children; i++) {
		struct child *c = &s->children[i];

		if (!in_phase(s, c))
			continue;
		if (c->ch == NULL ||
		    channel_send(c->ch, MSG_FIFED_ANY_STOP, 0, &none, -1) == -1)
			child_kill(c);
	}
	if (s->ev_stop != NULL)
		event_add(s->ev_stop, &tv);
}

static void
end(struct suite *s)
{
	struct timeval soon = { 0, 20000 };

	if (s->stop_ctl != NULL) {
		ctl_done(s->stop_ctl, CTL_OK, NULL);
		s->stop_ctl = NULL;
		/* One more turn, so that fifectl hears it. */
		event_base_loopexit(s->base, &soon);
		return;
	}
	event_base_loopbreak(s->base);
}

void
stop_progress(struct suite *s)
{
	for (;;) {
		for (size_t i = 0; i < s->n_children; i++)
			if (in_phase(s, &s->children[i]))
				return;
		if (s->ev_stop != NULL)
			event_del(s->ev_stop);
		if (s->stop_phase == STOP_PHASES - 1)
			break;
		s->stop_phase++;
		begin_phase(s);
	}
	end(s);
}

void
stop_begin(struct suite *s, struct ctl *ctl)
{
	if (ctl != NULL) {
		if (s->stop_ctl != NULL) {
			ctl_done(ctl, CTL_TEMPFAIL, "the suite is stopping already");
			return;
		}
		s->stop_ctl = ctl;
		ctl_on_gone(ctl, on_gone, s);
	}
	if (s->stopping)
		return;
	s->stopping = 1;
	s->stop_phase = 0;
	for (size_t i = 0; i < s->n_children; i++)
		event_del(s->children[i].ev_start);
	if ((s->ev_stop = event_new(s->base, -1, 0, on_timeout, s)) == NULL) {
		/* No timers, no patience: their end is our end. */
		event_base_loopbreak(s->base);
		return;
	}
	begin_phase(s);
	stop_progress(s);
}
