/*
 * The daemon: its configuration, its neighbours, start and stop.
 *
 * SPDX-License-Identifier: ISC
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "queued/checksum.h"
#include "queued/control.h"
#include "queued/deliver.h"
#include "queued/etrn.h"
#include "queued/drop.h"
#include "queued/freeze_control.h"
#include "queued/internal.h"
#include "queued/notice.h"
#include "queued/post.h"
#include "queued/queued.h"
#include "queued/tlsreport.h"
#include "queued/txn.h"

#define LOCK_WAIT_S 5
#define TICK_US 100000
#define JOBS_DEFAULT 100
#define JOBS_PER_DEFAULT 10

struct queued queued;

static struct event *tick_ev;
static int64_t clock_base; /* milliseconds since 1970 at monotonic 0 */
static int clock_set;
static uint8_t hold_conf; /* at the last (re)load */

int64_t
queue_now(void)
{
	if (!clock_set) {
		clock_base = wall_us() / 1000 - (int64_t)now_ms();
		clock_set = 1;
	}
	return (clock_base + (int64_t)now_ms()) / 1000;
}

void
queue_clock_tick(void)
{
	static int odd;
	int64_t off = wall_s() - queue_now();

	odd = !odd;
	if (off > 1)
		clock_base += 1000; /* at twice the speed */
	else if (off < -1 && odd)
		clock_base -= 1000; /* at half */
}

static void
on_conf(struct msg *m)
{
	if (m->type == MSG_FIFED_QUEUED_CLASS &&
	    classes_add(&queued.classes, &m->p.conf_queue_class) == -1)
		log_warnx(
		    "the class %s of the queue is left out", m->p.conf_queue_class.name);
	if (m->type != MSG_FIFED_QUEUED_CONF)
		return;
	queued.conf = m->p.conf_queued;
	if (queued.conf.jobs_max == 0)
		queued.conf.jobs_max = JOBS_DEFAULT;
	if (queued.conf.jobs_per_destination == 0)
		queued.conf.jobs_per_destination = JOBS_PER_DEFAULT;
	classes_set_default(&queued.classes, &queued.conf);
	queued.conf.expire_s = queued.classes.normal.expire_s;
}

static void
on_journal_failure(const char *why, void *arg)
{
	(void)arg;
	/* What is on the disk is what counts: the next process begins with that. */
	fatalx("%s", why);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = { 0, TICK_US };

	(void)fd;
	(void)what;
	(void)arg;
	spool_tick(queued.spool, now_ms());
	event_add(tick_ev, &tv);
}

static int
on_start(void)
{
	struct spool_conf sc = { .root = queued.root != NULL ? queued.root : "/",
		.disk_reserve = queued.conf.disk_reserve };
	struct timeval tv = { 0, TICK_US };
	char why[256];
	struct index *ix;

	if (queued.classes.normal.expire_s == 0)
		classes_set_default(&queued.classes, &queued.conf);
	queued.sched = sched_new(queued.conf.jobs_max, queued.conf.jobs_per_destination);
	if (queued.sched == NULL) {
		log_warnx("no memory");
		return -1;
	}
	queued.spool = spool_open(daemon_base(), &sc, LOCK_WAIT_S, why, sizeof(why));
	if (queued.spool == NULL) {
		log_warnx("%s", why);
		return -1;
	}
	journal_on_failure(spool_journal(queued.spool), on_journal_failure, NULL);
	freeze_start();
	hold_conf = queued.conf.hold;
	/* `hold yes` starts held; lifted by `queue release --all` or by its removal. */
	if (queued.conf.hold && !spool_held(queued.spool) &&
	    spool_set_held(queued.spool, 1) == -1)
		return -1;
	tick_ev = event_new(daemon_base(), -1, 0, on_tick, NULL);
	if (tick_ev == NULL || event_add(tick_ev, &tv) == -1 ||
	    checksum_init(daemon_base()) == -1 || deliver_start() == -1 ||
	    drop_start(queued.spool) == -1)
		return -1;
	ix = spool_index(queued.spool);
	log_info("the queue is open: %zu messages, %llu recipients", ix->nmsgs,
	    (unsigned long long)ix->nlive_rcpts);
	return 0;
}

static void
on_reload(void)
{
	sched_set_limits(
	    queued.sched, queued.conf.jobs_max, queued.conf.jobs_per_destination);
	spool_set_reserve(queued.spool, queued.conf.disk_reserve);
	/* Only a change of the file counts, not what fifectl(8) has done since. */
	if (queued.conf.hold != hold_conf)
		(void)spool_set_held(queued.spool, queued.conf.hold);
	hold_conf = queued.conf.hold;
	route_changed("");
	deliver_wake();
}

static void
on_peer_new(struct channel *ch)
{
	if (queued.spool != NULL)
		deliver_peer_new(ch);
}

static void
on_peer_message(struct channel *ch, struct msg *m)
{
	if (queued.spool == NULL)
		return;
	switch (channel_role(ch)) {
	case ROLE_SMTPD:
		if (m->type == MSG_SMTPD_QUEUED_ETRN)
			etrn_message(ch, m);
		else
			txn_message(ch, m);
		break;
	case ROLE_DELIVERD_LOCAL:
	case ROLE_DELIVERD_REMOTE:
		deliver_message(ch, m);
		break;
	case ROLE_AUTHD:
		if (m->type == MSG_AUTHD_QUEUED_CHANGED)
			route_changed(m->p.domain.domain);
		else if (m->type == MSG_AUTHD_QUEUED_NOTICE)
			notice_send(&m->p.notice);
		break;
	case ROLE_POLICYD:
		if (m->type == MSG_POLICYD_QUEUED_REPORT)
			tlsreport_message(ch, m);
		break;
	case ROLE_LISTD:
		if (m->type == MSG_LISTD_QUEUED_ORDER)
			post_order(ch, m);
		break;
	default:
		break;
	}
}

static void
on_peer_lost(struct channel *ch)
{
	if (queued.spool == NULL)
		return;
	if (channel_role(ch) == ROLE_SMTPD)
		txn_channel_lost(ch);
	else
		deliver_peer_lost(ch);
}

static void
on_stop(void)
{
	struct channel *ch;

	queued.stopping = 1;
	etrn_stop();
	deliver_stop();
	drop_stop();
	checksum_stop();
	event_free(tick_ev);
	tick_ev = NULL;
	/* Whoever waits for a COMMITTED gets it: the sync tells them. */
	(void)journal_sync(spool_journal(queued.spool));
	for (unsigned int i = 0; (ch = daemon_peer_at(ROLE_SMTPD, i)) != NULL; i++)
		channel_flush(ch, 200);
	spool_close(queued.spool);
	queued.spool = NULL;
	freeze_stop();
	sched_free(queued.sched);
	queued.sched = NULL;
	daemon_stopped();
}

const struct daemon queued_daemon = {
	.role = ROLE_QUEUED,
	.conf = on_conf,
	.start = on_start,
	.reload = on_reload,
	.peer_new = on_peer_new,
	.peer_message = on_peer_message,
	.peer_lost = on_peer_lost,
	.stop = on_stop,
	.commands = queued_commands,
};
