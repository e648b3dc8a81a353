/*
 * fifectl queue verify: every message and its content is read and checked.
 *
 * SPDX-License-Identifier: ISC
 */
#include <sys/stat.h>

#include <err.h>
#include <event2/event.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "queued/deliver.h"
#include "queued/internal.h"
#include "queued/qid.h"
#include "queued/verify.h"

#define STEP_OCTETS (2 * 1024 * 1024) /* read in one turn */

struct verify {
	struct spool *spool;
	struct ctl *ctl; /* NULL: offline, or fifectl has gone */
	struct event *ev;
	int online, repair;
	uint64_t next_id;
	uint64_t whole, repaired, damaged, orphans;
};

static void
report(struct verify *v, const char *qid, const char *what)
{
	if (!v->online) {
		printf("%s: %s\n", qid, what);
		return;
	}
	if (v->ctl == NULL)
		return;
	ctl_row(v->ctl, CTL_TABLE);
	ctl_str(v->ctl, "qid", qid);
	ctl_str(v->ctl, "damage", what);
	ctl_row_end(v->ctl);
}

static void
on_orphan(void *arg, const char *qid)
{
	struct verify *v = arg;

	report(v, qid,
	    v->repair ? "a content without its record, kept as body/lost.ID"
		      : "a content without its record");
}

static void
verify_one(struct verify *v, struct qmsg *m)
{
	const char *what = NULL;
	char qid[QID_SIZE];
	uint64_t id = m->id;
	int rv;

	qid_format(id, qid);
	rv = v->repair ? spool_repair(v->spool, m, &what)
		       : spool_verify(v->spool, m, &what);
	if (what != NULL)
		report(v, qid, what);
	if (rv == -1)
		v->damaged++;
	else if (rv == 1 && v->repair)
		v->repaired++;
	else if (rv == 1)
		v->damaged++;
	else
		v->whole++;
	if (rv == -1 && v->repair && v->online) {
		log_fact(
		    LOG_DELIVERY, LOGL_ERROR, "held", KS("qid", qid), KS("why", what));
		m = index_find(spool_index(v->spool), id);
		if (m != NULL)
			deliver_unschedule(m);
	}
}

/* The next part of the queue; 0 at its end. */
static int
verify_step(struct verify *v)
{
	uint64_t octets = 0;

	while (octets < STEP_OCTETS) {
		struct qmsg *m = index_next(spool_index(v->spool), v->next_id);

		if (m == NULL)
			return 0;
		v->next_id = m->id + 1;
		octets += m->size + 4096;
		if (!(m->flags & (QM_DEAD | QM_PENDING)))
			verify_one(v, m);
	}
	return 1;
}

/* All have been read. The sentence in text; an exit status. */
static int
verify_end(struct verify *v, char *text, size_t cap)
{
	uint64_t gaps = journal_damaged(spool_journal(v->spool));
	int rv = CTL_OK;

	v->orphans = spool_orphans(v->spool, v->repair, on_orphan, v);
	if (v->repair && spool_repair_end(v->spool, v->damaged) == -1)
		rv = CTL_TEMPFAIL;
	snprintf(text, cap,
	    "%llu messages are whole, %llu repaired, %llu damaged%s; %llu damaged places "
	    "in the "
	    "journal, %llu contents without a record",
	    (unsigned long long)v->whole, (unsigned long long)v->repaired,
	    (unsigned long long)v->damaged,
	    v->damaged == 0 ? ""
	    : v->repair     ? " and held"
			    : "",
	    (unsigned long long)gaps, (unsigned long long)v->orphans);
	if (v->damaged > 0 || (!v->repair && gaps + v->orphans > 0))
		rv = CTL_REFUSED;
	return rv;
}

static void
verify_free(struct verify *v)
{
	if (v->ev != NULL)
		event_free(v->ev);
	free(v);
}

static void
on_room(struct ctl *c, void *arg)
{
	struct verify *v = arg;

	(void)c;
	event_active(v->ev, EV_TIMEOUT, 0);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct verify *v = arg;
	struct timeval now = { 0, 0 };
	char text[256];
	int rv;

	(void)fd;
	(void)what;
	if (v->ctl == NULL || queued.spool == NULL) {
		verify_free(v);
		return;
	}
	if (ctl_full(v->ctl)) {
		ctl_on_room(v->ctl, on_room, v);
		return;
	}
	if (verify_step(v)) {
		event_add(v->ev, &now);
		return;
	}
	rv = verify_end(v, text, sizeof(text));
	ctl_text(v->ctl, "%s", text);
	if (rv == CTL_OK)
		ctl_done(v->ctl, CTL_OK, NULL);
	else if (rv == CTL_TEMPFAIL)
		ctl_done(v->ctl, rv, "no checkpoint can be written, try again");
	else
		ctl_done(v->ctl, rv,
		    v->repair ? "there is damage that cannot be repaired"
			      : "there is damage; see queue verify --repair");
	verify_free(v);
}

static void
on_gone(struct ctl *c, void *arg)
{
	struct verify *v = arg;

	(void)c;
	v->ctl = NULL;
	event_active(v->ev, EV_TIMEOUT, 0);
}

void
queue_verify(struct ctl *c, int argc, char **argv)
{
	struct verify *v;

	if (argc > 1 || (argc == 1 && strcmp(argv[0], "--repair") != 0)) {
		ctl_done(c, CTL_USAGE, "queue verify [--offline] [--repair]");
		return;
	}
	if (queued.spool == NULL) {
		ctl_done(c, CTL_TEMPFAIL, "the spool is not open");
		return;
	}
	v = calloc(1, sizeof(*v));
	if (v == NULL || (v->ev = event_new(daemon_base(), -1, 0, on_turn, v)) == NULL) {
		free(v);
		ctl_done(c, CTL_TEMPFAIL, "no memory");
		return;
	}
	v->spool = queued.spool;
	v->ctl = c;
	v->online = 1;
	v->repair = argc == 1;
	ctl_on_gone(c, on_gone, v);
	event_active(v->ev, EV_TIMEOUT, 0);
}

int
verify_main(int argc, char **argv)
{
	struct spool_conf sc = { 0 };
	struct verify v = { 0 };
	struct stat st;
	char text[256];
	int rv;

	if (argc < 3 || argc > 4 || strcmp(argv[1], "verify") != 0 ||
	    (argc == 4 && strcmp(argv[3], "--repair") != 0)) {
		fprintf(stderr, "usage: queued verify spool [--repair]\n");
		return CTL_USAGE;
	}
	log_init("queued", 0);
	if (stat(argv[2], &st) == -1)
		err(CTL_REFUSED, "%s", argv[2]);
	sc.root = argv[2];
	/* What is written must be readable to the daemon later, and root reads no mail.
	 */
	if (geteuid() == 0) {
		if (chdir(argv[2]) == -1 || chroot(".") == -1 ||
		    setgroups(0, NULL) == -1 ||
		    setresgid(st.st_gid, st.st_gid, st.st_gid) == -1 ||
		    setresuid(st.st_uid, st.st_uid, st.st_uid) == -1)
			err(CTL_REFUSED, "%s", argv[2]);
		sc.root = "/";
	}
	v.spool = spool_open(NULL, &sc, 0, text, sizeof(text));
	if (v.spool == NULL) {
		fprintf(stderr, "queued: %s\n", text);
		return CTL_TEMPFAIL;
	}
	v.repair = argc == 4;
	while (verify_step(&v))
		;
	rv = verify_end(&v, text, sizeof(text));
	printf("%s\n", text);
	spool_close(v.spool);
	return rv;
}
